"""Verifies every DKIM signature of the messages named, with dkimpy; the keys come from a JSON file (name to TXT).

Prints one JSON line a message: [{"selector", "algorithm", "ok"}, ...], newest signature first.
"""

import json
import re
import sys

import dkim

keys = {name.rstrip("."): text for name, text in json.load(open(sys.argv[1])).items()}


def lookup(name, timeout=5):
    text = keys.get(name.decode().rstrip("."))
    return text.encode() if text else None


for path in sys.argv[2:]:
    message = open(path, "rb").read()
    checker = dkim.DKIM(message)
    rows = []
    for at, value in enumerate(value for name, value in checker.headers if name.lower() == b"dkim-signature"):
        tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s", "", value.decode())))
        try:
            ok = bool(checker.verify(idx=at, dnsfunc=lookup))
        except dkim.DKIMException as problem:
            print(f"{path}: {problem}", file=sys.stderr)
            ok = False
        rows.append({"domain": tags["d"], "selector": tags["s"], "algorithm": tags["a"], "ok": ok})
    print(json.dumps(rows))
