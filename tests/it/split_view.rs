//! A log that shows two trees: what is at hand is held against one tree, and what shows two is said.

use crate::fixtures::record::{Case, ORIGIN, SIGNED, at, checkpoint};
use crate::fixtures::server::{Place, WitnessPlace, affiant as run_affiant, call, unpack};
use affiant::crypto::SigningKey;
use affiant::evidence::report::LedgerStatus;
use affiant::evidence::{BundleFiles, LedgerRequirement, verify};
use affiant::tlog::{Checkpoint, RootHash, TlogProof, TreeSize};
use serde_json::{Value, json};

#[test]
fn a_checkpoint_that_the_verifier_has_seen_shows_another_tree() {
    let case = Case::new().cosigned(at(SIGNED)).policy(|policy| policy.ledger_required = LedgerRequirement::Included);
    let bundle = case.bundled();
    let proof = TlogProof::parse(bundle.evidence.proof.as_ref().unwrap()).unwrap();
    let root = proof.checkpoint().checkpoint().root();
    let with = |own: &[Vec<u8>]| {
        let mut bundle = bundle.clone();
        bundle.local_checkpoints = own.to_vec();
        verify(&bundle, &case.trust(), case.now)
    };
    let note = |size: u64, root: RootHash| checkpoint(TreeSize(size), root, None).note().to_string().into_bytes();
    let (stranger, _) = SigningKey::generate_ed25519();
    let forged = Checkpoint::new(ORIGIN, TreeSize(1), RootHash::new([9; 32])).unwrap().sign(&stranger).unwrap();
    for own in [
        vec![],
        vec![note(1, root)],
        vec![note(2, RootHash::new([9; 32]))],
        // Nobody's word.
        vec![forged.note().to_string().into_bytes(), b"junk".to_vec()],
    ] {
        assert_eq!(with(&own).ledger.status, LedgerStatus::Included);
    }
    for own in [vec![note(1, RootHash::new([9; 32]))], vec![note(3, root), note(1, root), note(3, RootHash::empty())]] {
        let report = with(&own);
        assert_eq!(report.ledger.status, LedgerStatus::Inconsistent);
        assert!(report.ledger.reason.starts_with("split view: the log signed two trees of "), "{:?}", report.ledger);
        assert_eq!(report.verdict.code(), "INDETERMINATE (SIG_CONSTRAINTS_FAILURE)");
        assert_eq!(report.rows[4].code, "INCONSISTENT");
    }
}

#[test]
fn a_checkpoint_inside_the_record_may_be_of_another_tree() {
    // Inside is a checkpoint of seven entries; the verifier has seen another of as many.
    let mut case = Case::new().after(at(SIGNED)).cosigned(at(SIGNED));
    case.claimed = at(SIGNED);
    let mut bundle = case.bundled();
    assert_eq!(verify(&bundle, &case.trust(), case.now).ledger.status, LedgerStatus::Included);
    bundle.local_checkpoints =
        vec![checkpoint(TreeSize(7), RootHash::new([8; 32]), None).note().to_string().into_bytes()];
    let report = verify(&bundle, &case.trust(), case.now);
    assert_eq!(report.ledger.reason, "split view: the log signed two trees of 7 entries");
}

#[tokio::test]
async fn bundles_show_that_the_log_was_one_and_a_fork_is_told_by_server_and_command() {
    let (mut place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    let token = place.issuer_token(0);
    let mut fork = place.copy();
    place.set("witnessing", &witness.settings(&process));
    let server = place.serve_now().await;
    let answered = |receipt: &Value| {
        let index = receipt["index"].as_u64();
        move |health: &Value| {
            health["parties"].as_array().unwrap().iter().all(|party| party["answered"].as_u64() > index)
        }
    };
    let mut receipts = Vec::new();
    for n in 1..=2 {
        let receipt = server.client.issue(&token, call(n)).await;
        server.client.wait_for_health(answered(&receipt)).await;
        receipts.push(receipt);
    }
    let bundle = server.client.get(receipts[1]["links"]["bundle"].as_str().unwrap(), &token).await.body;
    let report = server.client.verify(bundle.clone()).await;
    assert_eq!(
        (&report["ledger"]["status"], report["ledger"]["consistent_with"].as_array().unwrap().len()),
        (&json!("INCLUDED"), 1),
        "{report}"
    );
    // Offline, and with the proof spoilt or gone.
    let files = BundleFiles::from_zip(&bundle).unwrap();
    let folder = tempfile::tempdir().unwrap();
    unpack(&bundle, folder.path());
    let offline = |more: &[&str]| -> Value {
        let root = place.root();
        let trust = ["verify", ".", "--trust", root.to_str().unwrap(), "--log-policy", "ledger.tlog-policy", "--json"];
        let output = run_affiant(folder.path(), &[&trust[..], more].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let missing = |report: &Value| -> Vec<Value> {
        let missing = report["completeness"]["missing"].as_array().unwrap().iter();
        missing.filter(|one| one["what"] == "consistency").cloned().collect()
    };
    assert_eq!(missing(&offline(&[])), Vec::<Value>::new());
    let (name, proof) = files.iter().find(|(name, _)| name.starts_with("consistency-")).unwrap();
    // The first character of the last hash is another.
    let mut spoilt = proof.to_vec();
    let at = spoilt[..spoilt.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    spoilt[at] = if spoilt[at] == b'B' { b'C' } else { b'B' };
    for instead in [b"junk".to_vec(), spoilt] {
        std::fs::write(folder.path().join(name), instead).unwrap();
        let report = offline(&[]);
        assert_eq!((missing(&report).len(), &missing(&report)[0]["needed"]), (1, &json!(false)), "{report}");
    }
    std::fs::remove_file(folder.path().join(name)).unwrap();
    assert_eq!(missing(&offline(&[])).len(), 1);

    // The same log from before, where other calls were issued until it has as many entries.
    fork.set("witnessing", "quorum = \"none\"");
    let forked = fork.serve_now().await;
    let size = report["ledger"]["size"].as_u64().unwrap();
    let mut n = 10;
    let mut other = Value::Null;
    while other["index"].as_u64().is_none_or(|index| index + 1 < size) {
        other = forked.client.issue(&token, call(n)).await;
        n += 1;
    }
    let note = forked.client.get("/checkpoint", &token).await.body;
    std::fs::write(folder.path().join("seen.txt"), &note).unwrap();
    let split = offline(&["--checkpoint", "seen.txt"]);
    let expected = format!("split view: the log signed two trees of {size} entries");
    assert_eq!(split["ledger"]["reason"], json!(expected), "{split}");
    let theirs = forked.client.get(other["links"]["bundle"].as_str().unwrap(), &token).await.body;
    let told = server.client.verify(theirs).await;
    assert_eq!(told["ledger"]["status"], json!("INCONSISTENT"), "{told}");
    assert!(told["ledger"]["reason"].as_str().unwrap().starts_with("split view: the ledger that was asked"), "{told}");
    server.stop().await;
    forked.stop().await;
    assert!(process.stop());
}
