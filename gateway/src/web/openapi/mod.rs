//! `/v1/openapi.json`: the API in OpenAPI's form, made from the table of routes, so that no route is missing in it and the
//! roles that it names are those that the guard asks for. Bodies are described from the types that are read and written.

mod rows;

use std::sync::LazyLock;

use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, ObjectBuilder, OpenApiBuilder, RefOr, Required,
    ResponseBuilder, Schema, SecurityRequirement, Type,
};

use super::route::{Access, Route};
use crate::admin::Problem;
use rows::{ROWS, Schemas, of};

pub(super) const ROUTES: &[Route] = &[Route::get("/v1/openapi.json", Access::Public, || get(serve))];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document(&super::table()));

async fn serve() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn parameters(path: &str) -> Vec<String> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn json(schema: RefOr<Schema>) -> Content {
    Content::new(Some(schema))
}

fn operation(route: &Route, schemas: &mut Schemas) -> OperationBuilder {
    let said = ROWS.iter().find(|row| row.method == route.method.as_str() && row.path == route.path);
    let roles = match route.access {
        Access::Roles(roles) | Access::Operator(roles) => {
            let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            format!("Roles: {}.", names.join(", "))
        }
        Access::OwnKey => "The key is in the request itself.".to_owned(),
        Access::Public | Access::HalfSignedIn | Access::Person => "Needs no role.".to_owned(),
    };
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let problem = ResponseBuilder::new().description("A problem (RFC 9457): what happened, and what to do.");
    let problem = problem.content("application/problem+json", json(of::<Problem>(schemas))).build();
    let mut done = ResponseBuilder::new().description("Done.");
    if let Some(gives) = said.and_then(|row| row.gives) {
        done = done.content("application/json", json(gives(schemas)));
    }
    let done = done.build();
    let mut operation = OperationBuilder::new()
        .tag(route.path.split(['/', ':']).nth(2).unwrap_or_default())
        .operation_id(Some(format!("{} {}", route.method, route.path)))
        .summary(said.map(|row| row.sentence))
        .description(Some(roles))
        .response("200", done.clone())
        .response("default", problem);
    if said.is_some_and(|row| row.makes) {
        operation = operation.response("201", done);
    }
    if let Some(takes) = said.and_then(|row| row.takes) {
        let required = if said.is_some_and(|row| row.body_optional) { Required::False } else { Required::True };
        let body = RequestBodyBuilder::new().content("application/json", json(takes(schemas)));
        operation = operation.request_body(Some(body.required(Some(required)).build()));
    }
    for name in parameters(route.path) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        operation = operation.parameter(parameter.schema(Some(text())));
    }
    for name in said.map(|row| row.asks).unwrap_or_default() {
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Query).required(Required::False);
        operation = operation.parameter(parameter.schema(Some(text())));
    }
    if matches!(route.access, Access::Roles(_) | Access::Operator(_)) {
        let none: [&str; 0] = [];
        operation = operation.security(SecurityRequirement::new("token", none));
    }
    operation
}

fn document(table: &[Route]) -> String {
    let mut paths = Paths::new();
    let mut schemas = Schemas::new();
    for route in table.iter().filter(|route| !route.is_page()) {
        let method = if route.method == Method::GET { HttpMethod::Get } else { HttpMethod::Post };
        paths.add_path_operation(route.path, vec![method], operation(route, &mut schemas).build());
    }
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let info = InfoBuilder::new()
        .title("Waxseal")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The outbound mail gateway. Tokens are made with: waxseal token new."));
    let components = ComponentsBuilder::new().security_scheme("token", token).schemas_from_iter(schemas).build();
    let document = OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components)).build();
    // It has no value that JSON could not hold.
    document.to_json().unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_api_is_in_the_document_with_its_parameters() {
        let document: serde_json::Value = serde_json::from_str(&DOCUMENT).unwrap();
        let mut count = 0;
        for route in crate::web::table().iter().filter(|route| !route.is_page()) {
            let method = route.method.as_str().to_lowercase();
            let operation = &document["paths"][route.path][&method];
            assert!(operation.is_object(), "{} {}", route.method, route.path);
            let all = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = all.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(named, parameters(route.path).len(), "{}", route.path);
            count += 1;
        }
        for row in ROWS {
            assert!(document["paths"][row.path][row.method.to_lowercase()].is_object(), "{} is no route", row.path);
        }
        // Every reference leads somewhere.
        let text = document.to_string();
        for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        assert!(count >= 18 && document["components"]["securitySchemes"]["token"]["scheme"] == "bearer");
    }
}
