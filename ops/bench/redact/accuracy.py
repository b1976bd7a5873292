#!/usr/bin/env python3
"""How many card numbers `waxseal redact` misses and what it breaks, on a generated corpus.

Writes mails with numbers in them (plain, unusual, perverse) and legitimate ones without, runs `waxseal redact --batch` twice,
reads the results with Python's email package and other people's libraries, and prints a table: category, cases, missed, false.
The same seed makes the same corpus where the same libraries are installed."""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import files
import keep
import mails
import pans
import reading
import writing


@dataclass
class Case:
    name: str
    tier: str
    category: str
    raw: bytes
    secrets: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)


def number(rng: Random) -> tuple[str, bool]:
    """A card number, and whether it needs a card word near."""
    choice = rng.random()
    if choice < 0.1:
        return rng.choice(pans.TEST_NUMBERS), False
    if choice < 0.2:
        return pans.draw(rng, rng.choice(pans.WEAK)), True
    return pans.draw(rng, rng.choice(pans.ISSUERS)), False


TIERS = ("plain", "unusual", "perverse")


def harder(one: str, other: str) -> str:
    return max(one, other, key=TIERS.index)


def positive(rng: Random, tier: str) -> Case:
    digits, weak = number(rng)
    write = {"plain": writing.plain, "unusual": writing.unusual, "perverse": writing.perverse}[tier]
    form, written = write(rng, digits)
    if weak:
        written = pans.groups(rng, digits)
        written = rng.choice(("", " ")).join(written) if len(digits) == 16 else digits
        form, tier = "weak issuer with a card word", "plain"
        text = rng.choice(writing.CARD_WORDS).replace("{}", written)
    elif tier == "plain" and rng.random() < 0.3:
        text, form = rng.choice(writing.NEIGHBOURS).replace("{}", written), "beside other numbers"
    else:
        text = writing.sentence(rng, written)
    flat = " ".join(written.replace(">", "").split())
    simple = rng.choice(("", " ", "-")).join(pans.groups(rng, digits)) if not weak else written
    place = rng.randrange(20)
    words = rng.choice(writing.CARD_WORDS) if weak else rng.choice(("{}", "Card {}", "paid {} today"))
    if place < 7:
        return Case("", tier, f"text: {form}", mails.plain_mail(rng, text), [digits])
    if place < 11:
        category, own, fragment = mails.html_forms(rng, flat if tier != "plain" else simple, digits)
        if weak:
            fragment, category, own = f"Card number {simple}", "html: text", "plain"
        return Case("", harder(tier, own), category, mails.html_mail(rng, fragment), [digits])
    if place < 13:
        category, own, line = mails.field_forms(rng, simple if not weak else "card " + simple, words.replace("{}", flat if tier != "plain" else simple))
        return Case("", harder(tier, own), category, mails.field_mail(rng, line), [digits])
    if place == 13:
        category, own, parameter = mails.file_name_forms(rng, ("card " if weak else "") + flat)
        return Case("", harder(tier, own), category, mails.named_mail(rng, parameter), [digits])
    if place == 14:
        inner = mails.plain_mail(rng, text)
        category, own, raw = mails.nested_mail(rng, inner)
        return Case("", harder(tier, own), category, raw, [digits])
    if place < 17:
        category, media, name, content = rng.choice(files.text_files(rng, ("card " if weak else "") + written, digits))
        if weak and ("markdown" in category or "octet" in category):
            pass
        transfer = rng.choice(("base64", "base64", "quoted-printable")) if b"\0" not in content else "base64"
        if rng.random() < 0.25:
            category, media, name, content = files.packed(rng, content, name)
            transfer = "base64"
        return Case("", harder(tier, "unusual"), f"file: {category}", mails.file_mail(rng, content, media, name, transfer=transfer), [digits])
    make, media, name = rng.choice(files.OFFICE)
    if weak:
        simple = "card " + simple
    printable = all(c >= " " or c in "\n\t" for c in written)
    category, content = make(rng, flat if tier != "plain" and not weak and printable and rng.random() < 0.5 else simple, digits)
    if rng.random() < 0.15:
        category, media, name, content = files.packed(rng, content, name)
        category += " with an office file"
    declared = media if rng.random() < 0.8 else "application/octet-stream"
    return Case("", harder(tier, "unusual"), f"file: {category}", mails.file_mail(rng, content, declared, name), [digits])


def hidden(rng: Random) -> Case:
    """Several numbers at once, track data, codes."""
    one, two = pans.draw(rng, pans.ISSUERS[0]), pans.draw(rng, pans.ISSUERS[3])
    code = f"{rng.randrange(100, 1000)}"
    form, text, gone = rng.choice((
        ("two in a row", f"{one} {two}", [one, two]),
        ("two in a row", f"{' '.join(pans.groups(rng, one))} {' '.join(pans.groups(rng, two))}", [one, two]),
        ("two, one per line", f"{one}\n{two}\n", [one, two]),
        ("two, comma", f"{one},{two}", [one, two]),
        ("two, glued", f"{one}{two}", [one, two]),
        ("two with text", f"from {one} to {two}", [one, two]),
        ("glued to letters", f"PAN{one}EXP0429", [one]),
        ("glued to letters", f"cc{one}x", [one]),
        ("glued to CJK", f"番号{one}です", [one]),
        ("track 1", f"%B{one}^DOE/JOHN^29041010000012300000?", [one]),
        ("track 2", f";{one}=29041010000012300000?", [one]),
        ("underscore", f"card_{one}_x", [one]),
        ("table of cards", "\n".join(f"{i} | {p} | 04/29" for i, p in enumerate((one, two))), [one, two]),
        ("columns", "name            card                  exp\nDoe             " + " ".join(pans.groups(rng, one)) + "   04/29\nRoe             " + " ".join(pans.groups(rng, two)) + "   05/29", [one, two]),
        ("semicolons", f"Doe;{one};0429;{code}", [one]),
        ("asterisks", f"**{one}** __{two}__", [one, two]),
        ("code beside", f"{one} cvv {code}", [one]),
    ))
    return Case("", "plain", f"text: {form}", mails.plain_mail(rng, text), gone)


