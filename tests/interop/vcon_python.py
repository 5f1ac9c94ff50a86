"""Holds records and `affiant vcon` against PyPI's vcon library, both ways: vcon_python.py AFFIANT CASE..."""

import base64
import datetime
import json
import logging
import pathlib
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from vcon import Vcon
from vcon.dialog import Dialog
from vcon.party import Party

from signers import SIGNING, Signers, flip

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

# What affiant vcon signs: it looks at the first signature and asks for the key.
signers = Signers(sys.argv[1])
options = [[], ["--gzip"], ["--dialect", "draft"], ["--x5u", "https://pki.example/chain.pem"]]
for key, algorithm, alg in SIGNING:
    for more in options:
        record = json.loads(signers.signed(key, *algorithm, *more))
        what = f"{alg} {' '.join(more)} of affiant vcon sign"
        check(f"{what} verifies", verifies(record, signers.public_pem(key)))
        record["payload"] = flip(record["payload"])
        check(f"{what}, altered, is refused", not verifies(record, signers.public_pem(key)))
signers.write("one.json", signers.signed("rsa"))
check("a record with a signature added verifies", verifies(json.loads(signers.signed("p256", "--add", document="one.json")), signers.public_pem("rsa")))
check("a renewed record verifies", verifies(json.loads(signers.signed("rsa", "--renew", document="one.json")), signers.public_pem("rsa")))

# What it signs has clear members beside the payload and no certificate: the key has to be given.
signers.write("foreign.json", foreign.to_json())
pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
signers.write("foreign.pub", pem)
code, said = signers.run("verify", "foreign.json", "--key", "foreign.pub")
check("a record that it signed verifies here with its key", code == 0 and b"not signed, and not looked at: " in said)
check("and is indeterminate without", signers.run("verify", "foreign.json")[0] == 2)
check("and fails with another", signers.run("verify", "foreign.json", "--key", "rsa.pub")[0] == 1)
altered = json.loads(foreign.to_json())
altered["payload"] = flip(altered["payload"])
signers.write("altered.json", json.dumps(altered))
check("and fails when it is altered", signers.run("verify", "altered.json", "--key", "foreign.pub")[0] == 1)
sys.exit(1 if failed else 0)
