"""Content, both ways with PyPI's vcon library: tags, lawful bases and transcripts; captions as webvtt-py and srt read them.

vcon_content.py AFFIANT
"""

import base64
import datetime
import hashlib
import html
import json
import logging
import pathlib
import subprocess
import sys
import tempfile

import srt
import webvtt
from vcon import Vcon
from vcon.dialog import Dialog
from vcon.party import Party

logging.disable(logging.CRITICAL)
failed = 0


def check(what, right):
    global failed
    failed += not right
    print("ok" if right else "FAILED", f"vcon content: {what}")


def affiant(*arguments, document):
    ours = subprocess.run([sys.argv[1], "vcon", *arguments], input=document, capture_output=True, text=True, timeout=60)
    if ours.stderr:
        print(ours.stderr, file=sys.stderr)
    return ours.stdout


def listed(*arguments, document):
    return json.loads(affiant(*arguments, "--json", document=document) or "null")


def new():
    vcon = Vcon.build_new()
    vcon.add_party(Party(name="Ann", role="agent"))
    vcon.add_party(Party(name="Bob"))
    now = datetime.datetime.now(datetime.timezone.utc)
    vcon.add_dialog(Dialog(type="text", start=now, parties=[0, 1], mediatype="text/plain", body="Hi.", encoding="none"))
    return vcon


# What it writes, read here.
theirs = new()
theirs.add_tag("topic", "billing")
theirs.add_tag("seen", "12:30")
granted = [
    {"purpose": "recording", "granted": True, "granted_at": "2025-01-01T00:00:00Z"},
    {"purpose": "training", "granted": False, "granted_at": "2025-01-01T00:00:00+00:00", "conditions": ["never"]},
]
theirs.add_lawful_basis_attachment("consent", "2099-01-01T00:00:00Z", granted, party_index=1)
segments = [
    {"id": 0, "start": 0.5, "end": 2.25, "text": "Hello <Bob> & all --> you", "confidence": 0.95, "speaker": 0},
    {"id": 1, "start": 3600, "end": 3601.5, "text": "Grüße, Ann.", "confidence": 0.9, "speaker": 1},
]
transcript = {"text": "Hello. Hi.", "language": "en", "duration": 3601.5, "confidence": 0.95}
metadata = {"created_at": "2025-01-01T00:00:00Z", "processed_at": "2025-01-01T00:00:01Z", "provider": "p", "model": "m"}
theirs.add_wtf_transcription_attachment(transcript, segments, metadata, dialog_index=0)
theirs.add_wtf_transcription_analysis(transcript, segments, metadata, dialog_index=0)
document = theirs.to_json()

tags = [{"key": "topic", "value": "billing"}, {"key": "seen", "value": "12:30"}]
check("its tags are read here", listed("tag", "list", document=document) == tags)
older = json.loads(document)
for attachment in older["attachments"]:
    if attachment.get("purpose") == "tags":
        attachment["type"], attachment["body"] = attachment.pop("purpose"), json.dumps(attachment["body"])
check("its tags as it once wrote them are read here", listed("tag", "list", document=json.dumps(older)) == tags)


def permission(document, purpose, *arguments):
    said = listed("lawful-basis", "check", "--purpose", purpose, "--at", "2026-01-01T00:00:00Z", *arguments, document=document)
    return said and said["permission"]


answers = [permission(document, purpose) for purpose in ["recording", "training", "sale"]]
check("its lawful basis is read here", answers == ["granted", "denied", "not recorded"])
check("its party is read here", permission(document, "recording", "--party", "0") == "not recorded")
both = [listed("transcript", "show", "--number", number, document=document) for number in ["0", "1"]]
check("its transcripts are read here, from the analysis and from the attachment",
      all(body and body["segments"] == segments for body in both))

