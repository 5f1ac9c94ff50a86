//! The certificate manager against openssl, against time, and against concurrent use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use affiant::authority::{
    Authority, AuthorityError, AuthorityEvent, AuthorityParams, CertificateKind, CertificateState, FileKeyStore,
    IssuerCredential, KeyProtection, KeyStore, KeyStoreError, Profiles, RevocationRequest, ScryptCost, StoredKeyId,
};
use affiant::clock::{Clock, ManualClock, parse_time};
use affiant::crypto::{Hash, KeySize, SignatureAlgorithm, Signer, SigningError, VerifyingKey};
use affiant::evidence::{Bundle, Indication, LayerEvidence, SubIndication, TrustPolicy, verify};
use affiant::jose::NewSignature;
use affiant::pki::ocsp::{CertificateId, CertificateStatus, IdHash, OcspRequest, OcspResponse};
use affiant::pki::tsp::MessageImprint;
use affiant::pki::tsp::{TimestampRequest, TimestampResponse};
use affiant::pki::{
    Budget, Certificate, Crl, PathOutcome, PathProfile, RevocationReason, RevocationStatus, TrustAnchors, find_path,
    to_pem,
};
use affiant::witness::{WitnessDir, WitnessSettings};
use chrono::{DateTime, TimeDelta, Utc};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const RS256: SignatureAlgorithm = SignatureAlgorithm::RsaPkcs1(Hash::Sha256);

