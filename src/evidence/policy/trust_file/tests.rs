//! Trust policies that are read, and those that are refused.

use super::*;
use crate::crypto::Sha256Digest;

const DEFAULT: &str = include_str!("../../../../policies/trust/default.toml");
const LOG: &str = "# ours\nlog example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\nquorum none\n";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBcTCCASOgAwIBAgIUI2pVcVN3b7ssdbF0aIKMpK/wJAEwBQYDK2VwMC4xEDAO
BgNVBAoMB0V4YW1wbGUxGjAYBgNVBAMMEUFmZmlhbnQgdW5pdCB0ZXN0MB4XDTI2
MTEyMTAzNDcxNFoXDTM2MTExODAzNDcxNFowLjEQMA4GA1UECgwHRXhhbXBsZTEa
MBgGA1UEAwwRQWZmaWFudCB1bml0IHRlc3QwKjAFBgMrZXADIQD66me5VThrXkeq
+GAvC0vJ9LWkQTGATNuzRz0zM21X0KNTMFEwHQYDVR0OBBYEFMuus03QJZbPSo/L
n32yGHRijx/rMB8GA1UdIwQYMBaAFMuus03QJZbPSo/Ln32yGHRijx/rMA8GA1Ud
EwEB/wQFMAMBAf8wBQYDK2VwA0EALPK9uMjjVA1miQuuQwhrv0tWgJkeKfTizduJ
CPYI/dr6YR+IGFmwNR3K9OaKKaurmVwJJkvYNegFRlyX8I8iDQ==
-----END CERTIFICATE-----
";

fn parse(text: &str) -> Result<TrustPolicy, TrustPolicyError> {
    TrustPolicy::parse(text, |path| match path {
        "anchor.pem" => Ok(CERTIFICATE.into()),
        "log" => Ok(LOG.into()),
        "empty" => Ok(Vec::new()),
        _ => Err("it is not there".into()),
    })
}

/// A policy with something of everything.
fn full() -> String {
    format!(
        r#"
version = 1
name = "a \"name\" \\ \u0007 ü"
clock_skew_max_seconds = 0
signer_purpose = "any"
[require]
recordings = true
timestamp = true
ledger = "witnessed"
[log]
file = "log"
time_from_cosignatures = true
[[anchor]]
name = "root"
file = "anchor.pem"
not_before = 2026-01-01T01:00:00+01:00
not_after = 2046-01-01T00:00:00.5Z
[[timestamp_anchor]]
name = "time"
operator = "self"
certificate = """
{CERTIFICATE}"""
[[sunset]]
algorithm = "RSA"
bits_below = 3072
until = 2030-12-31T23:59:59Z
reason = "112 bits"
"#
    )
}

#[test]
fn the_default_policy_adds_a_date_to_what_every_policy_has() {
    let default = parse(DEFAULT).unwrap();
    let (dated, built_in): (Vec<_>, Vec<_>) =
        default.algorithm_constraints.iter().cloned().partition(|one| one.until.is_some());
    assert_eq!(built_in, AlgorithmConstraint::built_in());
    assert_eq!(dated.len(), 1);
    let without = TrustPolicy { name: "none".into(), algorithm_constraints: built_in, ..default };
    assert_eq!(without.to_toml(), TrustPolicy::nobody().to_toml());
    // What a policy leaves out is what the default policy says.
    let least = parse("version = 1\nname = \"none\"\n").unwrap();
    assert_eq!(least.digest(), without.digest());
}

#[test]
fn what_is_written_is_whole_and_reads_back_as_the_same_policy() {
    for text in [DEFAULT, &full(), "version = 1\nname = \"x\"\nsunset = []\n"] {
        let policy = parse(text).unwrap();
        let written = policy.to_toml();
        let read = TrustPolicy::parse(&written, |_| Err("nothing is left outside".into())).unwrap();
        assert_eq!(read.to_toml(), written);
        assert_eq!(policy.digest(), Sha256Digest::of(written.as_bytes()));
    }
    let policy = parse(&full()).unwrap();
    assert_eq!(policy.name, "a \"name\" \\ \u{7} ü");
    let anchor = &policy.anchors.entries()[0];
    assert_eq!(anchor.not_before, parse_time("2026-01-01T00:00:00Z").ok());
    assert!(policy.operator_timestamp_anchors.contains(anchor.certificate.thumbprint()));
    assert_eq!(policy.log_policy.as_ref().unwrap().text(), LOG);
    assert_eq!(policy.ledger_required, LedgerRequirement::Witnessed);
    assert_eq!((policy.clock_skew_max, policy.signer_purposes), (TimeDelta::zero(), Vec::new()));
}

#[test]
fn a_signers_purpose_is_one_or_several() {
    let purposes =
        |value: &str| parse(&format!("version = 1\nname = \"x\"\nsigner_purpose = {value}\n")).unwrap().signer_purposes;
    assert_eq!(purposes("\"1.3.6.1.5.5.7.3.36\""), [Purpose::DOCUMENT_SIGNING[0]]);
    let several = purposes("[\"document-signing\", \"none\", \"1.3.6.1.5.5.7.3.4\"]");
    let named: Vec<String> = several.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["document-signing", "none", "email-protection"]);
    assert_eq!(purposes("\"any\""), []);
    assert_eq!(parse("version = 1\nname = \"x\"\n").unwrap().signer_purposes, Purpose::DOCUMENT_SIGNING);
}

