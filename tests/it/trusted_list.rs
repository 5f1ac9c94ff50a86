//! Trusted lists (ETSI TS 119 612): who signed one, and the trust policy that comes of it.
//!
//! The lists are signed by another program (`tests/fixtures/trusted-list/make`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use affiant::evidence::TrustPolicy;
use affiant::pki::{Certificate, TrustAnchor};
use affiant::trusted_list::{TrustedList, TrustedListError, XmlSignatureError};

use crate::fixtures::server::{AFFIANT, run};

/// A time at which the lists are the newest.
const AT: &str = "2026-12-01T00:00:00Z";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trusted-list").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn certificate(name: &str) -> Arc<Certificate> {
    Arc::new(Certificate::from_pem_bundle(&text(name), 1).unwrap().remove(0))
}

/// What `affiant trust import` with these arguments ends with, writes and complains of.
fn import(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(AFFIANT);
    command.args(["trust", "import"]).args(arguments).current_dir(file(""));
    let output = run(&mut command).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn policy(arguments: &[&str]) -> TrustPolicy {
    let (code, text, complaints) = import(&[arguments, &["--at", AT]].concat());
    assert_eq!(code, 0, "{complaints}");
    TrustPolicy::parse(&text, |_| Err("it is whole".into())).unwrap()
}

/// Name, window and certificate of an anchor.
fn shown(anchor: &TrustAnchor) -> String {
    let day =
        |time: Option<chrono::DateTime<chrono::Utc>>| time.map_or(String::new(), |time| time.date_naive().to_string());
    let subject = anchor.certificate.subject().to_string();
    format!("{} {}..{} {subject}", anchor.name, day(anchor.not_before), day(anchor.not_after))
}

#[test]
fn services_become_anchors_for_as_long_as_they_were_good() {
    let direct = policy(&["list.xml", "--signer", "other.pem", "--signer", "list.pem"]);
    let anchors: Vec<_> = direct.anchors.entries().iter().map(shown).collect();
    assert_eq!(
        anchors,
        [
            "Test & Sons: signers 2012-03-01.. O=Test, CN=Test signers",
            "Test & Sons: interrupted 2017-01-01..2019-12-31 O=Test, CN=Test interrupted",
            "Test & Sons: interrupted 2024-01-01.. O=Test, CN=Test interrupted",
            "Test & Sons: gone 2017-01-01..2018-12-31 O=Test, CN=Test gone",
        ]
    );
    let timestamps: Vec<_> = direct.timestamp_anchors.entries().iter().map(shown).collect();
    assert_eq!(timestamps, ["Test & Sons: timestamps 2018-01-01.. O=Test, CN=Test timestamps"]);
    assert_eq!(direct.name, "trusted list 7 of XX");

    let over = policy(&["list.xml", "--signer", "lists.pem", "--list-of-lists", "list-of-lists.xml"]);
    assert_eq!(over.digest(), direct.digest());

    let plain = ["list.xml", "--signer", "list.pem", "--service", "CA/PKC", "--signer-purpose", "none"];
    let plain = policy(&plain);
    let anchors: Vec<_> = plain.anchors.entries().iter().map(shown).collect();
    assert_eq!(anchors, ["Test & Sons: plain 2018-01-01.. O=Test, CN=Test plain"]);
    assert!(plain.timestamp_anchors.is_empty());
    assert_eq!(plain.signer_purposes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["none"]);
}

#[test]
fn what_is_left_out_and_what_is_not_imported_is_said() {
    let signer = ["--signer", "list.pem"];
    let code_of = |arguments: &[&str]| {
        let (code, text, complaint) = import(arguments);
        assert!(code == 0 || text.is_empty(), "{arguments:?}");
        (code, complaint)
    };
    let (code, said) = code_of(&["list.xml", "--signer", "list.pem", "--at", AT]);
    assert_eq!(
        (code, said.contains("without a certificate that can be read: Test & Sons: nameless")),
        (0, true),
        "{said}"
    );
    let late = ["list.xml", "--signer", "list.pem", "--at", "2028-01-01T00:00:00Z"];
    let lists_for_list = ["list-of-lists.xml", "--signer", "lists.pem", "--at", AT];
    let other = ["list.xml", "--signer", "other.pem", "--at", AT];
    let wrong_lists = ["list.xml", "--signer", "list.pem", "--list-of-lists", "list-of-lists.xml", "--at", AT];
    let names_itself =
        ["list-of-lists.xml", "--signer", "lists.pem", "--list-of-lists", "list-of-lists.xml", "--at", AT];
    for (arguments, expected, words) in [
        (&late[..], 2, "the next list was due 2027-05-01"),
        (&lists_for_list, 3, "it is a list of the lists of XX"),
        (&other, 1, "none of the 1 certificates that may sign it made its signature"),
        (&wrong_lists, 1, "list-of-lists.xml: none of the 1 certificates"),
        (&names_itself, 3, "names no list of \"EU\""),
        (&["list.pem", "--signer", "list.pem"], 3, "the list is not XML"),
        (&["nothing.xml", "--signer", "list.pem"], 3, "opening nothing.xml"),
        (&["list.xml"], 3, "--signer"),
        (&["list.xml", "--signer", "list.pem", "--service", "CA"], 3, "\"CA\" is not one of CA/QC, CA/PKC"),
    ] {
        let (code, complaint) = code_of(arguments);
        assert_eq!((code, complaint.contains(words)), (expected, true), "{arguments:?}: {complaint}");
    }
    assert_eq!(code_of(&[&late[..], &["--accept-expired"]].concat()).0, 0);
    assert_eq!(code_of(&[&["list.xml", "--service", "TSA", "--at", AT], &signer[..]].concat()).0, 3, "there are none");
}

/// Opens what became of the list.
fn opened(list: &str) -> Result<TrustedList, TrustedListError> {
    TrustedList::open(list.as_bytes(), &[certificate("list.pem")])
}

#[test]
fn no_byte_that_is_read_can_be_changed() {
    let list = text("list.xml");
    let read =
        |list: &TrustedList| format!("{:?}", (&list.services, list.sequence_number, &list.territory, list.next_update));
    let expected = read(&opened(&list).unwrap());
    let mut refused = 0;
    for at in (0..list.len()).step_by(7).filter(|at| list.is_char_boundary(*at) && list.is_char_boundary(at + 1)) {
        let other = if &list[at..=at] == "A" { "B" } else { "A" };
        let changed = [&list[..at], other, &list[at + 1..]].concat();
        match opened(&changed) {
            Ok(changed) => assert_eq!(read(&changed), expected, "at {at}"),
            Err(_) => refused += 1,
        }
    }
    // What may be changed is a comment, space within tags, and what of the signature is not signed.
    assert!(refused > 1200, "{refused}");
}

#[test]
fn a_signature_covers_the_whole_list_and_nothing_in_its_place() {
    let list = text("list.xml");
    let signature =
        &list[list.find("<ds:Signature ").unwrap()..list.find("</ds:Signature>").unwrap() + "</ds:Signature>".len()];
    let unsigned = list.replace(signature, "");
    let root = &list[list.find("<TrustServiceStatusList").unwrap()..];
    let is = |list: &str, expected: XmlSignatureError| match opened(list) {
        Err(TrustedListError::Signature(found)) => assert_eq!(found, expected),
        other => panic!("{other:?}"),
    };
    is(&unsigned, XmlSignatureError::Count(0));
    is(&list.replace(signature, &format!("{signature}{signature}")), XmlSignatureError::Count(2));
    // The signed list inside another, its signature moved up.
    let inner = root.replace(signature, "");
    let wrapped =
        unsigned.replace("</TrustServiceStatusList>", &format!("{inner}{signature}</TrustServiceStatusList>"));
    is(&wrapped, XmlSignatureError::Changed(String::new()));
    // What it covers is named by an identifier that another element has too.
    let twice = list.replace("<TSLType>", "<TSLType Id=\"props\">");
    let changed = XmlSignatureError::Changed(String::new());
    is(&twice, changed);
    let elsewhere = list.replace("URI=\"#props\"", "URI=\"#list\"");
    is(&elsewhere, XmlSignatureError::Reference("#list".into()));
    let outside = list.replace("URI=\"#props\"", "URI=\"https://list.example/\"");
    is(&outside, XmlSignatureError::Reference("https://list.example/".into()));
    let whole = "<ds:Reference URI=\"\">";
    let end = list.find("</ds:Reference>").unwrap() + "</ds:Reference>".len();
    let without = [&list[..list.find(whole).unwrap()], &list[end..]].concat();
    is(&without, XmlSignatureError::NotWhole);
    for (from, to) in [
        ("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2000/09/xmldsig#sha1"),
        ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        ("http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2006/12/xml-c14n11"),
    ] {
        let other = opened(&list.replace(from, to)).unwrap_err();
        let refused =
            matches!(&other, TrustedListError::Signature(XmlSignatureError::Algorithm { uri, .. }) if uri == to);
        assert!(refused, "{other}");
    }
    let with_type = list.replacen("<!--", "<!DOCTYPE a [<!ENTITY b 'c'>]>\n<!--", 1);
    assert!(matches!(opened(&with_type), Err(TrustedListError::Xml(_))));
    let deep = "<a>".repeat(200_000);
    assert!(matches!(opened(&deep), Err(TrustedListError::Xml(_))));
    let deep = list.replace("<TSLType>", &format!("{}{}<TSLType>", "<a>".repeat(100_000), "</a>".repeat(100_000)));
    assert!(opened(&deep).is_err());
}