struct Place {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        let now = parse_time("2026-07-01T12:00:00.250Z").unwrap();
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::new(now)) }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("authority")
    }

    fn root_key(&self) -> PathBuf {
        self.directory.path().join("root-key.pem")
    }

    fn init(&self) -> Authority {
        self.try_init().unwrap()
    }

    fn params(&self) -> AuthorityParams {
        AuthorityParams {
            organisation: "Example Ltd".into(),
            base_url: "http://pki.example.com/".into(),
            root_key_path: self.root_key(),
            root_key_protection: protection("correct"),
            profiles: Profiles::load(None).unwrap().with_smallest_keys(),
        }
    }

    fn try_init(&self) -> Result<Authority, AuthorityError> {
        let keys = FileKeyStore::of_authority(&self.data(), protection("correct"));
        Authority::init(&self.data(), self.params(), keys, self.clock())
    }

    fn open(&self, passphrase: &str) -> Result<Authority, AuthorityError> {
        let keys = FileKeyStore::of_authority(&self.data(), protection(passphrase));
        Authority::open(&self.data(), keys, self.clock())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::<ManualClock>::clone(&self.clock)
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

fn passphrase(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn protection(text: &str) -> KeyProtection {
    KeyProtection::from(passphrase(text)).with_cost(ScryptCost::INSECURE)
}

fn revocation(certificate: &Certificate) -> RevocationRequest {
    RevocationRequest {
        certificate: certificate.serial_hex(),
        reason: RevocationReason::KeyCompromise,
        revoked_at: None,
        invalidity_date: None,
    }
}

fn sign_and_verify(credential: &IssuerCredential) {
    let signature = credential.signer.sign(RS256, b"record").unwrap();
    assert_eq!(credential.certificate.key().unwrap().check_signature(RS256, b"record", &signature), Ok(()));
}

fn openssl_verifies(place: &Place, authority: &Authority, leaf: &Certificate) -> Option<bool> {
    let write = |name: &str, text: String| {
        let path = place.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let crls = authority.current_crls().unwrap().iter().map(|crl| to_pem("X509 CRL", &crl.der)).collect();
    let paths = [
        write("root.pem", authority.root_pem()),
        write("chain.pem", authority.chain_pem()),
        write("crls.pem", crls),
        write("leaf.pem", to_pem("CERTIFICATE", leaf.der())),
    ];
    let [root, chain, crls, leaf] = paths.each_ref().map(|path| path.as_path());
    let output = Command::new("openssl")
        .args(["verify", "-crl_check_all", "-x509_strict", "-attime", &place.now().timestamp().to_string()])
        .args([Path::new("-CAfile"), root, Path::new("-untrusted"), chain, Path::new("-CRLfile"), crls, leaf])
        .output();
    let Ok(output) = output else {
        println!("skipped: no openssl");
        return None;
    };
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some(output.status.success())
}

#[test]
fn openssl_accepts_the_chain_and_refuses_a_revoked_leaf() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap();
    let leaf = Arc::clone(&authority.issue(&issuer.id).unwrap().certificate);
    let Some(accepted) = openssl_verifies(&place, &authority, &leaf) else { return };
    assert!(accepted);

    place.clock.advance(DAY);
    authority.revoke(&revocation(&leaf)).unwrap();
    assert_eq!(openssl_verifies(&place, &authority, &leaf), Some(false));
    let next = authority.issue(&issuer.id).unwrap();
    assert_eq!(openssl_verifies(&place, &authority, &next.certificate), Some(true));
}

#[test]
fn our_own_verifier_accepts_the_chain_and_reads_the_list() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap();
    let credential = authority.issue(&issuer.id).unwrap();
    let chain: Vec<Arc<Certificate>> =
        credential.chain_der.iter().map(|der| Arc::new(Certificate::from_der(der).unwrap())).collect();
    let anchors = TrustAnchors::new(vec![Arc::clone(authority.root())]);
    let outcome = find_path(&chain[0], &chain[1..], &anchors, &PathProfile::document_signing(), &mut Budget::default());
    let PathOutcome::Valid(path) = outcome else { panic!("{outcome:?}") };
    assert_eq!(path.certificates().len(), 3);
    assert_eq!(path.check_validity_at(place.now()), Ok(()));

    let asked_at = place.now();
    place.clock.advance(DAY);
    let mut request = revocation(&chain[0]);
    request.invalidity_date = Some(asked_at);
    let published = authority.revoke(&request).unwrap();
    let crl = Crl::from_der(&published.der).unwrap();
    assert_eq!(crl.check_signature(&chain[1]), Ok(()));
    let RevocationStatus::Revoked(entry) = crl.revocation_of(&chain[0]) else { panic!("revoked") };
    assert_eq!(entry.reason, RevocationReason::KeyCompromise);
    assert_eq!(entry.effective_at().timestamp(), asked_at.timestamp());
    assert_eq!(crl.expired_certs_since(), Some(chain[1].not_before()));
    assert!(authority.first_crls_since(asked_at).unwrap().iter().any(|made| made.digest == crl.digest_url()));

    let mut flipped = published.der.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(Crl::from_der(&flipped).unwrap().check_signature(&chain[1]).is_err());
    assert!(matches!(authority.revoke(&request), Err(AuthorityError::RevokedAlready { .. })));
}

#[test]
fn signing_goes_on_while_keys_rotate() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    authority.issue(&issuer).unwrap();
    let done = AtomicBool::new(false);
    let signed = std::thread::scope(|scope| {
        let signer = scope.spawn(|| {
            let mut thumbprints = std::collections::HashSet::new();
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let started = std::time::Instant::now();
                let credential = authority.signer(&issuer).unwrap();
                longest = longest.max(started.elapsed());
                sign_and_verify(&credential);
                thumbprints.insert(*credential.certificate.thumbprint());
            }
            (thumbprints.len(), longest)
        });
        for _ in 0..3 {
            authority.rotate(&issuer).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        signer.join().unwrap()
    });
    println!("signed under {} certificates, longest wait for a signer {:?}", signed.0, signed.1);
    assert!(signed.0 >= 2);
}

