"""Mails around a text: parts, transfer encodings, charsets, HTML and header fields, by Python's encoders and our own."""

import base64
import email.charset
import json
import quopri
from email.header import Header
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import encode_rfc2231
from random import Random
from urllib.parse import quote

FILLER = {
    "en": "Dear customer,\nthank you for your message of 12 May. We will look into it and answer within two days.\n",
    "de": "Guten Tag,\nvielen Dank für Ihre Nachricht vom 12. Mai. Wir kümmern uns darum.\n",
    "ja": "お客様\nお問い合わせありがとうございます。二日以内にご返答いたします。\n",
}


def head(rng: Random, subject: str = "Your request", extra: str = "", mime: bool = True) -> str:
    return (
        f"From: Support <support@shop.example>\r\nTo: Customer <customer@example.org>\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 14:05:{rng.randrange(60):02} +0000\r\nMessage-ID: <{rng.getrandbits(64):x}@shop.example>\r\n"
        + ("MIME-Version: 1.0\r\n" if mime else "") + extra
    )


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def soft_wrapped(content: bytes, width: int, everything: bool = False) -> bytes:
    """Quoted-printable with a soft break wherever the line ends, inside a number too."""
    lines = []
    for line in content.split(b"\r\n"):
        out, column = b"", 0
        for byte in line:
            plain = (33 <= byte <= 126 and byte != 61 or byte == 32) and not everything
            piece = bytes([byte]) if plain else b"=%02X" % byte
            if column + len(piece) > width - 1:
                out += b"=\r\n"
                column = 0
            out += piece
            column += len(piece)
        if out.endswith(b" "):
            out = out[:-1] + b"=20"
        lines.append(out)
    return b"\r\n".join(lines)


def encoded(rng: Random, content: bytes) -> tuple[str, bytes, str]:
    """A transfer encoding that can carry the content: its name, the bytes, and how it was chosen."""
    choice = rng.randrange(6)
    plain = content.isascii() and b"\0" not in content and all(len(line) < 990 for line in content.split(b"\r\n"))
    if choice == 0 and plain:
        return "7bit", content, "7bit"
    if choice == 1 and b"\0" not in content:
        return "8bit", content, "8bit"
    if choice == 2:
        return "quoted-printable", soft_wrapped(content, rng.choice((76, 40, 21, 13))), "quoted-printable"
    if choice == 3:
        return "quoted-printable", soft_wrapped(content, 76, everything=rng.random() < 0.5), "quoted-printable"
    width = rng.choice((76, 76, 64, 60, 20))
    text = base64.b64encode(content)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return "base64", rng.choice((b"\r\n", b"\r\n", b"\n")).join(lines) + b"\r\n", "base64"


