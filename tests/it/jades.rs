//! Records in the form of JAdES (ETSI TS 119 182-1): what is known beside them, and nothing signed changed.

use affiant::evidence::{Record, record_digest};
use affiant::jose::{Jws, UnsignedProperty};
use affiant::json::JsonLimits;
use affiant::vcon::VconLimits;
use serde_json::{Value, json};

use crate::fixtures::server::{Client, Place, call};

fn jws(bytes: &[u8]) -> Jws {
    Jws::parse(bytes, &JsonLimits::default()).unwrap()
}

/// The record's form at `level`, of which nothing signed is other than in the record.
async fn form(client: &Client, record: &str, token: &str, level: &str) -> Vec<u8> {
    let stored = client.get(record, token).await;
    let form = client.get(&format!("{record}?dialect=jades{level}"), token).await;
    assert_eq!((stored.status, form.status), (200, 200), "{form:?}");
    let (stored, jades) = (jws(&stored.body), jws(&form.body));
    assert!(jades.compact().eq(stored.compact()));
    assert_eq!(record_digest(&jades), record_digest(&stored));
    let value: Value = serde_json::from_slice(&form.body).unwrap();
    for signature in value["signatures"].as_array().unwrap() {
        let header: Vec<_> = signature["header"].as_object().unwrap().keys().collect();
        assert_eq!(header, ["etsiU"], "JAdES has nothing else in the unprotected header");
    }
    form.body
}

#[tokio::test]
async fn without_timestamps_a_record_has_its_path_and_no_higher_level() {
    let place = Place::new();
    let token = place.issuer_token(0);
    let server = place.serve().await;
    let client = &server.client;
    let receipt = client.issue(&token, call(1)).await;
    let record = receipt["links"]["record"].as_str().unwrap();
    let basic = form(client, record, &token, "").await;
    assert_eq!(form(client, record, &token, "&level=b").await, basic);
    let properties = jws(&basic).signatures()[0].unsigned_properties();
    let properties: Vec<_> = properties.iter().collect();
    let [UnsignedProperty::ValidationData(data)] = &properties[..] else { panic!("{properties:?}") };
    assert_eq!(data.certificates.len(), 3, "signer, issuing authority, root");
    assert!(data.crls.is_empty() && data.ocsp_responses.is_empty());
    let report = client.verify(basic.clone()).await;
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
    let mut flipped = basic.clone();
    let at = basic.windows(13).position(|window| window == b"\"signature\":\"").unwrap() + 20;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(client.verify(flipped).await["verdict"]["indication"], "TOTAL-FAILED");

    for level in ["t", "lt", "lta"] {
        let answer = client.get(&format!("{record}?dialect=jades&level={level}"), &token).await;
        let problem = answer.problem(409, "level-not-available");
        assert_eq!(problem["level"], json!(level));
        assert_eq!(problem["missing"], "no timestamp over the value of signature 0 is kept");
    }
    for query in ["dialect=jades&level=x", "level=b", "dialect=draft&level=b"] {
        client.get(&format!("{record}?{query}"), &token).await.problem(400, "bad-request");
    }
    let admitted = Record::parse(&basic, &VconLimits::default()).unwrap();
    assert_eq!(admitted.digest().to_string(), receipt["record"].as_str().unwrap());
    server.stop().await;
}