#[test]
fn twenty_rotations_lose_nothing_and_stop_before_the_authority_ends() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let first = authority.issue(&issuer).unwrap();
    for rotation in 1..=20 {
        place.clock.advance(60 * DAY);
        assert!(authority.rotate_due(place.now() - TimeDelta::seconds(1)).unwrap().is_empty());
        assert_eq!(authority.rotate_due(place.now()).unwrap(), vec![issuer.clone()], "{rotation}");
        sign_and_verify(&authority.signer(&issuer).unwrap());
    }
    let leaves: Vec<_> = authority
        .certificates(None, usize::MAX)
        .unwrap()
        .certificates
        .into_iter()
        .filter(|summary| summary.kind == CertificateKind::SigningLeaf)
        .collect();
    assert_eq!(leaves.len(), 21);
    assert_eq!(leaves[0].thumbprint, first.certificate.thumbprint_url());
    assert_eq!(leaves[0].state, CertificateState::Expired);
    assert_eq!(leaves[19].state, CertificateState::Passive);
    assert_eq!(leaves[20].state, CertificateState::Active);
    // The keys of the active period and of the overlap before it are left, with the issuing authority's.
    let keys = std::fs::read_dir(place.data().join("keys")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(keys.filter(|path| path.extension().is_some_and(|ending| ending == "key")).count(), 3);

    // 1200 days on, a leaf of 460 days still fits into the 5 years, 1440 days on it is cut, 1740 on it is refused.
    place.clock.advance(240 * DAY);
    assert!(!authority.issuing_authority_due(place.now()));
    let cut = authority.rotate(&issuer).unwrap();
    let end = authority.authority_certificate("issuing-1").unwrap().not_after();
    assert_eq!(cut.certificate.not_after(), end);
    place.clock.advance(300 * DAY);
    assert!(authority.issuing_authority_due(place.now()));
    assert!(matches!(authority.rotate(&issuer), Err(AuthorityError::AuthorityEnds { .. })));
    assert!(matches!(authority.signer(&issuer), Err(AuthorityError::NotActive { .. })));

    authority.renew_issuing_authority(&place.root_key(), &passphrase("correct")).unwrap();
    let under_successor = authority.rotate(&issuer).unwrap();
    assert_eq!(under_successor.certificate.issuer().to_string(), "O=Example Ltd, CN=Example Ltd Issuing CA 2");
    sign_and_verify(&authority.signer(&issuer).unwrap());
    drop(authority);
    let reopened = place.open("correct").unwrap();
    assert_eq!(reopened.signer(&issuer).unwrap().certificate.thumbprint(), under_successor.certificate.thumbprint());
}

#[test]
fn lists_renew_themselves_and_keep_the_expired() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let leaf = Arc::clone(&authority.issue(&issuer).unwrap().certificate);
    authority.revoke(&revocation(&leaf)).unwrap();
    let number = authority.current_crl("issuing-1").unwrap().number;
    assert!(authority.renew_crl_due(place.now()).unwrap().is_empty());
    for day in 1..=3 {
        place.clock.advance(DAY);
        let made = authority.renew_crl_due(place.now()).unwrap();
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].number, number + day);
        assert_eq!(authority.archived_crl("issuing-1", number + day - 1).unwrap().number, number + day - 1);
    }
    place.clock.advance(500 * DAY);
    authority.renew_crl_due(place.now()).unwrap();
    let crl = Crl::from_der(&authority.current_crl("issuing-1").unwrap().der).unwrap();
    assert!(leaf.check_validity_at(place.now()).is_err());
    assert!(matches!(crl.revocation_of(&leaf), RevocationStatus::Revoked(_)));

    assert!(authority.root_crl_due(place.now()).unwrap());
    let made = authority.renew_root_crl(&place.root_key(), &passphrase("correct")).unwrap();
    assert_eq!((made.authority.as_str(), made.number), ("root", 2));
    assert!(!authority.root_crl_due(place.now()).unwrap());
    let wrong = authority.renew_root_crl(&place.root_key(), &passphrase("wrong"));
    assert!(matches!(wrong, Err(AuthorityError::Key(KeyStoreError::Sealed { .. }))));
}

