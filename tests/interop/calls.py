"""Writes the calls that run issues into a folder: calls.ndjson, case/text and case/recording."""

import base64
import hashlib
import json
import pathlib
import random
import sys

CALLS = 300  # more than one tile is wide
LINES = [
    "This is Dana from Example. This call is being recorded.",
    "Hello Dana. Grüße aus Köln: “ça va”, 1e2 / 0.10 \\ 你好.",
    "Is there anything else I can do?",
    "No, thanks.",
]


def call(number, recording=None):
    dialog = [
        {"type": "text", "start": f"2026-07-01T12:00:{3 * turn:02}Z", "parties": turn % 2, "mediatype": "text/plain",
         "encoding": "none", "body": body}
        for turn, body in enumerate(LINES)
    ]
    if recording is not None:
        digest = base64.urlsafe_b64encode(hashlib.sha512(recording).digest()).rstrip(b"=").decode()
        dialog.append({"type": "recording", "start": "2026-07-01T12:00:00Z", "duration": 15, "parties": [0, 1],
                       "mediatype": "audio/x-wav", "url": "https://recordings.example/1.wav",
                       "content_hash": f"sha512-{digest}"})
    return json.dumps({"vcon": "0.4.0", "uuid": f"019f15a6-{number:04x}-826f-b9a2-279e0d16bc46",
                       "created_at": "2026-07-01T12:00:00Z", "parties": [{"name": "Dana", "role": "agent"}, {"name": "Robin"}],
                       "dialog": dialog, "analysis": [], "attachments": []}, ensure_ascii=False, separators=(",", ":"))


work = pathlib.Path(sys.argv[1])
(work / "calls.ndjson").write_text("".join(call(number) + "\n" for number in range(CALLS)))
recording = random.Random(1).randbytes(64 << 10)
for number, name in enumerate(["text", "recording"]):
    case = work / "case" / name
    case.mkdir(parents=True)
    (case / "call.json").write_text(call(CALLS + number, recording if name == "recording" else None))
(work / "case/recording/recording.wav").write_bytes(recording)
