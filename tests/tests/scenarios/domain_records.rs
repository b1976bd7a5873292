//! A domain's records: published to a real BIND, checked, missed when they go; every format read back by its tool.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use waxseal_tests::bind::{KEY_NAME, KEY_SECRET, Primary};
use waxseal_tests::gateway::Gateway;
use waxseal_tests::need::{self, Need};
use waxseal_tests::setup::Setup;

use crate::world::SOON;

const DOMAIN: &str = "acme.example";

/// A gateway that looks names up at `server`, with a tenant and a domain that has keys.
fn gateway(server: std::net::SocketAddr) -> Gateway {
    let mut setup = Setup::new();
    setup.set("dns", "servers", format!("[\"{server}\"]"));
    let gateway = setup.start();
    gateway.cli(&["tenant", "add", "acme"]).ok();
    gateway.cli(&["domain", "add", DOMAIN, "--tenant", "acme"]).ok();
    gateway
}

fn records(gateway: &Gateway, format: &str) -> String {
    gateway.cli(&["domain", "records", DOMAIN, "--format", format]).ok().stdout
}

/// Owner, type and value of each record, in the words of the canonical form.
fn wanted(gateway: &Gateway) -> BTreeSet<(String, String, String)> {
    let document: Value = serde_json::from_str(&records(gateway, "json")).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = document["records"].as_array().unwrap();
    rows.iter().map(|row| (text(row, "owner"), text(row, "type"), text(row, "value"))).collect()
}

fn finding<'r>(report: &'r Value, id: &str) -> &'r Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"].as_str().is_some_and(|known| known.starts_with(id))).unwrap()
}