#[test]
fn a_revoked_issuer_signs_no_more_until_it_is_given_a_new_certificate() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    assert!(matches!(authority.signer(&issuer), Err(AuthorityError::NoCertificate(_))));
    let unknown = "iss_000000000000000000000000".parse().unwrap();
    assert!(matches!(authority.signer(&unknown), Err(AuthorityError::UnknownIssuer(_))));

    let leaf = Arc::clone(&authority.issue(&issuer).unwrap().certificate);
    let mut early = revocation(&leaf);
    early.revoked_at = Some(place.now() - TimeDelta::days(1));
    assert!(matches!(authority.revoke(&early), Err(AuthorityError::RevocationDate { .. })));
    authority.revoke(&revocation(&leaf)).unwrap();
    assert!(matches!(authority.signer(&issuer), Err(AuthorityError::Revoked { .. })));
    authority.issue(&issuer).unwrap();
    sign_and_verify(&authority.signer(&issuer).unwrap());

    let issuing = authority.authority_certificate("issuing-1").unwrap();
    assert!(matches!(authority.revoke(&revocation(&issuing)), Err(AuthorityError::RootKeyNeeded(_))));
    let published =
        authority.revoke_issuing_authority(&revocation(&issuing), &place.root_key(), &passphrase("correct")).unwrap();
    let crl = Crl::from_der(&published.der).unwrap();
    assert!(matches!(crl.revocation_of(&issuing), RevocationStatus::Revoked(_)));
    assert!(matches!(authority.signer(&issuer), Err(AuthorityError::Revoked { .. })));
    assert!(matches!(authority.issue(&issuer), Err(AuthorityError::NoAuthority)));
}

#[test]
fn an_issuer_may_bring_its_own_key() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    authority.issue(&issuer).unwrap();
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let chain = authority.issue_for_request(&issuer, request.der()).unwrap();
    let leaf = Certificate::from_der(&chain[0]).unwrap();
    assert_eq!(leaf.subject().to_string(), "O=Example Ltd, CN=Example calls");
    assert_eq!(leaf.key().unwrap().raw(), key.public_key_raw());
    assert_ne!(openssl_verifies(&place, &authority, &leaf), Some(false));
    assert!(matches!(authority.signer(&issuer), Err(AuthorityError::KeyElsewhere(_))));
    assert!(matches!(authority.issue_for_request(&issuer, &chain[0]), Err(AuthorityError::Request { .. })));
}

#[test]
fn the_outbox_survives_and_is_emptied_only_by_acknowledgement() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let leaf = Arc::clone(&authority.issue(&issuer).unwrap().certificate);
    let published = authority.revoke(&revocation(&leaf)).unwrap();
    let before = authority.pending_events(usize::MAX).unwrap();
    drop(authority);

    let authority = place.open("correct").unwrap();
    assert_eq!(authority.pending_events(usize::MAX).unwrap(), before);
    assert!(before.windows(2).all(|pair| pair[0].id < pair[1].id));
    let kinds = before.iter().map(|pending| match &pending.event {
        AuthorityEvent::CertificateIssued { .. } => 'i',
        AuthorityEvent::CertificateRevoked { .. } => 'r',
        AuthorityEvent::CrlPublished { .. } => 'c',
    });
    // Root and its list, authority and its list, leaf, revocation and its list.
    assert_eq!(kinds.collect::<String>(), "iciicirc");
    let Some(AuthorityEvent::CrlPublished { crl, number, .. }) = before.last().map(|pending| pending.event.clone())
    else {
        panic!("a list comes last")
    };
    assert_eq!((crl, number), (published.digest, published.number));

    authority.acknowledge(&[before[0].id]).unwrap();
    authority.acknowledge(&[before[0].id]).unwrap();
    drop(authority);
    assert_eq!(place.open("correct").unwrap().pending_events(usize::MAX).unwrap(), before[1..]);
}

