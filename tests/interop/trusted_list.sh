#!/usr/bin/env bash
# A trusted list that xmlsec1 signs becomes a trust policy: trusted_list.sh CASE AFFIANT. CASE holds bundle/, root.pem and
# TSA.pem, which the list names as services.
set -euo pipefail
case=$(realpath "$1")
affiant=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

# ends CODE WHAT COMMAND...: what it said is shown when it ended otherwise.
ends() {
    local wanted=$1 what=$2 code=0
    shift 2
    timeout 60 "$@" >said 2>&1 || code=$?
    if [ "$code" -eq "$wanted" ]; then
        echo "ok trusted list: $what"
    else
        failed=1
        echo "FAILED trusted list: $what (ended with $code)"
        sed 's/^/    /' said
    fi
}
pem() { grep -v -e ----- "$1" | tr -d '\n'; }

# service TYPE CERTIFICATE STATUS SINCE
service() {
    cat <<END
<TSPService><ServiceInformation>
<ServiceTypeIdentifier>http://uri.etsi.org/TrstSvc/Svctype/$1</ServiceTypeIdentifier>
<ServiceName><Name xml:lang="en">$1</Name></ServiceName>
<ServiceDigitalIdentity><DigitalId><X509Certificate>$(pem "$2")</X509Certificate></DigitalId></ServiceDigitalIdentity>
<ServiceStatus>http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/$3</ServiceStatus>
<StatusStartingTime>$4</StatusStartingTime>
</ServiceInformation></TSPService>
END
}

# list FILE STATUS METHOD DIGEST KEY: a list in which the authority of signers has this status, signed.
list() {
    local due
    due=$(date -u -d '+30 days' +%Y-%m-%dT%H:%M:%SZ)
    cat >unsigned.xml <<END
<?xml version="1.0" encoding="UTF-8"?>
<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#" xmlns:unused="urn:unused" TSLTag="http://uri.etsi.org/19612/TSLTag">
<SchemeInformation><TSLVersionIdentifier>6</TSLVersionIdentifier><TSLSequenceNumber>1</TSLSequenceNumber>
<SchemeOperatorName><Name xml:lang="en">Té&#x73;t "&amp;" &gt;</Name></SchemeOperatorName><SchemeTerritory>XX</SchemeTerritory>
<ListIssueDateTime>2026-01-01T00:00:00Z</ListIssueDateTime><NextUpdate><dateTime>$due</dateTime></NextUpdate>
</SchemeInformation><TrustServiceProviderList><TrustServiceProvider>
<TSPInformation><TSPName><Name xml:lang="en">Test</Name></TSPName></TSPInformation><TSPServices>
$(service CA/QC "$case/root.pem" "$2" 2020-01-01T00:00:00Z)
$(service TSA/QTST "$case/TSA.pem" granted 2020-01-01T00:00:00Z)
</TSPServices></TrustServiceProvider></TrustServiceProviderList>
<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#$3"/><ds:Reference URI=""><ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/$4"/><ds:DigestValue/></ds:Reference></ds:SignedInfo>
<ds:SignatureValue/></ds:Signature>
</TrustServiceStatusList>
END
    xmlsec1 --sign --privkey-pem "$5.key" --output "$1" unsigned.xml
}

# key NAME ALGORITHM...
key() {
    local name=$1
    shift
    openssl req -x509 -newkey "$@" -nodes -keyout "$name.raw" -out "$name.pem" -days 30 -subj "/CN=$name" 2>/dev/null
    openssl pkcs8 -topk8 -nocrypt -in "$name.raw" -out "$name.key"
}

key rsa rsa:2048
key p256 ec -pkeyopt ec_paramgen_curve:P-256
key p384 ec -pkeyopt ec_paramgen_curve:P-384

for one in "rsa rsa-sha256 xmlenc#sha256" "rsa rsa-sha512 xmlenc#sha512" "p256 ecdsa-sha256 xmlenc#sha256" \
    "p384 ecdsa-sha256 xmldsig-more#sha384"; do
    read -r name method digest <<<"$one"
    list good.xml granted "$method" "$digest" "$name"
    ends 0 "$method on $name is imported" "$affiant" trust import good.xml --signer "$name.pem" --output good.toml
    sed 's/2020-01-01/2019-01-01/' good.xml >altered.xml
    ends 1 "$method on $name, altered" "$affiant" trust import altered.xml --signer "$name.pem"
done
ends 1 "signed by somebody else" "$affiant" trust import good.xml --signer rsa.pem
ends 0 "a record under the services of the list" "$affiant" verify "$case/bundle" --trust-policy good.toml
list gone.xml withdrawn rsa-sha256 xmlenc#sha256 rsa
ends 0 "a list whose service was withdrawn" "$affiant" trust import gone.xml --signer rsa.pem --output gone.toml
ends 2 "a record under a service that was withdrawn" "$affiant" verify "$case/bundle" --trust-policy gone.toml
exit "$failed"