#[test]
fn records_are_published_checked_and_missed() {
    if !need::all(&[Need::Bind, Need::ZoneTools]) {
        return;
    }
    let bind = Primary::start(&["example"]);
    let gateway = gateway(bind.address());
    let before = gateway.cli(&["domain", "check", DOMAIN, "--json"]);
    assert_eq!(before.code, 3, "{}", before.stderr);
    let report = before.json();
    let dkim = finding(&report, "dkim:");
    assert_eq!((dkim["status"].as_str(), dkim["error"].as_str()), (Some("missing"), Some("nxdomain")), "{dkim:#}");
    let kinds: BTreeSet<&str> =
        dkim["found"].as_array().unwrap().iter().map(|seen| seen["where"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["authoritative", "resolver"]));

    let update = bind.nsupdate(&records(&gateway, "nsupdate"));
    assert!(update.status.success(), "{}", String::from_utf8_lossy(&update.stderr));
    let after = gateway.cli(&["domain", "check", DOMAIN, "--json"]);
    assert_eq!(after.code, 0, "{}{}", after.stdout, after.stderr);
    let report = after.json();
    for id in ["dkim:", "dmarc"] {
        assert_eq!(finding(&report, id)["status"], "ok");
    }
    assert_eq!(finding(&report, "google:spam-rate")["status"], "not_checked");
    // What stands already is refused, and nothing is published twice.
    assert!(!bind.nsupdate(&records(&gateway, "nsupdate")).status.success());

    for kind in ["rsa2048", "ed25519"] {
        let keys = gateway.cli(&["dkim", "list", DOMAIN, "--json"]).ok().json();
        let key = keys.as_array().unwrap().iter().find(|key| key["algorithm"] == kind).unwrap().clone();
        gateway.wait_event("dkim.key.active", SOON, |event| event["selector"] == key["selector"]);
    }
    let owner = finding(&report, "dkim:")["name"].as_str().unwrap().to_owned();
    assert!(bind.nsupdate(&format!("update delete {owner}. TXT\nsend\n")).status.success());
    assert_eq!(gateway.cli(&["domain", "check", DOMAIN]).code, 3);
    let event = gateway.wait_event("dns.check", SOON, |event| event["regression"] == true);
    assert_eq!((event["name"].as_str(), event["status"].as_str()), (Some(owner.as_str()), Some("missing")));
    assert_eq!(event["tenant"], "acme");
    // What a check finds changes nothing of how mail is signed: only the keys' own life does.
    let keys = gateway.cli(&["dkim", "list", DOMAIN, "--json"]).ok().json();
    let states = keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap());
    assert!(states.clone().all(|state| state == "active"), "{keys:#}");

    // A saved check replays to the same report, with nobody asked.
    let file = gateway.folder().join("saved.json");
    let saved = gateway.cli(&["domain", "check", DOMAIN, "--json", "--save", &file.display().to_string()]);
    drop(bind);
    let replayed = Command::new(waxseal_tests::gateway::binary())
        .args(["domain", "check", "--json", "--fixture"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!((saved.code, replayed.status.code()), (3, Some(3)));
    assert_eq!(saved.stdout, String::from_utf8_lossy(&replayed.stdout));
}

/// Commands of nsupdate that publish these records, each change by itself: they may lie in several zones.
fn additions(document: &Value) -> String {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let line = |row: &Value| {
        let (kind, value) = (text(row, "type"), text(row, "value"));
        let value = match kind.as_str() {
            "TXT" => format!("\"{value}\""),
            "A" | "AAAA" => value,
            _ => format!("{value}."),
        };
        format!("update add {}. 60 {kind} {value}\nsend\n", text(row, "owner"))
    };
    document["records"].as_array().unwrap().iter().filter(|row| row["purpose"] != "dkim-key").map(line).collect()
}

#[test]
fn return_paths_and_the_operators_names_are_checked() {
    if !need::all(&[Need::Bind, Need::ZoneTools]) {
        return;
    }
    for alias in [true, false] {
        let bind = Primary::start(&["example", "2.0.192.in-addr.arpa"]);
        let mut setup = Setup::new();
        setup.set("dns", "servers", format!("[\"{}\"]", bind.address()));
        setup.set("dkim", "algorithms", "[\"ed25519\"]").set("records", "tls_reports", "\"mailto:tls@relay.example\"");
        if alias {
            setup.set("records", "return_path_host", "\"bounce.relay.example\"");
        }
        setup.tables("\n[[egress]]\nname = \"a\"\naddress = \"192.0.2.10\"\nehlo = \"out1.relay.example\"\n");
        let gateway = setup.start();
        let file = gateway.folder().join("tenants.toml");
        let text = format!(
            "[[tenant]]\nname = \"acme\"\ndomains = [\"{DOMAIN}\"]\npolicy = {{ return_path = \"bounce.{DOMAIN}\" }}\n"
        );
        std::fs::write(&file, text).unwrap();
        gateway.cli(&["tenant", "apply", "-f", &file.display().to_string()]).ok();
        let of = |report: &Value, id: &str| finding(report, id)["status"].as_str().unwrap().to_owned();
        let check = |code: i32| {
            let checked = gateway.cli(&["domain", "check", DOMAIN, "--json"]);
            assert_eq!(checked.code, code, "{}", checked.stdout);
            checked.json()
        };
        let own: &[&str] = if alias { &["return-path"] } else { &["return-path-mx", "return-path-spf"] };
        let theirs: &[&str] = if alias { &["operator-mx", "operator-spf:"] } else { &[] };
        let before = check(3);
        for id in [own, theirs, &["ptr:", "address:", "tls-reports"]].concat() {
            assert_eq!(of(&before, id), "missing", "{id}");
        }
        // BIND takes no MX whose host it does not know.
        assert!(bind.nsupdate("update add mx1.relay.example. 60 A 192.0.2.1\nsend\n").status.success());
        // The owner's part by the format for it, keys included; the operator's as he would type it.
        let update = bind.nsupdate(&records(&gateway, "nsupdate"));
        assert!(update.status.success(), "{}", String::from_utf8_lossy(&update.stderr));
        let operators = gateway.cli(&["domain", "records", DOMAIN, "--operators", "--format", "json"]).ok().json();
        let update = bind.nsupdate(&additions(&operators));
        assert!(update.status.success(), "{}", String::from_utf8_lossy(&update.stderr));
        let good = check(0);
        for id in [own, theirs, &["ptr:", "address:", "tls-reports", "google:names", "microsoft:spf"]].concat() {
            assert_eq!(of(&good, id), "ok", "{id}");
        }
        // Each that is deleted is noticed, as the one that it is.
        for (name, kind, id) in [
            ("10.2.0.192.in-addr.arpa", "PTR", "ptr:"),
            ("out1.relay.example", "A", "address:"),
            ("bounce.acme.example", if alias { "CNAME" } else { "MX" }, own[0]),
        ] {
            assert!(bind.nsupdate(&format!("update delete {name}. {kind}\nsend\n")).status.success());
            assert_eq!(of(&check(3), id), "missing", "{id}");
        }
    }
}

#[test]
fn records_are_published_by_a_signed_update() {
    if !need::all(&[Need::Bind, Need::ZoneTools]) {
        return;
    }
    let bind = Primary::start(&["example"]);
    let gateway = gateway(bind.address());
    let secret = gateway.folder().join("tsig");
    std::fs::write(&secret, KEY_SECRET).unwrap();
    let secret = format!("file:{}", secret.display());
    let publish = |more: &[&str]| {
        // Zone and primary server are found by the SOA record.
        let mut words = vec!["domain", "publish", DOMAIN, "--provider", "rfc2136", "--key-name", KEY_NAME];
        words.extend(["--secret", secret.as_str()]);
        words.extend(more);
        gateway.cli(&words)
    };
    let plan = publish(&["--plan", "--json"]).ok().json();
    assert!(plan["changes"].as_array().unwrap().iter().all(|change| change["action"] == "add"), "{plan:#}");
    assert_eq!(gateway.cli(&["domain", "check", DOMAIN]).code, 3, "a plan changes nothing");
    let elsewhere = publish(&["--zone", "other.example", "--server", &bind.address().to_string()]);
    assert_eq!(elsewhere.code, 2, "{}", elsewhere.stderr);
    publish(&[]).ok();
    let checked = gateway.cli(&["domain", "check", DOMAIN]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    let again = publish(&["--json"]).ok().json();
    assert!(again["changes"].as_array().unwrap().iter().all(|change| change["action"] == "keep"), "{again:#}");

    // Another key at our selector is replaced only with consent; what else stands there stays.
    let dkim = again["changes"][0]["name"].as_str().unwrap().to_owned();
    let other = format!(
        "update delete {dkim}. TXT\nupdate add {dkim}. 60 TXT \"v=DKIM1; p=AAAA\"\nupdate add {dkim}. 60 TXT \"other\"\nsend\n"
    );
    assert!(bind.nsupdate(&other).status.success());
    let refused = publish(&[]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    publish(&["--yes"]).ok();
    let report = gateway.cli(&["domain", "check", DOMAIN, "--json"]).ok().json();
    let values = finding(&report, &format!("dkim:{}", dkim.split('.').next().unwrap()))["found"][0]["values"].clone();
    assert!(values.as_array().unwrap().contains(&"other".into()), "{values}");
}

#[test]
fn a_saved_check_replays_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("check.json");
    let fixture = |values: &str| {
        format!(
            r#"{{"expectations": {{"domain": "acme.example", "hostname": "mx1.relay.example", "records": [
                {{"owner": "_dmarc.acme.example", "type": "TXT", "value": "v=DMARC1; p=none", "ttl": 300,
                 "purpose": "dmarc", "required": false}}]}},
             "answers": [{{"name": "_dmarc.acme.example", "type": "TXT",
                 "vantage": {{"kind": "authoritative", "name": "ns1.acme.example", "address": "192.0.2.53:53"}},
                 "reply": {{"outcome": "records", "records": [{values}]}}}}],
             "at": "2026-11-23T14:05:00Z"}}"#
        )
    };
    let run = |values: &str| {
        std::fs::write(&file, fixture(values)).unwrap();
        let mut command = Command::new(waxseal_tests::gateway::binary());
        command.args(["domain", "check", "--json", "--fixture"]).arg(&file).output().unwrap()
    };
    let one = r#"{"value": "v=DMARC1; p=reject", "ttl": 60}"#;
    let good = run(one);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));
    let twice = run(&format!("{one}, {one}"));
    assert_eq!(twice.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&twice.stdout).unwrap();
    assert_eq!(finding(&report, "dmarc")["status"], "duplicate");
    assert_eq!(report["checked"], "2026-11-23T14:05:00Z");
    assert_eq!(run("nonsense").status.code(), Some(2));
}