#[test]
fn says_what_is_wrong_with_keys_directories_and_pass_phrases() {
    let place = Place::new();
    assert!(matches!(place.open("correct"), Err(AuthorityError::Missing(_))));
    let authority = place.init();
    assert!(place.root_key().exists());
    assert!(matches!(place.open("correct"), Err(AuthorityError::Locked(_))));
    drop(authority);
    assert!(matches!(place.open("wrong"), Err(AuthorityError::Key(KeyStoreError::Sealed { .. }))));
    drop(place.open("correct").unwrap());

    let key = std::fs::read_dir(place.data().join("keys")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, &text[..text.len() - 10]).unwrap();
    assert!(matches!(place.open("correct"), Err(AuthorityError::Key(KeyStoreError::Malformed { .. }))));
    std::fs::write(&key, text).unwrap();
    drop(place.open("correct").unwrap());

    let inside = Place::new();
    let params = AuthorityParams {
        organisation: "Example Ltd".into(),
        base_url: "http://pki.example.com".into(),
        root_key_path: inside.data().join("keys").join("root.pem"),
        root_key_protection: protection("correct"),
        profiles: Profiles::load(None).unwrap().with_smallest_keys(),
    };
    std::fs::create_dir_all(inside.data().join("keys")).unwrap();
    let keys = FileKeyStore::of_authority(&inside.data(), protection("correct"));
    let refused = Authority::init(&inside.data(), params, keys, inside.clock());
    assert!(matches!(refused, Err(AuthorityError::RootKeyInside(_))));
}

#[test]
fn an_authority_is_made_by_one_process_and_once() {
    let place = Place::new();
    std::fs::create_dir_all(place.data()).unwrap();
    let held = std::fs::File::create(place.data().join("lock")).unwrap();
    held.try_lock().unwrap();
    assert!(matches!(place.try_init(), Err(AuthorityError::Locked(_))));
    assert_eq!(std::fs::read_dir(place.data()).unwrap().count(), 1, "nothing is made");
    assert!(!place.root_key().exists());
    drop(held);
    drop(place.init());
    let state = std::fs::read(place.data().join("state.redb")).unwrap();
    assert!(matches!(place.try_init(), Err(AuthorityError::Exists(_))));
    assert!(std::fs::read(place.data().join("state.redb")).unwrap() == state);
}

#[test]
fn a_timestamp_certificate_is_for_timestamps_alone() {
    let place = Place::new();
    let authority = place.init();
    let credential = authority.issue_timestamp("Example demonstration TSA").unwrap();
    assert!(credential.certificate.extended_key_usages_are_critical());
    sign_and_verify(&credential);
    let issuing = authority.authority_certificate("issuing-1").unwrap();
    let anchors = TrustAnchors::new(vec![Arc::clone(authority.root())]);
    let path = |profile: PathProfile| {
        find_path(&credential.certificate, &[Arc::clone(&issuing)], &anchors, &profile, &mut Budget::default())
    };
    assert!(matches!(path(PathProfile::time_stamping()), PathOutcome::Valid(_)));
    assert!(matches!(path(PathProfile::document_signing()), PathOutcome::Broken { .. }));
}

