//! A domain's records: published to a real BIND, checked, missed when they go; every format read back by its tool.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use waxseal_tests::gateway::Gateway;
use waxseal_tests::named::{KEY_NAME, KEY_SECRET, Named};
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
    let bind = Named::start("example");
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

    let owner = finding(&report, "dkim:")["name"].as_str().unwrap().to_owned();
    assert!(bind.nsupdate(&format!("update delete {owner}. TXT\nsend\n")).status.success());
    assert_eq!(gateway.cli(&["domain", "check", DOMAIN]).code, 3);
    let event = gateway.wait_event("dns.check", SOON, |event| event["regression"] == true);
    assert_eq!((event["name"].as_str(), event["status"].as_str()), (Some(owner.as_str()), Some("missing")));
    assert_eq!(event["tenant"], "acme");
}

#[test]
fn records_are_published_by_a_signed_update() {
    if !need::all(&[Need::Bind, Need::ZoneTools]) {
        return;
    }
    let bind = Named::start("example");
    let gateway = gateway(bind.address());
    let secret = gateway.folder().join("tsig");
    std::fs::write(&secret, KEY_SECRET).unwrap();
    let (server, secret) = (bind.address().to_string(), format!("file:{}", secret.display()));
    let publish = |more: &[&str]| {
        let mut words = vec!["domain", "publish", DOMAIN, "--provider", "rfc2136", "--zone", "example", "--server"];
        words.extend([server.as_str(), "--key-name", KEY_NAME, "--secret", secret.as_str()]);
        words.extend(more);
        gateway.cli(&words)
    };
    let plan = publish(&["--plan", "--json"]).ok().json();
    assert!(plan["changes"].as_array().unwrap().iter().all(|change| change["action"] == "add"), "{plan:#}");
    assert_eq!(gateway.cli(&["domain", "check", DOMAIN]).code, 3, "a plan changes nothing");
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
    let bind = Named::start("example");
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
