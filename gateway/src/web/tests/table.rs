//! Every route × every role × every tenant.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::json;

use super::{House, location, text};
use crate::web::role::Role;
use crate::web::route::{Access, Route};
use crate::web::table;

const FORM: &str = "application/x-www-form-urlencoded";
/// What stands in everything of bravo's that somebody else could come to see.
const MARK: &str = "zanzibar";

/// A path of the table with the things of a tenant in it: those that [`furnish`] makes.
fn path_of(route: &Route, tenant: &str) -> String {
    let id = match route.path {
        path if path.contains("/posts/") => "p-1",
        path if path.contains("/authors/") => "u-1",
        _ => "{id}",
    };
    let things = [
        ("{domain}", format!("{tenant}.example")),
        ("{selector}", "none".to_owned()),
        ("{email}", "zoe%40example.net".to_owned()),
        ("{id}", id.to_owned()),
    ];
    let path = things.iter().fold(route.path.to_owned(), |path, (place, thing)| path.replace(place, thing));
    let parts: Vec<&str> = path.split('/').collect();
    let one = |part: &str| match part.find('{').zip(part.find('}')) {
        Some((from, to)) => format!("{}00000000000000000000000001{}", &part[..from], &part[to + 1..]),
        None => part.to_owned(),
    };
    parts.into_iter().map(one).collect::<Vec<_>>().join("/")
}

fn request(route: &Route, path: &str, token: Option<&str>) -> Request<Body> {
    let mut request = Request::builder()
        .method(route.method.clone())
        .uri(path)
        .header(header::HOST, "localhost:8080")
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, FORM);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_reaches_the_routes_that_the_table_gives_it_and_no_others() {
    let house = House::new();
    let tokens: Vec<_> = Role::ALL.into_iter().map(|role| (role, house.token(role, Some("alpha")))).collect();
    for route in table() {
        let path = path_of(&route, "alpha");
        let nobody = house.ask(request(&route, &path, None)).await;
        let turned_away = nobody.status() == StatusCode::UNAUTHORIZED
            || nobody.status() == StatusCode::SEE_OTHER && location(&nobody).starts_with("/login");
        match route.access {
            Access::Public | Access::OwnKey => {}
            _ => assert!(turned_away, "{} {path} without a sign-in: {}", route.method, nobody.status()),
        }
        if let Access::Operator(roles) = route.access {
            for role in Role::ALL {
                let answer = house.ask(request(&route, &path, Some(&house.token(role, None)))).await.status();
                assert_eq!(answer != StatusCode::FORBIDDEN, roles.contains(&role), "{role} of all {path}: {answer}");
            }
        }
        for (role, token) in &tokens {
            let answer = house.ask(request(&route, &path, Some(token))).await.status();
            let admitted = match route.access {
                Access::Public | Access::OwnKey | Access::HalfSignedIn => continue,
                // The tokens are of one tenant.
                Access::Person | Access::Operator(_) => false,
                Access::Roles(roles) => roles.contains(role),
            };
            if admitted {
                assert!(
                    answer != StatusCode::FORBIDDEN && answer != StatusCode::UNAUTHORIZED,
                    "{role} {path}: {answer}"
                );
                assert!(!answer.is_server_error(), "{role} {} {path}: {answer}", route.method);
            } else {
                assert_eq!(answer, StatusCode::FORBIDDEN, "{role} {} {path}", route.method);
            }
        }
    }
}

/// A body that a route would do something with, about bravo.
fn body_of(route: &Route, token: &str) -> String {
    if route.is_page() {
        return format!(
            "tenant=bravo&do=approve+1+p-1&action=ban&post=1+p-1&id={token}&text=x&role=moderator&email=new%40example.org\
             &domain=new.bravo.example&networks=127.0.0.0%2F8&days=30&name=x&field=word&pattern=x&effect=hold&confirm=1"
        );
    }
    let body = match route.path.trim_start_matches("/v1/") {
        "posts" => json!({ "id": "p-2", "text": "x" }),
        "posts:bulk" => json!({ "action": "spam", "ids": ["p-1"] }),
        "posts/{id}:redact" => json!({ "text": "x" }),
        "post-rules" | "post-rules:try" => json!({ "field": "word", "pattern": "x", "effect": "hold" }),
        "users" => json!({ "email": "new@example.org", "role": "moderator", "tenant": "bravo" }),
        "users/{email}:grant" => json!({ "role": "moderator", "tenant": "bravo" }),
        "users/{email}:withdraw" => json!({ "tenant": "bravo" }),
        "tokens" => json!({ "role": "moderator", "tenant": "bravo" }),
        "networks" => json!({ "networks": ["127.0.0.0/8"] }),
        "domains" => json!({ "name": "new.bravo.example", "tenant": "bravo" }),
        "suppressions" => json!({ "entries": [{ "address": "x@example.org" }] }),
        "suppressions:remove" => json!({ "addresses": ["x@example.org"] }),
        "domains/{domain}/keys" => json!({ "algorithm": "ed25519" }),
        _ => return String::new(),
    };
    body.to_string()
}

async fn as_owner(house: &House, token: &str, method: Method, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:8080")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, if body.starts_with('{') { "application/json" } else { FORM })
        .body(Body::from(body.to_owned()));
    let answer = house.ask(request.unwrap()).await;
    (answer.status(), text(answer).await)
}

