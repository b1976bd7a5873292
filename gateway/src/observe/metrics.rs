//! Prometheus metrics: one table of names with kind, help and the label values that are allowed.
//!
//! Labels are bounded: what is not in the table is counted under `other`, so that no peer or client can make the
//! number of series grow. Addresses, domains and tenants are never labels.

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::Event;
use crate::deliver::outcome::{DialogueStage, Evidence};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations by size.
    Histogram,
}

/// One metric of the product's contract with who watches it.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// One line on what it counts.
    pub help: &'static str,
    /// Its labels with the values that each may have; an empty list is bounded by the configuration.
    pub labels: &'static [(&'static str, &'static [&'static str])],
}

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
) -> Metric {
    Metric { name, kind, unit, help, labels }
}

use Kind::{Counter, Gauge, Histogram};

/// The label value of whatever the table does not name.
pub const OTHER: &str = "other";
const STATES: &[&str] = &["queued", "deferred", "held"];
const OUTCOMES: &[&str] = &["delivered", "deferred", "bounced", "expired", "dropped"];
const CLASSES: &[&str] = &["2xx", "4xx", "5xx", "dns", "connect", "tls", "policy", "none"];
const BRANDS: &[&str] =
    &["visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay", "maestro", "mir", "rupay", OTHER];
/// As `smtp::reply` names them.
const REJECTS: &[&str] = &[
    "address",
    "auth-busy",
    "auth-cancelled",
    "auth-failed",
    "auth-required",
    "auth-syntax",
    "auth-throttled",
    "card-number",
    "chunks",
    "commands",
    "control-field",
    "credential-ended",
    "disk",
    "dkim-key",
    "errors",
    "from",
    "from-domain",
    "header",
    "idle",
    "later",
    "line-end",
    "line-length",
    "loop",
    "mechanism",
    "memory",
    "messages",
    "not-ours",
    "not-served",
    "not-taken",
    "nul",
    "parameter",
    "recipients",
    "redaction",
    "sequence",
    "session-time",
    "shutdown",
    "signed-part",
    "signing",
    "size",
    "slow-data",
    "starttls-injection",
    "quota",
    "store",
    "structure",
    "suppressed",
    "syntax",
    "tenant",
    "tls-handshake",
    "tls-required",
    "unknown-command",
    "unscannable",
    "web",
    OTHER,
];