# What is written here, read there.
ours = new().to_json()
ours = affiant("tag", "add", "--tag", "topic:billing", "--tag", "b:2", document=ours)
ours = affiant("lawful-basis", "add", "--basis", "contract", "--grant", "recording", "--deny", "training",
               "--expires", "2099-01-01T00:00:00Z", "--party", "1", document=ours)
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    json.dump({"transcript": transcript, "segments": segments, "metadata": metadata}, file)
    file.flush()
    ours = affiant("transcript", "add", "--body", file.name, document=ours)
read = Vcon.build_from_json(ours)
check("tags are read there", (read.get_tag("topic"), read.get_tag("b")) == ("billing", "2"))
check("a lawful basis is read there", len(read.find_lawful_basis_attachments(1)) == 1)
permissions = [read.check_lawful_basis_permission(purpose) for purpose in ["recording", "training", "sale"]]
check("its permissions are the same there", permissions == [True, False, False])
check("extensions are listed", read.get_extensions() == ["lawful_basis", "wtf_transcription"])
found = read.find_analysis_by_type("wtf_transcription")
check("a transcript is read there", found and found["body"]["segments"] == segments)
results = read.validate_extensions()
check("its validation of the extensions finds no error",
      all(results[name]["is_valid"] for name in ["lawful_basis", "wtf_transcription"]))
add = Vcon.build_from_json(affiant("tag", "add", "--tag", "c:3", document=document))
check("a tag that is added to its tags is read there", (add.get_tag("topic"), add.get_tag("c")) == ("billing", "3"))

# Content that it made inline is unpacked and packed again; the hash is hashlib's.
recording = bytes(range(256)) * 4096
theirs = new()
body = base64.urlsafe_b64encode(recording).decode()
theirs.add_dialog(Dialog(type="recording", start=theirs.created_at, parties=[0, 1], mediatype="audio/wav",
                         filename="call.wav", body=body, encoding="base64url"))
document = theirs.to_json()
content_hash = "sha512-" + base64.urlsafe_b64encode(hashlib.sha512(recording).digest()).decode().rstrip("=")
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "call.wav"
    unpacked = affiant("unpack", "--dir", folder, "--url-prefix", "https://x.example/", document=document)
    check("its inline recording is unpacked", path.read_bytes() == recording)
    dialog = json.loads(unpacked)["dialog"][1]
    check("the hash in its place is that of hashlib", (dialog["url"], dialog["content_hash"]) ==
          ("https://x.example/call.wav", content_hash))
    check("the library takes the dialog for an external one", Vcon.build_from_json(unpacked).dialog[1]["url"] == dialog["url"])
    packed = affiant("pack", "--from", folder, document=unpacked)
    check("packed again it is the recording", base64.urlsafe_b64decode(json.loads(packed)["dialog"][1]["body"] + "==") == recording)
    path.write_bytes(recording[1:])
    check("packed with another file it is refused", affiant("pack", "--from", folder, document=unpacked) == "")
    printed = listed("fingerprint", str(path), document="")
    check("a fingerprint is that of hashlib", printed[0]["content_hash"] == "sha512-"
          + base64.urlsafe_b64encode(hashlib.sha512(recording[1:]).digest()).decode().rstrip("="))

# Captions, as others read them.
names, texts = ["Ann", "Bob"], [segment["text"] for segment in segments]
cues = list(webvtt.from_string(affiant("transcript", "vtt", document=ours)))
check("webvtt-py reads the cues", [cue.start for cue in cues] == ["00:00:00.500", "01:00:00.000"]
      and [cue.end for cue in cues] == ["00:00:02.250", "01:00:01.500"])
check("webvtt-py reads the voices, and what they say", [cue.voice for cue in cues] == names
      and [html.unescape(cue.text) for cue in cues] == texts)
cues = list(srt.parse(affiant("transcript", "srt", document=ours)))
check("srt reads the captions", [cue.content for cue in cues] == [f"{name}: {text}" for name, text in zip(names, texts)]
      and [cue.start.total_seconds() for cue in cues] == [segment["start"] for segment in segments]
      and [cue.end.total_seconds() for cue in cues] == [segment["end"] for segment in segments])
sys.exit(1 if failed else 0)
