#!/usr/bin/env bash
# Backups in a bucket of a real S3 server: backup.sh AFFIANT VERSITYGW CONFIG LOG_KEY, in the folder of the configuration.
# versitygw (Go, Apache-2.0) keeps objects as files, so what a backup left, and what a disk did to it, can be looked at.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
affiant=$1 gateway=$2 config=$3 log_key=$4
. "$here/one_server.sh"
export AWS_ACCESS_KEY_ID=backups AWS_SECRET_ACCESS_KEY=only-for-this-test AWS_REGION=us-east-1
export AWS_ENDPOINT_URL=$url AWS_ALLOW_HTTP=true
mkdir -p "$work/objects/backups"
# Where the file system has no extended attributes, they are kept beside.
mkdir "$work/attributes"
"$gateway" --port "127.0.0.1:$port" --access "$AWS_ACCESS_KEY_ID" --secret "$AWS_SECRET_ACCESS_KEY" --quiet \
    posix --sidecar "$work/attributes" "$work/objects" >"$work/gateway.log" 2>&1 &
pid=$!
until_answered "$work/body" "$url/"

ends() { # ends CODE COMMAND...
    local code=0
    "${@:2}" || code=$?
    [ "$code" -eq "$1" ] || { echo "ended with $code"; return 1; }
}
data=s3://backups/calls/data keys=s3://backups/keys
judge=("$affiant" backup check "$data" --log-key "$log_key")
check versitygw "there is none before" ends 2 "${judge[@]}"
check versitygw "it takes a backup" "$affiant" backup "$data" --config "$config" --with-keys "$keys"
check versitygw "it is right" "${judge[@]}"
check versitygw "it takes the next" "$affiant" backup "$data" --config "$config" --with-keys "$keys"
check versitygw "that is right" "${judge[@]}" --max-age 1
check versitygw "the manifest is an object" test -s "$work/objects/backups/calls/data/manifest"
check versitygw "it is restored and audited" "$affiant" restore "$data" "$work/restored" --keys "$keys" --log-key "$log_key" --verify
for piece in "$work/objects/backups/calls/data/pieces"/*; do break; done
printf 'x' | dd of="$piece" conv=notrunc bs=1 status=none
check versitygw "a byte that its disk changed is found" ends 1 "${judge[@]}"
check versitygw "and not restored" ends 1 "$affiant" restore "$data" "$work/damaged" --log-key "$log_key"
rm "$piece"
check versitygw "what is missing is found" ends 1 "${judge[@]}" --quick
check versitygw "and written again" "$affiant" backup "$data" --config "$config"
check versitygw "so that all is right" "${judge[@]}"
export AWS_SECRET_ACCESS_KEY=another
check versitygw "who has another secret is not let in" ends 3 "${judge[@]}"
[ -z "$failed" ]