/// Every metric.
pub const METRICS: &[Metric] = &[
    metric("waxseal_smtp_connections", Gauge, Unit::Count, "Open client connections.", &[("listener", &[])]),
    metric(
        "waxseal_smtp_rejects_total",
        Counter,
        Unit::Count,
        "Commands and messages refused.",
        &[("reason", REJECTS)],
    ),
    metric("waxseal_messages_accepted_total", Counter, Unit::Count, "Messages answered with 250, durable.", &[]),
    metric(
        "waxseal_accept_duration_seconds",
        Histogram,
        Unit::Seconds,
        "Time of a message in each stage of acceptance.",
        &[("stage", &["redact", "sign", "store", "total"])],
    ),
    metric("waxseal_redactions_total", Counter, Unit::Count, "Card numbers struck out.", &[("brand", BRANDS)]),
    metric(
        "waxseal_dkim_signatures_total",
        Counter,
        Unit::Count,
        "DKIM signatures.",
        &[("algorithm", &["rsa-sha256", "ed25519-sha256", OTHER]), ("result", &["ok", "failed"])],
    ),
    metric("waxseal_queue_messages", Gauge, Unit::Count, "Recipients in the queue.", &[("state", STATES)]),
    metric(
        "waxseal_queue_oldest_age_seconds",
        Gauge,
        Unit::Seconds,
        "Age of the oldest letter in the queue.",
        &[("state", STATES)],
    ),
    metric(
        "waxseal_queue_fsync_duration_seconds",
        Histogram,
        Unit::Seconds,
        "Time of one flush of the journal, shared by all who wait.",
        &[],
    ),
    metric(
        "waxseal_delivery_results_total",
        Counter,
        Unit::Count,
        "What became of recipients, by outcome and what decided it.",
        &[("outcome", OUTCOMES), ("class", CLASSES)],
    ),
    metric(
        "waxseal_returned_total",
        Counter,
        Unit::Count,
        "What came back about mail that had left.",
        &[("kind", &["failed", "delayed", "delivered", "complaint", "auto-reply", OTHER])],
    ),
    metric(
        "waxseal_delivery_tls_total",
        Counter,
        Unit::Count,
        "TLS handshakes of deliveries.",
        &[
            ("version", &["TLSv1.3", "TLSv1.2", "none", OTHER]),
            ("policy", &["opportunistic", "require", "verify"]),
            ("result", &["verified", "unverified", "failed"]),
        ],
    ),
    metric("waxseal_delivery_plaintext_total", Counter, Unit::Count, "Recipients delivered without TLS.", &[]),
    metric(
        "waxseal_delivery_slowdowns_total",
        Counter,
        Unit::Count,
        "Replies that asked for less mail, by the rule that recognised them.",
        &[("provider", &["google", "microsoft", "yahoo", "icloud", "comcast", "orange.fr", "any", OTHER])],
    ),
    metric(
        "waxseal_delivery_sites_slowed",
        Gauge,
        Unit::Count,
        "Sites that get less mail now because they asked for it.",
        &[],
    ),
    metric("waxseal_delivery_connections", Gauge, Unit::Count, "Open connections to other servers.", &[]),
    metric(
        "waxseal_dns_lookups_total",
        Counter,
        Unit::Count,
        "DNS look-ups.",
        &[
            ("type", &["mx", "a", "aaaa", "txt", "tlsa", "cname", "ptr", OTHER]),
            ("result", &["found", "none", "failed", "cached", OTHER]),
        ],
    ),
    metric(
        "waxseal_post_verdicts_total",
        Counter,
        Unit::Count,
        "Verdicts on posts.",
        &[("verdict", &["published", "held", "spam"])],
    ),
    metric("waxseal_post_classify_duration_seconds", Histogram, Unit::Seconds, "Time of one verdict on a post.", &[]),
    metric(
        "waxseal_post_queue",
        Gauge,
        Unit::Count,
        "Posts by state.",
        &[("state", &["held", "published", "approved", "spam", "rejected", "expired"])],
    ),
    metric("waxseal_disk_free_bytes", Gauge, Unit::Bytes, "Free disk under the data folder.", &[]),
    metric(
        "waxseal_events_dropped_total",
        Counter,
        Unit::Count,
        "Events lost because nobody read standard output.",
        &[],
    ),
    metric("waxseal_build_info", Gauge, Unit::Count, "Always 1; the version is in the label.", &[("version", &[])]),
];

