"""Holds records and `affiant vcon` against PyPI's python-vcon, both ways: python_vcon.py AFFIANT CASE..."""

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

from signers import VCON, Signers, flip

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


for case in map(pathlib.Path, sys.argv[2:]):
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

# What affiant vcon signs: RS256 in the draft's dialect is what it reads; of several signatures one is enough for it.
signers = Signers(sys.argv[1])
root = signers.path("root-rsa.pem")
signed = signers.signed("rsa", "--dialect", "draft")
check(f"a record of affiant vcon sign verifies {refusal(json.loads(signed), root)}".strip(), not refusal(json.loads(signed), root))
signers.write("signed.json", signed)
both = json.loads(signers.signed("p256", "--dialect", "draft", "--add", document="signed.json"))
check(f"and with a signature added {refusal(both, root)}".strip(), not refusal(both, root))
for options in [["--algorithm", "PS256"], ["--gzip"], ["--x5u", "https://pki.example/chain.pem"]]:
    why = refusal(json.loads(signers.signed("rsa", "--dialect", "draft", *options)), root)
    check(f"{' '.join(options)} is not read: {why}"[:120], why)

# What it signs: x5c with the root and alg in both headers.
foreign = vcon.Vcon()
foreign.loads(VCON.replace('"vcon":"0.4.0"', '"vcon":"0.0.2"'))
foreign.sign(signers.path("rsa.key"), [signers.path(f"{name}.pem") for name in ["rsa", "between", "root-rsa"]])
record = foreign.dumps()
signers.write("foreign.json", record)
check("a record that it signed verifies here under its certificate", signers.run("verify", "foreign.json")[0] == 2)
for key in ["rsa.pub", "rsa.pem"]:
    check(f"and passes with {key}", signers.run("verify", "foreign.json", "--key", key)[0] == 0)
altered = json.loads(record)
altered["payload"] = flip(altered["payload"])
signers.write("altered.json", json.dumps(altered))
check("and fails when it is altered", signers.run("verify", "altered.json", "--key", "rsa.pub")[0] == 1)

# Encryption: it opens what can be written in compact serialization, RSA-OAEP alone.
foreign.encrypt(signers.path("rsa.pem"))
encrypted = foreign.dumps()
signers.write("foreign.json", encrypted)
code, opened = signers.run("decrypt", "foreign.json", "--key", "rsa.key")
check("what it encrypted opens here", code == 0 and json.loads(opened) == json.loads(record))
for name in ["ciphertext", "tag", "iv", "protected"]:
    altered = json.loads(encrypted)
    altered[name] = flip(altered[name])
    signers.write("altered.json", json.dumps(altered))
    check(f"what it encrypted, with an altered {name}, does not open here",
          signers.run("decrypt", "altered.json", "--key", "rsa.key") == (3, b""))


def opened_there(document):
    read = vcon.Vcon()
    read.loads(document)
    try:
        read.decrypt(signers.path("rsa.key"), signers.path("rsa.pem"))
        inside = read._jws_dict  # noqa: SLF001 - it gives no uuid of a syntax newer than its own
        read.verify([root])
        return inside == json.loads(signed)
    except Exception:  # noqa: BLE001 - it has no one error for this
        return False


for algorithm in ["RSA-OAEP", "RSA-OAEP-256"]:
    for content in ["A256CBC-HS512", "A256GCM"]:
        options = ["--to", "rsa.pem", "--key-algorithm", algorithm, "--content-algorithm", content]
        document = signers.made("encrypt", "signed.json", *options)
        check(f"{algorithm} with {content} of affiant vcon encrypt opens and verifies", opened_there(document))
        altered = json.loads(document)
        altered["ciphertext"] = flip(altered["ciphertext"])
        check(f"{algorithm} with {content}, altered, does not open", not opened_there(json.dumps(altered)))
document = signers.made("encrypt", "signed.json", "--to", "rsa.pem", "--dialect", "draft")
check("encrypted in the draft's dialect opens and verifies", opened_there(document))
sys.exit(1 if failed else 0)
