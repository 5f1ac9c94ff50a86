#!/usr/bin/env bash
# Witnesses and logs of others, over HTTP: counterparties.sh AFFIANT TOOLS, where TOOLS has what go_counterparties builds.
#
# A log of its own is witnessed by a litewitness, by a signer of ML-DSA-44 in Go and by our witness with a key of each
# kind, all of whom its trust policy wants; Go's libraries verify what came of it. Then a Tessera log has its checkpoints
# cosigned by our witness.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
affiant=$1 tools=$2
failed=
pids=()
work=$(mktemp -d)
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>&- || true; done
    for pid in "${pids[@]}"; do
        for _ in $(seq 100); do kill -0 "$pid" 2>&- || break; sleep 0.1; done
        kill -9 "$pid" 2>&- || true
    done
    rm -rf "$work"
}
trap stop EXIT
die() {
    echo "FAILED counterparties: $1"
    tail -n 4 "$work"/*.log | cut -c 1-300 >&2
    exit 1
}
check() { # check PART WHAT COMMAND...
    if "${@:3}" >"$work/said" 2>&1; then echo "ok $1: $2"; else echo "FAILED $1: $2: $(tail -n 3 "$work/said" | tr '\n' ' ' | cut -c 1-400)"; failed=yes; fi
}
until_it() { # until_it SECONDS COMMAND...
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$end" ] || die "waited too long for: ${*:2}"
        sleep 0.2
    done
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

cd "$work"
port=$(free_port)
url=http://127.0.0.1:$port
export AFFIANT_PASSPHRASE='correct horse battery staple' AFFIANT_WITNESS_PASSPHRASE='another pass phrase'
mkdir policies
cp -r "$root/policies/scorecards" policies/
"$affiant" certs init --organisation 'Example Ltd' --base-url "$url" --root-key ./root-key.pem >certs.log
"$affiant" certs add-issuer 'Example Calls' --json >issuer.json
issuer=$(grep -o 'iss_[0-9a-f]*' issuer.json | head -n 1)
"$affiant" token create --role issuer --issuer "$issuer" --json >token.json
token=$(grep -o 'aff_[A-Za-z0-9_-]*' token.json)
"$affiant" serve --print-config | sed "s/127.0.0.1:8440/127.0.0.1:$port/; s/^quorum = \"none\"/quorum = \"all\"/" >affiant.toml
log_key=$("$affiant" serve --config affiant.toml --print-key)
origin=${log_key%%+*}

# Our witness, which follows our log and Tessera's.
tessera_key=$("$tools/counterparties" key tessera.example/log tessera.key)
"$affiant" witness init --dir witness --name witness.example/ours --log "$log_key" --log "$tessera_key" \
    --key ed25519 --key ml-dsa-44 >witness-init.log
"$affiant" witness serve --dir witness >witness.log 2>&1 &
pids+=($!)
until_it 30 grep -qs '^listening on ' witness.log
read -r ours_url ours_ed25519 ours_ml_dsa < <(sed -n 's/^listening on \([^ ]*\) as \([^ ,]*\), \([^ ,]*\),.*/\1 \2 \3/p' witness.log)

# A signer of ML-DSA-44 in Go.
"$tools/counterparties" sign witness.example/go >signer.log 2>&1 &
pids+=($!)
until_it 30 grep -qs '^listening on ' signer.log
read -r go_url go_key < <(sed -n 's/^listening on \([^ ]*\) as \([^ ]*\)$/\1 \2/p' signer.log)

# A litewitness, its key in an ssh-agent; its own witnessctl is not built, so the log is put into its database.
if command -v ssh-agent >which.txt && command -v ssh-add >which.txt && command -v ssh-keygen >which.txt; then
    lite_port=$(free_port)
    ssh-keygen -q -t ed25519 -N '' -f lite.key
    ssh-agent -D -a "$work/agent" >agent.log 2>&1 &
    pids+=($!)
    until_it 20 test -S "$work/agent"
    SSH_AUTH_SOCK=$work/agent ssh-add -q lite.key >add.log 2>&1
    fingerprint=$(ssh-keygen -l -f lite.key.pub | cut -d ' ' -f 2)
    "$tools/litewitness" -name witness.example/lite -key "$fingerprint" -ssh-agent "$work/agent" -db lite.db \
        -listen "127.0.0.1:$lite_port" >lite.log 2>&1 &
    pids+=($!)
    until_it 30 grep -qs 'verifier key' lite.log
    python3 - "$origin" "$log_key" <<'PYTHON'
import sqlite3
import sys
database = sqlite3.connect("lite.db", timeout=20)
database.execute("INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)",
                 (sys.argv[1], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="))
database.execute("INSERT INTO key (origin, key) VALUES (?, ?)", (sys.argv[1], sys.argv[2]))
database.commit()
PYTHON
    lite_url=http://127.0.0.1:$lite_port
    lite_key=$(sed -n 's/.*verifier key.* vkey="\{0,1\}\([^ "]*\)"\{0,1\}.*/\1/p' lite.log)
else
    lite_key=
    echo "skipped: litewitness, torchwood: no ssh-agent"
fi

{
    for pair in "$lite_key $lite_url" "$go_key $go_url" "$ours_ed25519 $ours_url" "$ours_ml_dsa $ours_url"; do
        [ -n "${pair%% *}" ] || continue
        printf '[[witnessing.witness]]\nvkey = "%s"\nurl = "%s"\n' "${pair%% *}" "${pair##* }"
    done
    printf '[[witnessing.timestamp_authority]]\nurl = "%s/tsa"\nanchors_file = "%s"\n' "$ours_url" "$work/witness/tsa-root.pem"
} >>affiant.toml
"$affiant" serve --config affiant.toml >serve.log 2>&1 &
server=$!
pids+=("$server")
until_it 60 curl -sf -m 5 -o ready.txt "$url/readyz"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/calls.py" "$work"
curl -sf -m 60 -H "Authorization: Bearer $token" --data-binary @case/text/call.json -o receipt.json \
    "$url/v1/records?wait=witnessed" || die "issuing"
uuid=$(grep -o '"uuid":"[^"]*"' case/text/call.json | cut -d '"' -f 4)
# Every witness has cosigned what the proof is under.
witnesses=$(grep -c '^\[\[witnessing.witness' affiant.toml)
cosigned() {
    rm -rf bundle
    curl -sf -m 30 -H "Authorization: Bearer $token" -o bundle.zip "$url/v1/records/$uuid/bundle" && unzip -q bundle.zip -d bundle &&
        [ "$(grep -c '^— witness' bundle/record.tlog-proof)" -ge "$witnesses" ]
}
until_it 60 cosigned
curl -sf -m 30 -o root.pem "$url/v1/certificates/root.pem"
cat >trust.toml <<TOML
version = 1
name = "every witness"
[require]
ledger = "witnessed"
[log]
file = "all.tlog-policy"
time_from_cosignatures = true
[[anchor]]
name = "root"
file = "root.pem"
TOML
{
    echo "log $log_key"
    [ -z "$lite_key" ] || echo "witness lite $lite_key"
    echo "witness go $go_key"
    echo "witness ours $ours_ed25519"
    echo "witness ours-ml-dsa $ours_ml_dsa"
    echo "group every all ${lite_key:+lite }go ours ours-ml-dsa"
    echo "quorum every"
} >all.tlog-policy
check "ml-dsa in go" "a bundle that needs the cosignature made in Go verifies" "$affiant" verify bundle --trust-policy trust.toml
sed '1,/^$/d' bundle/record.tlog-proof >checkpoint
# The witnesses' keys but the one of litewitness, which torchwood has its say about.
"$tools/counterparties" cosigned checkpoint "$log_key" "$ours_ed25519" "$ours_ml_dsa" "$go_key" || failed=yes
if [ -n "$lite_key" ]; then
    "$tools/counterparties" cosigned checkpoint "$log_key" "$lite_key" >said.txt || failed=yes
    sed 's/ed25519 in go/litewitness/' said.txt
    printf 'log %s\nwitness lite %s\nwitness ours %s\ngroup both all lite ours\nquorum both\n' \
        "$log_key" "$lite_key" "$ours_ed25519" >two.tlog-policy
    "$tools/counterparties" proof two.tlog-policy bundle || failed=yes
    # A start asks the witnesses first, and a litewitness shows nothing that it could be asked for.
    kill "$server" && wait "$server" || true
    "$affiant" serve --config affiant.toml >again.log 2>&1 &
    pids+=($!)
    until_it 60 curl -sf -m 5 -o ready.txt "$url/readyz"
    check litewitness "a second start is confirmed by it" grep -q ready ready.txt
fi

# Tessera's log asks our witness, by the policy file that is its own.
mkdir tessera entries
for number in 1 2 3; do echo "entry $number" >"entries/$number"; done
printf 'witness w %s %s\nquorum w\n' "$ours_ed25519" "$ours_url" >tessera.policy
for number in 1 2; do
    check tessera "a Tessera log is witnessed here, round $number" timeout 60 "$tools/posix-oneshot" --storage_dir tessera \
        --entries "entries/$number" --private_key tessera.key --witness_policy_file tessera.policy --witness_timeout 20s
done
check tessera "its checkpoint carries our cosignature" "$tools/counterparties" cosigned tessera/checkpoint "$tessera_key" "$ours_ed25519"
hash=$(printf %s tessera.example/log | sha256sum | cut -d ' ' -f 1)
curl -sf -m 10 -o latest "$ours_url/$hash/checkpoint"
check tessera "and is what the witness shows" "$tools/counterparties" cosigned latest "$tessera_key" "$ours_ed25519" "$ours_ml_dsa"
"$tools/counterparties" subtree "$ours_url" "$ours_ml_dsa" latest entries/1 entries/2 || failed=yes
[ -z "$failed" ]
