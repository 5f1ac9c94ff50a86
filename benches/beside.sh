#!/usr/bin/env bash
# Others beside ours: benches/beside.sh, on one machine, in one run, one after the other, the load on the same cores.
#
# Appends in process: Tessera's POSIX log (in three settings) and our ledger through the batch door (cargo bench --bench
# size), 4000 under way at a time, entries of some 300 bytes, counted from the 12,500th on. Statements over HTTP: a running
# scittles and our log of statements, with the same statements, signed before, by the same client. Tiles over HTTP: nginx
# with docs/nginx.conf and our server, with the same tiles, by the same client. The last lines say what each does for that.
#
# AFFIANT_BENCH_ROUNDS is how often each is measured, in turn with the other (default 3): the best of each is told, since
# what else the machine does only ever takes away. AFFIANT_BENCH_SECONDS is how long over HTTP (default 3, after 2 that are
# not measured), AFFIANT_BENCH_ENTRIES how many entries are appended (default 200,000), AFFIANT_BENCH_DIR the folder that
# logs are kept in meanwhile (default: the temporary one; it should be on a disk). scittles comes from no registry: whoever
# runs one on this machine, with an empty database, names its address in AFFIANT_SCITTLES. Needs curl, openssl, python3,
# pgrep and Go 1.25, and nginx for the tiles; says what it skips. Uses the command in AFFIANT_BIN, or builds it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
exec </dev/null
rounds=${AFFIANT_BENCH_ROUNDS:-3} seconds=${AFFIANT_BENCH_SECONDS:-3} entries=${AFFIANT_BENCH_ENTRIES:-200000}
first=12500 tiles=64
work=$(mktemp -d -p "$(realpath "${AFFIANT_BENCH_DIR:-${TMPDIR:-/tmp}}")")
pids=()
# Called at the end, however it comes.
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>&- || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>&- || true; done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM
# Every connection is an open file, at both ends.
ulimit -n "$(ulimit -Hn)"

