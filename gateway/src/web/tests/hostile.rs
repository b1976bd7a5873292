//! Stored script: every field that a stranger fills, on every page that shows it, is text.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;

use super::{House, text};
use crate::admin::client::segment;
use crate::web::role::Role;

/// Closes a tag, an attribute in either quote, a comment, a script and a template; the number tells the field.
fn evil(field: &str) -> String {
    format!("{field}\"'><script>alert({field})</script><!--<img src=x onerror=alert(1)>{{{{7*7}}}}</textarea></title>")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_post_is_text_on_every_page() {
    let house = House::new();
    house.person("mo@alpha.example", Role::Owner, Some("alpha"));
    let mine = house.sign_in("mo@alpha.example").await;
    let token = house.token(Role::Owner, Some("alpha"));
    let send = async |path: String, body: serde_json::Value| {
        let request = Request::post(path)
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {}", token.as_str()))
            .body(Body::from(body.to_string()));
        house.ask(request.unwrap()).await.status()
    };
    let fields = [
        "id",
        "text",
        "title",
        "lang",
        "author",
        "author_name",
        "author_email",
        "author_url",
        "url",
        "kind",
        "context",
        "user_agent",
        "referrer",
    ];
    let mut post: serde_json::Map<_, _> =
        fields.into_iter().map(|field| (field.to_owned(), json!(evil(field)))).collect();
    // A language longer than any is dropped.
    post.insert("lang".into(), json!("\"'><script>alert(1)"));
    post.insert(
        "text".into(),
        json!(format!("{} <a href=\"javascript:alert(1)\">x</a> https://x.example/{}", evil("text"), evil("link"))),
    );
    assert_eq!(send("/v1/posts".into(), json!(post)).await, StatusCode::CREATED);
    let (id, author) = (segment(&evil("id")), segment(&evil("author")));
    assert_eq!(send(format!("/v1/posts/{id}:reject"), json!({ "reason": evil("reason") })).await, StatusCode::OK);
    assert_eq!(send(format!("/v1/authors/{author}:ban"), json!({ "reason": evil("why") })).await, StatusCode::OK);
    let rule = json!({ "field": "word", "pattern": evil("rule"), "effect": "hold" });
    assert_eq!(send("/v1/post-rules".into(), rule).await, StatusCode::OK);
    let pattern = segment(&evil("rule"));
    for path in [
        "/moderation?state=all".to_owned(),
        format!(
            "/moderation?state=all&search={}&author={author}&lang={}",
            segment(&evil("search")),
            segment(&evil("lang"))
        ),
        format!("/moderation?tenant={pattern}"),
        format!("/moderation?band={pattern}"),
        format!("/moderation/posts/{id}?back={pattern}"),
        format!("/moderation/posts/{id}?pane=1"),
        format!("/moderation/posts/{pattern}"),
        format!("/moderation/authors/{author}"),
        "/moderation/history".to_owned(),
        format!("/moderation/rules?field=word&pattern={pattern}&effect=hold"),
        format!("/people?search={pattern}&did={pattern}"),
        format!("/people/{pattern}"),
        format!("/networks?tenant={pattern}"),
        format!("/login?next={pattern}"),
        format!("/{pattern}"),
    ] {
        let page = text(house.get(&path, &mine).await).await;
        for mark in ["<script>alert", "<img src=x", "'><", "</textarea></title>", "<!--<img", "href=\"javascript:"] {
            assert!(!page.contains(mark), "{path} has {mark}");
        }
    }
}
