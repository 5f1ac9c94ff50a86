"""Statements that scitt-cose signs, registered, and their receipts, which it verifies: statements.py URL KEY CERTIFICATE."""

import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scitt_cose import attach_receipts, extract_receipts, parse_signed_statement, sign_sign1, verify_receipt

url, key_file, certificate_file = sys.argv[1:]
key = open(key_file, "rb").read()
certificate = x509.load_pem_x509_certificate(open(certificate_file, "rb").read())
chain = certificate.public_bytes(serialization.Encoding.DER)


def ask(method, path, body=None, headers=None):
    request = urllib.request.Request(url + path, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def check(what, right):
    print(f"ok scitt-cose: {what}" if right else f"FAILED scitt-cose: {what}")


def statement(payload, subject="vcon://0190a000-0000-8000-8000-000000000001", certificates=chain):
    protected = {3: "application/vcon+json", 15: {1: "https://issuer.example", 2: subject}}
    if certificates:
        protected[33] = certificates
    return sign_sign1(payload, alg="ES256", private_key_pem=key, protected=protected, unprotected={})


def register(message):
    return ask("POST", "/entries", message, {"Content-Type": "application/cose"})


def digest(message):
    """What the log knows a statement by: without its unprotected header, with the lower s, in deterministic encoding."""
    protected, _, payload, signature = cbor2.loads(message).value
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    s = int.from_bytes(signature[32:], "big")
    signature = signature[:32] + min(s, order - s).to_bytes(32, "big")
    bare = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]), canonical=True)
    return hashlib.sha256(bare).digest()


# The service's key, from where it publishes it.
status, headers, body = ask("GET", "/.well-known/scitt-keys")
[published] = cbor2.loads(body)
x, y = (int.from_bytes(published[label], "big") for label in (-2, -3))
service = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
service = service.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
thumbprint = hashlib.sha256(cbor2.dumps({1: 2, -1: 1, -2: published[-2], -3: published[-3]}, canonical=True)).digest()
check("the key's name is its thumbprint", headers["Content-Type"] == "application/cbor" and published[2] == thumbprint)
status, headers, body = ask("GET", "/.well-known/transparency-configuration")
check("the configuration is a map with an issuer", status == 200 and cbor2.loads(body)["issuer"] == url)

for n in range(300):
    status, headers, receipt = register(statement(b"statement %d" % n))
    if status == 429:
        check("a signer that is too fast is told to come again", headers["Retry-After"] == "1")
        break
first = statement(b"the first")
while True:
    status, headers, receipt = register(first)
    if status != 429:
        break
check("a statement is registered", status == 201 and headers["Content-Type"] == "application/cose")
location = headers["Location"]
status, headers, fresh = ask("GET", location.removeprefix(url))
check("its receipt is there again", status == 200)
for name, one in (("the answer", receipt), ("a fresh one", fresh)):
    protected, unprotected, payload, _ = cbor2.loads(one).value
    entry = unprotected["affiant-entry"]
    result = verify_receipt(one, leaf_entry_hex=entry.hex(), log_public_key_pem=service)
    check(f"the receipt verifies: {name}", result.ok and result.issuer == url and result.subject.startswith("vcon://"))
    names = cbor2.loads(protected)
    check(f"it has the labels of RFC 9942: {name}", set(names) == {1, 4, 15, 395} and names[4] == thumbprint and payload is None)
    other = entry[:-2] + b"0}"
    check(f"it proves no other leaf: {name}", not verify_receipt(one, leaf_entry_hex=other.hex(), log_public_key_pem=service).ok)
record = "sha256-" + urlsafe_b64encode(digest(first)).decode().rstrip("=")
check("the leaf holds the statement's digest", json.loads(entry)["record"] == record and location.endswith(record))
check("and nothing of what it says", b"vcon://" not in entry and b"issuer.example" not in entry)
transparent = attach_receipts(first, [fresh])
check("a transparent statement holds it", extract_receipts(transparent) == [fresh])
again = register(transparent)
check("which is the same statement", again[0] == 201 and again[1]["Location"] == location)
parsed = parse_signed_statement(transparent, public_key_pem=certificate.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
check("and is still signed by its issuer", parsed is not None)

bad = bytearray(first)
bad[-1] ^= 1
for what, message in (
    ("a wrong signature", bytes(bad)),
    ("a telephone number", statement(b"x", subject="tel:+12025550123")),
    ("a mail address", statement(b"x", subject="mailto:robin@example.com")),
    ("no certificate", statement(b"x", certificates=None)),
    ("no CBOR", b"{}"),
):
    status, headers, body = register(message)
    problem = cbor2.loads(body) if "concise-problem-details" in headers["Content-Type"] else {}
    check(f"{what} is refused in concise problem details", status == 400 and set(problem) == {-1, -2})

token = {"Authorization": "Bearer " + os.environ["AFFIANT_TOKEN"]}
check("it is erased", ask("DELETE", location.removeprefix(url), headers=token)[0] == 204)
check("and is gone", ask("GET", location.removeprefix(url))[0] == 410)
check("what was handed out still proves it", verify_receipt(fresh, leaf_entry_hex=entry.hex(), log_public_key_pem=service).ok)
