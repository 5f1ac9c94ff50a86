#!/usr/bin/env bash
# Verifies a case with openssl alone: openssl.sh CASE AFFIANT. CASE holds record.vcon.json, bundle/ (unpacked), root.pem
# and TSA.pem; AFFIANT is the command that VERIFY.txt also names.
set -euo pipefail
case=$(realpath "$1")
affiant=$(realpath "$2")
name=$(basename "$case")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# accepts WHAT COMMAND..., refuses WHAT COMMAND...: what it said is shown when it was the wrong thing.
accepts() {
    local what=$1
    shift
    if timeout 60 "$@" >"$work/said" 2>&1; then echo "ok openssl: $name: $what"; else wrong "$what"; fi
}
refuses() {
    local what=$1
    shift
    if timeout 60 "$@" >"$work/said" 2>&1; then wrong "$what"; else echo "ok openssl: $name: $what"; fi
}
wrong() {
    failed=1
    echo "FAILED openssl: $name: $1"
    sed 's/^/    /' "$work/said"
}
# One bit of the byte in the middle, or at an offset.
flip() {
    local at=${3:-$(($(stat -c %s "$1") / 2))} byte
    byte=$(od -An -tu1 -j "$at" -N 1 "$1")
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$2" bs=1 seek="$at" conv=notrunc status=none
}
flipped() {
    cp "$1" "$2"
    flip "$1" "$2"
}
# base64url to bytes.
decode() {
    local text
    text=$(tr -- '-_' '+/')
    while [ $((${#text} % 4)) -ne 0 ]; do text+='='; done
    openssl base64 -d -A <<<"$text"
}
member() { grep -o "\"$2\":\"[^\"]*\"" "$1" | head -n 1 | cut -d '"' -f 4; }

# The signature itself: RSA over the characters of protected.payload.
record=$case/record.vcon.json
protected=$(member "$record" protected)
printf '%s.' "$protected" >"$work/input"
member "$record" payload | tr -d '\n' >>"$work/input"
member "$record" signature | decode >"$work/signature"
grep -o '"x5c":\["[^"]*"' "$record" | head -n 1 | cut -d '"' -f 4 | openssl base64 -d -A >"$work/leaf.der"
openssl x509 -inform DER -in "$work/leaf.der" -out "$work/leaf.pem"
openssl x509 -in "$work/leaf.pem" -noout -pubkey >"$work/key.pem"
accepts "the signature of the record" openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/signature" "$work/input"
flipped "$work/input" "$work/altered"
refuses "another payload is refused" openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/signature" "$work/altered"
flipped "$work/signature" "$work/altered"
refuses "another signature is refused" openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/altered" "$work/input"
printf '%s' "$protected" | decode >"$work/protected.json"
member "$work/protected.json" 'x5t#S256' | decode >"$work/thumbprint"
openssl dgst -sha256 -binary "$work/leaf.der" >"$work/thumbprint.computed"
accepts "x5t#S256 is that of the certificate" cmp "$work/thumbprint" "$work/thumbprint.computed"

# The path and its revocation lists.
cp -r "$case/bundle" "$work/bundle"
cp "$case/TSA.pem" "$work/bundle/TSA.pem"
cd "$work/bundle"
accepts "the first certificate of the bundle is the signer's" cmp "$work/leaf.pem" <(openssl x509 -in certificates.pem)
lists=()
for list in crls/*.crl.pem; do lists+=(-CRLfile "$list"); done
path=(openssl verify -crl_check_all -x509_strict -CAfile "$case/root.pem" -untrusted certificates.pem)
accepts "the path, strictly, with every list" "${path[@]}" "${lists[@]}" "$work/leaf.pem"
refuses "the path without lists is refused" "${path[@]}" "$work/leaf.pem"
refuses "the path without the root is refused" openssl verify -no-CAfile -no-CApath -untrusted certificates.pem "$work/leaf.pem"
flipped "$work/leaf.der" "$work/altered.der"
refuses "an altered certificate is refused" "${path[@]}" "${lists[@]}" "$work/altered.der"
cat "$case/root.pem" certificates.pem >"$work/authorities.pem"
# openssl crl says whether a list is right, and ends with 0 all the same in some versions.
list_is_right() { openssl crl -in "$1" -CAfile "$work/authorities.pem" -noout -verify 2>&1 | grep -q '^verify OK'; }
export -f list_is_right
export work
for list in crls/*.crl.pem; do
    accepts "$list" bash -c "list_is_right $list"
    openssl crl -in "$list" -outform DER -out "$work/list.der"
    size=$(stat -c %s "$work/list.der")
    # The last byte is of the signature.
    head -c $((size - 1)) "$work/list.der" >"$work/altered.der"
    printf '%b' "\\x$(printf %02x $(($(tail -c 1 "$work/list.der" | od -An -tu1) ^ 1)))" >>"$work/altered.der"
    refuses "$list, altered, is refused" bash -c "list_is_right $work/altered.der"
done

# The statuses: those of the bundle, and those that the certificates name an address for, by GET and by POST.
csplit -z -s -f "$work/chain-" certificates.pem '/-----BEGIN/' '{*}'
status_is_good() { # CERTIFICATE ISSUER OPTION...
    openssl ocsp -no_nonce -issuer "$2" -cert "$1" -CAfile "$case/root.pem" -verify_other "$2" "${@:3}" >"$work/status" 2>&1
    cat "$work/status"
    grep -q '^Response verify OK' "$work/status" && grep -q "^$1: good" "$work/status"
}
any_is_good() { for status in ocsp/*.ors; do status_is_good "$1" "$2" -respin "$status" && return; done; return 1; }
export -f status_is_good any_is_good
export case
for pair in "$work/leaf.pem $work/chain-01" "$work/chain-01 $case/root.pem"; do
    # shellcheck disable=SC2086 # two words
    accepts "a status in the bundle of $(basename "${pair%% *}")" bash -c 'any_is_good $0 $1' $pair
    uri=$(openssl x509 -noout -ocsp_uri -in "${pair%% *}")
    # shellcheck disable=SC2086
    accepts "its status by POST" bash -c 'status_is_good $0 $1 -url "$2"' $pair "$uri"
    # shellcheck disable=SC2086
    openssl ocsp -no_nonce -issuer ${pair##* } -cert "${pair%% *}" -reqout "$work/request.der"
    curl -sf -m 30 -o "$work/got.ors" "$uri/$(openssl base64 -A -in "$work/request.der" | sed 's|/|%2F|g; s|+|%2B|g; s|=|%3D|g')"
    # shellcheck disable=SC2086
    accepts "its status by GET" bash -c 'status_is_good $0 $1 -respin "$2"' $pair "$work/got.ors"
done
flipped "$work/got.ors" "$work/altered"
refuses "an altered status is refused" bash -c 'status_is_good $0 $1 -respin "$2"' "$work/chain-01" "$case/root.pem" "$work/altered"

# What VERIFY.txt says, to the letter.
mkdir "$work/bin"
ln -s "$affiant" "$work/bin/affiant"
export PATH="$work/bin:$PATH"
grep '^    ' VERIFY.txt >"$work/commands"
for command in 'affiant verify' 'openssl ts -verify' 'openssl verify'; do
    accepts "VERIFY.txt has a line of $command" grep -q "^ *$command " "$work/commands"
done
while read -r command <&3; do accepts "VERIFY.txt: $command" bash -c "$command"; done 3<"$work/commands"
cp checkpoint.txt "$work/kept"
flip "$work/kept" checkpoint.txt
refuses "another checkpoint is refused" bash -c "$(grep 'openssl ts' "$work/commands")"
cp "$work/kept" checkpoint.txt
cp record.vcon.json "$work/kept"
# In the payload, which comes first: an x5c is not signed, and the right certificate is in the bundle.
flip "$work/kept" record.vcon.json 200
refuses "another record is refused" bash -c "$(grep 'affiant verify' "$work/commands")"
exit "$failed"