CHARSETS = ("utf-8", "utf-8", "utf-8", "iso-8859-1", "windows-1252", "iso-8859-15", "iso-8859-2", "windows-1251", "koi8-r", "koi8-u",
            "iso-8859-5", "windows-1253", "iso-8859-7", "windows-1254", "iso-8859-9", "windows-1256", "windows-1255", "iso-8859-8",
            "tis-620", "windows-1258", "windows-1250", "shift_jis", "euc-jp", "iso-2022-jp", "gb2312", "gbk", "gb18030", "big5", "euc-kr",
            "iso-2022-kr", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-7", "us-ascii", "macintosh")


def in_charset(rng: Random, text: str) -> tuple[str, bytes] | None:
    names = list(CHARSETS)
    rng.shuffle(names)
    for name in names[:12]:
        python = {"macintosh": "mac_roman"}.get(name, name)
        if name == "big5" and any("\u0370" <= c <= "\u04ff" for c in text):
            # Two Big5 of two worlds write these letters differently.
            continue
        try:
            return name, text.encode(python)
        except (UnicodeEncodeError, LookupError):
            continue
    return "utf-8", text.encode()


def text_part(rng: Random, text: str, subtype: str = "plain", charset: str | None = None) -> bytes:
    text = crlf(text)
    name, content = (charset, text.encode(charset)) if charset else in_charset(rng, text)
    transfer, body, _ = encoded(rng, content)
    quoted = rng.choice((name, f'"{name}"', name.upper()))
    return f"Content-Type: text/{subtype}; charset={quoted}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n".encode() + body


def padded(rng: Random, text: str) -> str:
    before, after = "", ""
    if rng.random() < 0.7:
        before = FILLER[rng.choice(list(FILLER))] * rng.choice((1, 1, 5, 40))
    if rng.random() < 0.5:
        after = "\n-- \nSupport\n"
    return before + text + after


def plain_mail(rng: Random, text: str) -> bytes:
    """One text part."""
    if rng.random() < 0.25:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "support@shop.example", "customer@example.org", "Your request"
        message.set_content(padded(rng, text) + "\n", cte=rng.choice(("quoted-printable", "base64")))
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    if rng.random() < 0.05:
        return (head(rng, mime=False) + "\r\n").encode() + crlf(padded(rng, text)).encode()
    return head(rng).encode() + text_part(rng, padded(rng, text) + "\n")


def multipart(rng: Random, parts: list[bytes], subtype: str = "mixed", subject: str = "Your request", preamble: str = "", epilogue: str = "") -> bytes:
    boundary = rng.choice((f"=_{rng.getrandbits(80):x}", f"----=_Part_{rng.getrandbits(32)}_{rng.getrandbits(30)}.1795442709123",
                           f"{rng.getrandbits(128):032d}"[:40], f"b{rng.randrange(99)}"))
    out = head(rng, subject).encode() + f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n\r\n'.encode() + preamble.encode()
    for part in parts:
        out += f"\r\n--{boundary}\r\n".encode() + part
    return out + f"\r\n--{boundary}--\r\n".encode() + epilogue.encode()


def part_of(rng: Random, raw: bytes) -> bytes:
    """A whole message's own part: its header without the address fields."""
    header, _, body = raw.partition(b"\r\n\r\n")
    fields = [f for f in header.replace(b"\r\n ", b"\0 ").replace(b"\r\n\t", b"\0\t").split(b"\r\n") if f.lower().startswith(b"content-")]
    return b"\r\n".join(fields).replace(b"\0", b"\r\n") + b"\r\n\r\n" + body


# --- HTML ---------------------------------------------------------------------------------------------------------

def pieces(written: str) -> list[str]:
    return [written[at : at + 4] for at in range(0, len(written), 4)]


def html_forms(rng: Random, written: str, digits: str) -> tuple[str, str, str]:
    """(category, tier, HTML fragment) with the number in it."""
    # A tag or an entity stands where the separator was.
    g = written.split(" ") if set(written) <= set("0123456789 ") and " " in written else pieces("".join(c for c in written if c.isdigit() or c in "\u24ea\u24ff"))
    joined = lambda glue: glue.join(g)
    entity = "".join(f"&#{ord(c)};" for c in written)
    hexed = "".join(f"&#x{ord(c):{rng.choice(('x', 'X', '04x'))}};" for c in written)
    some = "".join(f"&#{ord(c)};" if rng.random() < 0.3 else c for c in written)
    nosemi = "".join(f"&#{ord(c):04d} "[:-1] + ";" if i % 3 else c for i, c in enumerate(written))
    attribute = rng.choice(("alt", "title", "aria-label", "placeholder", "value", "data-card", "content", "data-pan", "label", "summary"))
    tag = {"value": "input", "placeholder": "input", "alt": "img", "content": "meta"}.get(attribute, "span")
    forms = [
        ("html: text", "plain", written),
        ("html: nbsp", "plain", joined("&nbsp;")),
        ("html: inline tags", "plain", joined("</b><b>").join(("<b>", "</b>"))),
        ("html: spans", "unusual", "".join(f'<span class="d{i}">{c}</span>' for i, c in enumerate(written))),
        ("html: spans per group", "plain", " ".join(f'<span style="color:#333">{p}</span>' for p in g)),
        ("html: wbr", "unusual", joined("<wbr>")),
        ("html: entities", "unusual", entity),
        ("html: hex entities", "unusual", hexed),
        ("html: some entities", "unusual", some),
        ("html: padded entities", "perverse", nosemi),
        ("html: named spaces", "unusual", joined(rng.choice(("&thinsp;", "&ensp;", "&emsp;", "&#160;", "&#xa0;", "&#8239;", "&hairsp;", "&#8209;", "&ndash;", "&shy;", "&zwnj;", "&ZeroWidthSpace;", "&NoBreak;", "&MediumSpace;", "&hyphen;", "&numsp;")))),
        ("html: comments between", "unusual", joined("<!-- x -->")),
        ("html: empty tags", "perverse", joined('<span style="display:none"></span>')),
        ("html: anchor", "unusual", f'<a href="https://shop.example/">{joined("</a> <a href=#>")}</a>'),
        ("html: font tags", "unusual", joined('</font><font color="#111111" size=2>').join(("<font>", "</font>"))),
        ("html: broken lines", "unusual", joined("\r\n   ")),
        ("html: br", "unusual", joined(" <br>\r\n") if len(g) == 2 else " ".join(g)),
        ("html: comment", "unusual", f"<!-- card {written} -->"),
        ("html: conditional comment", "unusual", f"<!--[if mso]><p>{joined('</b>&nbsp;<b>').join(('<b>', '</b>'))}</p><![endif]-->"),
        ("html: attribute", "unusual", f'<{tag} {attribute}="{written}">'),
        ("html: attribute unquoted", "unusual", f"<{tag} {attribute}={digits}>"),
        ("html: attribute entities", "perverse", f"<{tag} {attribute}='{entity}'>"),
        ("html: hidden", "unusual", f'<div style="display:none">{written}</div>'),
        ("html: input hidden", "unusual", f'<input type=hidden name="card_number" value="{digits}">'),
        ("html: script", "unusual", f"<script>var card = '{written}';</script>"),
        ("html: style", "perverse", f"<style>.x:after {{ content: '{written}'; }}</style>"),
        ("html: json-ld", "unusual", f'<script type="application/ld+json">{json.dumps({"@type": "Order", "accountId": digits, "paymentMethodId": written})}</script>'),
        ("html: url parameter", "unusual", f'<a href="https://shop.example/pay?card_number={digits}&amp;x=1">pay</a>'),
        ("html: url parameter", "unusual", f'<a href="https://shop.example/pay?cc={quote(written)}&x=1">pay</a>'),
        ("html: mailto body", "perverse", f'<a href="mailto:x@shop.example?subject=card&body={quote("My card " + written)}">mail</a>'),
        ("html: table cell", "plain", f"<table><tr><td>Card</td><td>{written}</td></tr></table>"),
        ("html: sub/sup", "unusual", joined("</sub><sub>").join(("<sub>", "</sub>"))),
        ("html: pre", "plain", f"<pre>{written}</pre>"),
        ("html: textarea", "unusual", f"<textarea>{written}</textarea>"),
        ("html: option", "unusual", f"<select><option value=1>{written}</option></select>"),
        ("html: svg text", "unusual", f"<svg><text x=1 y=2>{written}</text></svg>"),
        ("html: title", "unusual", f"<title>{written}</title>"),
        ("html: cdata", "perverse", f"<![CDATA[{written}]]>"),
        ("html: template", "perverse", f"<template><p>{written}</p></template>"),
        ("html: noscript", "unusual", f"<noscript>{written}</noscript>"),
        ("html: outlook o:p", "unusual", joined("<o:p></o:p>")),
        ("html: bdi", "perverse", joined("</bdi><bdi>").join(("<bdi>", "</bdi>"))),
        ("html: custom element", "perverse", joined("</x-n><x-n>").join(("<x-n>", "</x-n>"))),
        ("html: image between", "perverse", joined('<img src="s.gif" width=1>')),
        ("html: inline-block div", "perverse", "".join(f'<div style="display:inline">{p}</div>' for p in g)),
        ("html: escaped script", "perverse", "<script>x(\"" + "".join(f"\\x{ord(c):02x}" for c in digits) + "\")</script>"),
        ("html: unicode script", "perverse", "<script>x(\"" + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in written) + "\")</script>"),
    ]
    return rng.choice(forms)