die() {
    echo "FAILED beside: $1" >&2
    for log in "$work"/*.log; do [ -e "$log" ] && tail -n 3 "$log" | cut -c 1-400 >&2; done
    exit 1
}
skip() { echo "skipped: $1"; }
# until_it SECONDS COMMAND...: waits for it, not for ever.
until_it() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || die "waited too long for: $*"
        sleep 0.2
    done
}
heading() { printf '\n%-58s %10s %10s %8s\n' "$1" ours theirs ratio; }
row() { # row WHAT OURS THEIRS
    printf '  %-56s %10s %10s %8s\n' "$1" "$2" "$3" "$(awk -v ours="$2" -v theirs="$3" 'BEGIN { printf "%.2f", ours / theirs }')"
}
# What was measured is kept in files, a line a round, and told by a column of theirs.
most() { sort -n -k "$2,$2" "$1" | tail -n 1 | cut -d ' ' -f "$2"; }
least() { sort -n -k "$2,$2" "$1" | head -n 1 | cut -d ' ' -f "$2"; }
# rate: entries a second behind the first point, from lines SIZE SECONDS.
rate() { sort -n | awk 'NR == 1 { size = $1; time = $2 } END { printf "%.0f\n", ($1 - size) / ($2 - time) }'; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

[ "$entries" -gt "$first" ] || die "AFFIANT_BENCH_ENTRIES has to be more than $first"
if ! command -v go >"$work/which"; then
    skip "everything: no Go toolchain"
    exit 0
fi
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
if ! (cd "$here/beside" && timeout 600 go build -o "$work/beside" .) >"$work/go.txt" 2>&1; then
    skip "everything: Tessera and the load do not build: $(tail -n 1 "$work/go.txt")"
    exit 0
fi
(cd "$root" && cargo bench --quiet --locked --bench size --no-run) >"$work/build.log" 2>&1 || die "the build"
if [ -z "${AFFIANT_BIN:-}" ]; then
    (cd "$root" && cargo build --quiet --locked --profile dist) >"$work/build.log" 2>&1 || die "the build"
    AFFIANT_BIN=${CARGO_TARGET_DIR:-$root/target}/dist/affiant
fi
affiant=$(realpath "$AFFIANT_BIN")
cd "$work"
version=$(sed -n 's|.*transparency-dev/tessera \(v[0-9.]*\).*|\1|p' "$here/beside/go.mod")
echo "$(nproc) cores, $(df --output=fstype . | tail -n 1), $(date -u +%F); Tessera $version, $(go env GOVERSION)"

# Appends. The limit of memory is what Tessera's own word on its POSIX log asks for where it has an index on the disk.
tessera() { # tessera BATCH memory|disk
    GOMEMLIMIT=2GiB ./beside tessera "$work/tessera" "$entries" "$1" "$2" 2>tessera.log | rate || die "Tessera"
    rm -rf "$work/tessera"
}
batch_door() {
    (cd "$root" && env -u AFFIANT_BENCH_PLOT AFFIANT_BENCH_ENTRIES="$entries" AFFIANT_BENCH_DIR="$work/ours" \
        cargo bench --quiet --locked --bench size) 2>size.log |
        awk 'NF == 4 && $1 + 0 > 0 { time += $3 * ($1 - size) / 1e6; size = $1; print size, time }' | rate || die "our append"
    rm -rf "$work/ours"
}
for _ in $(seq "$rounds"); do
    tessera 256 disk >>tessera-256-disk
    tessera 4000 disk >>tessera-4000-disk
    tessera 4000 memory >>tessera-4000-memory
    batch_door >>batch-door
done
heading "appends a second, in process, to $entries entries"
row "Tessera: batches of 256, its index of repeats" "$(most batch-door 1)" "$(most tessera-256-disk 1)"
row "Tessera: batches of 4000, its index of repeats" "$(most batch-door 1)" "$(most tessera-4000-disk 1)"
row "Tessera: batches of 4000, repeats known in memory alone" "$(most batch-door 1)" "$(most tessera-4000-memory 1)"

# A server that trusts a signer of statements, lets it register as fast as it can, and publishes its log.
port=$(free_port)
url=http://127.0.0.1:$port
export AFFIANT_PASSPHRASE='correct horse battery staple'
mkdir -p policies
cp -r "$root/policies/scorecards" policies/
. "$root/tests/interop/signer_of_statements.sh"
"$affiant" certs init --organisation 'Example Ltd' --base-url "$url" --root-key ./root-key.pem >certs.log
"$affiant" certs add-issuer 'Example Calls' --json >issuer.json
issuer=$(grep -o 'iss_[0-9a-f]*' issuer.json | head -n 1)
"$affiant" token create --role issuer --issuer "$issuer" --json >token.json
AFFIANT_TOKEN=$(grep -o 'aff_[A-Za-z0-9_-]*' token.json)
export AFFIANT_TOKEN
"$affiant" serve --print-config | sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^enabled = false/enabled = true/
    s/^policy = \"\"/policy = \"trust.toml\"/; s/^rate_per_signer = .*/rate_per_signer = 1000000/
    s/^public_requests_concurrent_max = .*/public_requests_concurrent_max = 4096/" >affiant.toml
"$affiant" serve --config affiant.toml --publish "$work/published" >serve.log 2>&1 &
server=$!
pids+=("$server")
until_it 60 curl -sf -m 5 -o ready.txt "$url/readyz"

# Statements. None is registered twice, so there are more than can be sent: ours answers a connection every 40 ms.
if [ -z "${AFFIANT_SCITTLES:-}" ]; then
    skip "statements: AFFIANT_SCITTLES does not name the address of a running scittles"
elif ! curl -sf -m 10 -o ready.txt "$AFFIANT_SCITTLES/.well-known/transparency-configuration"; then
    skip "statements: no scittles at $AFFIANT_SCITTLES"
else
    heading "statements over HTTP, until the receipt is here"
    for connections in 1 64 1000; do
        theirs=scittles-$connections ours=statements-$connections
        for _ in $(seq "$rounds"); do
            ./beside statements leaf.key leaf.pem $(((2000 + 20 * connections) * (seconds + 2))) statements
            ./beside register "$AFFIANT_SCITTLES" statements "$connections" "$seconds" >>"$theirs" || die "scittles"
            ./beside register "$url" statements "$connections" "$seconds" >>"$ours" || die "our log of statements"
        done
        row "scittles, $connections at a time: a second" "$(most "$ours" 1)" "$(most "$theirs" 1)"
        row "scittles, $connections at a time: ms, the median (less is better)" "$(least "$ours" 2)" "$(least "$theirs" 2)"
    done
fi

# Tiles. The calls are as short as calls can be: it is the log that is read.
if ! command -v nginx >which; then
    skip "tiles: no nginx"
else
    seq $((tiles * 256)) | awk '{ printf "{\"vcon\":\"0.4.0\",\"uuid\":\"019f15a6-0000-826f-b9a2-%012x\",\"created_at\":\"%s\"," \
        "\"parties\":[{\"name\":\"Dana\",\"role\":\"agent\"},{\"name\":\"Robin\"}],\"dialog\":[{\"type\":\"text\",\"start\":\"%s\",\"parties\":0," \
        "\"mediatype\":\"text/plain\",\"encoding\":\"none\",\"body\":\"This call is being recorded.\"}],\"analysis\":[]}\n", $1, when, when }' \
        when=2026-07-01T12:00:00Z >calls.ndjson
    timeout 600 "$affiant" issue-batch calls.ndjson --server "$url" --out results.ndjson >batch.log 2>&1 || die "the batch"
    until_it 30 [ -e "published/tile/0/$(printf %03d $((tiles - 1)))" ]
    ln -s "$work/published" log
    theirs_port=$(free_port)
    sed "s/127.0.0.1:8460/127.0.0.1:$theirs_port/" "$root/docs/nginx.conf" >nginx.conf
    # The temporary folder is for its owner alone, so the workers stay that owner.
    user=
    [ "$(id -u)" -ne 0 ] || user='user root;'
    nginx -p "$work" -c nginx.conf -g "daemon off; $user" >nginx.log 2>&1 &
    nginx=$!
    pids+=("$nginx")
    theirs_url=http://127.0.0.1:$theirs_port
    until_it 20 curl -sf -m 5 -o checkpoint "$theirs_url/checkpoint"
    workers=$(pgrep -d , -P "$nginx")
    for _ in $(seq "$rounds"); do
        ./beside read "$theirs_url" "$tiles" 64 "$seconds" "$workers" >>tiles-nginx || die "nginx"
        ./beside read "$url" "$tiles" 64 "$seconds" "$server" >>tiles-ours || die "our tiles"
    done
    [ "$(cut -d ' ' -f 5 tiles-nginx tiles-ours | sort -u | wc -l)" -eq 1 ] || die "nginx and our server sent other tiles"
    heading "full hash tiles over HTTP, 64 connections kept open"
    row "nginx $(nginx -v 2>&1 | sed 's|.*/||'): tiles a second" "$(most tiles-ours 1)" "$(most tiles-nginx 1)"
    row "nginx: us of the server's cores a tile (less is better)" "$(least tiles-ours 4)" "$(least tiles-nginx 4)"
    row "nginx: ms, 99 of 100 (less is better)" "$(least tiles-ours 3)" "$(least tiles-nginx 3)"
fi

cat <<'NOTES'

What each does for that:
  our append      seals a body, writes and syncs the vault and the journal, writes the tiles, then answers; entries are
                  chained, a repeat is found for certain; a signed checkpoint every 50 ms
  Tessera's       writes and syncs entries, tiles and the size of the tree, then answers; no body; a repeat is found in a
                  memory of 262,144 and in an index that follows the log; a signed checkpoint every 100 ms, its least
  our statement   signature and path to an anchor verified, a sealed body, and a receipt under a signed checkpoint, which
                  may be 40 ms away; the receipt is verified before it is sent
  scittles'       decoded, its signature not verified; one at a time, each synced by SQLite; a receipt at once
  our tile        looks whether a checkpoint covers it; an ETag of its bytes; what was sent last is kept in memory
  nginx's         a file, by sendfile; an ETag of its time and length
NOTES
