"""Attachments with a text or a number in them, made by the programs and libraries that make them in the world."""

import base64
import csv
import gzip
import io
import json
import tarfile
import zipfile
import zlib
from random import Random

from pans import groups


def optional(name: str):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        return None


openpyxl, docx, pptx, xlsxwriter, odf, fpdf, reportlab = map(optional, ("openpyxl", "docx", "pptx", "xlsxwriter", "odf.opendocument", "fpdf", "reportlab"))

OOXML = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."


def docx_file(rng: Random, written: str, digits: str) -> tuple[str, bytes]:
    document = docx.Document()
    document.add_paragraph("Invoice of 12 May 2026")
    kind = rng.randrange(6)
    if kind == 0:
        document.add_paragraph(f"Card {written} thanks")
    elif kind == 1:
        paragraph = document.add_paragraph("Card ")
        for i, piece in enumerate(written[at : at + 3] for at in range(0, len(written), 3)):
            paragraph.add_run(piece).bold = i % 2 == 0
    elif kind == 2:
        table = document.add_table(2, 2)
        table.cell(0, 0).text, table.cell(0, 1).text, table.cell(1, 1).text = "Card", written, "49.90"
    elif kind == 3:
        document.sections[0].header.paragraphs[0].text = f"Card {written}"
        document.sections[0].footer.paragraphs[0].text = "Page 1"
    elif kind == 4:
        document.core_properties.title = f"Card {written}"
        document.core_properties.comments = written
    else:
        document.add_paragraph(f"Line\n{written}\tend")
    out = io.BytesIO()
    document.save(out)
    return ("docx: text", "docx: runs", "docx: table", "docx: header", "docx: properties", "docx: breaks")[kind], out.getvalue()


def xlsx_file(rng: Random, written: str, digits: str) -> tuple[str, bytes]:
    out = io.BytesIO()
    kind = rng.randrange(6)
    # A number keeps fifteen digits in a spreadsheet; longer ones end in zeros and are no number any more.
    number = int(digits) if len(digits) <= 15 else None
    if xlsxwriter and rng.random() < 0.5:
        book = xlsxwriter.Workbook(out, {"constant_memory": rng.random() < 0.4})
        sheet = book.add_worksheet(written[:25] if kind == 5 and not set(written) & set("[]:*?/\\") else "Cards")
        sheet.write_row(0, 0, ["name", "card number", "amount"])
        sheet.write(1, 0, "Doe")
        if number and kind < 3:
            sheet.write_number(1, 1, number)
        elif kind == 3:
            sheet.write_formula(1, 1, f'="{digits}"', None, digits)
        elif kind == 4:
            sheet.write_comment(1, 1, f"card {written}")
        else:
            sheet.write_string(1, 1, written)
        sheet.write(1, 2, 49.9)
        book.close()
        return f"xlsx: {('number' if number else 'text', 'number' if number else 'text', 'number' if number else 'text', 'formula', 'note', 'sheet name')[kind]}", out.getvalue()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["name", "card number", "amount"])
    if number and kind < 3:
        sheet.append(["Doe", number, 49.9])
        name = "number"
    elif kind == 3:
        sheet.append(["Doe", f'=CONCATENATE("{digits}","")', 49.9])
        name = "formula"
    elif kind == 4:
        sheet.append(["Doe", f"card {written} of today", 49.9])
        name = "text"
    else:
        sheet.append(["Doe", written, 49.9])
        name = "text"
    book.save(out)
    return f"xlsx: {name}", out.getvalue()


def pptx_file(rng: Random, written: str, digits: str) -> tuple[str, bytes]:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Cards"
    if rng.random() < 0.5:
        slide.placeholders[1].text = f"Card {written}"
    else:
        frame = slide.placeholders[1].text_frame
        for piece in (written[at : at + 5] for at in range(0, len(written), 5)):
            frame.paragraphs[0].add_run().text = piece
        slide.notes_slide.notes_text_frame.text = f"note {written}"
    out = io.BytesIO()
    deck.save(out)
    return "pptx", out.getvalue()


