"""Verifies the ledger part of an evidence bundle: verify.py BUNDLE LOG_KEY [WITNESS_KEY...]

Written from docs/FORMATS.md and what it cites (RFC 6962, RFC 8785, RFC 9162; C2SP signed-note, tlog-checkpoint,
tlog-cosignature, tlog-proof) without a look at the code of the server. BUNDLE is the unpacked folder. The log and every
witness named has to have signed.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DIGEST = re.compile(r"sha256-[A-Za-z0-9_-]{43}")
RECORD = {"issuer", "seq", "record", "signer", "of"}
# The members of each kind, and those of them that may be absent.
KINDS = {
    "ledger.opened": ({"origin", "keys", "predecessor"}, set()),
    "ledger.closed": ({"successor"}, set()),
    **dict.fromkeys(("vcon.issued", "vcon.anchored", "statement.registered"), (RECORD, {"signer", "of"})),
    "vcon.renewed": (RECORD, {"signer"}),
    "vcon.erased": ({"of"}, set()),
    "vcon.event": ({"of", "operation"}, set()),
    "certificate.issued": ({"certificate", "issuer"}, {"issuer"}),
    "certificate.revoked": ({"certificate", "reason", "revoked_at"}, set()),
    "crl.published": ({"authority", "crl", "number", "this_update"}, set()),
    "scorecard.activated": ({"scorecard"}, set()),
    "trust.changed": ({"policy"}, set()),
}


class Wrong(Exception):
    """Why the evidence does not hold."""


def need(what, right):
    if not right:
        raise Wrong(what)


def decode(text, what):
    """base64, exactly as an encoder writes it: with its padding, without stray bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong(f"{what} is not base64") from None
    need(f"{what} is not canonical base64", base64.b64encode(data).decode() == text)
    return data


def members_once(pairs):
    need("a member stands twice", len(dict(pairs)) == len(pairs))
    return dict(pairs)


def load(data, what):
    try:
        return json.loads(data.decode(), object_pairs_hook=members_once)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise Wrong(f"{what} is not JSON") from None


def check_integers(value):
    right = abs(value) < 2**53 if isinstance(value, int) else not isinstance(value, float)
    need("a number is not an integer below 2^53", right)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        check_integers(inner)


