//! A record all the way, with the body store's reads counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Issuance, LogPolicyFile, Submitter, lines_in_flight};
use crate::authority::{Authority, AuthorityParams, FileKeyStore, KeyProtection, Profiles, ScryptCost};
use crate::clock::{Clock, SystemClock};
use crate::cpu_pool::CpuPool;
use crate::crypto::{SealingKey, Signer as _, SigningKey};
use crate::evidence::{Indication, TrustPolicy, Verifier};
use crate::ledger::{Durability, LedgerOptions, LocalBackend, OpenedLedger, SNAPSHOT_ENTRIES};
use crate::scorecard::Scorecard;
use crate::tlog::{LogPolicy, VerifierKey};
use crate::vcon::{NewContent, NewDialog, VconBuilder, VconLimits};
use crate::vfs::{FileSystem, ObservedFileSystem};

const SCORECARD: &str = include_str!("../../policies/scorecards/outbound-call.toml");
/// Bytes of what is said in the call: larger than anything else that is read with its body.
const SPEECH_BYTES: usize = 256 << 10;

/// Issuing in `dir`, over `fs`, for an issuer that is made here.
fn issuing(dir: &Path, fs: Arc<dyn FileSystem>) -> (Arc<Issuance>, Submitter) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let protection = KeyProtection::from(Zeroizing::new("x".to_owned())).with_cost(ScryptCost::INSECURE);
    let params = AuthorityParams {
        organisation: "Example Ltd".into(),
        base_url: "http://127.0.0.1".into(),
        root_key_path: dir.join("root-key.pem"),
        root_key_protection: protection.clone(),
        profiles: Profiles::load(None).unwrap().with_smallest_keys(),
    };
    let keys = FileKeyStore::of_authority(&dir.join("authority"), protection);
    let authority = Authority::init(&dir.join("authority"), params, keys, clock.clone()).unwrap();
    let issuer = authority.add_issuer("Example Calls").unwrap().id;
    authority.issue(&issuer).unwrap();
    let (log, _) = SigningKey::generate_ed25519();
    let log_key = VerifierKey::ed25519("log.example/1", log.verifying_key()).unwrap();
    let text = format!("log {log_key} http://127.0.0.1\nquorum none\n");
    let log_policy = LogPolicy::parse(text.as_bytes()).unwrap();
    let mut trust = TrustPolicy::nobody();
    trust.anchors.add(vec![authority.root().clone()]);
    trust.log_policy = Some(log_policy.clone());
    let vault_key = Arc::new(SealingKey::new(&[7; 32]));
    let backend = LocalBackend::take(fs, &dir.join("data"), vault_key.clone()).unwrap();
    let ledger = LedgerOptions {
        origin: "log.example/1".into(),
        signer: Arc::new(log),
        vault_key: vault_key.clone(),
        clock: clock.clone(),
        checkpoint_interval: Duration::from_millis(1),
        snapshot_entries: SNAPSHOT_ENTRIES,
        log_policy: None,
    };
    let ledger = OpenedLedger::open(ledger, &backend).unwrap().start().unwrap();
    ledger.confirm();
    let issuance = Issuance {
        ledger,
        authority: Arc::new(authority),
        scorecards: vec![Scorecard::from_file(SCORECARD, toml::Deserializer::parse(SCORECARD).unwrap()).unwrap()],
        verifier: Verifier::new(trust),
        log_policy: LogPolicyFile { bytes: text.into_bytes(), policy: log_policy },
        clock,
        cpu_pool: CpuPool::start().unwrap(),
        limits: VconLimits::default(),
        timestamp_lists: std::sync::RwLock::default(),
        batch_budget: lines_in_flight(),
        witnessed_timeout: Duration::ZERO,
    };
    (Arc::new(issuance), Submitter { issuer, may_anchor_foreign: false })
}

fn call(now: chrono::DateTime<chrono::Utc>) -> Vec<u8> {
    let mut builder = VconBuilder::new("01909c6e-0000-8000-8000-000000000001".parse().unwrap(), now);
    let agent = builder.party("Agent", "tel:+12025550100");
    let said = "This call is recorded. ".repeat(SPEECH_BYTES / 23);
    builder.add_dialog(NewDialog::text(now, NewContent::text(&said)).parties(&[agent]));
    builder.build().to_bytes()
}

#[tokio::test]
async fn a_bundle_reads_its_body_once() {
    let dir = tempfile::tempdir().unwrap();
    let fs = ObservedFileSystem { counted: "vault", ..ObservedFileSystem::default() };
    let body_bytes = fs.bytes_read.clone();
    let (issuance, submitter) = issuing(dir.path(), Arc::new(fs));
    let receipt = issuance.submit(submitter, call(issuance.clock.now()), Durability::Included).await.unwrap();

    let read = |work: &dyn Fn()| {
        let before = body_bytes.load(Ordering::Relaxed);
        work();
        body_bytes.load(Ordering::Relaxed) - before
    };
    let once = read(&|| assert!(issuance.ledger.record(receipt.index).unwrap().body.is_some()));
    assert!(once >= SPEECH_BYTES as u64, "the body is read from the vault: {once} bytes");
    let bundle = read(&|| {
        let assembled = issuance.assemble_bundle(receipt.index).unwrap();
        assert_eq!(assembled.report.verdict.indication, Indication::Passed, "{}", assembled.report.to_json());
        assert_eq!(assembled.uuid, receipt.uuid);
        drop(assembled.to_files().to_zip());
    });
    assert_eq!(bundle, once);
    issuance.ledger.stop();
}