/// Runs a program of `venv` on `script`, with the text of a format in a file; its output.
fn python(folder: &Path, script: &str, text: &str) -> String {
    let file = folder.join("records");
    std::fs::write(&file, text).unwrap();
    let interpreter = need::peers().join("venv/bin/python");
    let ran = Command::new(interpreter).args(["-c", script]).arg(&file).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{}\n{text}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn triples(json: &str) -> BTreeSet<(String, String, String)> {
    serde_json::from_str::<Vec<(String, String, String)>>(json).unwrap().into_iter().collect()
}

#[test]
fn zone_files_are_loaded_by_bind() {
    if !need::all(&[Need::Bind, Need::ZoneTools]) {
        return;
    }
    let bind = Primary::start(&["example"]);
    let gateway = gateway(bind.address());
    for format in ["bind", "cloudflare"] {
        let zone = format!(
            "$ORIGIN {DOMAIN}.\n$TTL 60\n@ IN SOA ns1 hostmaster 1 60 60 600 5\n@ IN NS ns1\nns1 IN A 127.0.0.1\n{}",
            records(&gateway, format)
        );
        let file = bind.folder().join(format);
        std::fs::write(&file, zone).unwrap();
        let ran = Command::new("named-checkzone").args(["-D", DOMAIN]).arg(&file).output().unwrap();
        let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{format}: {shown}");
        for (owner, _, value) in wanted(&gateway) {
            assert!(shown.contains(&format!("{owner}.")), "{format}: {owner} in {shown}");
            let joined = shown.replace("\" \"", "");
            assert!(joined.contains(&value), "{format}: {value} in {shown}");
        }
    }
}

#[test]
fn formats_are_read_back_by_their_tools() {
    if !need::all(&[Need::Dkimpy, Need::DnsTools]) {
        return;
    }
    let gateway = gateway(waxseal_tests::dns::Dns::start().unwrap().address());
    let wanted = wanted(&gateway);
    let folder = gateway.folder();
    let csv = python(folder, CSV, &records(&gateway, "csv"));
    assert_eq!(triples(&csv), wanted, "csv");
    let octodns = python(folder, OCTODNS, &records(&gateway, "octodns"));
    assert_eq!(triples(&octodns), wanted, "octodns");
    for (format, resource) in
        [("terraform-route53", "aws_route53_record"), ("terraform-cloudflare", "cloudflare_dns_record")]
    {
        let read = python(folder, HCL, &records(&gateway, format));
        assert!(read.contains(resource), "{read}");
        let rows = read.lines().last().unwrap();
        assert_eq!(triples(rows), wanted, "{format}");
    }
    let external = python(folder, EXTERNAL_DNS, &records(&gateway, "external-dns"));
    assert_eq!(triples(&external), wanted, "external-dns");
    let batch = python(folder, ROUTE53, &records(&gateway, "route53"));
    assert_eq!(triples(&batch), wanted, "route53");
}

#[test]
fn dnscontrol_runs_our_javascript() {
    if !need::all(&[Need::Node]) {
        return;
    }
    let gateway = gateway(waxseal_tests::dns::Dns::start().unwrap().address());
    let stubs = "const out = [];\nconst TTL = n => n;\n\
                 const full = (n, d) => n === '@' ? d : n + '.' + d;\nlet pending = [];\n\
                 const TXT = (n, v) => pending.push([n, 'TXT', v]);\n\
                 const MX = (n, p, h) => pending.push([n, 'MX', p + ' ' + h.replace(/\\.$/, '')]);\n\
                 const CNAME = (n, h) => pending.push([n, 'CNAME', h.replace(/\\.$/, '')]);\n\
                 const D_EXTEND = d => { for (const [n, t, v] of pending) out.push([full(n, d), t, v]); };\n";
    let script = format!("{stubs}{}\nconsole.log(JSON.stringify(out));", records(&gateway, "dnscontrol"));
    let ran = Command::new("node").args(["-e", &script]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(triples(&String::from_utf8(ran.stdout).unwrap()), wanted(&gateway));
}

const CSV: &str = r#"
import csv, json, sys
rows = csv.DictReader(open(sys.argv[1], newline=""))
print(json.dumps([[row["fqdn"].rstrip("."), row["type"], row["value"]] for row in rows]))
"#;

const OCTODNS: &str = r#"
import json, os, shutil, sys
os.makedirs("zones", exist_ok=True)
shutil.copy(sys.argv[1], "zones/acme.example.yaml")
from octodns.provider.yaml import YamlProvider
from octodns.zone import Zone
zone = Zone("acme.example.", [])
YamlProvider("config", "zones").populate(zone)
rows = []
for record in zone.records:
    values = record.values if hasattr(record, "values") else [record.value]
    for value in values:
        if record._type == "MX":
            value = f"{value.preference} {value.exchange}"
        rows.append([record.fqdn.rstrip("."), record._type, str(value).replace("\\;", ";").rstrip(".")])
print(json.dumps(rows))
"#;

const HCL: &str = r#"
import hcl2, json, sys
clean = lambda text: text[1:-1] if text.startswith('"') and text.endswith('"') and len(text) > 1 else text
tree = hcl2.load(open(sys.argv[1]))
print(clean(list(tree["resource"][0])[0]))
rows = []
for row in list(tree["locals"][0].values())[0].values():
    name, kind = clean(row["name"]), clean(row["type"])
    if "records" in row:
        values = [clean(value).replace('\\"\\"', "").replace('""', "").rstrip(".") for value in row["records"]]
    else:
        values = [clean(row["content"])]
        if kind == "MX":
            values = [f"{row['priority']} {values[0]}"]
    rows += [[name, kind, value.replace("%%{", "%{")] for value in values]
print(json.dumps(rows))
"#;

const EXTERNAL_DNS: &str = r#"
import json, sys, yaml
tree = yaml.safe_load(open(sys.argv[1]))
assert tree["apiVersion"] == "externaldns.k8s.io/v1alpha1" and tree["kind"] == "DNSEndpoint"
rows = []
for end in tree["spec"]["endpoints"]:
    assert isinstance(end["recordTTL"], int)
    rows += [[end["dnsName"], end["recordType"], target] for target in end["targets"]]
print(json.dumps(rows))
"#;

const ROUTE53: &str = r#"
import json, re, sys
batch = json.load(open(sys.argv[1]))
assert len(batch["Comment"]) <= 256
rows = []
for change in batch["Changes"]:
    assert set(change) == {"Action", "ResourceRecordSet"} and change["Action"] == "UPSERT"
    record = change["ResourceRecordSet"]
    assert set(record) == {"Name", "Type", "TTL", "ResourceRecords"}
    for value in record["ResourceRecords"]:
        value = value["Value"]
        if record["Type"] == "TXT":
            strings = re.findall(r'"((?:[^"\\]|\\.)*)"', value)
            assert all(len(text) <= 255 for text in strings)
            value = "".join(strings).replace('\\"', '"')
        rows.append([record["Name"].rstrip("."), record["Type"], value.rstrip(".")])
print(json.dumps(rows))
"#;
