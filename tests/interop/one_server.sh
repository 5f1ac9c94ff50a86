# Sourced by what runs one server, whose process goes into pid: a folder (work) that goes away with it at the end, and a free
# port (port, url).
work=$(mktemp -d)
pid=
stop() {
    [ -z "$pid" ] || kill "$pid" 2>&- || true
    [ -z "$pid" ] || wait "$pid" 2>&- || true
    rm -rf "$work"
}
trap stop EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
failed=

check() { # check WHOM WHAT COMMAND...
    if "${@:3}" >"$work/said" 2>&1; then
        echo "ok $1: $2"
    else
        echo "FAILED $1: $2: $(tail -n 2 "$work/said" | tr '\n' ' ')"
        failed=yes
    fi
}

until_answered() { # until_answered FILE CURL-ARGUMENT...: ten seconds at the most
    for _ in $(seq 100); do curl -s -m 5 -o "$1" "${@:2}" && break; sleep 0.1; done
}

# A place of our own in the folder, with an authority: our_place ROOT AFFIANT
our_place() {
    cd "$work"
    export AFFIANT_PASSPHRASE='correct horse battery staple'
    mkdir -p policies
    cp -r "$1/policies/scorecards" policies/
    "$2" certs init --organisation 'Example Ltd' --base-url "$url" --root-key ./root-key.pem >certs.log
}
