//! Posts over HTTP without a socket: what a help center, a moderator's program and an Akismet client see.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::web::role::Role;
use crate::web::tests::{House, text};

async fn send(house: &House, token: &str, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost:8080")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
        .unwrap();
    let response = house.ask(request).await;
    let status = response.status();
    (status, serde_json::from_str(&text(response).await).unwrap_or(Value::Null))
}

async fn akismet(house: &House, host: &str, path: &str, form: &str) -> (String, Option<String>) {
    let request = Request::post(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    let response = house.ask(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let tip = response.headers().get("x-akismet-pro-tip").map(|tip| tip.to_str().unwrap().to_owned());
    (text(response).await, tip)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_help_center_submits_polls_and_learns_decisions() {
    let house = House::new();
    let token = house.token(Role::Moderator, Some("alpha"));
    let post = json!({"id": "t-1", "text": "perhaps a question", "author": "u1"});
    let (status, first) = send(&house, &token, "POST", "/v1/posts", Some(post.clone())).await;
    assert_eq!((status, first["verdict"].as_str()), (StatusCode::CREATED, Some("held")), "{first}");
    let (status, again) = send(&house, &token, "POST", "/v1/posts", Some(post)).await;
    assert_eq!((status, &again["change"]), (StatusCode::OK, &first["change"]));
    let (_, page) = send(&house, &token, "GET", "/v1/posts?state=held&after=0", None).await;
    assert_eq!(page["posts"][0]["id"], "t-1");
    let cursor = page["next"].as_str().unwrap().to_owned();
    let (status, shown) = send(&house, &token, "POST", "/v1/posts/t-1:approve", None).await;
    assert_eq!(
        (status, shown["state"].as_str(), shown["verdict"].as_str()),
        (StatusCode::OK, Some("approved"), Some("held"))
    );
    let (_, page) = send(&house, &token, "GET", &format!("/v1/posts?after={cursor}"), None).await;
    assert_eq!(page["posts"], json!([]), "not told yet");
    let (status, _) = send(&house, &token, "POST", "/v1/posts/t-1:spam", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let other = house.token(Role::Owner, Some("bravo"));
    let (status, _) = send(&house, &other, "GET", "/v1/posts/t-1", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let auditor = house.token(Role::Auditor, Some("alpha"));
    let (status, _) = send(&house, &auditor, "POST", "/v1/posts/t-1:undo", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, undone) = send(&house, &token, "POST", "/v1/posts/t-1:undo", None).await;
    assert_eq!((status, undone["state"].as_str()), (StatusCode::OK, Some("held")));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_say_what_is_wrong() {
    let house = House::new();
    let token = house.token(Role::Moderator, Some("alpha"));
    for (method, path, body, expected) in [
        ("POST", "/v1/posts", Some(json!({"text": 7})), StatusCode::BAD_REQUEST),
        ("POST", "/v1/posts", Some(json!({"id": "4111111111111111", "text": "x"})), StatusCode::BAD_REQUEST),
        ("GET", "/v1/posts?state=lost", None, StatusCode::BAD_REQUEST),
        ("GET", "/v1/posts?after=yesterday", None, StatusCode::BAD_REQUEST),
        ("GET", "/v1/posts/none", None, StatusCode::NOT_FOUND),
        ("POST", "/v1/posts:bulk", Some(json!({"action": "spam"})), StatusCode::BAD_REQUEST),
        ("POST", "/v1/authors/none:ban", Some(json!({"hide_posts_since": "now"})), StatusCode::BAD_REQUEST),
        (
            "POST",
            "/v1/post-rules",
            Some(json!({"field": "link", "pattern": "x", "effect": "hold"})),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let (status, answer) = send(&house, &token, method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn akismets_calls_answer_as_its_clients_expect() {
    let house = House::new();
    let token = house.token(Role::Moderator, Some("alpha"));
    let key = token.as_str();
    let ask = |path: &'static str, form: String| {
        let house = &house;
        async move { akismet(house, "localhost:8080", path, &form).await }
    };
    assert_eq!(ask("/1.1/verify-key", format!("key={key}&blog=https%3A%2F%2Fb.example")).await.0, "valid");
    assert_eq!(ask("/1.1/verify-key", format!("api_key={key}&blog=x")).await.0, "valid");
    assert_eq!(ask("/1.1/verify-key", "key=wrong&blog=x".into()).await.0, "invalid");
    let by_host = akismet(&house, &format!("{key}.rest.akismet.example"), "/1.1/verify-key", "blog=x").await;
    assert_eq!(by_host.0, "valid");
    let comment = format!("api_key={key}&blog=x&user_ip=192.0.2.1&comment_author=Ann&comment_content=perhaps+good");
    assert_eq!(
        ask("/1.1/comment-check", comment.clone()).await,
        ("true".into(), None),
        "no classifier: a person decides"
    );
    assert_eq!(ask("/1.1/comment-check", format!("api_key={key}&blog=x")).await.0, "invalid");
    let test = format!("api_key={key}&blog=x&user_ip=192.0.2.1&comment_author=akismet-guaranteed-spam");
    assert_eq!(ask("/1.1/comment-check", test).await, ("true".into(), None));
    assert_eq!(ask("/1.1/submit-ham", comment.clone()).await.0, "Thanks for making the web a better place.");
    let (_, page) = send(&house, key, "GET", "/v1/posts?state=approved", None).await;
    assert_eq!(page["posts"].as_array().unwrap().len(), 1, "{page}");
    let auditor = house.token(Role::Auditor, Some("alpha"));
    assert_eq!(ask("/1.1/verify-key", format!("key={}&blog=x", auditor.as_str())).await.0, "invalid");
}