/// From a memory write to a slow disk or a slow peer.
const SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder for the whole process; a second call has no effect. Fails only where another recorder was
/// installed before.
pub fn install() -> Result<(), BuildError> {
    if HANDLE.get().is_some() {
        return Ok(());
    }
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?;
    let handle = builder.install_recorder()?;
    let _ = HANDLE.set(handle);
    for metric in METRICS {
        match metric.kind {
            Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
            Histogram => describe_histogram!(metric.name, metric.unit, metric.help),
        }
        // A counter that was never raised is still there, so that an alert on it can be tested.
        if metric.kind == Counter && metric.labels.is_empty() {
            counter!(metric.name).increment(0);
        }
    }
    gauge!("waxseal_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(())
}

/// The text that a metrics listener serves; empty before [`install`].
pub fn render() -> String {
    HANDLE.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Folds old observations together; call it every few seconds, or histograms grow while nobody scrapes.
pub fn upkeep() {
    if let Some(handle) = HANDLE.get() {
        handle.run_upkeep();
    }
}

/// `value` if the table allows it for this label, else `other`.
fn bounded(name: &str, label: &str, value: &str) -> &'static str {
    let metric = METRICS.iter().find(|metric| metric.name == name);
    let allowed = metric.and_then(|metric| metric.labels.iter().find(|(known, _)| *known == label));
    allowed
        .and_then(|(_, values)| values.iter().find(|allowed| allowed.eq_ignore_ascii_case(value)))
        .copied()
        .unwrap_or(OTHER)
}

/// How many clients are connected to a listener.
pub fn smtp_connections(listener: &str, open: usize) {
    gauge!("waxseal_smtp_connections", "listener" => listener.to_owned()).set(float(open));
}

/// How long a message took in `stage`: redact, sign, store or total.
pub fn accept_duration(stage: &'static str, took: Duration) {
    histogram!("waxseal_accept_duration_seconds", "stage" => bounded("waxseal_accept_duration_seconds", "stage", stage))
        .record(took.as_secs_f64());
}

/// A signature that could not be made; those that were made are counted by the event of acceptance.
pub fn dkim_signature_failed(algorithm: &str) {
    let algorithm = bounded("waxseal_dkim_signatures_total", "algorithm", algorithm);
    counter!("waxseal_dkim_signatures_total", "algorithm" => algorithm, "result" => "failed").increment(1);
}

/// How many recipients wait in a state: queued, deferred or held.
pub fn queue_messages(state: &'static str, recipients: usize) {
    gauge!("waxseal_queue_messages", "state" => bounded("waxseal_queue_messages", "state", state))
        .set(float(recipients));
}

/// The age of the oldest letter in a state.
pub fn queue_oldest_age(state: &'static str, age: Duration) {
    gauge!("waxseal_queue_oldest_age_seconds", "state" => bounded("waxseal_queue_oldest_age_seconds", "state", state))
        .set(age.as_secs_f64());
}

/// How long a flush of the journal took.
pub fn fsync_duration(took: Duration) {
    histogram!("waxseal_queue_fsync_duration_seconds").record(took.as_secs_f64());
}

/// How many connections to other servers are open.
pub fn delivery_connections(open: usize) {
    gauge!("waxseal_delivery_connections").set(float(open));
}

/// A handshake with another server: `version` as rustls names it or `none`, the policy's name, and `verified`,
/// `unverified` or `failed`.
pub fn delivery_tls(version: &str, policy: &str, result: &str) {
    const NAME: &str = "waxseal_delivery_tls_total";
    counter!(
        NAME,
        "version" => bounded(NAME, "version", version),
        "policy" => bounded(NAME, "policy", policy),
        "result" => bounded(NAME, "result", result)
    )
    .increment(1);
}

/// A reply that asked for less mail.
pub fn slow_down(provider: &str) {
    const NAME: &str = "waxseal_delivery_slowdowns_total";
    counter!(NAME, "provider" => bounded(NAME, "provider", provider)).increment(1);
}

/// How many sites get less mail because they asked for it.
pub fn sites_slowed(sites: usize) {
    gauge!("waxseal_delivery_sites_slowed").set(float(sites));
}

/// A DNS look-up: the record's type, and `found`, `none`, `failed` or `cached`.
pub fn dns_lookup(record: &str, result: &str) {
    const NAME: &str = "waxseal_dns_lookups_total";
    counter!(NAME, "type" => bounded(NAME, "type", record), "result" => bounded(NAME, "result", result)).increment(1);
}

/// How long the classifier took for one post.
pub fn post_classify_duration(took: Duration) {
    histogram!("waxseal_post_classify_duration_seconds").record(took.as_secs_f64());
}

/// How many posts are in a state.
pub fn post_queue(state: &'static str, posts: usize) {
    const NAME: &str = "waxseal_post_queue";
    gauge!(NAME, "state" => bounded(NAME, "state", state)).set(float(posts));
}

/// Free disk under the data folder.
pub fn disk_free(octets: u64) {
    // Above 2^53 octets a few are lost, which no reader of a gauge can see.
    #[allow(clippy::cast_precision_loss)]
    gauge!("waxseal_disk_free_bytes").set(octets as f64);
}

/// An event that nobody read.
pub(super) fn event_dropped() {
    counter!("waxseal_events_dropped_total").increment(1);
}

/// The counters that an event raises: an event and its count cannot disagree.
pub(super) fn count_event(event: &Event) {
    match event {
        Event::SmtpReject { reason, .. } => {
            let reason = bounded("waxseal_smtp_rejects_total", "reason", reason);
            counter!("waxseal_smtp_rejects_total", "reason" => reason).increment(1);
        }
        Event::Accepted { signatures, .. } => {
            counter!("waxseal_messages_accepted_total").increment(1);
            for signature in signatures {
                let algorithm = bounded("waxseal_dkim_signatures_total", "algorithm", &signature.algorithm);
                counter!("waxseal_dkim_signatures_total", "algorithm" => algorithm, "result" => "ok").increment(1);
            }
        }
        Event::Redacted { hits, .. } => {
            for hit in hits {
                let brand = bounded("waxseal_redactions_total", "brand", &hit.brand);
                counter!("waxseal_redactions_total", "brand" => brand).increment(1);
            }
        }
        Event::Delivered { evidence, .. } => {
            result("delivered", class(evidence));
            if evidence.tls.is_none() {
                counter!("waxseal_delivery_plaintext_total").increment(1);
            }
        }
        Event::Deferred { evidence, .. } => result("deferred", class(evidence)),
        Event::Bounced { evidence, .. } => result("bounced", class(evidence)),
        Event::Expired { evidence, .. } => result("expired", class(evidence)),
        Event::Dropped { .. } => result("dropped", "none"),
        Event::Returned { kind, .. } => {
            const NAME: &str = "waxseal_returned_total";
            counter!(NAME, "kind" => bounded(NAME, "kind", kind)).increment(1);
        }
        Event::PostChecked { verdict, .. } => {
            const NAME: &str = "waxseal_post_verdicts_total";
            counter!(NAME, "verdict" => bounded(NAME, "verdict", verdict)).increment(1);
        }
        _ => {}
    }
}

fn result(outcome: &'static str, class: &'static str) {
    counter!("waxseal_delivery_results_total", "outcome" => outcome, "class" => class).increment(1);
}

/// What decided: the reply's first digit, or the stage that gave none.
fn class(evidence: &Evidence) -> &'static str {
    match (evidence.reply.as_ref().map(|reply| reply.code / 100), evidence.stage) {
        (Some(2), _) => "2xx",
        (Some(4), _) => "4xx",
        (Some(5), _) => "5xx",
        (_, DialogueStage::Dns) => "dns",
        (_, DialogueStage::Tls) => "tls",
        (_, DialogueStage::Policy) => "policy",
        (_, DialogueStage::Connect | DialogueStage::Greeting) => "connect",
        _ => "none",
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_follow_the_conventions() {
        for metric in METRICS {
            assert!(metric.name.starts_with("waxseal_"), "{}", metric.name);
            assert_eq!(metric.kind == Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Seconds, metric.name.ends_with("_seconds"), "{}", metric.name);
            for (label, values) in metric.labels {
                assert!(!values.is_empty() || ["listener", "version"].contains(label), "{} {label}", metric.name);
            }
        }
    }

    #[test]
    fn what_is_counted_is_rendered_with_bounded_labels() {
        install().unwrap();
        install().unwrap();
        queue_messages("deferred", 7);
        dns_lookup("MX", "found");
        dns_lookup("HINFO", "found");
        fsync_duration(Duration::from_millis(3));
        count_event(&Event::SmtpReject {
            session: "s".into(),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
            reason: "no-such-reason",
            reply: "550 5.7.1 no".into(),
        });
        upkeep();
        let text = render();
        for line in [
            "waxseal_queue_messages{state=\"deferred\"} 7",
            "waxseal_dns_lookups_total{type=\"mx\",result=\"found\"} 1",
            "waxseal_dns_lookups_total{type=\"other\",result=\"found\"} 1",
            "waxseal_smtp_rejects_total{reason=\"other\"} 1",
            "waxseal_queue_fsync_duration_seconds_bucket{le=\"0.005\"} 1",
            "waxseal_messages_accepted_total 0",
            "# TYPE waxseal_queue_fsync_duration_seconds histogram",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("waxseal_build_info{version="), "{text}");
    }
}
