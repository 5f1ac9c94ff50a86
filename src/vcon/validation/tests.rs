//! Each rule kept, and each broken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::vcon::VconLimits;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn found(document: &Value) -> Vec<(u8, Level, String)> {
    let findings = validate_any(document.to_string().as_bytes(), &VconLimits::default()).unwrap();
    findings.into_iter().map(|finding| (finding.rule, finding.level, finding.pointer)).collect()
}

/// A vCon that breaks no rule, with every kind of item.
fn whole() -> Value {
    let hash = crate::vcon::document::content::ContentHash::of(b"recording").to_string();
    let time = "2026-07-01T12:00:00Z";
    json!({
        "vcon": "0.4.0", "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc46", "created_at": time, "updated_at": time,
        "subject": "A call", "extensions": ["x"], "of_x": 1,
        "amended": { "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc45", "url": "https://x.example/1", "content_hash": hash },
        "parties": [
            { "name": "Ann", "validation": "none", "tel": "tel:+1-202-555-0100", "did": "did:web:example.com",
              "type": "person", "gmlpos": "48.2 16.3", "stir": "aa.bb.cc", "civicaddress": { "country": "AT", "a1": "9" } },
            {},
            { "name": "anonymous" },
        ],
        "dialog": [
            { "type": "recording", "start": time, "duration": 1.5, "parties": [0, [1, 2], null], "originator": 1,
              "session_id": [{ "local": "019f15a6-a752-826f-b9a2-279e0d16bc46" }, [{}, {}], {}], "recording_set": 3,
              "mediatype": "audio/ogg; codecs=opus", "url": "https://x.example/2", "content_hash": [hash, "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
              "party_history": [{ "party": 1, "time": time, "event": "join" },
                  { "party": 1, "time": time, "event": "keydown", "button": "5" }] },
            { "type": "text", "start": time, "parties": 0, "mediatype": "text/plain", "body": "Hi", "encoding": "none" },
            { "type": "incomplete", "start": time, "disposition": "busy", "parties": [0, 1] },
            { "type": "recording-set", "start": time, "recordings": [0], "parties": [0, 1, 2], "session_id": {} },
            { "type": "transfer", "start": time, "transferee": 0, "transferor": 1, "transfer_target": [2], "original": 0,
              "consultation": [2], "target_dialog": 5 },
            {},
        ],
        "analysis": [{ "type": "transcript", "vendor": "x", "dialog": [0, 1], "attachment": 0, "mediatype": "application/json",
            "encoding": "json", "body": { "a": [1] } }],
        "attachments": [{ "party": 0, "dialog": 0, "start": time, "purpose": "note", "mediatype": "application/pdf",
            "encoding": "base64url", "body": "AAAA" }],
    })
}

/// The document with `change` made to it; a pointer that leads nowhere is our own mistake.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    document
}

#[test]
fn a_document_that_keeps_every_rule_has_no_findings() {
    assert_eq!(found(&whole()), []);
    // Null and empty may be left out (rule 6).
    for (pointer, value) in [
        ("/subject", Value::Null),
        ("/amended", json!({})),
        ("/redacted", json!({})),
        ("/dialog/1/body", json!("")),
        ("/dialog/0/session_id/0/remote", Value::Null),
        ("/dialog/0/url", json!("HTTPS://x.example/2")),
        // An extension may stand in extensions, in critical, or in both.
        ("/extensions", json!(["x", "y"])),
        // Of a recording that belongs to a set, nothing more may be known.
        ("/dialog/3/recordings", json!([5])),
    ] {
        assert_eq!(found(&with(pointer, value)), [], "{pointer}");
    }
    assert_eq!(found(&json!({ "uuid": whole()["uuid"], "created_at": whole()["created_at"], "dialog": [] })), []);
}