#[test]
fn the_lists_of_a_revoked_authority_prove_nothing() {
    let place = Place::new();
    let authority = place.init();
    let issuers = ["One", "Two"].map(|name| authority.add_issuer(name).unwrap().id);
    let [credential, other] = issuers.each_ref().map(|issuer| authority.issue(issuer).unwrap());
    let keys = vec![affiant::witness::CosigningAlgorithm::Ed25519];
    let settings =
        WitnessSettings { name: "example.com/w".into(), keys, timestamp_policy: "1.3.6.1.4.1.32473.1".into() };
    let witness = WitnessDir::init(&place.directory.path().join("witness"), settings, None, place.now()).unwrap();
    let time = witness.open(None, &place.clock()).unwrap().authority;
    let time_root = Certificate::from_pem_bundle(&std::fs::read_to_string(witness.root_certificate()).unwrap(), 1)
        .unwrap()
        .remove(0);
    let anchors = |certificate| TrustAnchors::new(vec![certificate]);
    let policy = TrustPolicy {
        anchors: anchors(Arc::clone(authority.root())),
        timestamp_anchors: anchors(Arc::new(time_root)),
        ..TrustPolicy::nobody()
    };
    let crls = || authority.current_crls().unwrap().iter().map(|crl| crl.der.clone()).collect::<Vec<_>>();

    place.clock.advance(DAY);
    let signature = NewSignature {
        signer: &*credential.signer,
        chain: &credential.chain_der,
        issued_at: place.now(),
        uuid: "01909c6e-0000-8000-8000-000000000000",
    };
    let record = signature.sign(br#"{"parties":[],"uuid":"01909c6e-0000-8000-8000-000000000000"}"#).unwrap();
    let request = TimestampRequest::new(MessageImprint::of(Hash::Sha256, &record), [1; 8]).encode().unwrap();
    let token = TimestampResponse::parse(&time.answer(&request)).unwrap().granted_token().unwrap().to_vec();
    let evidence = LayerEvidence { record_tokens: vec![token], ..LayerEvidence::default() };
    let before = Bundle { record, evidence, crls: crls(), ..Bundle::default() };
    assert_eq!(verify(&before, &policy, place.now()).verdict.indication, Indication::Passed);

    place.clock.advance(DAY);
    let issuing = authority.authority_certificate("issuing-1").unwrap();
    authority.revoke_issuing_authority(&revocation(&issuing), &place.root_key(), &passphrase("correct")).unwrap();
    place.clock.advance(DAY);
    assert!(authority.renew_crls_now().unwrap().is_empty());
    let renewed = Bundle { crls: crls(), ..before.clone() };
    assert_eq!(verify(&renewed, &policy, place.now()).verdict.indication, Indication::Passed);
    authority.revoke(&revocation(&other.certificate)).unwrap();
    let after = Bundle { crls: crls(), ..before.clone() };
    let verdict = verify(&after, &policy, place.now()).verdict;
    assert_eq!(verdict.sub_indication, Some(SubIndication::RevokedCaNoPoe), "{verdict:?}");

    // A list from before the revocation still speaks.
    let both = Bundle { crls: [before.crls.clone(), after.crls].concat(), ..before };
    assert_eq!(verify(&both, &policy, place.now()).verdict.indication, Indication::Passed);
}

/// The status of a certificate as its authority answers, by the request that openssl would make too.
fn asked(authority: &Authority, certificate: &Certificate, issuer: &Certificate, hash: IdHash) -> Vec<u8> {
    let id = CertificateId::of(hash, issuer, certificate.serial()).unwrap();
    authority.answer_status(&OcspRequest::encode(&id))
}

fn status_of(response: &[u8]) -> CertificateStatus {
    OcspResponse::from_der(response).unwrap().statuses()[0].status.clone()
}

const TRY_LATER: &[u8] = &[0x30, 3, 10, 1, 3];
const UNAUTHORIZED: &[u8] = &[0x30, 3, 10, 1, 6];

#[test]
fn statuses_are_signed_ahead_and_replaced_by_a_revocation() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap();
    let issuing = authority.authority_certificate("issuing-1").unwrap();
    assert_eq!(asked(&authority, &issuing, authority.root(), IdHash::Sha1), TRY_LATER, "nothing is signed yet");
    let leaf = Arc::clone(&authority.issue(&issuer.id).unwrap().certificate);
    let sha1 = asked(&authority, &leaf, &issuing, IdHash::Sha1);
    assert_eq!(status_of(&sha1), CertificateStatus::Good);
    assert_eq!(asked(&authority, &leaf, &issuing, IdHash::Sha2(Hash::Sha256)), sha1);
    assert_eq!(asked(&authority, &leaf, &issuing, IdHash::Sha2(Hash::Sha512)), UNAUTHORIZED);
    assert_eq!(asked(&authority, &leaf, authority.root(), IdHash::Sha1), UNAUTHORIZED, "of another authority");
    assert_eq!(authority.answer_status(b"no request"), [0x30, 3, 10, 1, 1]);

    // The authority's own, by the responder that the root certified.
    assert_eq!(authority.renew_statuses_due(place.now()).unwrap(), 1);
    assert_eq!(status_of(&asked(&authority, &issuing, authority.root(), IdHash::Sha1)), CertificateStatus::Good);
    assert_eq!(authority.renew_statuses_due(place.now()).unwrap(), 0);
    place.clock.advance(DAY);
    assert_eq!(authority.renew_statuses_due(place.now()).unwrap(), 2);

    authority.revoke(&revocation(&leaf)).unwrap();
    let revoked = asked(&authority, &leaf, &issuing, IdHash::Sha1);
    assert!(matches!(status_of(&revoked), CertificateStatus::Revoked(_)));
    authority.revoke_issuing_authority(&revocation(&issuing), &place.root_key(), &passphrase("correct")).unwrap();
    let of_authority = asked(&authority, &issuing, authority.root(), IdHash::Sha1);
    assert!(matches!(status_of(&of_authority), CertificateStatus::Revoked(_)));
    assert_eq!(asked(&authority, &leaf, &issuing, IdHash::Sha1), UNAUTHORIZED, "its word is worth nothing any more");
    assert_eq!(authority.status_since(&leaf.thumbprint_url(), place.now()).unwrap(), None);

    // What has ended is forgotten, and a reopened authority signs anew.
    drop(authority);
    let reopened = place.open("correct").unwrap();
    assert_eq!(asked(&reopened, &issuing, reopened.root(), IdHash::Sha1), TRY_LATER);
    assert_eq!(reopened.renew_statuses_due(place.now()).unwrap(), 1);
}

