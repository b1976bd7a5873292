"""Sends one message with Python's smtplib: PORT MODE CA USER SECRET FROM TO FILE, MODE starttls, implicit or clear."""

import smtplib
import ssl
import sys

port, mode, authority, user, secret, sender, recipient, path = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
message = open(path, "rb").read()
if mode == "implicit":
    server = smtplib.SMTP_SSL("localhost", int(port), context=context)
else:
    server = smtplib.SMTP("localhost", int(port))
with server:
    if mode == "starttls":
        server.starttls(context=context)
    server.login(user, secret)
    options = ["SMTPUTF8", "BODY=8BITMIME"] if not (sender + recipient).isascii() else ["BODY=8BITMIME"]
    refused = server.sendmail(sender, recipient.split(","), message, mail_options=options)
    print(refused)