#[test]
fn the_digest_sees_every_member_and_no_comment() {
    let digest = |text: &str| parse(text).unwrap().digest();
    let full = full();
    assert_eq!(digest(&full), digest(&format!("# other words\n{full}")));
    assert_eq!(digest(&full), digest(&full.replace("file = \"log\"", &format!("policy = {LOG:?}"))));
    for (from, to) in [
        ("name = \"root\"", "name = \"other\""),
        ("clock_skew_max_seconds = 0", "clock_skew_max_seconds = 1"),
        ("signer_purpose = \"any\"", ""),
        ("recordings = true", "recordings = false"),
        ("timestamp = true", "timestamp = false"),
        ("[require]", "[require]\ncertificate_reference = false"),
        ("[require]", "[require]\ntimestamp_authority_status = true"),
        ("\"witnessed\"", "\"included\""),
        ("time_from_cosignatures = true", ""),
        ("01:00:00+01:00", "01:00:00Z"),
        ("00:00:00.5Z", "00:00:00Z"),
        ("operator = \"self\"", ""),
        ("bits_below = 3072", ""),
        ("until = 2030-12-31T23:59:59Z", ""),
        ("112 bits", "less"),
    ] {
        assert!(full.contains(from), "{from}");
        assert_ne!(digest(&full), digest(&full.replace(from, to)), "{from}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(at in 0..2000_usize, text in "[ -~\\n\"]{0,12}") {
        let full = full();
        let at = at.min(full.len());
        if full.is_char_boundary(at) {
            let _ = parse(&format!("{}{text}{}", &full[..at], &full[at..]));
        }
    }
}

#[test]
fn what_is_no_policy_is_refused_by_what_is_wrong_with_it() {
    let refused = |text: &str, part: &str| {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text}")).to_string();
        assert!(error.contains(part), "{error}");
    };
    let head = "version = 1\nname = \"x\"\n";
    refused("name = \"x\"", "version");
    refused("version = 2\nname = \"x\"", "version 2 is not 1");
    refused(&format!("{head}anchors = []"), "unknown field");
    refused(&format!("{head}[require]\nledger = \"yes\""), "unknown variant");
    refused(&format!("{head}[require]\nledger = \"included\""), "no [log]");
    refused(&format!("{head}clock_skew_max_seconds = 86401"), "86401");
    refused(&format!("{head}signer_purpose = \"documents\""), "\"documents\" is no purpose");
    refused(&format!("{head}signer_purpose = [\"none\", \"any\"]"), "\"any\" is no purpose");
    refused(&format!("{head}signer_purpose = []"), "lists 0 purposes");
    refused(&format!("{head}[log]\nown_witnesses = []"), "one of `policy` and `file`");
    refused(&format!("{head}[log]\nfile = \"log\"\npolicy = \"\""), "one of `policy` and `file`");
    refused(&format!("{head}[log]\nfile = \"anchor.pem\""), "log policy: line 1");
    refused(&format!("{head}[log]\nfile = \"log\"\nown_witnesses = [\"w\"]"), "own witness \"w\"");
    refused(&format!("{head}[[anchor]]\nname = \"a\"\nfile = \"missing\""), "it is not there");
    refused(&format!("{head}[[anchor]]\nname = \"a\"\nfile = \"empty\""), "one of `certificate` and `file`");
    refused(&format!("{head}[[anchor]]\nname = \"a\"\nfile = \"anchor.pem\"\noperator = \"self\""), "operator");
    let anchor = "[[anchor]]\nname = \"a\"\nfile = \"anchor.pem\"\n";
    refused(&format!("{head}{anchor}{anchor}"), "anchor already");
    let windows = |first: &str, second: &str| format!("{head}{anchor}{first}\n{anchor}{second}\n");
    let (early, late) = ("not_after = 2020-01-01T00:00:00Z", "not_before = 2020-01-01T00:00:01Z");
    refused(&windows(early, "not_before = 2020-01-01T00:00:00Z"), "in a window that overlaps");
    refused(&windows(late, ""), "in a window that overlaps");
    for two in [windows(early, late), windows(late, early)] {
        let policy = parse(&two).unwrap();
        assert_eq!(policy.anchors.entries().len(), 2);
        assert_eq!(parse(&policy.to_toml()).unwrap().digest(), policy.digest());
    }
    refused(&format!("{head}{anchor}not_before = 2026-01-01"), "not a time with its offset");
    refused(&format!("{head}{anchor}not_before = 2026-01-01T00:00:01Z\nnot_after = 2026-01-01T00:00:00Z"), "is empty");
    let sunset = |rest: &str| format!("{head}[[sunset]]\nreason = \"r\"\n{rest}");
    refused(&sunset("algorithm = \"MD5\""), "MD5");
    refused(&sunset("algorithm = \"SHA-256\"\nbits_below = 3"), "bits_below");
    refused(&sunset("algorithm = \"SHA-1\"\nuntil = 2030-12-31T23:59:59Z"), "never verified");
    refused(&"#".repeat(POLICY_BYTES_MAX + 1), "larger than");
}

#[test]
fn a_constraint_stands_under_either_of_its_names() {
    let policy = |table: &str| {
        let text = format!("version = 1\nname = \"x\"\n[[{table}]]\nalgorithm = \"SHA-256\"\nreason = \"r\"\n");
        TrustPolicy::parse(&text, |_| Err("no files".into())).unwrap()
    };
    assert_eq!(policy("algorithm").algorithm_constraints, policy("sunset").algorithm_constraints);
    assert_eq!(policy("algorithm").digest(), policy("sunset").digest());
}
