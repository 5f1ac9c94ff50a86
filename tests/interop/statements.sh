#!/usr/bin/env bash
# The log of statements, with statements and receipts of scitt-cose: statements.sh AFFIANT PYTHON. A server trusts an
# authority that openssl makes, whose signer has a key on P-256.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
affiant=$1 python=$(realpath -s "$2")
work=$(mktemp -d)
pid=
stop() {
    [ -z "$pid" ] || kill "$pid" 2>&- || true
    [ -z "$pid" ] || wait "$pid" 2>&- || true
    rm -rf "$work"
}
trap stop EXIT
cd "$work"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
export AFFIANT_PASSPHRASE='correct horse battery staple'
mkdir -p policies
cp -r "$root/policies/scorecards" policies/
. "$here/signer_of_statements.sh"
"$affiant" certs init --organisation 'Example Ltd' --base-url "$url" --root-key ./root-key.pem >certs.log
"$affiant" token create --role admin --json >token.json
AFFIANT_TOKEN=$(grep -o 'aff_[A-Za-z0-9_-]*' token.json)
export AFFIANT_TOKEN
"$affiant" serve --print-config | sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^enabled = false/enabled = true/
    s/^policy = \"\"/policy = \"trust.toml\"/" >affiant.toml
key=$("$affiant" serve --config affiant.toml --print-key | tail -n 1)
"$affiant" serve --config affiant.toml >serve.log 2>&1 &
pid=$!
for _ in $(seq 100); do curl -sf -m 5 -o ready.txt "$url/readyz" && break; sleep 0.1; done
"$python" "$here/statements.py" "$url" leaf.key leaf.pem
"$affiant" audit "$url/statements" --key "$key" >audit.txt && grep -q 'statement.registered' audit.txt &&
    echo "ok scitt-cose: the log of statements is right" || echo "FAILED scitt-cose: audit: $(tail -n 1 audit.txt)"