#[test]
fn each_rule_of_an_unsigned_document_is_broken_by_its_own_change() {
    use Level::{Must, Should};
    let hash = |text: &str| json!({ "uuid": "a", "url": "https://x", "content_hash": text });
    let cases: Vec<(u8, Level, &str, Value)> = vec![
        (1, Must, "/created_at", json!("2026-07-01T12:00:00")),
        (1, Must, "/dialog/0/start", json!(1)),
        (1, Must, "/attachments/0/start", json!("yesterday")),
        (1, Must, "/dialog/0/party_history/0/time", json!("12:00")),
        (2, Must, "/dialog/1/mediatype", json!("text")),
        (2, Must, "/dialog/1/mediatype", json!("text/plain; charset")),
        (2, Must, "/analysis/0/mediatype", json!("a/b/c")),
        (3, Must, "/dialog/0/content_hash", json!("sha512-AA")),
        (3, Must, "/dialog/0/content_hash", json!("SHA-512-AAAA")),
        (3, Must, "/dialog/0/content_hash", json!("sha512")),
        (3, Must, "/dialog/0/content_hash", json!([7])),
        (3, Should, "/dialog/0/content_hash", json!("shake128-AAAA")),
        (3, Must, "/amended/content_hash", hash("x")["content_hash"].clone()),
        (4, Must, "/dialog/1/encoding", Value::Null),
        (4, Must, "/dialog/1/encoding", json!("base64")),
        (4, Must, "/dialog/1/body", json!({})),
        (4, Must, "/attachments/0/body", json!("+/")),
        (5, Must, "/dialog/0/url", json!("http://x.example/2")),
        (5, Must, "/dialog/0/content_hash", Value::Null),
        (5, Must, "/dialog/0/url", Value::Null),
        (5, Must, "/attachments/0/url", json!("https://x.example")),
        (6, Must, "/subject", json!(7)),
        (6, Must, "/parties/0/name", json!(["Ann"])),
        (6, Must, "/dialog/1/filename", json!(1)),
        (6, Must, "/amended", json!("019f15a6-a752-826f-b9a2-279e0d16bc45")),
        (7, Must, "/uuid", json!("x")),
        (7, Should, "/uuid", json!("019f15a6-a752-726f-b9a2-279e0d16bc46")),
        (8, Should, "/vcon", json!("0.0.1")),
        (8, Should, "/appended", json!({})),
        (8, Should, "/parties/0/role", json!("agent")),
        (8, Should, "/attachments/0/mimetype", json!("application/pdf")),
        (9, Must, "/created_at", Value::Null),
        (10, Should, "/critical", json!(["y"])),
        (10, Must, "/critical", json!("x")),
        (10, Should, "/extensions", json!([])),
        (11, Must, "/amended/content_hash", Value::Null),
        (13, Must, "/parties/0/did", json!("web:example.com")),
        (13, Must, "/parties/0/civicaddress", json!({ "A1": "9" })),
        (13, Must, "/parties/0/stir", json!("aa.bb")),
        (13, Must, "/parties/0/gmlpos", json!("91 0")),
        (13, Should, "/parties/0/type", json!("robot")),
        (13, Should, "/parties/0/tel", json!("Ann")),
        (13, Should, "/parties/0/validation", Value::Null),
        (14, Must, "/dialog/1/type", json!("video")),
        (14, Must, "/dialog/1/start", Value::Null),
        (15, Must, "/dialog/2/url", json!("https://x.example")),
        (15, Must, "/dialog/4/parties", json!([0])),
        (15, Must, "/dialog/3/encoding", json!("none")),
        (16, Must, "/dialog/2/disposition", Value::Null),
        (16, Must, "/dialog/2/disposition", json!("bored")),
        (16, Should, "/dialog/1/disposition", json!("busy")),
        (17, Must, "/dialog/3/recordings", Value::Null),
        (17, Must, "/dialog/3/recordings", json!([1])),
        (17, Must, "/dialog/1/recordings", json!([0])),
        (17, Must, "/dialog/0/recording_set", json!(1)),
        (17, Must, "/dialog/1/recording_set", json!(3)),
        (18, Must, "/dialog/1/parties", json!(3)),
        (18, Must, "/dialog/1/parties", json!([[[1]]])),
        (18, Must, "/dialog/1/originator", json!(-1)),
        (19, Must, "/dialog/1/mediatype", Value::Null),
        (20, Must, "/dialog/0/session_id", json!([{}])),
        (20, Must, "/dialog/0/session_id", json!("019f15a6-a752-826f-b9a2-279e0d16bc46")),
        (20, Must, "/dialog/0/session_id/0/local", json!("x")),
        (20, Must, "/dialog/0/session_id/1", json!({})),
        (20, Must, "/dialog/0/session_id/0", json!({ "local": NIL, "remote": NIL })),
        (21, Must, "/dialog/0/party_history/0/event", json!("left")),
        (21, Must, "/dialog/0/party_history/1/button", Value::Null),
        (21, Must, "/dialog/0/party_history/0/party", json!(3)),
        (21, Must, "/dialog/0/party_history", json!({})),
        (22, Must, "/dialog/1/transferee", json!(0)),
        (22, Must, "/dialog/4/original", json!(6)),
        (22, Should, "/dialog/4/transferor", Value::Null),
        (23, Must, "/dialog/0/duration", json!("1")),
        (23, Must, "/dialog/0/duration", json!(-1)),
        (24, Must, "/attachments/0/party", Value::Null),
        (24, Must, "/attachments/0/dialog", json!(6)),
        (25, Must, "/analysis/0/vendor", Value::Null),
        (25, Must, "/analysis/0/dialog", json!([6])),
        (25, Must, "/analysis/0/attachment", json!(1)),
    ];
    for (rule, level, pointer, value) in cases {
        let findings = found(&with(pointer, value.clone()));
        assert!(
            findings.len() == 1 && (findings[0].0, findings[0].1) == (rule, level),
            "rule {rule} at {pointer} = {value}: {findings:?}"
        );
        assert!(super::rule(rule).is_some());
    }
}

