"""Holds `affiant vcon sign, verify, encrypt, decrypt` against PyPI's jwcrypto, both ways: jose_cli_python.py AFFIANT"""

import itertools
import json
import sys

from jwcrypto import jwe, jwk, jws
from jwcrypto.common import JWException, base64url_encode, json_encode

from signers import SIGNING, UUID, VCON, Signers, flip

failed = 0


def check(what, right):
    global failed
    failed += not right
    print("ok" if right else "FAILED", f"jwcrypto: {what}")


signers = Signers(sys.argv[1])
public = {name: jwk.JWK.from_pem(signers.public_pem(name)) for name in signers.keys}
private = {name: jwk.JWK.from_pyca(key) for name, key in signers.keys.items()}


def verified(record, key, alg):
    """The payload under a key that signed any of it, or None."""
    token = jws.JWS()
    try:
        token.deserialize(record)
        token.allowed_algs = [alg]
        token.verify(key)
    except JWException:
        return None
    return token.payload


# What is signed here verifies there, with every option.
for key, options, alg in SIGNING:
    for more in [[], ["--gzip"], ["--x5u", "https://pki.example/chain.pem"]]:
        record = signers.signed(key, *options, *more)
        payload = verified(record, public[key], alg)
        zipped = "--gzip" in more
        check(f"{alg} {' '.join(more)} verifies", payload is not None and payload.startswith(b"\x1f\x8b") == zipped)
        altered = json.loads(record)
        altered["payload"] = flip(altered["payload"])
        check(f"{alg} {' '.join(more)} with an altered payload is refused", verified(json.dumps(altered), public[key], alg) is None)
signers.write("one.json", signers.signed("rsa"))
both = signers.signed("p256", "--add", document="one.json")
check("an added signature verifies beside the first", all(
    verified(json.dumps({**json.loads(both), "signatures": [one]}), public[key], alg) is not None
    for one, (key, alg) in zip(json.loads(both)["signatures"], [("rsa", "RS256"), ("p256", "ES256")])))
renewed = signers.signed("ed25519", "--renew", document="one.json")
check("a renewal has the whole record as its payload",
      verified(renewed, public["ed25519"], "EdDSA") == (signers.folder / "one.json").read_bytes())
check("the draft's dialect, which repeats alg, is refused as RFC 7515 wants",
      verified(signers.signed("rsa", "--dialect", "draft"), public["rsa"], "RS256") is None)

# What is signed there verifies here, with the key as PEM and as JWK.
for key, _, alg in SIGNING:
    token = jws.JWS(VCON.encode())
    token.add_signature(private[key], protected=json_encode({"alg": alg}), header=json_encode({"uuid": UUID}))
    flat = json.loads(token.serialize())
    record = {"payload": flat.pop("payload"), "signatures": [flat]}
    signers.write("foreign.json", json.dumps(record))
    signers.write("key.jwk", public[key].export_public())
    for file in [f"{key}.pub", "key.jwk"]:
        check(f"{alg} of its own verifies here with {file.split('.')[1]}", signers.run("verify", "foreign.json", "--key", file)[0] == 0)
    check(f"{alg} of its own without a key is indeterminate here", signers.run("verify", "foreign.json")[0] == 2)
    other = "p256" if key == "rsa" else "rsa"
    check(f"{alg} of its own fails here under another key", signers.run("verify", "foreign.json", "--key", f"{other}.pub")[0] == 1)
    record["payload"] = flip(record["payload"])
    signers.write("foreign.json", json.dumps(record))
    check(f"{alg} of its own, altered, fails here", signers.run("verify", "foreign.json", "--key", f"{key}.pub")[0] == 1)
token = jws.JWS(VCON.encode())
for key, _, alg in SIGNING[1:]:
    token.add_signature(private[key], protected=json_encode({"alg": alg}))
signers.write("foreign.json", token.serialize())
keys = [option for key, _, _ in SIGNING[1:] for option in ("--key", f"{key}.pub")]
check("several signatures of its own verify here", signers.run("verify", "foreign.json", *keys)[0] == 0)

# Encryption: every combination, both ways.
ALGORITHMS = [("rsa", "RSA-OAEP"), ("rsa", "RSA-OAEP-256"), ("p256", "ECDH-ES+A256KW"), ("p384", "ECDH-ES+A256KW")]
CONTENT = ["A256CBC-HS512", "A256GCM"]
signed = signers.signed("rsa")
signers.write("signed.json", signed)


def opened(document, key):
    token = jwe.JWE()
    try:
        token.deserialize(document)
        token.decrypt(key)
    except JWException:
        return None
    return token.payload


for (key, alg), enc in itertools.product(ALGORITHMS, CONTENT):
    what = f"{alg} ({key}) with {enc}"
    document = signers.made("encrypt", "signed.json", "--to", f"{key}.pem", "--key-algorithm", alg, "--content-algorithm", enc)
    check(f"{what} opens", opened(document, private[key]) == signed.encode())
    compact = json.loads(document)
    parts = [compact["protected"], compact["recipients"][0]["encrypted_key"], compact["iv"], compact["ciphertext"], compact["tag"]]
    check(f"{what} opens in compact serialization", opened(".".join(parts), private[key]) == signed.encode())
    compact["ciphertext"] = flip(compact["ciphertext"])
    check(f"{what}, altered, does not open", opened(json.dumps(compact), private[key]) is None)

    for more in [{}, {"aad": base64url_encode("more")}]:
        token = jwe.JWE(signed.encode(), protected=json_encode({"enc": enc}), aad=more.get("aad"),
                        unprotected=json_encode({"cty": "application/vcon", "uuid": UUID}))
        token.add_recipient(public[key], header=json_encode({"alg": alg}))
        signers.write("foreign.json", token.serialize())
        check(f"{what} of its own {' '.join(more)} opens here",
              signers.run("decrypt", "foreign.json", "--key", f"{key}.key") == (0, signed.encode()))
    foreign = json.loads(token.serialize())
    for member in ["ciphertext", "tag", "iv", "encrypted_key", "aad"]:
        signers.write("foreign.json", json.dumps({**foreign, member: flip(foreign[member])}))
        check(f"{what} of its own with an altered {member} does not open here",
              signers.run("decrypt", "foreign.json", "--key", f"{key}.key") == (3, b""))

document = signers.made("encrypt", "signed.json", "--to", "rsa.pem", "--dialect", "draft")
check("encrypted in the draft's dialect, which repeats alg and enc, is refused as RFC 7516 wants", opened(document, private["rsa"]) is None)

several = [("rsa", "RSA-OAEP"), ("p256", "ECDH-ES+A256KW"), ("p384", "ECDH-ES+A256KW")]
for enc in CONTENT:
    to = [option for key, _ in several for option in ("--to", f"{key}.pub")]
    document = signers.made("encrypt", "signed.json", *to, "--content-algorithm", enc)
    token = jwe.JWE(signed.encode(), protected=json_encode({"enc": enc}))
    for key, alg in several:
        token.add_recipient(public[key], header=json_encode({"alg": alg}))
    signers.write("foreign.json", token.serialize())
    for key, _ in several:
        check(f"for several with {enc}: {key} opens it", opened(document, private[key]) == signed.encode())
        check(f"for several with {enc}, its own: {key} opens it here",
              signers.run("decrypt", "foreign.json", "--key", f"{key}.key") == (0, signed.encode()))
sys.exit(1 if failed else 0)