def odt_file(rng: Random, written: str, digits: str) -> tuple[str, bytes]:
    from odf.opendocument import OpenDocumentText
    from odf.text import P, Span
    document = OpenDocumentText()
    paragraph = P(text="Card ")
    if rng.random() < 0.5:
        paragraph.addText(written)
    else:
        for at in range(0, len(written), 4):
            paragraph.addElement(Span(text=written[at : at + 4]))
    document.text.addElement(paragraph)
    out = io.BytesIO()
    document.write(out)
    return "odt", out.getvalue()


def ods_file(rng: Random, written: str, digits: str) -> tuple[str, bytes]:
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P
    document = OpenDocumentSpreadsheet()
    table, row, top = Table(name="Cards"), TableRow(), TableRow()
    for title in ("order", "card number"):
        cell = TableCell(valuetype="string")
        cell.addElement(P(text=title))
        top.addElement(cell)
    table.addElement(top)
    if len(digits) <= 15:
        cell = TableCell(valuetype="float", value=digits)
        cell.addElement(P(text=digits))
        kind = "ods: number"
    else:
        cell = TableCell(valuetype="string")
        cell.addElement(P(text=written))
        kind = "ods: text"
    for one in (TableCell(valuetype="float", value="12"), cell):
        row.addElement(one)
    table.addElement(row)
    document.spreadsheet.addElement(table)
    out = io.BytesIO()
    document.write(out)
    return kind, out.getvalue()


def pdf_file(rng: Random, written: str, digits: str) -> tuple[str, bytes]:
    """PDFs of four producers; text that their standard fonts lack is written in plain digits."""
    text = written if written.isascii() and "\n" not in written and "\t" not in written else " ".join(groups(rng, digits))
    out = io.BytesIO()
    kind = rng.randrange(7)
    if fpdf and kind < 3:
        page = fpdf.FPDF()
        page.set_compression(rng.random() < 0.7)
        page.add_page()
        page.set_font("Helvetica", size=12)
        if kind == 0:
            page.cell(text=f"Card {text} thanks")
        elif kind == 1:
            page.multi_cell(0, text=f"Dear customer,\n\ncard {text}\n" + "more words here " * 30)
        else:
            page.set_title(f"Card {text}")
            for piece in text:
                page.write(text=piece)
        return f"pdf: fpdf2 {('cell', 'paragraph', 'single characters')[kind]}", bytes(page.output())
    if reportlab and kind < 6:
        from reportlab.pdfgen import canvas
        from reportlab.platypus import Paragraph, SimpleDocTemplate, Table
        from reportlab.lib.styles import getSampleStyleSheet
        if kind == 3:
            page = canvas.Canvas(out, pageCompression=rng.choice((0, 1)))
            page.setTitle(f"Card {text}")
            page.drawString(72, 700, f"Card {text}")
            page.save()
        elif kind == 4:
            SimpleDocTemplate(out).build([Paragraph(f"Your card <b>{text}</b> was charged", getSampleStyleSheet()["BodyText"])])
        else:
            SimpleDocTemplate(out).build([Table([["Card", text], ["Amount", "49.90"]])])
        return f"pdf: reportlab {('canvas', 'paragraph', 'table')[kind - 3]}", out.getvalue()
    return "pdf: by hand", bare_pdf(rng, text)


