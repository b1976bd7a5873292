"""Reads a mail as its receivers do, with none of the product's code: Python's email package, html.parser, zipfile, and the
libraries that open Office files and PDFs. What is given is text, and what digits are in it."""

import email
import email.header
import email.policy
import email.utils
import gzip
import html.parser
import io
import re
import subprocess
import tarfile
import unicodedata
import urllib.parse
import zipfile
import zlib
from functools import lru_cache
from shutil import which

ESCAPE = re.compile(r"\\u\{?([0-9a-fA-F]{2,6})\}?|\\x([0-9a-fA-F]{2})|\\'([0-9a-fA-F]{2})|\\u(-?\d+)\?")


class Shown(html.parser.HTMLParser):
    """Text, attributes, comments, scripts: each for itself."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.text, self.others = [], []
        self.hidden = 0

    def handle_starttag(self, tag, attrs):
        self.others += [value for _, value in attrs if value]
        if tag in ("br", "p", "div", "tr", "li", "td", "th", "table", "title", "option"):
            self.text.append("\n")
        if tag in ("script", "style"):
            self.hidden += 1

    def handle_endtag(self, tag):
        if tag in ("p", "div", "tr", "li", "td", "th", "table", "title", "option"):
            self.text.append("\n")
        if tag in ("script", "style") and self.hidden:
            self.hidden -= 1

    def handle_data(self, data):
        (self.others if self.hidden else self.text).append(data)

    def handle_comment(self, data):
        self.others += [data, *shown(data)]

    def unknown_decl(self, data):
        self.others.append(data)


def shown(text: str) -> list[str]:
    reader = Shown()
    try:
        reader.feed(text)
        reader.close()
    except Exception:
        return [text]
    return ["".join(reader.text), *reader.others]


def unescaped(text: str) -> str:
    def character(match):
        code = next(group for group in match.groups() if group)
        value = int(code, 10 if match.group(4) else 16) % 0x10000 if match.group(4) else int(code, 16)
        return chr(value) if value < 0x110000 else ""
    return ESCAPE.sub(character, urllib.parse.unquote(text))


@lru_cache(maxsize=4096)
def value(c: str) -> str:
    if c.isdigit():
        return str(unicodedata.digit(c))
    if "\u2460" <= c <= "\u2468":
        return str(ord(c) - 0x245F)
    return "0" if c in "\u24ea\u24ff" else ""


def digits(text: str) -> str:
    """All digits of the text, whatever stands between them."""
    if text.isascii():
        return re.sub(r"\D", "", text)
    return "".join(map(value, text))


def decoded(content: bytes, charset: str | None) -> list[str]:
    out = []
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        out.append(content.decode("utf-16", "replace"))
    elif content[:64].count(b"\0") * 3 > len(content[:64]):
        big = content[0] == 0
        out.append(content.decode("utf-16-be" if big else "utf-16-le", "replace"))
    python = {"macintosh": "mac_roman"}.get((charset or "").lower(), charset)
    for name in (python, "utf-8"):
        try:
            if name:
                out.append(content.decode(name, "replace"))
        except LookupError:
            pass
    return list(dict.fromkeys(out))


def pdf_texts(content: bytes) -> list[str]:
    out = []
    if which("pdftotext"):
        done = subprocess.run(["pdftotext", "-q", "-raw", "-", "-"], input=content, capture_output=True, timeout=60)
        out.append(done.stdout.decode("utf-8", "replace"))
    # Content streams, for what no reader shows.
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", content, re.S):
        try:
            data = zlib.decompressobj().decompress(match.group(1))
        except zlib.error:
            data = match.group(1)
        strings = re.findall(rb"\(((?:[^()\\]|\\.)*)\)", data)
        out.append(b"".join(strings).decode("latin-1"))
    out.append(content.decode("latin-1"))
    return out


def rtf_text(text: str) -> str:
    text = re.sub(r"\\u(-?\d+) ?(?:\\'..|[^\\{}])?", lambda m: f"\\U{int(m.group(1)) % 0x10000:04x}", text)
    text = re.sub(r"\\'([0-9a-fA-F]{2})", lambda m: chr(int(m.group(1), 16)), text)
    text = re.sub(r"\\(?:par|line|cell|tab)\b ?", "\n", text)
    text = re.sub(r"\\[a-z]+-?\d* ?|[{}]", "", text)
    units = re.sub(r"\\U([0-9a-f]{4})", lambda m: chr(int(m.group(1), 16)), text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def file_texts(content: bytes, name: str, depth: int = 0) -> list[str]:
    """Every text in a file, by what it begins with."""
    if depth > 4:
        return []
    if content[:2] == b"PK":
        out = []
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None, "damaged archive"
            for info in archive.infolist():
                out.append(info.filename)
                out += file_texts(archive.read(info), info.filename, depth + 1)
        return out
    if content[:2] == b"\x1f\x8b":
        return file_texts(gzip.decompress(content), name.removesuffix(".gz"), depth + 1)
    if content[257:262] == b"ustar":
        out = []
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                out.append(member.name)
                if member.isfile():
                    out += file_texts(archive.extractfile(member).read(), member.name, depth + 1)
        return out
    if content[:5] == b"%PDF-":
        return pdf_texts(content)
    if name.endswith(".eml"):
        return message_texts(content)
    if content[:4] == b"\x89PNG":
        return []
    if content[:5] == b"{\\rtf":
        text = content.decode("latin-1")
        return [text, rtf_text(text)]
    out = []
    for text in decoded(content, None):
        out.append(text)
        if "\\" in text or "%" in text:
            out.append(unescaped(text))
        if "<" in text and ">" in text:
            # Office splits a word into runs; a paragraph's text is what stands between its tags.
            out += shown(text)
            out += [unescaped(one) for one in shown(text)[1:]]
        if "\r\n " in text:
            out.append(text.replace("\r\n ", ""))
    return out


def field_texts(name: str, raw: str) -> list[str]:
    out = [raw]
    try:
        pieces = email.header.decode_header(raw)
        text = ""
        for piece, charset in pieces:
            text += piece if isinstance(piece, str) else piece.decode({"iso-2022-jp": "iso-2022-jp"}.get(charset, charset) or "utf-8", "replace")
        out.append(text)
    except (LookupError, ValueError, email.errors.HeaderParseError):
        pass
    return out


def message_texts(raw: bytes) -> list[str]:
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    out = []
    for part in message.walk():
        for name, field in part.items():
            if isinstance(field, email.header.Header):
                field = str(field)
            out += field_texts(name, field)
        for parameter in ("filename", "name"):
            for header in ("content-disposition", "content-type"):
                found = part.get_param(parameter, None, header)
                if found:
                    text = email.utils.collapse_rfc2231_value(found)
                    out += [text, *field_texts(parameter, text)]
        out += [part.preamble or "", part.epilogue or ""]
        if part.is_multipart():
            continue
        content = part.get_payload(decode=True) or b""
        name = (part.get_filename() or "").lower()
        if part.get_content_type() == "message/rfc822" and part.get("content-transfer-encoding", "").lower() == "base64":
            name = "x.eml"
        if part.get_content_maintype() == "text" and content[:2] not in (b"PK", b"\x1f\x8b") and content[:5] not in (b"%PDF-", b"{\\rtf"):
            for text in decoded(content, part.get_content_charset()):
                out.append(text)
                if "<" in text:
                    pieces = shown(text)
                    out += pieces + [unescaped(one) for one in pieces]
                elif "\\" in text or "%" in text or "&" in text:
                    out.append(unescaped(text))
                if "\n " in text:
                    out.append(re.sub(r"\r?\n ", "", text))
        else:
            out += file_texts(content, name)
    return out


def outline(raw: bytes) -> list[tuple]:
    """What of a mail's structure must not change."""
    message = email.message_from_bytes(raw)
    return [(part.get_content_type(), part.get("content-transfer-encoding"), part.get_content_charset(), len(part.defects), tuple(part.keys())) for part in message.walk()]