#[test]
fn redaction_takes_content_away_and_keeps_places() {
    let mut document = whole();
    document["amended"] = Value::Null;
    document["redacted"] = json!({ "uuid": "019f15a6-a752-826f-b9a2-279e0d16bc45", "type": "names" });
    for item in ["/parties/0", "/analysis/0", "/attachments/0", "/dialog/1"] {
        *document.pointer_mut(item).unwrap() = json!({});
    }
    assert_eq!(found(&document), []);
    document["dialog"][0]["url"] = Value::Null;
    assert_eq!(found(&document), []);
    // What amends a redacted vCon keeps its places; an empty object says that nothing was redacted.
    let mut amending = document.clone();
    amending["redacted"] = Value::Null;
    amending["amended"] = whole()["amended"].clone();
    amending["dialog"][0] = whole()["dialog"][0].clone();
    assert_eq!(found(&amending), []);
    amending["amended"] = Value::Null;
    amending["redacted"] = json!({});
    let rules: Vec<_> = found(&amending).into_iter().map(|(rule, ..)| rule).collect();
    assert_eq!(rules, [25, 25, 25, 24, 24, 24, 24]);
    document["amended"] = whole()["amended"].clone();
    document["redacted"]["type"] = Value::Null;
    let rules: Vec<_> = found(&document).into_iter().map(|(rule, _, pointer)| (rule, pointer)).collect();
    assert_eq!(rules, [(11, "/redacted/type".to_owned()), (11, "/redacted".to_owned())]);
}

#[test]
fn signed_and_encrypted_forms_are_looked_at_from_outside_and_inside() {
    use Level::{Must, Should};
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "x5c": ["AAAA"], "uuid": whole()["uuid"] });
    let signature = json!({ "protected": encode(&json!({ "alg": "RS256" })), "header": header, "signature": "AA" });
    let signed = |payload: &Value| json!({ "payload": encode(payload), "signatures": [signature] });
    let good = signed(&whole());
    assert_eq!(found(&good), []);
    assert_eq!(found(&json!({ "payload": encode(&good), "signatures": [signature] })), []);
    let with = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document
    };
    let mut unsigned = whole();
    unsigned["updated_at"] = Value::Null;
    unsigned["dialog"][1]["type"] = json!("video");
    let found_inside = found(&signed(&unsigned));
    assert_eq!(
        found_inside,
        [(28, Should, "/payload/updated_at".into()), (14, Must, "/payload/dialog/1/type".to_owned())]
    );
    for (rule, level, document) in [
        (26, Must, with("/payload", json!("="))),
        (26, Must, signed(&json!([1]))),
        (26, Must, with("/signatures", json!([]))),
        (27, Must, with("/signatures/0/header", json!({ "alg": "RS256", "uuid": whole()["uuid"] }))),
        (27, Must, with("/signatures/0/header/uuid", json!("019f15a6-a752-826f-b9a2-279e0d16bc40"))),
        (27, Must, with("/signatures/0/protected", json!("e30"))),
        (27, Should, with("/signatures/0/protected", json!(encode(&json!({ "alg": "ES256" }))))),
        (27, Should, with("/signatures/0/header", json!({ "x5c": ["AAAA"] }))),
        (33, Should, json!({ "payload": good["payload"], "signatures": [signature], "parties": [] })),
    ] {
        let findings = found(&document);
        assert!(findings.len() == 1 && (findings[0].0, findings[0].1) == (rule, level), "{rule}: {findings:?}");
    }
    let encrypted = json!({
        "unprotected": { "cty": "application/vcon", "enc": "A256CBC-HS512", "uuid": whole()["uuid"] },
        "recipients": [{ "header": { "alg": "RSA-OAEP" }, "encrypted_key": "AA" }],
        "iv": "AA", "ciphertext": "AA", "tag": "AA",
    });
    assert_eq!(found(&encrypted), []);
    for (level, pointer, value) in [
        (Must, "/tag", Value::Null),
        (Must, "/recipients", json!([])),
        (Must, "/recipients/0/header", json!({})),
        (Must, "/unprotected/enc", Value::Null),
        (Should, "/unprotected/enc", json!("A256GCM")),
        (Should, "/unprotected/cty", json!("text/plain")),
        (Should, "/unprotected/uuid", Value::Null),
        (Should, "/recipients/0/header/alg", json!("ECDH-ES+A256KW")),
    ] {
        let mut document = encrypted.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        let findings = found(&document);
        assert!(findings.len() == 1 && (findings[0].0, findings[0].1) == (30, level), "{pointer}: {findings:?}");
    }
}

#[test]
fn a_hostile_document_does_not_write_the_report() {
    let dialogs = vec![json!({ "type": "x" }); 1000];
    let findings = found(&json!({ "dialog": dialogs }));
    assert_eq!(findings.len(), FINDINGS_MAX);
}
