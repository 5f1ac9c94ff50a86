"""Verifies records with PyPI's jwcrypto and authlib: jose_python.py CASE..."""

import base64
import copy
import hashlib
import json
import pathlib
import sys
import warnings

warnings.simplefilter("ignore")  # authlib says that its JOSE part will move to another package

from authlib.jose import JsonWebSignature
from authlib.jose.errors import JoseError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto import jwk, jws
from jwcrypto.common import JWException

failed = 0


def check(what, right):
    global failed
    failed += not right
    print("ok" if right else "FAILED", what)


def with_jwcrypto(record, pem):
    token = jws.JWS()
    try:
        token.deserialize(json.dumps(record))
        token.allowed_algs = ["RS256"]
        token.verify(jwk.JWK.from_pem(pem))
    except JWException:
        return None
    return token.payload, token.jose_header


def with_authlib(record, pem):
    try:
        verified = JsonWebSignature(["RS256"]).deserialize_json(record, pem)
    except (JoseError, ValueError):
        return None
    return verified["payload"], verified["header"]


def flip(text):
    """Another character in the middle of a base64url text: other bits, the same form."""
    middle = len(text) // 2
    return text[:middle] + ("B" if text[middle] == "A" else "A") + text[middle + 1 :]


for case in map(pathlib.Path, sys.argv[1:]):
    for name in ["record.vcon.json", "draft.vcon.json"]:
        record = json.loads((case / name).read_text())
        signature = record["signatures"][0]
        der = base64.b64decode(signature["header"]["x5c"][0])
        key = x509.load_der_x509_certificate(der).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        payload = base64.urlsafe_b64decode(record["payload"] + "==")
        protected = json.loads(base64.urlsafe_b64decode(signature["protected"] + "=="))
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        what = f"{case.name}/{name}"
        check(f"python: {what} protects alg and the x5t#S256 of x5c[0]",
              protected["alg"] == "RS256" and protected["x5t#S256"] == thumbprint)
        for library, verify in [("jwcrypto", with_jwcrypto), ("authlib", with_authlib)]:
            verified = verify(copy.deepcopy(record), pem)
            if (library, name) == ("jwcrypto", "draft.vcon.json"):
                check(f"{library}: {what}, which repeats alg, is refused as RFC 7515 wants", verified is None)
                continue
            check(f"{library}: {what} verifies", verified is not None and verified[0] == payload)
            for member in ["payload", "signature", "protected"]:
                altered = copy.deepcopy(record)
                at = altered if member == "payload" else altered["signatures"][0]
                at[member] = flip(at[member])
                try:
                    refused = verify(altered, pem) is None
                except UnicodeDecodeError:  # an altered header need not be JSON
                    refused = member == "protected"
                check(f"{library}: {what} with an altered {member} is refused", refused)
sys.exit(1 if failed else 0)