def open_entry(data):
    """A ledger entry that is in canonical form and has exactly the members of its kind."""
    need("the entry is too long, or not ASCII", len(data) <= 4096 and data.isascii())
    entry = load(data, "the entry")
    need("the entry is no object", isinstance(entry, dict))
    check_integers(entry)
    # For ASCII text and integers, RFC 8785 is this.
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    need("the entry is not canonical", canonical.encode() == data)
    need("the entry is of no known kind", isinstance(entry.get("kind"), str) and entry["kind"] in KINDS)
    members, optional = KINDS[entry["kind"]]
    seen = set(entry) - {"v", "index", "prev", "time", "kind"}
    need("the entry has other members than its kind", members - optional <= seen <= members)
    need("the entry is not of version 1", entry.get("v") == 1)
    need("the entry has no index", isinstance(entry.get("index"), int) and entry["index"] >= 0)
    need("the entry has no prev", isinstance(entry.get("prev"), str) and DIGEST.fullmatch(entry["prev"]))
    need("the entry has no time", isinstance(entry.get("time"), str)
         and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"]))
    return entry


def record_digest(data):
    """SHA-256 of the sorted compact forms of the outermost signatures."""
    record = load(data, "the record")
    need("the record is no JWS", isinstance(record, dict) and isinstance(record.get("payload"), str)
         and isinstance(record.get("signatures"), list) and record["signatures"])
    compact = []
    for signature in record["signatures"]:
        need("a signature is no object", isinstance(signature, dict) and isinstance(signature.get("signature"), str))
        compact.append(f"{signature.get('protected', '')}.{record['payload']}.{signature['signature']}".encode())
    digest = hashlib.sha256(b"\n".join(sorted(compact))).digest()
    return "sha256-" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def parse_key(text):
    """A verifier key: name+hash+base64(type, public key). Type 1 is a log's, type 4 a witness's."""
    name, digest, encoded = text.split("+", 2)
    material = decode(encoded, "the verifier key")
    need("the verifier key is not of Ed25519", material[0] in (1, 4) and len(material) == 33)
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    need("the verifier key has another key id", key_id.hex() == digest)
    return name, key_id, material[0], Ed25519PublicKey.from_public_bytes(material[1:])


def check_note(note, keys):
    """Checks that every key signed the note, and gives its text."""
    text, separator, signatures = note.rpartition("\n\n")
    need("the note has no signatures", separator and signatures.endswith("\n"))
    text += "\n"
    signed = set()
    for line in signatures[:-1].split("\n"):
        mark, _, rest = line.partition(" ")
        name, space, encoded = rest.partition(" ")
        need("a signature line is malformed", mark == "\u2014" and name and space)
        data = decode(encoded, "a signature")
        need("a signature is too short", len(data) > 4)
        for position, (known, key_id, kind, key) in enumerate(keys):
            if (known, key_id) != (name, data[:4]):
                continue
            message, signature = text.encode(), data[4:]
            if kind == 4:
                seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
                message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
            try:
                key.verify(signature, message)
            except InvalidSignature:
                raise Wrong(f"the signature of {name} is wrong") from None
            signed.add(position)
    need("somebody has not signed", len(signed) == len(keys))
    return text


def root_of(leaf, index, hashes, size):
    """RFC 9162 section 2.1.3.2."""
    need("the index is not in the tree", index < size)
    fn, sn, r = index, size - 1, leaf
    for p in hashes:
        need("the proof is too long", sn > 0)
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    need("the proof is too short", sn == 0)
    return r


def verify(record, entry_bytes, proof, keys):
    """Checks that the record's entry is in the log of the first key; raises Wrong."""
    entry = open_entry(entry_bytes)
    need("the entry names another record", entry.get("record") == record_digest(record))
    try:
        head, _, note = proof.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Wrong("the proof is not UTF-8") from None
    header, *lines = head.split("\n")
    need("the proof has another header", header == "c2sp.org/tlog-proof@v1")
    if lines and lines[0].startswith("extra "):
        decode(lines.pop(0)[6:], "the extra data")
    need("the proof is of another entry", lines and lines.pop(0) == f"index {entry['index']}")
    hashes = [decode(line, "a hash") for line in lines]
    need("a hash is not of 32 bytes", all(len(each) == 32 for each in hashes))
    text = check_note(note, keys)
    checkpoint = text.split("\n")
    need("the checkpoint has too few lines", len(checkpoint) >= 4)
    need("the checkpoint is of another log", checkpoint[0] == keys[0][0])
    need("the tree size is no decimal number", re.fullmatch(r"0|[1-9][0-9]{0,18}", checkpoint[1]))
    size, root = int(checkpoint[1]), decode(checkpoint[2], "the root")
    leaf = hashlib.sha256(b"\x00" + entry_bytes).digest()
    need("the proof leads to another root", root_of(leaf, entry["index"], hashes, size) == root)
    return entry, size


if __name__ == "__main__":
    bundle = pathlib.Path(sys.argv[1])
    files = [(bundle / name).read_bytes() for name in ("record.vcon.json", "entry.json", "record.tlog-proof")]
    try:
        entry, size = verify(*files, [parse_key(text) for text in sys.argv[2:]])
        need("checkpoint.txt is another checkpoint", (bundle / "checkpoint.txt").read_bytes() in files[2])
    except Wrong as wrong:
        print(f"FAILED verify.py: {wrong}")
        sys.exit(1)
    print(f"ok verify.py: {entry['kind']} is entry {entry['index']} of {size}, signed by {len(sys.argv) - 2} keys")
