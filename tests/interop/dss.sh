#!/usr/bin/env bash
# EU DSS judges records in the form of JAdES: dss.sh AFFIANT CLASSES, where CLASSES has what dss/ builds, and its libraries in lib/.
#
# A server whose log asks for timestamps of signatures issues a record, its own witness makes the timestamps, and every
# level that the server gives out is of that level to DSS, and holds; with one bit of the signature, of a token or of
# what an archive timestamp is over turned it is refused.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
affiant=$1 classes=$(realpath "$2")
pids=()
work=$(mktemp -d)
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>&- || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>&- || true; done
    rm -rf "$work"
}
trap stop EXIT
die() {
    echo "FAILED dss: $1"
    tail -n 4 "$work"/*.log | cut -c 1-300 >&2
    exit 1
}
until_it() { # until_it SECONDS COMMAND...
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$end" ] || die "waited too long for: ${*:2}"
        sleep 0.2
    done
}
cd "$work"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
export AFFIANT_PASSPHRASE='correct horse battery staple' AFFIANT_WITNESS_PASSPHRASE='another pass phrase'
mkdir policies
cp -r "$root/policies/scorecards" policies/
"$affiant" certs init --organisation 'Example Ltd' --base-url "$url" --root-key ./root-key.pem >certs.log
"$affiant" certs add-issuer 'Example Calls' --json >issuer.json
"$affiant" token create --role issuer --issuer "$(grep -o 'iss_[0-9a-f]*' issuer.json | head -n 1)" --json >token.json
token=$(grep -o 'aff_[A-Za-z0-9_-]*' token.json)
"$affiant" serve --print-config |
    sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^signature_timestamps = false/signature_timestamps = true/; s/^timestamp_interval_ms = .*/timestamp_interval_ms = 0/" >affiant.toml
"$affiant" witness init --dir witness --name witness.example/one \
    --log "$("$affiant" log-key --config affiant.toml | head -n 1)" >witness-init.log
"$affiant" witness serve --dir witness >witness.log 2>&1 &
pids+=($!)
until_it 30 grep -qs '^listening on ' witness.log
witness_url=$(sed -n 's/^listening on \([^ ]*\) as .*/\1/p' witness.log)
cat >>affiant.toml <<TOML
[[witnessing.timestamp_authority]]
url = "$witness_url/tsa"
anchors_file = "$work/witness/tsa-root.pem"
crl_urls = ["$witness_url/tsa/root.crl"]
TOML
"$affiant" serve --config affiant.toml >serve.log 2>&1 &
pids+=($!)
until_it 60 curl -sf -m 5 -o ready.txt "$url/readyz"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/calls.py" "$work"
get() { curl -sf -m 60 -H "Authorization: Bearer $token" -o "$1" "$url$2"; }
curl -sf -m 60 -H "Authorization: Bearer $token" --data-binary @case/text/call.json -o receipt.json "$url/v1/records" ||
    die "issuing"
record=$(grep -o '"record":"/v1/records/[^"]*"' receipt.json | cut -d '"' -f 4)
get stored.json "$record"
until_it 60 get lt.json "$record?dialect=jades&level=lt"
for level in b t lta; do get "$level.json" "$record?dialect=jades&level=$level" || die "there is no level $level"; done
cp lta.json kept.json
get highest.json "$record?dialect=jades"

# Nothing signed is other than in the stored record; and what a bit makes of it.
python3 - <<'PYTHON' || die "something signed has changed"
import base64
import json


def signed(name):
    record = json.load(open(name))
    return record["payload"], [(one["protected"], one["signature"]) for one in record["signatures"]]


def flipped(text, position, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"):
    return text[:position] + alphabet[alphabet.index(text[position]) ^ 1] + text[position + 1:]


for level in ["b", "t", "lt", "lta"]:
    assert signed(f"{level}.json") == signed("stored.json"), level
    record = json.load(open(f"{level}.json"))
    assert all(list(one["header"]) == ["etsiU"] for one in record["signatures"]), level
    record["signatures"][0]["signature"] = flipped(record["signatures"][0]["signature"], 100)
    json.dump(record, open(f"{level}-signature.json", "w"))
assert open("highest.json").read() == open("lta.json").read(), "the archived form is kept"


def altered(level, kind, change):
    record = json.load(open(f"{level}.json"))
    elements = record["signatures"][0]["header"]["etsiU"]
    decoded = [json.loads(base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))) for one in elements]
    position = next(position for position, one in enumerate(decoded) if kind in one)
    change(decoded[position][kind])
    text = json.dumps(decoded[position]).encode()
    elements[position] = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    return record


