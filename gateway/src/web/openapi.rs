//! `/v1/openapi.json`: the API in OpenAPI's form, made from the table of routes, so that no route is missing in it and the
//! roles that it names are those that the guard asks for.

use std::sync::LazyLock;

use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, HttpMethod, InfoBuilder, ObjectBuilder, OpenApiBuilder, Required, ResponseBuilder,
    SecurityRequirement, Type,
};

use super::route::{Access, Route};

pub(super) const ROUTES: &[Route] = &[Route::get("/v1/openapi.json", Access::Public, || get(serve))];

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document(&super::table()));

async fn serve() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// What each route does, in a sentence; a route that is not here is described by its path alone.
const SENTENCES: [(&str, &str, &str); 26] = [
    ("GET", "/v1/queue", "Lists letters that wait, oldest first."),
    ("GET", "/v1/queue/suspensions", "Lists deliveries that are suspended."),
    ("POST", "/v1/queue:suspend", "Starts no attempt for a tenant, a domain or a site, for a while or until resumed."),
    ("POST", "/v1/queue:resume", "Ends suspensions."),
    ("GET", "/v1/messages/{id}", "Shows a letter that waits."),
    ("GET", "/v1/messages/{id}/events", "Tells what happened to a letter and what happens next."),
    ("POST", "/v1/messages/{id}:retry", "Attempts a letter now."),
    ("POST", "/v1/messages/{id}:hold", "Stops attempting a letter until it is released."),
    ("POST", "/v1/messages/{id}:release", "Attempts a held letter again."),
    ("POST", "/v1/messages/{id}:bounce", "Gives a letter up, with a notice to its sender."),
    ("POST", "/v1/messages/{id}:drop", "Gives a letter up without a notice."),
    ("GET", "/v1/suppressions", "Lists addresses that get no more mail: ?search, ?reason, ?limit, ?after."),
    (
        "POST",
        "/v1/suppressions",
        "Adds addresses: {\"entries\": [{\"address\", \"reason\"?, \"source\"?, \"expires\"?}]}.",
    ),
    ("POST", "/v1/suppressions:remove", "Takes addresses off the list: {\"addresses\"}."),
    ("GET", "/v1/domains", "Lists domains by name."),
    ("POST", "/v1/domains", "Adds a domain to a tenant: {\"name\", \"tenant\"}."),
    ("GET", "/v1/domains/{domain}", "Shows a domain's records, expected against found, and its keys."),
    ("GET", "/v1/domains/{domain}/records", "Renders the records to publish: ?format=json|text|bind|csv and others."),
    ("POST", "/v1/domains/{domain}:check", "Asks DNS now."),
    ("GET", "/v1/domains/{domain}/keys", "Lists a domain's DKIM keys."),
    ("POST", "/v1/domains/{domain}/keys", "Makes a DKIM key: {\"algorithm\", \"selector\"?}."),
    ("POST", "/v1/domains/{domain}/keys/{selector}:activate", "Lets a key sign: {\"even_if_unpublished\"?}."),
    ("POST", "/v1/domains/{domain}/keys/{selector}:retire", "Takes a key one step towards its end."),
    ("POST", "/v1/domains/{domain}/keys/{selector}:revoke", "Destroys a key that must not be trusted any more."),
    ("POST", "/v1/domains/{domain}:rotate", "Makes new keys that sign as soon as they may."),
    ("GET", "/v1/openapi.json", "This document."),
];

fn parameters(path: &str) -> Vec<String> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn operation(route: &Route) -> OperationBuilder {
    let said = SENTENCES.iter().find(|(method, path, _)| *method == route.method.as_str() && *path == route.path);
    let roles = match route.access {
        Access::Roles(roles) | Access::Operator(roles) => {
            let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            format!("Roles: {}.", names.join(", "))
        }
        Access::OwnKey => "The key is in the request itself.".to_owned(),
        Access::Public | Access::HalfSignedIn | Access::Person => "Needs no role.".to_owned(),
    };
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let problem = ResponseBuilder::new().description("A problem (RFC 9457): status, title, detail.").build();
    let mut operation = OperationBuilder::new()
        .tag(route.path.split(['/', ':']).nth(2).unwrap_or_default())
        .operation_id(Some(format!("{} {}", route.method, route.path)))
        .summary(said.map(|(_, _, sentence)| *sentence))
        .description(Some(roles))
        .response("200", ResponseBuilder::new().description("Done.").build())
        .response("default", problem);
    for name in parameters(route.path) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
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
    for route in table.iter().filter(|route| !route.is_page()) {
        let method = if route.method == Method::GET { HttpMethod::Get } else { HttpMethod::Post };
        paths.add_path_operation(route.path, vec![method], operation(route).build());
    }
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let info = InfoBuilder::new()
        .title("Waxseal")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The outbound mail gateway. Tokens are made with: waxseal token new."));
    let components = ComponentsBuilder::new().security_scheme("token", token).build();
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
            let named = operation["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(named, parameters(route.path).len(), "{}", route.path);
            count += 1;
        }
        assert!(count >= 18 && document["components"]["securitySchemes"]["token"]["scheme"] == "bearer");
    }
}
