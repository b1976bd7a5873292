"""Reads a TLS report with parsedmarc, from compressed JSON or from the mail that carries it, and prints it as JSON."""

import gzip
import json
import sys

import parsedmarc

with open(sys.argv[1], "rb") as file:
    octets = file.read()
if octets.startswith(b"\x1f\x8b"):
    report = parsedmarc.parse_smtp_tls_report_json(gzip.decompress(octets))
else:
    parsed = parsedmarc.parse_report_email(octets, offline=True)
    assert parsed["report_type"] == "smtp_tls", parsed["report_type"]
    report = parsed["report"]
print(json.dumps(report))
