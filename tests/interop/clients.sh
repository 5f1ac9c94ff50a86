#!/usr/bin/env bash
# A client that OpenAPI Generator makes of a server's /openapi.json: clients.sh LANGUAGE URL CALL. LANGUAGE is python, go,
# typescript or java. CALL is a file with an unsigned vCon, and AFFIANT_TOKEN an issuer's token. The client is compiled, and
# what uses it (clients/LANGUAGE) submits, reads a receipt, collects, verifies and runs a batch.
#
# clients.sh redocly URL, clients.sh openapi-generator URL: npm's and Maven's validators find no error in the document.
#
# Nothing that is generated is kept. The generator and what clients need are, by their versions.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
language=$1 url=$2 call=$(realpath "${3:-/}")
version=7.25.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/affiant-interop
dependency=org.apache.maven.plugins:maven-dependency-plugin:3.3.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
case $language in redocly | openapi-generator) name=$language ;; *) name="client $language" ;; esac
skip() {
    echo "skipped: $name: $1"
    exit 0
}
die() {
    echo "FAILED $name: $1"
    for log in "$work"/*.log; do [ -e "$log" ] && tail -n 20 "$log" | cut -c 1-300 >&2; done
    exit 1
}
# kept NAME COMMAND...: a folder that COMMAND fills, made once. COMMAND gets its path.
kept() {
    local to=$cache/$1
    if [ ! -d "$to" ]; then
        mkdir -p "$cache"
        "${@:2}" "$to.$$" >kept.log 2>&1 || { rm -rf "$to.$$"; return 1; }
        # Whoever else made it was first.
        mv -T "$to.$$" "$to" 2>&- || rm -rf "$to.$$"
    fi
    echo "$to"
}
# by_content FILE: what it is kept by.
by_content() { sha256sum "$1" | cut -c 1-16; }

# modules FOLDER: the npm packages of clients/FOLDER or openapi, by the versions in package.json.
modules() {
    packages() {
        mkdir "$2" && cp "$1" "$2/" &&
            (cd "$2" && timeout 300 npm install --no-audit --no-fund --no-package-lock --loglevel=error)
    }
    command -v npm >which.log && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' >which.log 2>&1 ||
        skip "no node from 20 on, with npm"
    modules=$(kept "npm-$(by_content "$1")" packages "$1") || skip "what it needs does not install: $(tail -n 1 kept.log)"
    ln -s "$modules/node_modules" node_modules
}
curl -sf -m 30 -o openapi.json "$url/openapi.json" || die "there is no document"
if [ "$language" = redocly ]; then
    modules "$here/openapi/package.json"
    export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
    timeout 120 node_modules/.bin/redocly lint --extends recommended openapi.json >lint.log 2>&1 || die "the document has errors"
    echo "ok redocly: the document has no error"
    exit 0
fi

command -v mvn >which.log && command -v java >which.log || skip "no Java with Maven"
generator() {
    timeout 300 mvn -B -q "$dependency:copy" -Dartifact="org.openapitools:openapi-generator-cli:$version" -DoutputDirectory="$1"
}
jar=$(kept "openapi-generator-$version" generator) || skip "the generator does not install: $(grep -i error kept.log | head -n 1)"
jar=$jar/openapi-generator-cli-$version.jar
# generate GENERATOR ARGUMENT...: into client/
generate() {
    timeout 120 java -jar "$jar" generate -i openapi.json -g "$1" -o client "${@:2}" \
        --global-property apiDocs=false,modelDocs=false,apiTests=false,modelTests=false >generate.log 2>&1 || die "is not generated"
}
# Three that no other language submits: the first byte says which.
case $language in python) digit=a ;; go) digit=b ;; typescript) digit=c ;; *) digit=d ;; esac
uuids=()
for n in 1 2 3; do uuids+=("019f15a6-000$n-826f-b9a2-${digit}79e0d16bc46"); done

case $language in
openapi-generator)
    timeout 120 java -jar "$jar" validate -i openapi.json >validate.log 2>&1 || die "the document has errors"
    echo "ok openapi-generator: the document has no error"
    ;;
python)
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >which.log 2>&1 || skip "no Python from 3.10 on, with venv"
    # Into a folder, and not a virtual environment: those do not move.
    packages() { python3 -m venv venv && timeout 300 venv/bin/pip install -q --no-input --disable-pip-version-check \
        --target "$2" -r "$1"; }
    requirements=$here/clients/python/requirements.txt
    packages=$(kept "python-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(by_content "$requirements")" packages "$requirements") ||
        skip "what it needs does not install: $(tail -n 1 kept.log)"
    generate python
    PYTHONPATH=client:$packages timeout 120 python3 "$here/clients/python/use.py" "$url" "$call" "${uuids[@]}"
    ;;
go)
    command -v go >which.log || skip "no toolchain"
    export GOTOOLCHAIN=local GOFLAGS=-mod=mod
    [ "$(printf '%s\n' go1.23 "$(go env GOVERSION)" | sort -V | head -n 1)" = go1.23 ] || skip "it wants Go 1.23"
    generate go --git-host client.example --git-user-id affiant --git-repo-id client
    mkdir client/use
    cp "$here/clients/go/main.go" client/use/
    (cd client && timeout 300 go build -o ../use ./use) >build.log 2>&1 || die "does not compile"
    (cd client && timeout 120 go vet . ./use) >vet.log 2>&1 || die "does not pass go vet"
    timeout 120 ./use "$url" "$call" "${uuids[@]}"
    ;;
typescript)
    modules "$here/clients/typescript/package.json"
    generate typescript-fetch
    cp "$here/clients/typescript/"{use.ts,tsconfig.json} .
    timeout 120 node_modules/.bin/tsc -p . >tsc.log 2>&1 || die "does not compile"
    timeout 120 node out/use.js "$url" "$call" "${uuids[@]}"
    ;;
java)
    command -v javac >which.log || skip "no javac"
    libraries() {
        timeout 300 mvn -B -q -f "$here/clients/java/pom.xml" "$dependency:copy-dependencies" -DoutputDirectory="$1"
    }
    libraries=$(kept "java-client-$(by_content "$here/clients/java/pom.xml")" libraries) ||
        skip "what it needs does not install: $(grep -i error kept.log | head -n 1)"
    generate java --library native
    mapfile -t sources < <(find client/src/main/java -name '*.java')
    timeout 180 javac -proc:none -nowarn -cp "$libraries/*" -d classes "${sources[@]}" "$here/clients/java/Use.java" >javac.log 2>&1 ||
        die "does not compile"
    timeout 120 java -cp "classes:$libraries/*" Use "$url" "$call" "${uuids[@]}"
    ;;
*) die "no such language" ;;
esac
