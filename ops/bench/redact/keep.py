"""Legitimate mails full of digits, none of which is a card number: nothing in them may change."""

import base64
import hashlib
import json
import uuid
from random import Random

import files
import mails
from pans import luhn, pan_shaped


class Numbers:
    """Draws identifiers; with `innocent`, none that issuer, length and check digit would allow."""

    def __init__(self, rng: Random, innocent: bool):
        self.rng, self.innocent = rng, innocent
        self.drawn: list[str] = []

    def note(self, text: str) -> str:
        self.drawn.append(text)
        return text

    def digits(self, n: int, head: str = "") -> str:
        while True:
            out = head + "".join(self.rng.choice("0123456789") for _ in range(n - len(head)))
            if not (self.innocent and pan_shaped(out)):
                return out

    def id(self, n: int, head: str = "") -> str:
        return self.note(self.digits(n, head))

    def grouped(self, sizes: tuple[int, ...], separator: str, head: str = "") -> str:
        while True:
            all_ = self.digits(sum(sizes), head)
            pieces, at = [], 0
            for size in sizes:
                pieces.append(all_[at : at + size])
                at += size
            windows = ("".join(pieces[i:j]) for i in range(len(pieces)) for j in range(i + 1, len(pieces) + 1))
            if not self.innocent or not any(pan_shaped(w) for w in windows):
                return self.note(separator.join(pieces))

    def row(self, pieces) -> str:
        """Numbers in columns; innocent ones form no card number with their neighbours."""
        while True:
            row = pieces()
            words = row.split()
            joined = ("".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1))
            if not self.innocent or not any(pan_shaped(one) for one in joined):
                return self.note(row)

    def imei(self) -> str:
        """Fifteen digits with a Luhn check digit, as every IMEI has."""
        while True:
            body = self.rng.choice(("35", "86", "01", "99")) + self.digits(12)
            out = next(body + d for d in "0123456789" if luhn(body + d))
            if not self.innocent or not pan_shaped(out):
                return self.note(out)

    def iban(self) -> str:
        country, length = self.rng.choice((("DE", 22), ("AT", 20), ("NL", 18), ("FR", 27), ("ES", 24), ("PL", 28), ("IT", 27), ("GB", 22), ("CH", 21), ("BE", 16)))
        bban = "".join(self.rng.choice("0123456789") for _ in range(length - 4))
        if country == "NL":
            bban = "ABNA" + bban[4:]
        if country == "GB":
            bban = "NWBK" + bban[4:]
        number = int("".join(str(int(c, 36)) for c in bban + country + "00"))
        code = f"{country}{98 - number % 97:02}{bban}"
        if self.rng.random() < 0.5:
            code = " ".join(code[i : i + 4] for i in range(0, len(code), 4))
        return self.note(code)

    def uuid(self) -> str:
        return self.note(str(uuid.UUID(int=self.rng.getrandbits(128), version=4)))

    def hex(self, n: int) -> str:
        return self.note(f"{self.rng.getrandbits(4 * n):0{n}x}")

    def phone(self) -> str:
        r = self.rng
        d = lambda n: "".join(r.choice("0123456789") for _ in range(n))
        return self.note(r.choice((
            f"+49 {d(3)} {d(4)} {d(4)}", f"+49{d(11)}", f"0049 {d(3)} {d(7)}", f"+1 ({d(3)}) {d(3)}-{d(4)}", f"+44 20 {d(4)} {d(4)}",
            f"0{d(3)} / {d(6)}-{d(2)}", f"+81-3-{d(4)}-{d(4)}", f"+86 1{d(2)} {d(4)} {d(4)}", f"1-800-{d(3)}-{d(4)}", f"+33 {d(1)} {d(2)} {d(2)} {d(2)} {d(2)}",
            f"tel:+{d(12)}", f"+971 {d(2)} {d(3)} {d(4)}", f"(0{d(2)}) {d(4)}-{d(4)}", f"+91-{d(5)}-{d(5)}",
        )))

    def timestamp(self) -> str:
        r = self.rng
        seconds = 1_795_000_000 + r.randrange(10**6)
        return self.note(r.choice((
            str(seconds), f"{seconds}{r.randrange(1000):03}", f"{seconds}{r.randrange(10**6):06}", f"{seconds}{r.randrange(10**9):09}",
            f"2026-11-{r.randrange(1, 29):02}T{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}.{r.randrange(10**6):06}Z",
            f"202611{r.randrange(1, 29):02}{r.randrange(24):02}{r.randrange(60):02}{r.randrange(60):02}{r.randrange(1000):03}",
            f"2026-11-{r.randrange(1, 29):02} {r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02},{r.randrange(1000):03}",
            f"{r.randrange(1, 29):02}.11.2026 {r.randrange(24):02}:{r.randrange(60):02}",
        )))

    def tracking(self) -> str:
        r = self.rng
        match r.randrange(9):
            case 0:
                return self.note("1Z" + "".join(r.choice("0123456789ABCDEFX") for _ in range(6)) + self.digits(10))
            case 1:
                return self.grouped((4, 4, 4, 4, 4, 2), " ", r.choice(("94", "92", "93")))
            case 2:
                return self.id(22, r.choice(("9400", "9205", "9361")))
            case 3:
                return self.id(12)
            case 4:
                return self.id(r.choice((20, 14, 15)), "0034" if r.random() < 0.5 else "")
            case 5:
                return self.note("RB" + self.digits(9) + "DE")
            case 6:
                return self.grouped((4, 4, 4), "-")
            case 7:
                return self.grouped((4, 4, 4), " ")
            case _:
                return self.note("JJD" + self.digits(18))

    def amount(self) -> str:
        r = self.rng
        n = r.randrange(10**r.randrange(3, 13))
        return self.note(r.choice((f"{n:,}.{r.randrange(100):02}", f"{n:,}".replace(",", ".") + ",00", f"{n:,}".replace(",", " "), f"{n}.{r.randrange(100):02}", f"{n:,}".replace(",", "'"))))

    def decimal(self) -> str:
        r = self.rng
        return self.note(r.choice((f"{r.random():.16f}", f"{r.random() * 1000:.15f}", f"{r.uniform(-180, 180):.14f}", f"{r.random():.17g}", f"0.{r.randrange(10**16):016}")))


