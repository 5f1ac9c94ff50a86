#!/usr/bin/env bash
# Published logs behind a real nginx with docs/nginx.conf: nginx.sh AFFIANT PUBLISHED LOG_KEY WITNESS_KEY BUNDLE TOOLS
# STATEMENTS_KEY. Headers are looked at, what is outside is asked for, and affiant, Go's sumdb (TOOLS/go_tlog) and Tessera's fsck
# (TOOLS/fsck) read the whole log through it; the last two where they were built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
affiant=$1 published=$2 log_key=$3 witness_key=$4 bundle=$5 tools=$6 statements_key=$7
. "$here/one_server.sh"
ln -s "$published" "$work/log"
sed "s/127.0.0.1:8460/127.0.0.1:$port/" "$(dirname "$(dirname "$here")")/docs/nginx.conf" >"$work/nginx.conf"
# The temporary folder is for its owner alone, so the workers stay that owner.
user=
[ "$(id -u)" -ne 0 ] || user='user root;'
nginx -p "$work" -c nginx.conf -g "daemon off; $user" >"$work/log.txt" 2>&1 &
pid=$!
until_answered "$work/checkpoint" -f "$url/checkpoint"
check nginx "it serves the checkpoint" cmp "$work/checkpoint" "$published/checkpoint"

headers() { curl -s -m 10 -o "$work/body" -D - "$@" | tr -d '\r'; }
# has NAME VALUE ARGUMENT...: the answer has this header, or with an empty value has it not.
has() {
    local value
    value=$(headers "${@:3}" | sed -n "s/^$1: //Ip")
    [ "$value" = "$2" ] || { echo "$1 is '$value'"; return 1; }
}
status() { # status EXPECTED ARGUMENT...
    local seen
    seen=$(curl -s -m 10 -o "$work/body" -w '%{http_code}' "${@:2}")
    [ "$seen" = "$1" ] || { echo "status $seen"; return 1; }
}
forever='public, max-age=31536000, immutable'
for path in checkpoint statements/checkpoint v1/ledger/policy; do
    check nginx "$path is text" has content-type 'text/plain; charset=utf-8' "$url/$path"
done
for path in checkpoint statements/checkpoint; do
    check nginx "$path is kept for a second" has cache-control 'public, max-age=1' "$url/$path"
done
for path in tile/0/000 tile/1/000.p/1 tile/entries/000 statements/tile/0/000.p/2 statements/tile/entries/000.p/2; do
    check nginx "$path is there" status 200 "$url/$path"
    check nginx "$path is bytes" has content-type application/octet-stream "$url/$path"
    check nginx "$path is kept for ever" has cache-control "$forever" "$url/$path"
    check nginx "$path is read from any origin" has access-control-allow-origin '*' "$url/$path"
done
check nginx "a tile has 8192 bytes" has content-length 8192 "$url/tile/0/000"
check nginx "entry bundles are gzipped" has content-encoding gzip -H 'Accept-Encoding: gzip' "$url/tile/entries/000"
check nginx "for whoever takes that" has content-encoding '' "$url/tile/entries/000"
check nginx "hashes are not" has content-encoding '' -H 'Accept-Encoding: gzip' "$url/tile/0/000"
etag=$(headers "$url/tile/0/000" | sed -n 's/^etag: //Ip')
check nginx "what is known is not sent again" status 304 -H "If-None-Match: $etag" "$url/tile/0/000"
check nginx "a range is sent" status 206 -r 32-63 "$url/tile/0/000"
check nginx "a HEAD is answered" status 200 -I "$url/tile/0/000"
for path in '' tile tile/ tile/0 tile/0/999 tile/0/000.p tile/0/000.p/ tile/00 tile/64 .new .new/lock statements statements/.new/lock statements/v1/ledger/policy \
    compatibility v1 v1/ledger nothing log nginx.conf tile/0/../../.new/lock ../nginx.conf ../../data/master.key %2e%2e/nginx.conf tile/entries/..%2f..%2f.new%2flock; do
    check nginx "/$path is not there" bash -c '[[ $(curl -s -m 10 -o "$1" -w "%{http_code}" --path-as-is "$2") =~ ^40[034]$ ]]' - "$work/body" "$url/$path"
done
check nginx "a tile that is not there is not cached" has cache-control no-store "$url/tile/0/999"
check nginx "nothing is written" status 405 -X POST -d x "$url/checkpoint"
check nginx "affiant audits it under the key" "$affiant" audit "$url" --key "$log_key"
check nginx "affiant audits it under its own word" "$affiant" audit "$url"
check nginx "affiant audits the statements under their key" "$affiant" audit "$url/statements" --key "$statements_key"
check nginx "affiant audits the folder" "$affiant" audit "$published" --key "$log_key"
if [ -x "$tools/go_tlog" ]; then
    check nginx "Go's sumdb reads it" "$tools/go_tlog" "$url" "$bundle" "$log_key" "$witness_key"
else
    echo "skipped: Go's sumdb through nginx: not built"
fi
if [ -x "$tools/fsck" ]; then
    echo "$log_key" >"$work/key"
    check nginx "Tessera's fsck reads it" timeout 60 "$tools/fsck" --storage_url "$url/" --public_key "$work/key" --ui=false
else
    echo "skipped: Tessera's fsck through nginx: not built"
fi
[ -z "$failed" ]
