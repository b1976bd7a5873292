//! People and tokens: who may give, take and see what.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use super::{House, location, text};
use crate::web::role::Role;

async fn send(house: &House, token: &str, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:8080")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
        .unwrap();
    let answer = house.ask(request).await;
    let status = answer.status();
    (status, serde_json::from_str(&text(answer).await).unwrap_or(Value::Null))
}

/// Every role that asks × every role that is given × own tenant, another one, all: what the rule of authority says comes
/// out of the API, for people and for tokens.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_more_than_they_have() {
    let house = House::new();
    let mut number = 0;
    for (own, tenants) in [(Some("alpha"), ["alpha"].as_slice()), (None, &["alpha", "bravo", ""])] {
        for asking in Role::ALL {
            let token = house.token(asking, own);
            for given in Role::ALL {
                for place in ["alpha", "bravo", ""] {
                    number += 1;
                    let tenant = (!place.is_empty()).then_some(place);
                    let allowed = tenants.contains(&place)
                        && match asking {
                            Role::Owner => true,
                            Role::Admin => given == Role::Moderator || given == Role::Auditor && tenant.is_some(),
                            Role::Moderator | Role::Auditor => false,
                        };
                    let what = format!("{asking} of {own:?} makes {given} in {place:?}");
                    let email = format!("n{number}@example.com");
                    let body =
                        json!({ "email": email, "role": given.name(), "tenant": tenant, "single_sign_on": true });
                    let (status, answer) = send(&house, &token, "POST", "/v1/users", body).await;
                    assert_eq!(status.is_success(), allowed, "{what}: {status} {answer}");
                    let body = json!({ "role": given.name(), "tenant": tenant });
                    let (status, answer) = send(&house, &token, "POST", "/v1/tokens", body).await;
                    assert_eq!(status.is_success(), allowed, "{what} as a token: {status} {answer}");
                    assert_eq!(house.rooms.accounts.by_email(&email).is_some(), allowed, "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_roles_elsewhere_is_not_one_tenants_to_change() {
    let house = House::new();
    let (op, alpha) = (house.token(Role::Owner, None), house.token(Role::Owner, Some("alpha")));
    house.person("both@example.com", Role::Moderator, Some("alpha"));
    let (status, _) =
        send(&house, &op, "POST", "/v1/users/both%40example.com:grant", json!({"role": "admin", "tenant": "bravo"}))
            .await;
    assert_eq!(status, StatusCode::OK);
    let (_, seen) = send(&house, &alpha, "GET", "/v1/users/both%40example.com", Value::Null).await;
    assert_eq!((&seen["roles"], &seen["sessions"]), (&json!(["moderator@alpha"]), &Value::Null), "{seen}");
    for verb in ["disable", "enable", "end-sessions", "reset-totp", "reset-password", "remove"] {
        let path = format!("/v1/users/both%40example.com:{verb}");
        assert_eq!(send(&house, &alpha, "POST", &path, Value::Null).await.0, StatusCode::FORBIDDEN, "{verb}");
    }
    let (status, _) = send(&house, &alpha, "GET", "/v1/users/both%40example.com/sessions", Value::Null).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // An admin changes no other admin; an owner of the tenant cannot take what is another tenant's.
    let admin = house.token(Role::Admin, Some("bravo"));
    let (status, _) =
        send(&house, &admin, "POST", "/v1/users/both%40example.com:withdraw", json!({"tenant": "bravo"})).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) =
        send(&house, &alpha, "POST", "/v1/users/both%40example.com:withdraw", json!({"tenant": "bravo"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) =
        send(&house, &alpha, "POST", "/v1/users/both%40example.com:withdraw", json!({"tenant": "alpha"})).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = send(&house, &alpha, "GET", "/v1/users/both%40example.com", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "not one of theirs any more");
    // Nor can a tenant take a person of another tenant in, to look at or to block.
    let (status, _) = send(
        &house,
        &alpha,
        "POST",
        "/v1/users",
        json!({"email": "both@example.com", "role": "moderator", "tenant": "alpha"}),
    )
    .await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_person_is_out_at_once_and_comes_back_with_everything() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    house.person("mo@example.com", Role::Moderator, Some("alpha"));
    let (anna, mo) = (house.sign_in("anna@example.com").await, house.sign_in("mo@example.com").await);
    let page = text(house.get("/people/mo%40example.com", &anna).await).await;
    assert!(page.contains("127.0.0.1") && page.contains("moderator (alpha)"), "{page}");
    let done = house.form("/people/mo%40example.com", &anna, "do=disable").await;
    assert_eq!(location(&done), "/people/mo%40example.com?did=disable");
    assert_eq!(house.get("/moderation", &mo).await.status(), StatusCode::SEE_OTHER);
    let again = house.form("/login", "", "email=mo%40example.com&password=three+wet+herons").await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    house.form("/people/mo%40example.com", &anna, "do=enable").await;
    let mo = house.sign_in("mo@example.com").await;
    assert_eq!(house.get("/moderation", &mo).await.status(), StatusCode::OK);
    // The last owner stays, and nobody changes their own account here.
    let own = house.form("/people/anna%40example.com", &anna, "do=disable").await;
    assert_eq!(own.status(), StatusCode::CONFLICT);
    let op = house.token(Role::Owner, None);
    let (status, _) = send(&house, &op, "POST", "/v1/users/anna%40example.com:disable", Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT, "the last owner");
    let wrong = house.form("/people/mo%40example.com", &anna, "do=remove&confirm=mo").await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let gone = house.form("/people/mo%40example.com", &anna, "do=remove&confirm=mo%40example.com").await;
    assert_eq!(location(&gone), "/people?did=remove");
    assert_eq!(house.get("/people/mo%40example.com", &anna).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_password_and_a_token_are_shown_once_and_work() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let anna = house.sign_in("anna@example.com").await;
    let shown = |page: &str| {
        let at = page.find("class=\"secret\">").unwrap() + 15;
        page[at..].split('<').next().unwrap().to_owned()
    };
    let answer = house.form("/people", &anna, "email=ben%40example.com&role=moderator&tenant=alpha").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let password = shown(&text(answer).await);
    let entered = house.form("/login", "", &format!("email=ben%40example.com&password={password}")).await;
    assert_eq!(location(&entered), "/account/password", "and is replaced at once");
    assert!(!text(house.get("/people/ben%40example.com", &anna).await).await.contains(&password));
    let hostile = "name=%3Cscript%3Ealert(1)%3C%2Fscript%3E&role=auditor&tenant=alpha&days=30";
    let page = text(house.form("/tokens", &anna, hostile).await).await;
    let secret = shown(&page);
    let (status, _) = send(&house, &secret, "GET", "/v1/posts", Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let list = text(house.get("/tokens", &anna).await).await;
    assert!(!list.contains(&secret) && !list.contains("<script>alert") && list.contains("&#60;script"), "{list}");
    let id = house.rooms.accounts.tokens()[0].id.clone();
    assert_eq!(location(&house.form("/tokens/revoke", &anna, &format!("id={id}")).await), "/tokens?did=revoke");
    assert_eq!(send(&house, &secret, "GET", "/v1/posts", Value::Null).await.0, StatusCode::UNAUTHORIZED);
    for (form, why) in [
        ("email=nobody&role=moderator&tenant=alpha", "not a mail address"),
        ("email=ben%40example.com&role=moderator&tenant=alpha", "has an account already"),
        ("email=x%40example.com&role=king&tenant=alpha", "not a role"),
        ("email=x%40example.com&role=owner&tenant=nowhere", "no tenant"),
    ] {
        let answer = house.form("/people", &anna, form).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(text(answer).await.contains(why), "{form}");
    }
}
