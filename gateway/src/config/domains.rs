//! `[domains]`, `[records]` and `[dkim]`: how domains come to tenants, what is published for them, and their keys.

use super::complaint::Complaint;
use super::cross::{complain, good};
use super::keys::{DAY, YEARS, key, section};
use super::kind::Absent::{Is, Nothing};
use super::kind::Kind::{Choice, Domain, List, Path, Secret, Socket, Span, Text};
use super::kind::Occurs::Once;
use super::kind::Section;
use super::value::{SectionValues, Value, Values, maybe_path};
use super::{Dkim, DkimDelegation, Records};

/// How a domain comes to a tenant.
pub(super) const DOMAINS: Section = section(
    "domains",
    Once,
    "The tenants' domains.",
    &[key(
        "proof",
        Choice(&["vouched", "required"]),
        Is("\"vouched\""),
        "vouched (whoever adds a domain on the control socket answers for it) | required (it is the tenant's once a TXT record with its token is at every authoritative server)",
    )],
);

/// What the operator brings to domains' records.
pub(super) const RECORDS: Section = section(
    "records",
    Once,
    "What you bring to the records that domains publish: names and addresses of yours. `waxseal domain records DOMAIN --operators` prints what you publish for them.",
    &[
        key(
            "dmarc_reports",
            Text,
            Nothing("\"mailto:dmarc@relay.example\""),
            "Where new domains' DMARC records send aggregate reports (rua).",
        ),
        key(
            "dmarc_failure_reports",
            Text,
            Nothing("\"mailto:dmarc-failures@relay.example\""),
            "Where they send failure reports (ruf).",
        ),
        key(
            "spf_include",
            Domain,
            Nothing("\"_spf.relay.example\""),
            "A name of yours whose SPF record lists your addresses; domains include it in place of the addresses themselves.",
        ),
        key(
            "return_path_host",
            Domain,
            Nothing("\"bounce.relay.example\""),
            "A name of yours with MX and SPF record; return paths are aliases (CNAME) of it. Not set: each has its own MX and SPF record.",
        ),
        key("mta_sts_id", Text, Nothing("\"20261124\""), "The id of the MTA-STS policy for return paths (RFC 8461)."),
        key(
            "mta_sts_host",
            Domain,
            Nothing("\"mta-sts.relay.example\""),
            "The host that serves that policy, with a certificate for mta-sts.<return path>.",
        ),
        key(
            "tls_reports",
            Text,
            Nothing("\"mailto:tls@relay.example\""),
            "Where reports about TLS to return paths go, mailto: or https: (RFC 8460).",
        ),
        key(
            "tlsa",
            List(&Text, 0),
            Is("[]"),
            "TLSA values of the host of notices, such as \"3 1 1 …\", where its zone is signed (RFC 7672).",
        ),
    ],
);

/// Keys.
pub(super) const DKIM: Section = section(
    "dkim",
    Once,
    "DKIM keys of the tenants' domains.",
    &[
        key(
            "algorithms",
            List(&Choice(&["rsa2048", "rsa3072", "rsa4096", "ed25519"]), 1),
            Is("[\"rsa2048\", \"ed25519\"]"),
            "The keys that a new domain gets.",
        ),
        key("rotate_every", Span(DAY, YEARS), Is("\"180d\""), "How long a key signs."),
        key("prepublish", Span(0, YEARS), Is("\"24h\""), "How long a key is published before it signs."),
        key(
            "overlap",
            Span(0, YEARS),
            Is("\"14d\""),
            "How long a key stays published after its last signature; never less than a letter may wait in the queue and a day.",
        ),
        key(
            "delegation",
            Domain,
            Nothing("\"dkim.relay.example\""),
            "A zone of yours that new domains' key records are delegated to (CNAME), so that keys rotate without anybody's doing.",
        ),
        key(
            "delegation_server",
            Socket,
            Nothing("\"127.0.0.1:53\""),
            "The server that takes changes of that zone (RFC 2136).",
        ),
        key(
            "delegation_key",
            Secret,
            Nothing("\"file:/etc/waxseal/tsig\""),
            "The TSIG key for them: algorithm:name:secret, as nsupdate -y takes it.",
        ),
        key("rotate_delegated_every", Span(DAY, YEARS), Is("\"90d\""), "How long a delegated key signs."),
        key(
            "keep_retired",
            Span(0, YEARS),
            Is("\"30d\""),
            "How long the private half of a retired key is kept before it is destroyed.",
        ),
        key(
            "publish_retired",
            Path,
            Nothing("\"/var/www/retired-dkim-keys\""),
            "A folder that your web server shows to everybody: the private halves of retired keys are put there once their records are gone from DNS, so that letters stolen later prove nothing. Not set: none is ever published.",
        ),
    ],
);

