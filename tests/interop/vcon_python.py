"""Verifies records with PyPI's vcon library, and has ours judge one that it signs: vcon_python.py AFFIANT CASE..."""

import base64
import datetime
import json
import logging
import pathlib
import subprocess
import sys
import tempfile

from cryptography import x509
from vcon import Vcon
from vcon.dialog import Dialog
from vcon.party import Party

logging.disable(logging.CRITICAL)
failed = 0


def check(what, right):
    global failed
    failed += not right
    print("ok" if right else "FAILED", f"vcon: {what}")


def verifies(record, key):
    try:
        return Vcon.build_from_json(json.dumps(record)).verify(key)
    except Exception:  # noqa: BLE001 - the library has no error of its own
        return False


def flip(text):
    """Another character in the middle of a base64url text: other bits, the same form."""
    middle = len(text) // 2
    return text[:middle] + ("B" if text[middle] == "A" else "A") + text[middle + 1 :]


for case in map(pathlib.Path, sys.argv[2:]):
    for name in ["record.vcon.json", "draft.vcon.json"]:
        text = (case / name).read_text()
        certificate = base64.b64decode(json.loads(text)["signatures"][0]["header"]["x5c"][0])
        key = x509.load_der_x509_certificate(certificate).public_key()
        check(f"{case.name}/{name} verifies", verifies(json.loads(text), key))
        for member in ["payload", "signature"]:
            altered = json.loads(text)
            at = altered if member == "payload" else altered["signatures"][0]
            at[member] = flip(at[member])
            check(f"{case.name}/{name} with an altered {member} is refused", not verifies(altered, key))

private, public = Vcon.generate_key_pair()
foreign = Vcon.build_new()
foreign.add_party(Party(name="Dana", role="agent"))
now = datetime.datetime.now(datetime.timezone.utc)
foreign.add_dialog(Dialog(type="text", start=now, parties=[0], mediatype="text/plain", body="Hello.", encoding="none"))
foreign.sign(private)
check("its own signature verifies there", foreign.verify(public))
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "foreign.vcon.json"
    path.write_text(foreign.to_json())
    ours = subprocess.run([sys.argv[1], "verify", path, "--json"], capture_output=True, text=True, timeout=60)
    verdict = json.loads(ours.stdout)["verdict"] if ours.stdout else {}
    check("a record that it signed, without a certificate, is INDETERMINATE (NO_SIGNING_CERTIFICATE_FOUND) here",
          ours.returncode == 2 and verdict["sub_indication"] == "NO_SIGNING_CERTIFICATE_FOUND")
sys.exit(1 if failed else 0)