/// Gives bravo a post, its author, a rule, a person and a token. The id of the token.
async fn furnish(house: &House, owner: &str) -> String {
    let post = json!({ "id": "p-1", "author": "u-1", "author_name": MARK, "title": MARK, "text": MARK });
    let rule = json!({ "field": "word", "pattern": MARK, "effect": "hold" });
    let user = json!({ "email": "zoe@example.net", "role": "moderator", "tenant": "bravo", "single_sign_on": true });
    let token = json!({ "name": MARK, "role": "moderator", "tenant": "bravo" });
    let mut made = String::new();
    for (path, body) in [("/v1/posts", post), ("/v1/post-rules", rule), ("/v1/users", user), ("/v1/tokens", token)] {
        let (status, answer) = as_owner(house, owner, Method::POST, path, &body.to_string()).await;
        assert!(status.is_success(), "{path}: {answer}");
        made = answer;
    }
    serde_json::from_str::<serde_json::Value>(&made).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Everything of bravo's, as its owner sees it.
async fn inventory(house: &House, owner: &str) -> Vec<String> {
    let mut seen = Vec::new();
    for path in [
        "/v1/posts?state=held&after=0",
        "/v1/posts/p-1",
        "/v1/authors/u-1",
        "/v1/post-rules",
        "/v1/users",
        "/v1/tokens",
        "/v1/networks?tenant=bravo",
        "/v1/suppressions",
        "/v1/domains",
        "/v1/domains/bravo.example/keys",
    ] {
        let (status, answer) = as_owner(house, owner, Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        seen.push(answer);
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_touches_what_is_another_tenants() {
    let house = House::new();
    let bravo = house.token(Role::Owner, Some("bravo"));
    let token_id = furnish(&house, &bravo).await;
    let before = inventory(&house, &bravo).await;
    let tokens: Vec<_> = Role::ALL.into_iter().map(|role| (role, house.token(role, Some("alpha")))).collect();
    let unknown = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
    for route in table() {
        let Access::Roles(_) = route.access else { continue };
        let path = path_of(&route, "bravo").replace("{id}", &token_id);
        let more = if path.contains('?') { '&' } else { '?' };
        for (role, token) in &tokens {
            for path in [path.clone(), format!("{path}{more}tenant=bravo")] {
                let (status, answer) =
                    as_owner(&house, token, route.method.clone(), &path, &body_of(&route, &token_id)).await;
                assert!(!answer.contains(MARK), "{role} {path} tells of another tenant: {answer}");
                // An author may be trusted or banned before the first post: of one's own tenant, by the same name.
                let own_author = route.path.contains("authors/{id}") && !path.ends_with("tenant=bravo");
                if route.path.contains('{') && !own_author {
                    let refused = unknown.contains(&status) || status == StatusCode::BAD_REQUEST;
                    assert!(refused, "{role} {} {path}: {status}", route.method);
                } else if route.method == Method::GET {
                    assert!(!answer.contains("zoe@example.net"), "{role} {path}: {answer}");
                } else if path.ends_with("tenant=bravo") {
                    let refused = status.is_client_error();
                    assert!(refused, "{role} {} {path}: {status} {answer}", route.method);
                }
            }
        }
    }
    assert_eq!(inventory(&house, &bravo).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reaches_the_pages_of_the_role_and_no_others() {
    let house = House::new();
    for role in Role::ALL {
        let email = format!("{role}@example.com");
        house.person(&email, role, Some("alpha"));
        let mine = house.sign_in(&email).await;
        for route in table().into_iter().filter(|route| route.method == Method::GET && route.is_page()) {
            let path = path_of(&route, "alpha");
            let status = house.get(&path, &mine).await.status();
            match route.access {
                Access::Public | Access::OwnKey | Access::HalfSignedIn => {}
                Access::Operator(_) => assert_eq!(status, StatusCode::FORBIDDEN, "{role} {path}"),
                Access::Roles(roles) if !roles.contains(&role) => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{role} {path}");
                }
                Access::Roles(_) | Access::Person => {
                    let found = status == StatusCode::OK || status == StatusCode::NOT_FOUND && route.path.contains('{');
                    assert!(found, "{role} {path}: {status}");
                }
            }
        }
    }
}

/// Whatever a page of another site makes a signed-in browser send, it is refused before a handler runs.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_takes_what_another_site_sends() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let mine = house.sign_in("anna@example.com").await;
    let routes = table().into_iter().filter(|route| route.method == Method::POST && route.access != Access::OwnKey);
    for route in routes {
        let path = path_of(&route, "alpha");
        for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-nothing", "said")] {
            let request = Request::post(&path)
                .header(header::HOST, "localhost:8080")
                .header(header::COOKIE, &mine)
                .header(foreign.0, foreign.1)
                .body(Body::from(body_of(&route, "none")));
            let answer = house.ask(request.unwrap()).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {foreign:?}");
        }
    }
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::OK);
}

#[test]
fn no_route_stands_twice() {
    let mut seen = std::collections::HashSet::new();
    for route in table() {
        assert!(seen.insert((route.method.clone(), route.path)), "{} {}", route.method, route.path);
    }
}
