#!/usr/bin/env bash
# A conserver's own scitt link registers in the compatibility log and verifies the receipts: conserver.sh AFFIANT PYTHON LINKS.
# LINKS is the folder of links in a checkout of the conserver; PYTHON has what the link imports.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
affiant=$1 python=$(realpath -s "$2") links=$(realpath "$3")
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
openssl ecparam -name prime256v1 -genkey -noout -out conserver.key
openssl ec -in conserver.key -pubout -out conserver.pem >openssl.log 2>&1
openssl ecparam -name prime256v1 -genkey -noout -out stranger.key
"$affiant" certs init --organisation 'Example Ltd' --base-url "$url" --root-key ./root-key.pem >certs.log
"$affiant" serve --print-config | sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^enabled = false/enabled = true/
    s/^compatibility_keys = \"\"/compatibility_keys = \"conserver.pem\"/" >affiant.toml
"$affiant" serve --config affiant.toml >serve.log 2>&1 &
pid=$!
for _ in $(seq 100); do curl -sf -m 5 -o ready.txt "$url/readyz" && break; sleep 0.1; done
"$python" "$here/conserver.py" "$links" "$url/compatibility" conserver.key
if "$python" "$here/conserver.py" "$links" "$url/compatibility" stranger.key >said.txt 2>&1; then
    echo "FAILED conserver: a key that is not named here is taken"
else
    echo "ok conserver: a key that is not named here is refused"
fi
