"""Reads a delivery status notification with the standard library and prints what it sees as JSON."""
import email
import email.policy
import json
import sys

message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = message.get_payload()
groups = [dict(group.items()) for group in parts[1].get_payload()]
returned = parts[2] if len(parts) > 2 else None
if returned is None:
    shown = ""
elif returned.get_content_type() == "message/rfc822":
    shown = returned.get_payload()[0].as_string()
elif returned.is_multipart():
    shown = returned.get_payload()[0].as_string()
else:
    shown = returned.get_payload()
defects = [str(defect) for part in message.walk() for defect in part.defects
           if not part.get_content_type().startswith("message/global")]
print(json.dumps({
    "types": [part.get_content_type() for part in parts],
    "report_type": message.get_param("report-type"),
    "auto_submitted": message["Auto-Submitted"],
    "groups": [{name: " ".join(str(value).split()) for name, value in group.items()} for group in groups if group],
    "text": parts[0].get_content(),
    "returned": shown,
    "defects": defects,
}))