#[test]
fn with_statuses_from_after_its_time_a_record_needs_no_list() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let credential = authority.issue(&issuer).unwrap();
    let issuing = authority.authority_certificate("issuing-1").unwrap();
    place.clock.advance(DAY);
    let signature = NewSignature {
        signer: &*credential.signer,
        chain: &credential.chain_der,
        issued_at: place.now(),
        uuid: "01909c6e-0000-8000-8000-000000000000",
    };
    let record = signature.sign(br#"{"parties":[],"uuid":"01909c6e-0000-8000-8000-000000000000"}"#).unwrap();
    let policy =
        TrustPolicy { anchors: TrustAnchors::new(vec![Arc::clone(authority.root())]), ..TrustPolicy::nobody() };
    let code = |ocsp_responses, now| {
        let bundle = Bundle { ocsp_responses, ..Bundle::of_record(record.clone()) };
        verify(&bundle, &policy, now).verdict.code()
    };
    let statuses = |since| {
        let of = |certificate: &Certificate| authority.status_since(&certificate.thumbprint_url(), since).unwrap();
        [&credential.certificate, &issuing].map(|one| of(one).unwrap()).map(|status| status.der.clone()).to_vec()
    };
    assert_eq!(code(vec![], place.now()), "INDETERMINATE (TRY_LATER)");
    let old = statuses(place.now() - TimeDelta::days(2));
    let new = statuses(place.now());
    assert!(old[0] != new[0], "the leaf's was signed when it was issued");
    assert!(old[1] == new[1], "the authority's was signed now");
    assert_eq!(code(new.clone(), place.now()), "TOTAL-PASSED");
    assert_eq!(code(new[..1].to_vec(), place.now()), "INDETERMINATE (TRY_LATER)");
    // A responder that the root did not certify says nothing of its certificates.
    authority.revoke(&revocation(&credential.certificate)).unwrap();
    assert_eq!(code(statuses(place.now()), place.now()), "INDETERMINATE (REVOKED_NO_POE)");
}

#[test]
fn openssl_reads_the_statuses() {
    let place = Place::new();
    let authority = place.init();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let leaf = Arc::clone(&authority.issue(&issuer).unwrap().certificate);
    let issuing = authority.authority_certificate("issuing-1").unwrap();
    authority.renew_statuses_due(place.now()).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = place.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let pem = |certificate: &Certificate| to_pem("CERTIFICATE", certificate.der()).into_bytes();
    let root = file("root.pem", &pem(authority.root()));
    let chain = file("issuing.pem", &pem(&issuing));
    let certificate = file("leaf.pem", &pem(&leaf));
    let says = |certificate: &Path, issuer: &Path, response: &[u8], expected: &str| {
        let response = file("status.ors", response);
        let paths = [Path::new("-issuer"), issuer, Path::new("-cert"), certificate, Path::new("-CAfile"), &root];
        let output = Command::new("openssl")
            .args([
                "ocsp",
                "-no_nonce",
                "-validity_period",
                "1000000000",
                "-attime",
                &place.now().timestamp().to_string(),
            ])
            .args(paths)
            .args([Path::new("-verify_other"), &chain, Path::new("-respin"), &response])
            .output();
        let Ok(output) = output else { return println!("skipped: no openssl") };
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(said.contains("Response verify OK") && said.contains(expected), "{said}");
    };
    says(&certificate, &chain, &asked(&authority, &leaf, &issuing, IdHash::Sha1), "leaf.pem: good");
    says(&chain, &root, &asked(&authority, &issuing, authority.root(), IdHash::Sha1), "issuing.pem: good");
    authority.revoke(&revocation(&leaf)).unwrap();
    says(&certificate, &chain, &asked(&authority, &leaf, &issuing, IdHash::Sha1), "leaf.pem: revoked");
}

