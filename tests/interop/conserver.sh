#!/usr/bin/env bash
# A conserver's own scitt link registers in the compatibility log and verifies the receipts: conserver.sh AFFIANT PYTHON LINKS.
# LINKS is the folder of links in a checkout of the conserver; PYTHON has what the link imports.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
affiant=$1 python=$(realpath -s "$2") links=$(realpath "$3")
. "$here/one_server.sh"
our_place "$root" "$affiant"
openssl ecparam -name prime256v1 -genkey -noout -out conserver.key
openssl ec -in conserver.key -pubout -out conserver.pem >openssl.log 2>&1
openssl ecparam -name prime256v1 -genkey -noout -out stranger.key
"$affiant" serve --print-config | sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^enabled = false/enabled = true/
    s/^compatibility_keys = \"\"/compatibility_keys = \"conserver.pem\"/" >affiant.toml
"$affiant" serve --config affiant.toml >serve.log 2>&1 &
pid=$!
until_answered ready.txt -f "$url/readyz"
"$python" "$here/conserver.py" "$links" "$url/compatibility" conserver.key
if "$python" "$here/conserver.py" "$links" "$url/compatibility" stranger.key >said.txt 2>&1; then
    echo "FAILED conserver: a key that is not named here is taken"
else
    echo "ok conserver: a key that is not named here is refused"
fi