pub(super) fn records(values: &Values) -> Records {
    let section = values.one("records");
    let text = |name: &str| section.maybe_text(name).map(str::to_owned);
    Records {
        dmarc_reports: text("dmarc_reports"),
        dmarc_failure_reports: text("dmarc_failure_reports"),
        spf_include: section.domain("spf_include"),
        return_path_host: section.domain("return_path_host"),
        mta_sts_id: text("mta_sts_id"),
        mta_sts_host: section.domain("mta_sts_host"),
        tls_reports: text("tls_reports"),
        tlsa: section.list("tlsa", |value| if let Value::Text(text) = value { Some(text.clone()) } else { None }),
    }
}

pub(super) fn dkim(values: &Values) -> Dkim {
    let section = values.one("dkim");
    Dkim {
        algorithms: section
            .list("algorithms", |value| if let Value::Text(text) = value { Some(text.clone()) } else { None }),
        rotate_every: section.span("rotate_every"),
        prepublish: section.span("prepublish"),
        overlap: section.span("overlap"),
        delegation: delegation(section),
        keep_retired: section.span("keep_retired"),
        publish_retired: section.maybe_text("publish_retired").and_then(maybe_path),
    }
}

fn delegation(section: &SectionValues) -> Option<DkimDelegation> {
    // Two of the three alone were complained about.
    let (Some(Value::Socket(server)), Some(Value::Secret(key))) =
        (section.value("delegation_server"), section.value("delegation_key"))
    else {
        return None;
    };
    let rotate_every = section.span("rotate_delegated_every");
    Some(DkimDelegation { zone: section.domain("delegation")?, server: *server, key: key.clone(), rotate_every })
}

impl Default for Records {
    /// As the table of keys has it.
    fn default() -> Self {
        records(&Values::defaults())
    }
}

impl Default for Dkim {
    /// As the table of keys has it.
    fn default() -> Self {
        dkim(&Values::defaults())
    }
}

/// What no key alone can tell.
pub(super) fn check(values: &Values, found: &mut Vec<Complaint>) {
    check_delegation(values, found);
    check_records(values, found);
}

fn check_delegation(values: &Values, found: &mut Vec<Complaint>) {
    let section = values.one("dkim");
    let names = ["delegation", "delegation_server", "delegation_key"];
    let written: Vec<&str> = names.into_iter().filter(|name| section.value(name).is_some()).collect();
    if let (Some(one), true) = (written.first(), written.len() < names.len() && good(section, &names)) {
        complain(
            found,
            section,
            one,
            "stands alone",
            "write delegation, delegation_server and delegation_key, or none",
        );
    }
}

/// The values are published by other people: what no receiver would take is told here.
fn check_records(values: &Values, found: &mut Vec<Complaint>) {
    let section = values.one("records");
    for name in ["dmarc_reports", "dmarc_failure_reports"] {
        let wrong = |uri: &str| format!("v=DMARC1; p=none; rua={uri}").parse::<waxseal_dns::DmarcRecord>().is_err();
        if section.maybe_text(name).is_some_and(wrong) {
            complain(found, section, name, "is no URI for reports", "write it like \"mailto:dmarc@relay.example\"");
        }
    }
    let wrong = |uri: &str| format!("v=TLSRPTv1; rua={uri}").parse::<waxseal_dns::TlsReportRecord>().is_err();
    if section.maybe_text("tls_reports").is_some_and(wrong) {
        complain(
            found,
            section,
            "tls_reports",
            "is no mailto: or https: URI",
            "write it like \"mailto:tls@relay.example\"",
        );
    }
    let wrong = |id: &str| format!("v=STSv1; id={id}").parse::<waxseal_dns::MtaStsRecord>().is_err();
    if section.maybe_text("mta_sts_id").is_some_and(wrong) {
        complain(found, section, "mta_sts_id", "is not 1 to 32 letters and digits", "write it like \"20261124\"");
    }
    let names = ["mta_sts_id", "mta_sts_host"];
    let written: Vec<&str> = names.into_iter().filter(|name| section.value(name).is_some()).collect();
    if let ([one], true) = (written.as_slice(), good(section, &names)) {
        complain(found, section, one, "stands alone", "write mta_sts_id and mta_sts_host, or none of them");
    }
    let values = section.list("tlsa", |value| if let Value::Text(text) = value { Some(text.clone()) } else { None });
    for value in values.iter().filter(|value| value.parse::<waxseal_dns::TlsaRecord>().is_err()) {
        complain(
            found,
            section,
            "tlsa",
            format!("\"{value}\" is no TLSA value"),
            "write usage, selector, matching type and digest, such as \"3 1 1 …\"",
        );
    }
}
