#!/usr/bin/env bash
# The log of statements, with statements and receipts of scitt-cose: statements.sh AFFIANT PYTHON. A server trusts an
# authority that openssl makes, whose signer has a key on P-256.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
affiant=$1 python=$(realpath -s "$2")
. "$here/one_server.sh"
our_place "$root" "$affiant"
. "$here/signer_of_statements.sh"
"$affiant" token create --role admin --json >token.json
AFFIANT_TOKEN=$(grep -o 'aff_[A-Za-z0-9_-]*' token.json)
export AFFIANT_TOKEN
"$affiant" serve --print-config | sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^enabled = false/enabled = true/
    s/^policy = \"\"/policy = \"trust.toml\"/" >affiant.toml
key=$("$affiant" serve --config affiant.toml --print-key | tail -n 1)
"$affiant" serve --config affiant.toml >serve.log 2>&1 &
pid=$!
until_answered ready.txt -f "$url/readyz"
"$python" "$here/statements.py" "$url" leaf.key leaf.pem
"$affiant" audit "$url/statements" --key "$key" >audit.txt && grep -q 'statement.registered' audit.txt &&
    echo "ok scitt-cose: the log of statements is right" || echo "FAILED scitt-cose: audit: $(tail -n 1 audit.txt)"
