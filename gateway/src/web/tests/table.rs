//! Every route × every role × every tenant.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use super::{House, location, text};
use crate::web::role::Role;
use crate::web::route::{Access, Route};
use crate::web::table;

/// A path of the table with the things of a tenant in it.
fn path_of(route: &Route, tenant: &str) -> String {
    let things = [("{domain}", format!("{tenant}.example")), ("{selector}", "none".to_owned())];
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
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
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

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_touches_what_is_another_tenants() {
    let house = House::new();
    let tokens: Vec<_> = Role::ALL.into_iter().map(|role| (role, house.token(role, Some("alpha")))).collect();
    let before = house.rooms.registry.snapshot();
    let keys = |directory: &crate::tenants::Directory| {
        directory.dkim_keys(&"bravo.example".parse().unwrap()).cloned().collect::<Vec<_>>()
    };
    for route in table() {
        let Access::Roles(_) = route.access else { continue };
        let path = path_of(&route, "bravo");
        for (role, token) in &tokens {
            let answer = house.ask(request(&route, &path, Some(token))).await;
            let status = answer.status();
            if route.path.contains("{domain}") {
                assert!(status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN, "{role} {path}: {status}");
            } else if route.method == Method::GET {
                assert!(!text(answer).await.contains("bravo"), "{role} {path} tells of another tenant");
            }
        }
    }
    let after = house.rooms.registry.snapshot();
    assert!(keys(&before) == keys(&after) && after.domain(&"bravo.example".parse().unwrap()).is_some());
}

#[test]
fn no_route_stands_twice() {
    let mut seen = std::collections::HashSet::new();
    for route in table() {
        assert!(seen.insert((route.method.clone(), route.path)), "{} {}", route.method, route.path);
    }
}
