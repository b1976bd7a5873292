#!/usr/bin/env python3
"""Seals the corpus and gives it to dkimpy and OpenDKIM.

Needs Debian's opendkim, and PyPI's dkimpy with pynacl (a virtual environment under target/ is made for them).
The builder is `cargo`, or what the variable CARGO names.
"""
import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "seal"


def main():
    sealed = ROOT / "target" / "sealed"
    for old in sealed.glob("*.eml"):
        old.unlink()
    cargo = os.environ.get("CARGO", "cargo")
    subprocess.run([cargo, "run", "-q", "-p", "waxseal", "--example", "seal_corpus", "--", sealed], cwd=ROOT, check=True)
    python = ROOT / "target" / "verifiers" / "bin" / "python"
    if not python.exists():
        venv.create(python.parents[1], with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "dkimpy", "pynacl", "dnspython"], check=True)
    failed = subprocess.run([python, HERE / "verify_dkimpy.py", sealed], check=False).returncode
    failed |= subprocess.run([sys.executable, HERE / "verify_opendkim.py", sealed], check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