def html_mail(rng: Random, fragment: str) -> bytes:
    page = (
        "<html><head><meta charset=utf-8><style>p { color: #123456; margin: 0 0 12px 0 }</style></head>\n<body>"
        f"<p>Hello,</p>\n<p>about your message: {fragment}</p>\n<p>Your support team</p></body></html>\n"
    )
    html = text_part(rng, page, "html", charset="utf-8" if rng.random() < 0.7 else None)
    if rng.random() < 0.5:
        return head(rng).encode() + html
    return multipart(rng, [text_part(rng, "See the other part.\n"), html], "alternative")


# --- header fields ------------------------------------------------------------------------------------------------

def encoded_words(rng: Random, text: str, charset: str = "utf-8") -> str:
    """Our own encoder: cuts anywhere, inside a number too."""
    pieces, at = [], 0
    while at < len(text):
        size = rng.choice((5, 9, 14, 30))
        piece = text[at : at + size]
        at += size
        content = piece.encode(charset)
        if rng.random() < 0.5:
            pieces.append(f"=?{charset}?B?{base64.b64encode(content).decode()}?=")
        else:
            quoted = "".join(
                "_" if b == 32 else chr(b) if chr(b).isalnum() and b < 128 and rng.random() < 0.8 else f"={b:02X}" for b in content
            )
            pieces.append(f"=?{charset}?{rng.choice('Qq')}?{quoted}?=")
    return rng.choice(("\r\n ", " ", "\r\n\t")).join(pieces)


