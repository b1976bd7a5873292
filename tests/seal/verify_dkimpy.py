#!/usr/bin/env python3
"""Verifies every signature of every *.eml in a folder with dkimpy, against the folder's dns.json.

Also forges each message (one more From, a changed body) and expects every signature to break.
Exit status 1 if anything is not as it should be.
"""
import json
import pathlib
import sys

import dkim


def verdicts(message, records):
    def txt(name, timeout=5):
        name = name.decode() if isinstance(name, bytes) else name
        return (records.get(name.rstrip("."), [None])[0] or "").encode() or None

    count = len([name for name, _ in dkim.rfc822_parse(message)[0] if name.lower() == b"dkim-signature"])
    return [verdict(message, index, txt) for index in range(count)]


def verdict(message, index, txt):
    try:
        return dkim.DKIM(message, minkey=1024).verify(idx=index, dnsfunc=txt)
    except dkim.DKIMException:
        return False


def main(folder):
    records = json.loads((folder / "dns.json").read_text())
    wrong = 0
    files = sorted(folder.glob("*.eml"))
    for file in files:
        message = file.read_bytes()
        good = verdicts(message, records)
        forged = []
        for forgery in (b"From: c@example.org\r\n" + message, message + b"more\r\n"):
            forged += verdicts(forgery, records)
        if good != [True, True] or any(forged):
            wrong += 1
            print(f"{file.name}: as sealed {good}, forged {forged}")
    print(f"dkimpy: {len(files)} messages, {wrong} wrong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