def flip_token(container):
    token = bytearray(base64.b64decode(container["tstTokens"][0]["val"]))
    token[-1] ^= 1
    container["tstTokens"][0]["val"] = base64.b64encode(token).decode()


json.dump(altered("t", "sigTst", flip_token), open("t-token.json", "w"))
json.dump(altered("lta", "arcTst", flip_token), open("lta-token.json", "w"))
# A large list is left out where there is a response.
json.dump(altered("lt", "rVals", lambda values: values.pop("crlVals")), open("lt-responses.json", "w"))
# Another white space in what the archive timestamp is over.
json.dump(altered("lta", "rVals", lambda values: None), open("lta-covered.json", "w"))
PYTHON

get root.pem.txt /v1/certificates/root.pem || curl -sf -m 30 -o root.pem.txt "$url/v1/certificates/root.pem"
mv root.pem.txt root.pem
cp witness/tsa-root.pem tsa.pem
for name in root issuing-1; do curl -sf -m 30 -o "$name.crl" "$url/crls/$name.crl"; done
curl -sf -m 30 -o tsa.crl "$witness_url/tsa/root.crl"
validate() { java -cp "$classes:$classes/lib/*" Validate root.pem tsa.pem "$@" 2>java.log; }
failed=
says() { # says FILE WHAT EXPECTED: all that is said of the file, on one line
    local said
    said=$(awk -v name="$1" '/^[^ ]/ { of = ($1 == name) } of { printf "%s;", $0 }' said.txt)
    if grep -Eq "^$1 $3" <<<"$said"; then
        echo "ok dss: $2"
    else
        echo "FAILED dss: $2: ${said:0:400}"
        failed=yes
    fi
}
# LT and LTA need nothing else; for B and T, the lists of today.
validate lt.json lta.json lt-responses.json lt-signature.json lta-signature.json lta-token.json lta-covered.json >said.txt
validate root.crl issuing-1.crl tsa.crl b.json t.json b-signature.json t-signature.json t-token.json >>said.txt
for level in b t lt lta; do
    case $level in
    b) stamps= ;;
    lta) stamps='  timestamp: PASSED;  timestamp: PASSED;' ;;
    *) stamps='  timestamp: PASSED;' ;;
    esac
    # No word more: neither a warning nor an error.
    says "$level.json" "a record is JAdES-BASELINE-${level^^}, and holds" "JAdES-BASELINE-${level^^} TOTAL_PASSED null;$stamps\$"
    says "$level-signature.json" "level $level with a bit of the signature turned is refused" '[^ ]* TOTAL_FAILED '
done
says lt-responses.json "level lt with OCSP responses alone holds" "JAdES-BASELINE-LT TOTAL_PASSED null;  timestamp: PASSED;\$"
says t-token.json "a timestamp with a bit turned dates nothing" '.*  timestamp: (FAILED|INDETERMINATE);'
says lta-token.json "an archive timestamp with a bit turned dates nothing" '.*  timestamp: (FAILED|INDETERMINATE);'
says lta-covered.json "nor does one over other characters" '.*  timestamp: (FAILED|INDETERMINATE);'
[ -z "$failed" ]