KINDS = ("order", "shipment", "statement", "log", "phones", "sheet", "devices", "codes", "coordinates", "html", "newsletter", "json", "csv", "table", "invoice",
         "boundary", "image", "calendar", "css", "svg", "hashes", "versions", "isbn", "lottery", "results", "acquirer", "japan", "germany", "tokens", "masked", "attachments", "urls")


def mail(rng: Random, innocent: bool = True) -> tuple[str, bytes, list[str]]:
    """(kind, message, strings that must stay)."""
    n = Numbers(rng, innocent)
    kind = rng.choice(KINDS)
    lines: list[str] = []
    html = None
    extra: list[bytes] = []
    match kind:
        case "order":
            for _ in range(rng.randrange(1, 8)):
                lines.append(rng.choice(("Order number: {}", "Order {} has been shipped", "Bestellnummer {}", "Your reference {}", "Invoice no. {}", "Pedido {}", "Commande n° {}", "Kundennummer: {}", "Booking {}", "Ticket #{}", "Case {}", "Auftrag {}")).format(
                    rng.choice((lambda: n.id(rng.randrange(8, 20)), lambda: n.grouped((3, 7, 7), "-"), lambda: n.grouped((4, 4, 4), "-"), lambda: n.grouped((2, 6, 6), "-"), lambda: n.note(f"A-{n.digits(10)}-{n.digits(4)}")))()))
        case "shipment":
            for _ in range(rng.randrange(1, 10)):
                lines.append(rng.choice(("Tracking number: {}", "Sendungsnummer {}", "USPS {}", "Your parcel {} is on its way", "DHL: {}", "UPS {}", "Track it: {}", "Paketnummer: {}", "追跡番号：{}", "AWB {}")).format(n.tracking()))
        case "statement":
            for _ in range(rng.randrange(1, 6)):
                lines.append(rng.choice(("IBAN: {}", "Bitte überweisen Sie auf {}", "Account {} BIC COBADEFFXXX", "IBAN {}")).format(n.iban()))
            lines += [f"Betrag: {n.amount()} EUR", f"Verwendungszweck RF{rng.randrange(10, 99)} {n.id(18)}", f"Gläubiger-ID DE98ZZZ{n.id(11)}", f"Mandatsreferenz {n.id(12)}"]
        case "log":
            for _ in range(rng.randrange(5, 60)):
                lines.append(f"{n.timestamp()} INFO request id={n.uuid()} span={n.hex(16)} dur={n.decimal()} bytes={rng.randrange(10**7)} ip={rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}:{rng.randrange(65536)}")
        case "phones":
            for _ in range(rng.randrange(3, 20)):
                lines.append(rng.choice(("Tel.: {}", "Phone {}", "Call us: {}", "Fax {}", "{}", "Mobil: {}", "Hotline {}", "電話 {}")).format(n.phone()))
        case "sheet":
            for _ in range(rng.randrange(3, 40)):
                lines.append("\t".join(n.id(rng.randrange(1, 9)) for _ in range(rng.randrange(3, 9))))
        case "devices":
            for _ in range(rng.randrange(1, 5)):
                lines += [f"IMEI: {n.imei()}", f"IMEI 2: {n.imei()}", f"ICCID {n.id(19, '89')}", f"MEID: {n.hex(14)}", f"Serial number: {n.id(rng.randrange(10, 17))}", f"MAC {':'.join(f'{rng.randrange(256):02x}' for _ in range(6))}", f"EID {n.id(32, '8904')}"]
        case "codes":
            for _ in range(rng.randrange(2, 9)):
                lines.append(rng.choice(("Your code is {}", "Verification code: {}", "PIN {}", "Code {}")).format(n.id(rng.choice((4, 6, 8)))))
            lines.append(f"EAN {n.id(13, rng.choice(('40', '42', '43', '50', '87', '97')))}")
            lines.append(f"GTIN: {n.id(14)}")
        case "coordinates":
            for _ in range(rng.randrange(3, 30)):
                lines.append(f"{n.decimal()}, {n.decimal()}")
        case "html":
            rows = "".join(f'<tr class="r{rng.randrange(10**8)}"><td style="width:{rng.randrange(1000)}px">{n.id(rng.randrange(3, 11))}</td><td>{n.amount()}</td><td>{n.timestamp()}</td></tr>\n' for _ in range(rng.randrange(3, 40)))
            html = f'<html><body bgcolor="#{n.hex(6)}"><table id="t{n.digits(16)}">{rows}</table><img src="https://img.example/o/{n.id(16)}.gif?u={n.id(19)}" width=1><a href="https://shop.example/orders/{n.id(16)}">x</a></body></html>'
        case "newsletter":
            urls = "".join(f'<p><a href="https://click.example/ls/click?upn={n.hex(40)}-{n.digits(16)}&t={n.timestamp()}">offer {i}</a></p>' for i in range(rng.randrange(2, 30)))
            html = f"<html><body>{urls}<p>Unsubscribe: https://shop.example/u/{n.id(17)}/{n.id(10)}</p></body></html>"
        case "json":
            record = [{"id": int(n.id(rng.choice((16, 17, 18, 19)), "1")), "ts": n.timestamp(), "uuid": n.uuid(), "ratio": n.decimal(), "ref": n.id(rng.randrange(12, 20))} for _ in range(rng.randrange(1, 20))]
            extra.append(attachment(rng, json.dumps(record, indent=rng.choice((None, 1))).encode(), "application/json", "events.json"))
        case "csv":
            rows = "".join(",".join((n.id(rng.randrange(6, 14)), n.amount().replace(",", ""), n.timestamp(), n.id(10), n.id(5))) + "\r\n" for _ in range(rng.randrange(5, 60)))
            extra.append(attachment(rng, ("order,amount,time,customer,zip\r\n" + rows).encode(), "text/csv", "export.csv"))
        case "table":
            for _ in range(rng.randrange(3, 20)):
                lines.append(n.row(lambda: "  ".join(n.digits(4) for _ in range(rng.randrange(5, 12)))) if rng.random() < 0.3 else " | ".join(f"{n.id(rng.randrange(2, 7)):>8}" for _ in range(rng.randrange(3, 8))))
        case "invoice":
            for _ in range(rng.randrange(2, 12)):
                lines.append(f"{n.id(4)} {n.id(7)}  Article {rng.randrange(99)}   {rng.randrange(9)} x {n.amount()}   {n.amount()}")
            lines += [f"VAT ID DE{n.id(9)}", f"HRB {n.id(6)}", f"Steuernummer {n.grouped((2, 3, 5), '/')}", f"Customer {n.id(10)} Invoice {n.id(12)}", f"Payment reference: {n.grouped((5, 5, 5, 5), ' ')}"]
        case "boundary":
            lines.append(f"Message <{n.id(16)}.{n.id(13)}@mail.example> of {n.timestamp()}")
            lines.append(f"Contact: {n.id(16)}@sms.example, reply+{n.id(16)}-{n.digits(8)}@reply.example")
        case "image":
            blob = files.PIXEL + bytes(rng.randrange(256) for _ in range(rng.randrange(100, 9000)))
            extra.append(attachment(rng, blob, "image/png", f"IMG_{n.timestamp()}.png"))
            html = f'<html><body><img src="data:image/png;base64,{base64.b64encode(blob).decode()}"><img src="cid:{n.digits(16)}@x"></body></html>'
        case "calendar":
            body = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:{n.id(16)}@calendar.example\r\nDTSTAMP:20261123T140509Z\r\nDTSTART:20261123T140500Z\r\nDTEND:20261123T150500Z\r\nSEQUENCE:{rng.randrange(99)}\r\nLOCATION:Dial in {n.phone()}, id {n.grouped((3, 4, 4), ' ')}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
            extra.append(attachment(rng, body.encode(), "text/calendar", "invite.ics"))
        case "css":
            css = "".join(f".c{n.digits(16)} {{ width: {n.decimal()}%; transform: matrix({', '.join(n.decimal() for _ in range(6))}); color: #{rng.getrandbits(24):06x} }}\n" for _ in range(rng.randrange(2, 20)))
            html = f"<html><head><style>{css}</style></head><body>Hello</body></html>"
        case "svg":
            path = " ".join(f"L{n.decimal()} {n.decimal()}" for _ in range(rng.randrange(5, 60)))
            html = f'<html><body><svg viewBox="0 0 1000 1000"><path d="M0 0 {path}"/><polygon points="{" ".join(f"{rng.randrange(1000)},{rng.randrange(1000)}" for _ in range(30))}"/></svg></body></html>'
        case "hashes":
            for _ in range(rng.randrange(2, 20)):
                lines.append(rng.choice(("sha256:{}", "commit {}", "{}", "etag {}")).format(n.note(hashlib.sha256(n.digits(9).encode()).hexdigest()[: rng.choice((16, 20, 32, 40, 64))])))
        case "versions":
            for _ in range(rng.randrange(2, 20)):
                lines.append(f"package-{rng.randrange(99)} {rng.randrange(30)}.{rng.randrange(100)}.{rng.randrange(1000)}.{n.digits(8)} -> {rng.randrange(30)}.{rng.randrange(100)}.{n.timestamp()}")
        case "isbn":
            lines += [f"ISBN 978-{rng.randrange(10)}-{n.digits(4)}-{n.digits(4)}-{rng.randrange(10)}", f"ISBN-13: {n.id(13, '978')}", f"ISSN {n.digits(4)}-{n.digits(4)}", f"EAN: {n.id(13, '4')}"]
        case "lottery":
            for _ in range(rng.randrange(2, 8)):
                lines.append(n.row(lambda: " ".join(f"{rng.randrange(1, 50):02}" for _ in range(rng.choice((6, 7, 8, 10, 12))))))
        case "results":
            for _ in range(rng.randrange(4, 30)):
                lines.append(n.row(lambda: " ".join(str(rng.randrange(10, 10 ** rng.randrange(2, 6))) for _ in range(rng.randrange(4, 12)))))
        case "acquirer":
            lines += [f"ARN: {n.id(23, '7')}", f"Auth code {n.id(6)}", f"Terminal {n.id(8)}", f"Merchant ID {n.id(15)}", f"RRN {n.id(12)}", f"Batch {n.id(6)} Trace {n.id(6)}", f"Transaction ID: {n.id(rng.choice((15, 16, 17, 18)))}"]
        case "japan":
            lines += [f"注文番号：{n.id(rng.randrange(8, 17))}", f"お問い合わせ番号 {n.grouped((4, 4, 4), '-')}", f"電話番号 {n.phone()}", f"〒{n.digits(3)}-{n.digits(4)} 東京都", f"合計 {n.amount()}円"]
        case "germany":
            lines += [f"Zählernummer 1{n.id(13)}", f"Vertragskonto {n.id(12)}", f"Telefon 49{n.digits(10)}", f"Rechnung {n.id(13)} vom 12.11.2026", f"Postleitzahl {n.digits(5)}", f"BLZ {n.grouped((3, 3, 2), ' ')} Kto {n.id(10)}", f"Versicherungsnummer {n.digits(2)} {n.digits(6)} M {n.digits(3)}"]
        case "tokens":
            lines += [f"token={n.note(base64.urlsafe_b64encode(n.digits(40).encode()).decode())}", f"session {n.hex(32)}{n.digits(16)}", f"key_live_{n.hex(24)}", f"eyJhbGciOiJIUzI1NiJ9.{n.note(base64.urlsafe_b64encode(n.digits(60).encode()).decode())}.x"]
        case "masked":
            lines += [f"Your card ending in {n.id(4)}", f"Card **** **** **** {n.id(4)}", f"XXXX-XXXX-XXXX-{n.digits(4)}", f"Visa •••• {n.digits(4)} exp 04/29", f"{n.digits(6)}******{n.digits(4)}", f"4111 11xx xxxx {n.digits(4)}", f"Mastercard xx{n.digits(4)}, {n.amount()} EUR, order {n.id(10)}"]
        case "attachments" if files.OFFICE:
            import io
            out = io.BytesIO()
            if files.openpyxl:
                book = files.openpyxl.Workbook()
                for _ in range(20):
                    book.active.append([int(n.digits(rng.randrange(3, 14))), n.id(rng.randrange(8, 20)), rng.random() * 10**6, n.timestamp()])
                book.save(out)
                extra.append(attachment(rng, out.getvalue(), files.OOXML + "spreadsheetml.sheet", "export.xlsx"))
                n.drawn.clear()
        case _:
            for _ in range(rng.randrange(2, 20)):
                lines.append(rng.choice(("https://shop.example/orders/{}/items/{}?sig={}", "See www.shop.example/t/{}-{}/{}", "http://t.example/{}?a={}&b={}")).format(n.id(16), n.id(12), n.hex(20)))
    text = mails.padded(rng, "\n".join(lines) + "\n")
    n.drawn = [d for d in n.drawn if extra == [] and html is None]
    parts = [mails.text_part(rng, text, charset="utf-8")]
    if html is not None:
        parts.append(mails.text_part(rng, html, "html", charset="utf-8"))
    parts += extra
    if len(parts) == 1 and rng.random() < 0.7:
        return kind, mails.head(rng, subject=f"Order {n.digits(10)}").encode() + parts[0], n.drawn
    return kind, mails.multipart(rng, parts, "mixed", subject=f"Your order {n.digits(rng.choice((8, 10, 12)))} of {n.digits(8)}"), n.drawn


def attachment(rng: Random, content: bytes, media: str, name: str) -> bytes:
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return f'Content-Type: {media}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode() + body
