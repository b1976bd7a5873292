//! TLS-RPT: a day of sessions, and the reports of it as another implementation reads them.

use serde_json::Value;
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers;

use crate::mta_sts::{World, world_with};
use crate::signatures::assert_both;
use crate::world::{SOON, mail};

/// A policy that is only tested and names both exchangers, and where each domain wants its report.
fn reporting_world() -> World {
    let mut world = world_with(|setup| {
        setup.set("tls_report", "from", "\"reports@example.com\"");
    });
    world.web.text("version: STSv1\r\nmode: testing\r\nmx: mx.sts.test\r\nmx: bad.sts.test\r\nmax_age: 604800\r\n");
    let port = world.web.address().port();
    let dns = &world.dns;
    dns.mx("other.test", 10, "bad.sts.test").a("mta-sts.other.test", [127, 0, 0, 1].into());
    dns.txt("_mta-sts.other.test", "v=STSv1; id=two;");
    dns.txt("_smtp._tls.sts.test", "v=TLSRPTv1; rua=mailto:tls@sts.test");
    dns.txt("_smtp._tls.other.test", &format!("v=TLSRPTv1; rua=https://mta-sts.other.test:{port}/reports"));
    for (name, text) in &world.tenant.records {
        dns.txt(name, text);
    }
    // The day lies in the past: verifiers refuse signatures from the future.
    restart(&mut world, "-30h");
    world
}

/// Stops the gateway, which saves its counts, and starts it under a clock that is off by so much.
fn restart(world: &mut World, by: &str) {
    assert!(world.gateway.terminate(SOON).success());
    world.gateway.fake_clock();
    world.gateway.shift_clock(by);
    world.gateway.start();
}

#[test]
fn a_day_of_sessions_is_reported_by_mail_and_https_and_the_reports_are_not() {
    if !need::all(&[Need::FakeTime, Need::Dkimpy, Need::OpenDkim, Need::ReportReader]) {
        return;
    }
    let mut world = reporting_world();
    for number in 0..3 {
        let id = world.send(&format!("well {number}"));
        world.gateway.wait_for("message.delivered", &id);
    }
    let id = world.gateway.submit(&world.tenant, "sender@example.com", &["a@other.test"], &mail("unproven"));
    world.gateway.wait_for("message.delivered", &id);
    let fetches = world.web.asked().len();
    world.web.answer("201 Created", "");
    restart(&mut world, "+0");

    let posted = world.web.wait_for(fetches + 1, SOON).pop().unwrap();
    assert_eq!(posted.line, "POST /reports HTTP/1.1");
    assert_eq!(posted.header("content-type"), Some("application/tlsrpt+gzip"));
    let report = peers::read_tls_report(&posted.body);
    let policy = &report["policies"][0];
    assert_eq!((&policy["policy_type"], &policy["policy_domain"]), (&"sts".into(), &"other.test".into()), "{report}");
    assert_eq!(
        (&policy["successful_session_count"], &policy["failed_session_count"]),
        (&0.into(), &1.into()),
        "{report}"
    );
    assert_eq!(policy["failure_details"][0]["result_type"], "certificate-not-trusted", "{report}");
    assert_eq!(policy["failure_details"][0]["receiving_mx_hostname"], "bad.sts.test", "{report}");

    let arrived = world.good.wait_for(4, SOON).pop().unwrap();
    assert!(arrived.recipients() == ["tls@sts.test"] && arrived.from.starts_with("<>"), "{arrived:?}");
    let text = arrived.text();
    for field in ["TLS-Report-Domain: sts.test", "TLS-Report-Submitter: mx1.relay.example", "TLS-Required: No"] {
        assert!(text.contains(&format!("{field}\r\n")), "{field} is missing in\n{text}");
    }
    assert_both("dkimpy", "report", &peers::dkimpy(&arrived.message, &world.tenant.records));
    let report = peers::read_tls_report(&arrived.message);
    let counts: Value = report["policies"][0].clone();
    // Letters on a connection that was kept are no sessions of their own.
    let good = counts["successful_session_count"].as_u64().unwrap();
    assert!(counts["policy_type"] == "sts" && (1..=3).contains(&good), "{report}");

    // The mail that carried the report was a session too; were it counted, tomorrow would bring a report about it.
    restart(&mut world, "+30h");
    let id = world.send("another day");
    world.gateway.wait_for("message.delivered", &id);
    let reports = |event: &Value| event["state"] == "tls-report" && event.to_string().contains("sent to");
    assert_eq!(world.gateway.events().iter().filter(|event| reports(event)).count(), 2, "a report about a report");
}
