"""Verifies records of the draft dialect with PyPI's python-vcon: python_vcon.py CASE..."""

import json
import logging
import os
import pathlib
import sys
import time

# It holds local time against the certificates' universal time.
os.environ["TZ"] = "UTC"
time.tzset()
logging.disable(logging.CRITICAL)

import vcon

failed = 0


def check(what, right):
    global failed
    failed += not right
    print("ok" if right else "FAILED", f"python-vcon: {what}")


def refusal(record, root):
    """Why it refuses a record; empty when it does not."""
    try:
        read = vcon.Vcon()
        read.loads(json.dumps(record))
        read.verify([root])
        return ""
    except Exception as error:  # noqa: BLE001 - it has no one error for this
        return f"{type(error).__name__}: {error}"


def flip(text):
    """Another character in the middle of a base64url text: other bits, the same form."""
    middle = len(text) // 2
    return text[:middle] + ("B" if text[middle] == "A" else "A") + text[middle + 1 :]


for case in map(pathlib.Path, sys.argv[1:]):
    text = (case / "draft.vcon.json").read_text()
    root = str(case / "root.pem")
    why = refusal(json.loads(text), root)
    check(f"{case.name}/draft.vcon.json verifies up to the root {why}".strip(), not why)
    for member in ["payload", "signature"]:
        altered = json.loads(text)
        at = altered if member == "payload" else altered["signatures"][0]
        at[member] = flip(at[member])
        why = refusal(altered, root)
        check(f"{case.name}/draft.vcon.json with an altered {member} is refused: {why}", why.startswith("JWSError"))
    why = refusal(json.loads(text), str(case / "TSA.pem"))
    check(f"{case.name}/draft.vcon.json is refused under another root: {why}", why.startswith("InvalidSignature"))
    why = refusal(json.loads((case / "record.vcon.json").read_text()), root)
    check(f"{case.name}/record.vcon.json, without alg beside x5c, is not read: {why}", why.startswith("KeyError"))
sys.exit(1 if failed else 0)