def corpus(seed: int, cases: int, natural: int) -> list[Case]:
    rng = Random(seed)
    out = []
    for i in range(cases):
        one = hidden(rng) if rng.random() < 0.12 else positive(rng, rng.choices(TIERS, (5, 3, 2))[0])
        one.name = f"p{i:05}"
        out.append(one)
    for i in range(cases // 2):
        kind, raw, stays = keep.mail(rng, innocent=True)
        out.append(Case(f"k{i:05}", "legitimate", f"keep: {kind}", raw, [], stays))
    for i in range(natural):
        kind, raw, stays = keep.mail(rng, innocent=False)
        out.append(Case(f"n{i:05}", "natural", f"chance: {kind}", raw))
    return out


def leaks(texts: list[str], secret: str) -> bool:
    """Does any text still hold the number, or more of it than its last four digits?"""
    shown = len(secret) - 4
    for text in texts:
        found = reading.digits(text)
        pieces = [secret[at : at + 8] for at in range(0, max(1, shown - 7))]
        # Zeros alone stand in every PDF.
        if secret in found or any(piece in found for piece in pieces if len(set(piece)) > 3):
            return True
    return False


def run(binary: str, source: Path, target: Path) -> None:
    done = subprocess.run([binary, "redact", "--batch", str(source), str(target)], capture_output=True, text=True)
    if done.returncode not in (0, 5):
        sys.exit(f"waxseal redact failed: {done.stderr}")


def judge(case: Case, before: bytes, after: bytes | None, again: bytes | None) -> list[str]:
    """What is wrong with a result: missed, false, broken, unstable."""
    if after is None:
        return ["refused"]
    faults = []
    if again != after:
        faults.append("unstable")
    if after != before:
        try:
            if reading.outline(before) != reading.outline(after):
                faults.append("broken")
            texts = reading.message_texts(after)
        except Exception as error:
            return [*faults, f"broken {type(error).__name__}"]
    else:
        texts = reading.message_texts(after) if case.secrets else []
    if any(leaks(texts, secret) for secret in case.secrets):
        faults.append("missed")
    if case.tier == "legitimate" and after != before or case.tier == "natural" and after != before:
        faults.append("false")
    if after != before and case.stays:
        joined = "\n".join(texts)
        if any(one not in joined for one in case.stays):
            faults.append("lost")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/waxseal")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--cases", type=int, default=4000, help="mails with a number; half as many legitimate ones are made too")
    parser.add_argument("--natural", type=int, default=1000, help="digit-heavy mails whose numbers may be card-shaped by chance")
    parser.add_argument("--keep", type=Path, help="leave the corpus and the results in this folder")
    parser.add_argument("--list", action="store_true", help="name every mail that failed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        for name in ("in", "out", "twice"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for old in (folder / name).glob("*.eml"):
                old.unlink()
        cases = corpus(arguments.seed, arguments.cases, arguments.natural)
        for case in cases:
            (folder / "in" / f"{case.name}.eml").write_bytes(case.raw)
        run(arguments.binary, folder / "in", folder / "out")
        run(arguments.binary, folder / "out", folder / "twice")
        table = collections.defaultdict(collections.Counter)
        failed = []
        for case in cases:
            read = lambda name: path.read_bytes() if (path := folder / name / f"{case.name}.eml").exists() else None
            faults = judge(case, case.raw, read("out"), read("twice"))
            row = table[case.tier, case.category]
            row["cases"] += 1
            row.update({fault.split()[0] for fault in faults})
            if faults:
                failed.append((case.name, case.tier, case.category, faults, case.secrets))
    report(table, failed, arguments)


def report(table, failed, arguments) -> None:
    columns = ("cases", "missed", "false", "lost", "broken", "unstable", "refused")
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, "rows": [{"tier": t, "category": c, **{k: row[k] for k in columns}} for (t, c), row in sorted(table.items())]}))
        return
    if files.MISSING:
        print(f"not installed, so not in the corpus: {', '.join(files.MISSING)}")
    print(f"seed {arguments.seed}")
    print("| tier | category | " + " | ".join(columns) + " |")
    print("|---|---|" + "---:|" * len(columns))
    total = collections.defaultdict(collections.Counter)
    for (tier, category), row in sorted(table.items()):
        total[tier].update(row)
        print(f"| {tier} | {category} | " + " | ".join(str(row[k]) for k in columns) + " |")
    for tier, row in total.items():
        print(f"| **{tier}** | all | " + " | ".join(str(row[k]) for k in columns) + " |")
    if arguments.list:
        for one in failed:
            print(*one)


if __name__ == "__main__":
    main()