def field_forms(rng: Random, written: str, text: str) -> tuple[str, str, str]:
    """(category, tier, the field's lines)."""
    ascii_only = text.isascii() and "\n" not in text
    flat = " ".join(text.split())
    name = rng.choice(("Subject", "X-Customer-Note", "Comments", "Keywords", "Thread-Topic", "Organization", "X-Zendesk-Comment", "Content-Description"))
    shown = rng.choice(("From", "To", "Cc", "Reply-To", "Sender"))
    forms = []
    if ascii_only:
        cut = flat.find(" ", len(flat) // 2)
        folded = flat[:cut] + "\r\n" + flat[cut:] if cut > 0 else flat
        display = "".join(c for c in flat if c not in '"\\')
        forms += [
            ("field: plain", "plain", f"{name}: {flat}"),
            ("field: folded", "unusual", f"{name}: {folded}"),
            ("field: display name", "unusual", f'{shown}: "{display}" <a@example.org>'),
            ("field: comment", "unusual", f"{shown}: a@example.org ({''.join(c for c in flat if c not in '()')})"),
            ("field: custom", "unusual", f"X-Card-Number: {written}"),
            ("field: disposition comment", "perverse", f"Content-Description: {flat}"),
        ]
    else:
        forms.append(("field: raw utf-8", "perverse", f"{name}: {flat}"))
    forms += [
        ("field: encoded words", "unusual", f"{name}: {encoded_words(rng, flat)}"),
        ("field: encoded words", "unusual", f"{shown}: {encoded_words(rng, flat)} <a@example.org>"),
        ("field: encoded by python", "plain", f"Subject: {Header(flat, 'utf-8', header_name='Subject', maxlinelen=rng.choice((76, 50))).encode(linesep=chr(13) + chr(10))}"),
    ]
    for charset in ("iso-2022-jp", "shift_jis", "koi8-r", "gb2312", "iso-8859-1", "windows-1251", "euc-kr"):
        try:
            flat.encode(charset)
        except UnicodeEncodeError:
            continue
        whole = flat.encode(charset)
        forms.append((f"field: charset", "perverse", f"{name}: =?{charset}?B?{base64.b64encode(whole).decode()}?="))
    return rng.choice(forms)


def field_mail(rng: Random, field: str) -> bytes:
    name = field.split(":")[0].lower()
    top = "".join(line for line in head(rng).splitlines(True) if not line.lower().startswith(name + ":"))
    return top.encode() + field.encode() + b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee the header.\r\n"


def file_name_forms(rng: Random, written: str) -> tuple[str, str, str]:
    name = f"scan {written}.txt"
    flat = name.replace(" ", "_")
    forms = []
    if name.isascii() and not set(name) & set('\\/"\t\n'):
        half = len(flat) // 2
        forms += [
            ("file name: quoted", "plain", f'filename="{name}"'),
            ("file name: token", "unusual", f"filename={flat}" if not set(flat) & set("()<>@,;:\\\"/[]?=") else f'filename="{flat}"'),
            ("file name: continued", "perverse", f'filename*0="{flat[:half]}";\r\n filename*1="{flat[half:]}"'),
        ]
    content = quote(name, safe="")
    third = [content[at : at + 12] for at in range(0, len(content), 12)]
    forms += [
        ("file name: rfc 2231", "unusual", f"filename*={encode_rfc2231(name, 'utf-8', 'en')}"),
        ("file name: rfc 2231 continued", "perverse", ";\r\n ".join(f"filename*{i}*={'utf-8' + chr(39) * 2 if i == 0 else ''}{piece}" for i, piece in enumerate(split_percent(content)))),
        ("file name: encoded word", "unusual", f'filename="{encoded_words(rng, name)}"'),
        ("file name: percent everything", "perverse", "filename*=utf-8''" + "".join(f"%{b:02X}" for b in name.encode())),
    ]
    return rng.choice(forms)


def split_percent(text: str) -> list[str]:
    pieces, at = [], 0
    while at < len(text):
        end = min(at + 14, len(text))
        while end < len(text) and "%" in text[end - 2 : end]:
            end += 1
        pieces.append(text[at:end])
        at = end
    return pieces


def file_mail(rng: Random, content: bytes, media: str, name: str, disposition: str = "attachment", extra: str = "", transfer: str = "base64") -> bytes:
    if transfer == "base64":
        body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    elif transfer == "quoted-printable":
        body = soft_wrapped(content, 76)
    else:
        body = content
    head_ = f'Content-Type: {media}; name="{name}"{extra}\r\nContent-Disposition: {disposition}; filename="{name}"\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n'
    return multipart(rng, [text_part(rng, "See the attachment.\n", charset="utf-8"), head_.encode() + body])


def named_mail(rng: Random, parameter: str) -> bytes:
    part = f"Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n {parameter}\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
    return multipart(rng, [text_part(rng, "See the attachment.\n", charset="utf-8"), part.encode()])


# --- messages in messages -----------------------------------------------------------------------------------------

def nested_mail(rng: Random, inner: bytes) -> tuple[str, str, bytes]:
    kind = rng.randrange(8)
    intro = text_part(rng, "Forwarded below.\n", charset="utf-8")
    if kind == 0:
        return "nested: message/rfc822", "plain", multipart(rng, [intro, b"Content-Type: message/rfc822\r\n\r\n" + inner])
    if kind == 1:
        body = base64.encodebytes(inner).replace(b"\n", b"\r\n")
        return "nested: rfc822 in base64", "perverse", multipart(rng, [intro, b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body])
    if kind == 2:
        body = base64.encodebytes(inner).replace(b"\n", b"\r\n")
        return "nested: eml attachment", "unusual", multipart(rng, [intro, b'Content-Type: application/octet-stream; name="x.eml"\r\nContent-Disposition: attachment; filename="x.eml"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + body])
    if kind == 3:
        report = b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; a@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        return "nested: delivery report", "unusual", multipart(rng, [intro, report, b"Content-Type: message/rfc822\r\n\r\n" + inner], "report; report-type=delivery-status")
    if kind == 4:
        return "nested: rfc822-headers", "unusual", multipart(rng, [intro, b"Content-Type: text/rfc822-headers\r\n\r\n" + inner])
    if kind == 5:
        wrapped = part_of(rng, inner)
        for _ in range(rng.choice((3, 10, 30))):
            wrapped = part_of(rng, multipart(rng, [intro, wrapped], rng.choice(("mixed", "related", "alternative"))))
        return "nested: many multiparts", "unusual", head(rng).encode() + wrapped
    if kind == 6:
        return "nested: digest", "perverse", multipart(rng, [b"\r\n" + inner, b"\r\n" + inner], "digest")
    quoted = b"\r\n".join(b"> " + line for line in inner.split(b"\r\n"))
    return "nested: quoted source", "perverse", head(rng).encode() + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + quoted