def bare_pdf(rng: Random, text: str) -> bytes:
    """What small programs write: kerned arrays, hexadecimal strings, one operator a line."""
    match rng.randrange(3):
        case 0:
            shown = f"({text}) Tj"
        case 1:
            shown = f"<{text.encode().hex()}> Tj"
        case _:
            shown = "[" + "".join(f"({piece}) {rng.randrange(-40, 40)} " for piece in text) + "] TJ"
    content = f"BT /F1 12 Tf 72 700 Td {shown} ET".encode()
    packed = zlib.compress(content, 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(packed) + packed + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def rtf_file(rng: Random, written: str) -> bytes:
    """As word processors write it: characters beyond ASCII by number with a stand-in, runs in groups."""
    out = ""
    for c in written:
        if ord(c) > 126:
            units = c.encode("utf-16-be")
            for at in range(0, len(units), 2):
                unit = int.from_bytes(units[at : at + 2])
                out += f"\\u{unit if unit < 0x8000 else unit - 0x10000}?"
        elif c == "\n":
            out += "\\par\n"
        elif c == "\t":
            out += "\\tab "
        elif rng.random() < 0.1:
            out += f"\\'{ord(c):02x}"
        elif rng.random() < 0.1:
            out += rng.choice(("{\\b ", "{\\i ")) + ("\\" + c if c in "\\{}" else c) + "}"
        else:
            out += "\\" + c if c in "\\{}" else c
    return ("{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Arial;}}\\f0\\fs24 Card " + out + "\\par}").encode("ascii", "replace")


def text_files(rng: Random, written: str, digits: str) -> list[tuple[str, str, str, bytes]]:
    """(category, media type, file name, content)."""
    table = io.StringIO()
    delimiter = rng.choice(",;\t|")
    writer = csv.writer(table, delimiter=delimiter)
    writer.writerow(["order", "card_number", "amount"])
    writer.writerow([str(rng.randrange(10**7)), written.removeprefix("card "), "49.90"])
    lines = "".join(f"{rng.randrange(10**6)}{delimiter}{rng.randrange(999)}\r\n" for _ in range(3))
    rows = table.getvalue() + lines
    flat = " ".join(written.replace(">", "").split("\n"))
    record = {"order": rng.randrange(10**7), "payment": {"card_number": flat, "amount": 49.9}}
    number = {"order": 1, "pan": int(digits), "ok": True}
    vcard = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:John Doe\r\nNOTE:card {flat}\r\nEND:VCARD\r\n"
    folded = f"NOTE:card {flat}"
    folded = "\r\n ".join(folded[at : at + 17] for at in range(0, len(folded), 17))
    ics = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:20261123T1405Z-1182@shop.example\r\nDTSTART:20261123T140500Z\r\nDESCRIPTION:Pay with {flat}\\, thanks\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    xml = f"<?xml version=\"1.0\"?>\n<order id=\"48213\"><payment><cardNumber>{flat.replace('&', '&amp;').replace('<', '&lt;')}</cardNumber></payment></order>\n"
    return [
        ("csv: utf-8", "text/csv", "cards.csv", rows.encode()),
        ("csv: utf-16", rng.choice(("text/csv", "application/octet-stream", "application/vnd.ms-excel")), "cards.csv", rows.encode("utf-16")),
        ("csv: windows-1252", "text/csv", "cards.csv", rows.encode("cp1252", "replace")),
        ("json: string", "application/json", "order.json", json.dumps(record, ensure_ascii=rng.random() < 0.5).encode()),
        ("json: pretty", "application/json", "order.json", json.dumps(record, indent=2).encode()),
        ("json: number", "application/json", "order.json", json.dumps(number).encode()),
        ("json: lines", "application/x-ndjson", "order.ndjson", (json.dumps(record) + "\n" + json.dumps(number) + "\n").encode()),
        ("vcard", "text/vcard", "doe.vcf", vcard.encode()),
        ("vcard: folded", "text/vcard", "doe.vcf", f"BEGIN:VCARD\r\nVERSION:3.0\r\n{folded}\r\nEND:VCARD\r\n".encode()),
        ("calendar", "text/calendar; method=REQUEST", "invite.ics", ics.encode()),
        ("xml", rng.choice(("text/xml", "application/xml")), "order.xml", xml.encode()),
        ("xml: attribute", "application/xml", "order.xml", f"<order card=\"{digits}\" total='49.90'/>".encode()),
        ("xml: utf-16", "application/xml", "order.xml", ('<?xml version="1.0" encoding="UTF-16"?>' + f"<o><card>{digits}</card></o>").encode("utf-16")),
        ("rtf", rng.choice(("application/rtf", "text/rtf")), "letter.rtf", rtf_file(rng, written)),
        ("markdown", "text/markdown", "note.md", f"# Order\n\n* card: `{flat}`\n* total: **49.90**\n".encode()),
        ("yaml", "application/x-yaml", "order.yml", f"order: 48213\ncard: \"{flat}\"\n".encode()),
        ("log", "text/plain", "app.log", f"2026-11-23T14:05:09.123456Z INFO charge card={digits} amount=4990 trace=4bf92f3577b34da6a3ce929d0e0e4736\n".encode()),
        ("sql", "application/sql", "dump.sql", f"INSERT INTO payments VALUES (1182, '{digits}', 49.90), (1183, '{flat.replace(chr(39), '')}', 12.00);\n".encode()),
        ("form data", "application/x-www-form-urlencoded", "form.txt", f"order=1182&card_number={digits}&cvv=123&exp=0429".encode()),
        ("octet-stream text", "application/octet-stream", "data.bin", f"Card {written}\n".encode()),
        ("no type", "application/octet-stream", "noname", f"Card {written}\n".encode()),
        ("html file", "text/html", "page.html", f"<p>card {flat}</p>".encode()),
        ("image/svg+xml", "image/svg+xml", "label.svg", f"<svg xmlns='http://www.w3.org/2000/svg'><text x='1' y='2'>{flat}</text></svg>".encode()),
    ]


def packed(rng: Random, content: bytes, name: str) -> tuple[str, str, str, bytes]:
    """The file in an archive."""
    kind = rng.randrange(8)
    out = io.BytesIO()
    if kind <= 2 or kind == 6:
        method = zipfile.ZIP_STORED if kind == 1 else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("readme.txt", "Files of 12 May 2026\n")
            archive.writestr(("folder/" if kind == 2 else "") + name, content)
        if kind == 6:
            outer = io.BytesIO()
            with zipfile.ZipFile(outer, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("inner.zip", out.getvalue())
            out = outer
        return ("zip: deflate", "zip: stored", "zip: folder", "", "", "", "zip: in zip")[kind], "application/zip", "files.zip", out.getvalue()
    if kind == 3:
        return "gzip", "application/gzip", name + ".gz", gzip.compress(content)
    with tarfile.open(fileobj=out, mode="w:gz" if kind != 4 else "w", format=rng.choice((tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    if kind == 4:
        return "tar", "application/x-tar", "files.tar", out.getvalue()
    if kind == 7:
        # Written through a pipe: sizes stand behind the data.
        stream = io.BytesIO()
        stream.seekable = lambda: False
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return "zip: streamed", "application/zip", "files.zip", stream.getvalue()
    return "tar.gz", "application/gzip", "files.tar.gz", out.getvalue()


OFFICE = [(make, media, name) for make, media, name, library in (
    (docx_file, OOXML + "wordprocessingml.document", "letter.docx", docx),
    (xlsx_file, OOXML + "spreadsheetml.sheet", "cards.xlsx", openpyxl),
    (pptx_file, OOXML + "presentationml.presentation", "deck.pptx", pptx),
    (odt_file, ODF + "text", "letter.odt", odf),
    (ods_file, ODF + "spreadsheet", "cards.ods", odf),
    (pdf_file, "application/pdf", "receipt.pdf", True),
) if library]

MISSING = [name for name, library in (("openpyxl", openpyxl), ("python-docx", docx), ("python-pptx", pptx), ("XlsxWriter", xlsxwriter), ("odfpy", odf), ("fpdf2", fpdf), ("reportlab", reportlab)) if not library]

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
