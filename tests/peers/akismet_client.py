"""The akismet package of PyPI, unchanged but for the host: prints one JSON object with what it was answered.

Usage: akismet_client.py http://127.0.0.1:8080 KEY
"""
import json
import sys
from urllib.parse import urlsplit

import akismet
import httpx

base, key = urlsplit(sys.argv[1]), sys.argv[2]


class OtherHost(httpx.HTTPTransport):
    """Sends every request to our host instead of the one that the package names."""

    def handle_request(self, request):
        request.url = request.url.copy_with(scheme=base.scheme, host=base.hostname, port=base.port)
        request.headers["host"] = base.netloc
        return super().handle_request(request)


config = akismet.Config(key=key, url="https://help.example/")
client = akismet.SyncClient(config=config, http_client=httpx.Client(transport=OtherHost(), timeout=30))
good = {
    "comment_content": "How do I change the address on my invoice? The old office is still on it.",
    "comment_author": "Ann Archer",
    "comment_author_email": "ann@archer.example",
}
answers = {
    "verify": client.verify_key(key),
    "wrong_key": client.verify_key("wxtwrong", "https://help.example/"),
    "good": client.comment_check("192.0.2.10", **good).name,
    "test": client.comment_check("192.0.2.11", comment_content="x", comment_author="akismet-guaranteed-spam").name,
    "spam": client.submit_spam("192.0.2.10", **good),
    "ham": client.submit_ham("192.0.2.12", comment_content="Thank you, that solved it for us.", comment_author="Bo"),
    "limit": client.usage_limit()["limit"],
}
print(json.dumps(answers))
