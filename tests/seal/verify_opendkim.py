#!/usr/bin/env python3
"""Verifies both signatures of every *.eml in a folder with OpenDKIM in its test mode (no daemon, no network).

Also forges each message and expects no signature to pass. Exit status 1 if anything is not as it should be.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

OPENDKIM = "/usr/sbin/opendkim"


def passes(config, message, place):
    """The algorithms of the signatures that OpenDKIM reports as valid, sorted."""
    file = place / "message.eml"
    file.write_bytes(message)
    run = subprocess.run([OPENDKIM, "-x", config, "-v", "-v", "-t", file], capture_output=True, check=False)
    text = run.stdout.decode(errors="replace")
    return sorted(re.findall(r"dkim=pass.*?header\.a=([a-z0-9-]+)", text))


def main(folder):
    records = json.loads((folder / "dns.json").read_text())
    files = sorted(folder.glob("*.eml"))
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "dns").write_text("".join(f"{name} {values[0]}\n" for name, values in records.items()))
        config = place / "opendkim.conf"
        config.write_text(f"Mode v\nSyslog no\nTestDNSData file:{place}/dns\n")
        for file in files:
            message = file.read_bytes()
            good = passes(config, message, place)
            forged = passes(config, b"Subject: forged\r\n" + message, place) + passes(config, message + b"more\r\n", place)
            if good != ["ed25519-sha256", "rsa-sha256"] or forged:
                wrong += 1
                print(f"{file.name}: as sealed {good}, forged {forged}")
    print(f"OpenDKIM: {len(files)} messages, {wrong} wrong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
