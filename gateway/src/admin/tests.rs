//! Server and client over a socket in a temporary folder.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::client::ControlClient;
use super::fake::{Fake, NOW};
use super::server::{SOCKET, SocketError, bind};
use super::view::{ActRequest, QueuePage, WhyView};
use super::*;
use crate::cli::Exit;

async fn client(fake: &Arc<Fake>) -> (ControlClient, tempfile::TempDir, tokio::sync::oneshot::Sender<()>) {
    let dir = tempfile::tempdir().unwrap();
    let stop = fake.serve_in(dir.path());
    (ControlClient::connect(dir.path(), "anna").await.unwrap(), dir, stop)
}

#[tokio::test]
async fn the_socket_is_private_and_only_a_dead_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET);
    let living = bind(dir.path()).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(bind(dir.path()).await, Err(SocketError::Taken(taken)) if taken == path));
    drop(living);
    assert!(path.exists(), "a gateway that was killed leaves its socket behind");
    let again = bind(dir.path()).await.unwrap();
    assert!(tokio::net::UnixStream::connect(&path).await.is_ok());
    drop(again);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left in the folder");
}

#[tokio::test]
async fn the_queue_pages_and_its_json_is_stable() {
    let fake = Arc::new(Fake::with_letters(3));
    let (client, _dir, _stop) = client(&fake).await;
    let first: QueuePage = client.get("/v1/queue?limit=2&tenant=acme&domain=example.com").await.unwrap();
    assert_eq!(first.messages.len(), 2);
    let rest: QueuePage = client.get(&format!("/v1/queue?limit=2&after={}", first.next.unwrap())).await.unwrap();
    assert_eq!((rest.messages.len(), rest.next), (1, None));

    let id = fake.letters[0].id;
    let shown: Value = client.get(&format!("/v1/messages/{id}")).await.unwrap();
    assert_eq!(
        shown,
        json!({
            "id": id.to_string(), "tenant": "acme", "accepted": "2026-11-23T14:05:09.123Z",
            "expires": "2026-11-28T14:05:09.123Z", "from": "news@acme.example", "subject": "Your receipt",
            "size": 4000, "notice": false, "queued": true, "stream": "transactional", "tags": [],
            "recipients": [{
                "address": "jane@example.com", "state": "deferred", "attempts": 1,
                "next_attempt": "2026-11-23T14:06:09.123Z", "by": null, "reason": null,
                "last": {
                    "at": "2026-11-23T14:05:09.123Z", "stage": "rcpt", "host": "mx.example.com",
                    "address": "192.0.2.1", "status": "4.7.1", "code": 451, "reply": "4.7.1 come back",
                    "tls": null, "note": "",
                    "class": {
                        "category": "policy", "again": "yes", "source": "RFC 3463 §3.8: security or policy status"
                    }
                }
            }]
        })
    );
    let why: Vec<WhyView> = client.get(&format!("/v1/messages/{id}/why")).await.unwrap();
    assert_eq!(why[0].next_attempt, Some(NOW.to_rfc3339()));
    let shape: Value = client.get("/v1/queue/shape").await.unwrap();
    assert_eq!(shape, json!([{ "domain": "example.com", "total": 3, "by_age": [1, 2, 0, 0, 0, 0, 0, 0, 0, 0] }]));
    let route: Value = client.get("/v1/route/example.com").await.unwrap();
    assert_eq!(route["domain"], "example.com");
}

#[tokio::test]
async fn actions_carry_who_and_why_and_a_trial_changes_nothing() {
    let fake = Arc::new(Fake::with_letters(2));
    let (client, _dir, _stop) = client(&fake).await;
    let mut request = ActRequest {
        action: "drop".into(),
        filter: view::FilterRequest::default(),
        reason: "test".into(),
        dry_run: true,
    };
    let plan: QueueActionReport = client.post("/v1/queue:act", &request).await.unwrap();
    assert_eq!((plan.recipients, plan.dry_run), (2, true));
    assert!(fake.asked.lock().unwrap().is_empty());
    request.dry_run = false;
    let _: QueueActionReport = client.post("/v1/queue:act", &request).await.unwrap();
    let path = format!("/v1/messages/{}:hold", fake.letters[0].id);
    let _: QueueActionReport = client.post(&path, &json!({ "reason": "why not" })).await.unwrap();
    assert_eq!(*fake.asked.lock().unwrap(), ["Drop by anna: test", "Hold by anna: why not"]);
}

#[tokio::test]
async fn every_kind_of_failure_has_its_exit_status() {
    let fake = Arc::new(Fake::with_letters(1));
    let (client, _dir, _stop) = client(&fake).await;
    let nobody = LetterId::from_bytes([7; 16]);
    let missing = format!("/v1/messages/{nobody}");
    let get = async |path: &str| client.get::<Value>(path).await.unwrap_err();
    let post = async |path: &str, body: Value| client.post::<Value>(path, &body).await.unwrap_err();
    let cases = [
        (get(&missing).await, Exit::NotFound, "no letter"),
        (get("/v1/messages/x").await, Exit::Usage, "not a letter id"),
        (get("/v1/queue?tenant=nobody").await, Exit::NotFound, "no tenant"),
        (get("/v1/queue?limit=many").await, Exit::Usage, "limit"),
        (get("/v1/queue?state=lost").await, Exit::Usage, "not a state"),
        (get("/v1/nothing").await, Exit::NotFound, "no such route"),
        (post("/v1/tenants", json!({ "name": "acme" })).await, Exit::Refused, "already"),
        (post("/v1/tenants", json!({ "name": "ACME" })).await, Exit::Usage, "cannot be"),
        (post("/v1/tenants", json!({ "nam": "x" })).await, Exit::Usage, "nam"),
        (post("/v1/queue:act", json!({ "action": "eat" })).await, Exit::Usage, "not an action"),
        (get("/v1/domains/a..b/keys").await, Exit::Usage, "not a valid domain"),
        (post("/v1/domains/acme.example/keys/s1:activate", json!({})).await, Exit::Refused, "not seen in DNS"),
    ];
    for (error, exit, text) in cases {
        assert_eq!(error.exit, exit, "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

#[tokio::test]
async fn problems_are_those_of_rfc_9457() {
    use axum::response::IntoResponse;

    let response = Problem::not_found("no letter 7").into_response();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({ "status": 404, "title": "Not Found", "detail": "no letter 7" }));
    let short = Problem::from(StoreError::DiskShort { free: 1, reserve: 2 });
    assert_eq!(short.status, 507);
}

#[tokio::test]
async fn readiness_is_told_by_status_and_reasons() {
    let sick = Arc::new(Fake { sick: Some("disk short".into()), ..Fake::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    crate::observe::metrics::install().unwrap();
    let app = health::http_router(sick).merge(health::metrics_router());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let ask = |path: &'static str| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    assert!(ask("/healthz").await.starts_with("HTTP/1.1 200"));
    let ready = ask("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("disk short"), "{ready}");
    let metrics = ask("/metrics").await;
    assert!(metrics.contains("waxseal_build_info{version="), "{metrics}");
    server.abort();
}
