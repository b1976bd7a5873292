//! What a sign-in must not allow: fixation, forgery, redirects elsewhere, a second header, lock-out of a victim.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use super::{House, cookies, location, text};
use crate::web::role::Role;

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_gives_a_new_secret_and_a_sign_out_ends_it_at_once() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let planted = "waxseal=abcdefghijkmnpqrstuvwxyz23456789abcdefgh";
    assert_eq!(location(&house.get("/", planted).await), "/login");
    let response = house.form("/login", planted, "email=ANNA%40example.com&password=three+wet+herons").await;
    assert_eq!((response.status(), location(&response)), (StatusCode::SEE_OTHER, "/"));
    let mine = cookies(&response);
    assert!(!mine.contains(planted), "the planted secret lives on");
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::OK);
    assert_eq!(house.get("/", planted).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&house.form("/logout", &mine, "").await), "/login");
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_idleness_and_by_age() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let mine = house.sign_in("anna@example.com").await;
    for _ in 0..7 {
        house.clock.advance(Duration::from_mins(100));
        assert_eq!(house.get("/", &mine).await.status(), StatusCode::OK);
    }
    house.clock.advance(Duration::from_mins(25));
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::SEE_OTHER, "older than twelve hours");
    let mine = house.sign_in("anna@example.com").await;
    house.clock.advance(Duration::from_mins(121));
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::SEE_OTHER, "idle for two hours");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_act_with_a_persons_session() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let mine = house.sign_in("anna@example.com").await;
    let send = async |extra: &[(&str, &str)]| {
        let mut request = Request::post("/logout").header(header::HOST, "localhost:8080").header(header::COOKIE, &mine);
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        house.ask(request.body(Body::empty()).unwrap()).await.status()
    };
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[],
    ] {
        assert_eq!(send(foreign).await, StatusCode::FORBIDDEN, "{foreign:?}");
    }
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::OK);
    assert_eq!(send(&[("origin", "http://localhost:8080")]).await, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_points_here_is_not_served() {
    let house = House::new();
    let request = Request::get("/login").header(header::HOST, "rebound.example").body(Body::empty()).unwrap();
    assert_eq!(house.ask(request).await.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_leads_to_paths_of_ours_only_and_makes_no_second_header() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    for (next, led_to) in [
        ("%2Fqueue%3Fstate%3Dheld", "/queue?state=held"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("%2Fx%0D%0ASet-Cookie%3A+a%3Db", "/"),
    ] {
        let form = format!("email=anna%40example.com&password=three+wet+herons&next={next}");
        let response = house.form("/login", "", &form).await;
        assert_eq!((location(&response), response.status()), (led_to, StatusCode::SEE_OTHER));
        assert!(!cookies(&response).contains("a=b"));
        let chosen = house.form("/language", "", &format!("language=ja&next={next}")).await;
        assert_eq!(location(&chosen), led_to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_addresses_and_wrong_passwords_look_the_same_and_tries_get_slower() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let unknown = house.form("/login", "", "email=nobody%40example.com&password=x").await;
    let wrong = house.form("/login", "", "email=anna%40example.com&password=x").await;
    assert_eq!((unknown.status(), wrong.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    let (unknown, wrong) = (text(unknown).await, text(wrong).await);
    assert_eq!(unknown.replace("nobody", "anna"), wrong);
    let mut last = StatusCode::OK;
    for _ in 0..3 {
        last = house.form("/login", "", "email=anna%40example.com&password=x").await.status();
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let held = house.form("/login", "", "email=anna%40example.com&password=three+wet+herons").await;
    assert!(held.headers().contains_key(header::RETRY_AFTER));
    // The owner's own browser, known from before, is not held up by that.
    let other = House::new();
    other.person("anna@example.com", Role::Owner, None);
    let known = other.sign_in("anna@example.com").await;
    for _ in 0..8 {
        other.form("/login", "", "email=anna%40example.com&password=x").await;
    }
    let again = other.form("/login", &known, "email=anna%40example.com&password=three+wet+herons").await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_frames_foreign_scripts_and_caches() {
    let house = House::new();
    for path in ["/login", "/", "/nothing", "/v1/nothing"] {
        let response = house.get(path, "").await;
        let value = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let policy = value("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(value("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(value("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_may_bound_where_people_enter_from_and_not_shut_themselves_out() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    let mine = house.sign_in("anna@example.com").await;
    let shut_out = house.form("/networks", &mine, "networks=192.0.2.0%2F24").await;
    assert_eq!(shut_out.status(), StatusCode::BAD_REQUEST);
    assert!(text(shut_out).await.contains("shut yourself out"));
    assert_eq!(
        house.form("/networks", &mine, "networks=192.0.2.0%2F24%0A127.0.0.1").await.status(),
        StatusCode::SEE_OTHER
    );
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::OK);
    house.rooms.accounts.set_networks(None, &["192.0.2.0/24".parse().unwrap()], None, "the command line").unwrap();
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(house.get("/login", "").await.status(), StatusCode::FORBIDDEN);
    house.rooms.accounts.set_networks(None, &[], None, "the command line").unwrap();
    assert_eq!(house.get("/", &mine).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_list_concerns_its_people_and_nobody_else() {
    let house = House::new();
    house.person("ada@alpha.example", Role::Owner, Some("alpha"));
    house.person("bea@bravo.example", Role::Owner, Some("bravo"));
    house.person("op@example.com", Role::Owner, None);
    let (ada, bea) = (house.sign_in("ada@alpha.example").await, house.sign_in("bea@bravo.example").await);
    let op = house.sign_in("op@example.com").await;
    let far = "networks=192.0.2.0%2F24&tenant=alpha";
    assert_eq!(house.form("/networks", &ada, far).await.status(), StatusCode::BAD_REQUEST, "shuts herself out");
    assert!(house.form("/networks", &bea, far).await.status().is_client_error(), "not her tenant");
    assert_eq!(
        house.form("/networks", &op, far).await.status(),
        StatusCode::SEE_OTHER,
        "does not concern the operator"
    );
    let away = house.get("/people", &ada).await;
    assert_eq!(away.status(), StatusCode::FORBIDDEN);
    assert!(text(away).await.contains("may not enter from 127.0.0.1"));
    assert_eq!(house.get("/account", &ada).await.status(), StatusCode::OK, "her own account stays hers");
    assert_eq!(house.get("/people", &bea).await.status(), StatusCode::OK);
    assert_eq!(house.get("/people", &op).await.status(), StatusCode::OK);
    // A program is not concerned.
    let token = house.token(Role::Owner, Some("alpha"));
    let request = Request::get("/v1/networks?tenant=alpha")
        .header(header::HOST, "localhost:8080")
        .header(header::AUTHORIZATION, format!("Bearer {}", token.as_str()));
    let answer = house.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status(), text(answer).await), (StatusCode::OK, r#"{"networks":["192.0.2.0/24"]}"#.to_owned()));
}

/// What a sign-in costs is one argon2id with the same parameters, whoever the address belongs to: nobody, a person
/// without a password, a disabled one. The answers are the same to the octet.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_costs_and_says_the_same_whoever_there_is() {
    let house = House::new();
    house.person("anna@example.com", Role::Owner, None);
    house.person("shut@example.com", Role::Moderator, Some("alpha"));
    let accounts = &house.rooms.accounts;
    let shut = accounts.by_email("shut@example.com").unwrap();
    accounts.disable(&shut.id, "test").unwrap();
    let grant = crate::web::role::Grant { tenant: None, role: Role::Auditor };
    accounts.add("sso@example.com", grant, crate::web::accounts::FirstPassword::None, "test").unwrap();
    let cost = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
    let real = accounts.by_email("anna@example.com").unwrap().password.clone().unwrap();
    assert_eq!(cost(&real), cost(crate::web::login::decoy()));
    assert!(cost(&real).starts_with("$argon2id$"));
    let mut answers = Vec::new();
    for name in ["anna", "shut", "sso", "nobody"] {
        let password = if name == "shut" { "three+wet+herons" } else { "three+wet+herring" };
        let answer = house.form("/login", "", &format!("email={name}%40example.com&password={password}")).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        answers.push(text(answer).await.replace(name, "somebody"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_leads_elsewhere_or_writes_a_header() {
    let house = House::new();
    house.person("mo@alpha.example", Role::Moderator, Some("alpha"));
    let mine = house.sign_in("mo@alpha.example").await;
    let token = house.token(Role::Moderator, Some("alpha"));
    for id in ["p1", "p2", "p3", "p4"] {
        let body = format!("{{\"id\":\"{id}\",\"text\":\"a question\"}}");
        let request = Request::post("/v1/posts")
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {}", token.as_str()));
        assert_eq!(house.ask(request.body(Body::from(body)).unwrap()).await.status(), StatusCode::CREATED);
    }
    let elsewhere =
        ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example", "%2Fx%0D%0ASet-Cookie%3A+a%3Db"];
    for (id, back) in ["p1", "p2", "p3", "p4"].into_iter().zip(elsewhere) {
        let answer = house.form("/moderation/decide", &mine, &format!("do=spam+1+{id}&back={back}")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{back}");
        let led_to = location(&answer).to_owned();
        assert!(led_to.starts_with("/?") || led_to.starts_with("/moderation"), "{back} led to {led_to}");
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        let page = text(house.get(&format!("/moderation/posts/{id}?back={back}"), &mine).await).await;
        assert!(!page.contains("href=\"https://evil") && !page.contains("href=\"//evil"), "{back}");
    }
}
