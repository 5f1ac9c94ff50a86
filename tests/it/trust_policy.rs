//! The trust policy that a server verifies under: what it is made of, and that strangers read it whole.

use crate::fixtures::server::{Place, call};
use affiant::crypto::Sha256Digest;
use affiant::evidence::TrustPolicy;
use affiant::pki::Certificate;

fn an_anchor() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new([]).unwrap().self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn a_server_publishes_what_it_verifies_under() {
    let mut place = Place::new();
    let file = place.path().join("trust.toml");
    let other = an_anchor();
    std::fs::write(place.path().join("other.pem"), &other).unwrap();
    let policy = "version = 1\nname = \"ours\"\nclock_skew_max_seconds = 60\n[[anchor]]\nname = \"other\"\nfile = \"other.pem\"\n";
    std::fs::write(&file, policy).unwrap();
    place.set("trust", &format!("policy = {file:?}"));
    let token = place.issuer_token(0);
    let server = place.serve().await;

    let published = server.client.get("/v1/trust-policy", "").await;
    assert_eq!((published.status, published.header("content-type")), (200, "application/toml; charset=utf-8"));
    let digest = Sha256Digest::of(&published.body).to_string();
    assert_eq!(published.header("etag"), format!("\"{digest}\""));
    let receipt = server.client.issue(&token, call(1)).await;
    let path = format!("/v1/records/{}", receipt["record"].as_str().unwrap());
    let report = server.client.verify(server.client.get(&path, &token).await.body).await;
    assert_eq!(report["verdict"]["indication"], "TOTAL-PASSED", "{report}");
    assert_eq!((&report["trust_policy"], &report["trust_policy_digest"]), (&"ours".into(), &digest.into()));

    let read = TrustPolicy::parse(published.text(), |_| Err("nothing is left outside".into())).unwrap();
    let root = std::fs::read_to_string(place.root()).unwrap();
    for pem in [&root, &other] {
        let anchor = Certificate::from_pem_bundle(pem, 1).unwrap().remove(0);
        assert!(read.anchors.contains(&anchor));
    }
    assert_eq!(read.clock_skew_max.num_seconds(), 60);
    assert_eq!(read.log_policy.unwrap().logs()[0].key(), &place.log_key());
    server.stop().await;
}

#[tokio::test]
async fn a_server_stands_for_its_own_ledger_and_for_records_in_every_state() {
    let mut place = Place::new();
    let file = place.path().join("trust.toml");
    place.set("trust", &format!("policy = {file:?}"));
    for (more, part) in [
        ("[require]\nrecordings = true", "[require]"),
        ("[require]\ntimestamp = true", "[require]"),
        ("[log]\npolicy = \"quorum none\\n\"", "[log]"),
        ("[[anchor]]\nname = \"a\"\nfile = \"none.pem\"", "none.pem"),
    ] {
        std::fs::write(&file, format!("version = 1\nname = \"x\"\n{more}\n")).unwrap();
        let error = format!("{:#}", place.open().await.err().unwrap());
        assert!(error.contains(part), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(place.open().await.is_err());
}