/// A store of which one key, by the order in which they were made, can be pulled out: then it does not sign.
struct Unplugged {
    keys: Box<dyn KeyStore>,
    made: AtomicUsize,
    out: Arc<AtomicUsize>,
}

struct NumberedSigner {
    signer: Arc<dyn Signer>,
    number: usize,
    out: Arc<AtomicUsize>,
}

impl Signer for NumberedSigner {
    fn verifying_key(&self) -> &VerifyingKey {
        self.signer.verifying_key()
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        if self.out.load(Ordering::SeqCst) == self.number {
            return Err(SigningError);
        }
        self.signer.sign(algorithm, message)
    }
}

impl KeyStore for Unplugged {
    fn generate(&self, size: KeySize) -> Result<(StoredKeyId, Arc<dyn Signer>), KeyStoreError> {
        let (id, signer) = self.keys.generate(size)?;
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        Ok((id, Arc::new(NumberedSigner { signer, number, out: Arc::clone(&self.out) })))
    }

    fn open(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        self.keys.open(id)
    }

    fn destroy(&self, id: &StoredKeyId) -> Result<(), KeyStoreError> {
        self.keys.destroy(id)
    }
}

#[test]
fn a_key_that_does_not_sign_keeps_no_other_status_from_it_and_a_clock_that_was_wrong_none() {
    let place = Place::new();
    let out = Arc::new(AtomicUsize::new(0));
    let keys = FileKeyStore::of_authority(&place.data(), protection("correct"));
    let keys = Box::new(Unplugged { keys, made: AtomicUsize::new(0), out: Arc::clone(&out) });
    let authority = Authority::init(&place.data(), place.params(), keys, place.clock()).unwrap();
    let issuer = authority.add_issuer("Example calls").unwrap().id;
    let leaf = Arc::clone(&authority.issue(&issuer).unwrap().certificate);
    authority.renew_issuing_authority(&place.root_key(), &passphrase("correct")).unwrap();
    let [first, second] = ["issuing-1", "issuing-2"].map(|name| authority.authority_certificate(name).unwrap());
    let status = |of: &Certificate, by: &Certificate| asked(&authority, of, by, IdHash::Sha1);
    authority.renew_statuses_due(place.now()).unwrap();
    place.clock.advance(2 * DAY);
    // The responder of the root was the first key that was made: what the authority signs itself is signed.
    out.store(1, Ordering::SeqCst);
    let (before, of_authority) = (status(&leaf, &first), status(&second, authority.root()));
    assert!(matches!(authority.renew_statuses_due(place.now()), Err(AuthorityError::Encoding)));
    assert!(status(&leaf, &first) != before && status(&second, authority.root()) == of_authority);
    // What was signed while the clock was ahead is signed again when it is right.
    out.store(0, Ordering::SeqCst);
    let right = place.now();
    place.clock.advance(100 * DAY);
    authority.renew_statuses_due(place.now()).unwrap();
    place.clock.jump_to(right);
    let held = authority.status_since(&second.thumbprint_url(), right - TimeDelta::days(3)).unwrap().unwrap();
    assert!(held.this_update <= right);
    authority.renew_statuses_due(right).unwrap();
    let response = OcspResponse::from_der(&status(&leaf, &first)).unwrap();
    assert!(response.statuses()[0].this_update <= right);
}
