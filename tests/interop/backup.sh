#!/usr/bin/env bash
# Backups in a bucket of a real S3 server: backup.sh AFFIANT VERSITYGW CONFIG LOG_KEY, in the folder of the configuration.
# versitygw (Go, Apache-2.0) keeps objects as files, so what a backup left, and what a disk did to it, can be looked at.
set -euo pipefail
affiant=$1 gateway=$2 config=$3 log_key=$4
failed=
check() { # check WHAT COMMAND...
    if "${@:2}" >"$work/said" 2>&1; then echo "ok versitygw: $1"; else echo "FAILED versitygw: $1: $(tail -n 2 "$work/said" | tr '\n' ' ')"; failed=yes; fi
}
work=$(mktemp -d)
pid=
stop() {
    [ -z "$pid" ] || kill "$pid" 2>&- || true
    [ -z "$pid" ] || wait "$pid" 2>&- || true
    rm -rf "$work"
}
trap stop EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export AWS_ACCESS_KEY_ID=backups AWS_SECRET_ACCESS_KEY=only-for-this-test AWS_REGION=us-east-1
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_ALLOW_HTTP=true
mkdir -p "$work/objects/backups"
# Where the file system has no extended attributes, they are kept beside.
mkdir "$work/attributes"
"$gateway" --port "127.0.0.1:$port" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" --quiet \
    posix --sidecar "$work/attributes" "$work/objects" >"$work/gateway.log" 2>&1 &
pid=$!
for _ in $(seq 100); do curl -s -m 5 -o "$work/body" "$AWS_ENDPOINT_URL/" && break; sleep 0.1; done

ends() { # ends CODE COMMAND...
    local code=0
    "${@:2}" || code=$?
    [ "$code" -eq "$1" ] || { echo "ended with $code"; return 1; }
}
data=s3://backups/calls/data keys=s3://backups/keys
judge=("$affiant" backup check "$data" --log-key "$log_key")
check "there is none before" ends 2 "${judge[@]}"
check "it takes a backup" "$affiant" backup "$data" --config "$config" --with-keys "$keys"
check "it is right" "${judge[@]}"
check "it takes the next" "$affiant" backup "$data" --config "$config" --with-keys "$keys"
check "that is right" "${judge[@]}" --max-age 1
check "the manifest is an object" test -s "$work/objects/backups/calls/data/manifest"
check "it is restored and audited" "$affiant" restore "$data" "$work/restored" --keys "$keys" --log-key "$log_key" --verify
for piece in "$work/objects/backups/calls/data/pieces"/*; do break; done
printf 'x' | dd of="$piece" conv=notrunc bs=1 status=none
check "a byte that its disk changed is found" ends 1 "${judge[@]}"
check "and not restored" ends 1 "$affiant" restore "$data" "$work/damaged" --log-key "$log_key"
rm "$piece"
check "what is missing is found" ends 1 "${judge[@]}" --quick
check "and written again" "$affiant" backup "$data" --config "$config"
check "so that all is right" "${judge[@]}"
export AWS_SECRET_ACCESS_KEY=another
check "who has another secret is not let in" ends 3 "${judge[@]}"
[ -z "$failed" ]
