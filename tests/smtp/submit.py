"""Submits mail with Python's smtplib to a gateway that a test has started.

Usage: submit.py PORT MODE USER SECRET, MODE one of starttls, implicit, plain, scram.
Prints the final replies, one a line; leaves with a traceback if anything is refused.
"""

import base64
import smtplib
import socket
import ssl
import sys


def context():
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return unverified


def connect(port, mode):
    if mode == "implicit":
        return smtplib.SMTP_SSL("127.0.0.1", port, timeout=20, context=context())
    client = smtplib.SMTP("127.0.0.1", port, timeout=20)
    if mode == "starttls":
        client.starttls(context=context())
    return client


def scram(client, user, secret):
    try:
        import scramp
    except ImportError:
        print("skipped: no scramp")
        sys.exit(0)
    exchange = scramp.ScramClient(["SCRAM-SHA-256"], user, secret)
    first = base64.b64encode(exchange.get_client_first().encode()).decode()
    code, text = client.docmd("AUTH", "SCRAM-SHA-256 " + first)
    assert code == 334, (code, text)
    exchange.set_server_first(base64.b64decode(text).decode())
    code, text = client.docmd(base64.b64encode(exchange.get_client_final().encode()).decode())
    assert code == 334, (code, text)
    exchange.set_server_final(base64.b64decode(text).decode())
    code, text = client.docmd("")
    assert code == 235, (code, text)


def main():
    port, mode, user, secret = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    client = connect(port, mode)
    client.ehlo("python.example")
    if mode == "scram":
        scram(client, user, secret)
    else:
        client.login(user, secret)
    for body in ("one", ".dot\r\n..two dots", "x" * 5000):
        client.mail("a@b.example", ["BODY=8BITMIME", "SIZE=6000"])
        code, text = client.rcpt("c@d.example", ["NOTIFY=NEVER"])
        assert code == 250, (code, text)
        code, text = client.data(("Subject: from smtplib\r\n\r\n" + body + "\r\n").encode())
        assert code == 250, (code, text)
        print(code, text.decode())
    client.quit()


main()
