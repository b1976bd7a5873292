#!/usr/bin/env python3
"""Office files and PDFs made by LibreOffice and qpdf, redacted, and opened again by LibreOffice, pdftotext and qpdf.

    office.py --binary PATH          makes, redacts and checks; exit status 1 if a number is left or a file does not open

Each file travels as an attachment of a mail, as it would."""

import argparse
import base64
import email
import subprocess
import sys
import tempfile
from pathlib import Path

# Test numbers of payment services: text cells, a cell with a number of 15 digits, a table, a split run.
SECRETS = ("4111111111111111", "378282246310005", "5555555555554444", "6011000990139424", "30569309025904")
# LibreOffice writes fifteen digits of a number into this format: sixteen do not arrive in the first place.
ABSENT = {"cards.xlsx": {"4111111111111111"}}
STAYS = "Order 20261123, 49.90 EUR"

TEXT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.text">
<office:automatic-styles><style:style style:name="B" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style></office:automatic-styles>
<office:body><office:text>
<text:p>{stays}</text:p>
<text:p>Card 4111 1111 1111 1111 was charged</text:p>
<text:p>Card 37<text:span text:style-name="B">8282</text:span>246<text:span text:style-name="B">310005</text:span> was charged</text:p>
<text:p>first line<text:line-break/>Diners 3056<text:s/>930902<text:s/>5904<text:tab/>end</text:p>
<table:table><table:table-column table:number-columns-repeated="2"/><table:table-row><table:table-cell><text:p>Mastercard</text:p></table:table-cell>
<table:table-cell><text:p>5555-5555-5555-4444</text:p></table:table-cell></table:table-row></table:table>
<text:p>“6011000990139424” Ωμέγα 注文</text:p>
</office:text></office:body></office:document>
"""

SHEET = f'''{STAYS.replace(",", " and")}
name,card number,amount
Doe,4111111111111111,12
Roe,378282246310005,13
Poe,5555 5555 5555 4444,14
Moe,"=CONCATENATE(""6011"";""000990139424"")",15
Zoe,30569309025904,16
'''


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


def convert(folder: Path, kind: str, *files: Path) -> None:
    """LibreOffice with a profile of its own, so that another one running does no harm."""
    done = run("soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", kind, "--outdir", str(folder), *map(str, files))
    if done.returncode:
        sys.exit(f"soffice could not make {kind}: {done.stderr}")


def make(folder: Path) -> list[Path]:
    """The files, by their makers."""
    text, sheet = folder / "letter.fodt", folder / "cards.csv"
    text.write_text(TEXT.replace("{stays}", STAYS))
    sheet.write_text(SHEET)
    for kind in ("odt", "docx", "rtf", "pdf"):
        convert(folder, kind, text)
    for kind in ("ods", "xlsx"):
        convert(folder, kind, sheet)
    made = [folder / name for name in ("letter.odt", "letter.docx", "letter.rtf", "letter.pdf", "cards.ods", "cards.xlsx")]
    for name, flags in (("objects.pdf", ["--object-streams=generate"]), ("plain.pdf", ["--qdf"]), ("linear.pdf", ["--linearize", "--object-streams=generate"])):
        run("qpdf", *flags, str(folder / "letter.pdf"), str(folder / name))
        made.append(folder / name)
    return made


def mail(path: Path) -> bytes:
    body = base64.encodebytes(path.read_bytes()).replace(b"\n", b"\r\n")
    head = f"From: a@shop.example\r\nTo: b@example.org\r\nSubject: {path.suffix}\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=\"{path.name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + body


def text_of(folder: Path, path: Path) -> str:
    """What the program that opens such files shows."""
    if path.suffix == ".pdf":
        checked = run("qpdf", "--check", str(path))
        if checked.returncode:
            return f"qpdf does not open it: {checked.stdout} {checked.stderr}"
        return run("pdftotext", "-raw", str(path), "-").stdout
    target = "csv" if path.suffix in (".ods", ".xlsx") else "txt:Text (encoded):UTF8"
    convert(folder, target, path)
    out = folder / f"{path.stem}.{'csv' if target == 'csv' else 'txt'}"
    text = out.read_text(encoding="utf-8", errors="replace")
    out.unlink()
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/waxseal")
    arguments = parser.parse_args()
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "in").mkdir()
        made = make(folder)
        for path in made:
            (folder / "in" / f"{path.name}.eml").write_bytes(mail(path))
        for source, target in (("in", "out"), ("out", "twice")):
            done = run(arguments.binary, "redact", "--batch", str(folder / source), str(folder / target))
            if done.returncode:
                faults.append(f"redact: {done.stderr.strip()} {(folder / target / 'report.jsonl').read_text()}")
        (folder / "after").mkdir()
        for path in made:
            result = folder / "out" / f"{path.name}.eml"
            if not result.exists():
                continue
            after = folder / "after" / path.name
            after.write_bytes(email.message_from_bytes(result.read_bytes()).get_payload(decode=True))
            before, text = text_of(folder, path), text_of(folder / "after", after)
            digits = "".join(c for c in text if c.isdigit())
            for secret in set(SECRETS) - ABSENT.get(path.name, set()):
                if secret not in "".join(c for c in before if c.isdigit()):
                    faults.append(f"{path.name}: {secret} was not there to be found")
                elif any(secret[at : at + 8] in digits for at in range(len(secret) - 11)):
                    faults.append(f"{path.name}: {secret} is left")
            if "20261123" not in text or "49.90" not in text:
                faults.append(f"{path.name}: does not open as before: {text[:200]}")
            if result.read_bytes() != (folder / "twice" / result.name).read_bytes():
                faults.append(f"{path.name}: a second pass changed it")
            print(f"{path.name}: {len(before)} characters before, {len(text)} after")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
