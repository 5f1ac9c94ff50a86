//! A restart with many issuers: `cargo bench --bench issuers`.
//!
//! An authority is made with `AFFIANT_BENCH_ISSUERS` issuers (default 10,000), each with a certificate and a sealed key of
//! 3072 bits; the keys are one key under other names, because making as many takes hours. Then it is opened as at a start,
//! with the cost of the pass phrase that is recommended, and every issuer is asked for what it signs with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use affiant::access::TokenStore;
use affiant::authority::{
    Authority, AuthorityParams, FileKeyStore, KeyProtection, KeyStore, KeyStoreError, Profiles, StoredKeyId,
};
use affiant::clock::{Clock, SystemClock};
use affiant::crypto::{KeySize, Signer, SigningKey};
use zeroize::Zeroizing;

/// What a restart may take, and the opening of every key after it.
const RESTART_MAX: Duration = Duration::from_secs(5);

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Keeps one key under a new name whenever one is made.
struct Copies {
    kept: Box<FileKeyStore>,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl KeyStore for Copies {
    fn generate(&self, _size: KeySize) -> Result<(StoredKeyId, Arc<dyn Signer>), KeyStoreError> {
        let id = self.kept.keep(&self.pkcs8)?;
        let key = self.kept.open(&id)?;
        Ok((id, key))
    }

    fn open(&self, id: &StoredKeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        self.kept.open(id)
    }

    fn destroy(&self, id: &StoredKeyId) -> Result<(), KeyStoreError> {
        self.kept.destroy(id)
    }
}

fn protection() -> KeyProtection {
    KeyProtection::from(Zeroizing::new("a pass phrase".to_owned()))
}

fn main() -> Result<(), Failure> {
    let issuers = std::env::var("AFFIANT_BENCH_ISSUERS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let place = tempfile::tempdir()?;
    let directory = place.path().join("authority");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let params = AuthorityParams {
        organisation: "Example Ltd".to_owned(),
        base_url: "http://pki.example.com".to_owned(),
        root_key_path: place.path().join("root-key.pem"),
        root_key_protection: protection(),
        profiles: Profiles::load(None)?,
    };
    let (_, pkcs8) = SigningKey::generate_rsa(KeySize::Rsa3072);
    let keys = Box::new(Copies { kept: FileKeyStore::of_authority(&directory, protection()), pkcs8 });
    let begun = Instant::now();
    let authority = Authority::init(&directory, params, keys, Arc::clone(&clock))?;
    let mut ids = Vec::new();
    for number in 0..issuers {
        let id = authority.add_issuer(&format!("Issuer {number}"))?.id;
        authority.issue(&id)?;
        ids.push(id);
    }
    drop(authority);
    let bytes = std::fs::metadata(directory.join("state.redb"))?.len();
    println!("{issuers} issuers made in {:.1?}; rows of {:.1} MB", begun.elapsed(), bytes as f64 / 1e6);

    let begun = Instant::now();
    let keys = FileKeyStore::of_authority(&directory, protection());
    let authority = Authority::open(&directory, keys, clock)?;
    let tokens = TokenStore::open(&directory)?;
    let opened = begun.elapsed();
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                    failed.fetch_add(usize::from(authority.signer(id).is_err()), Ordering::Relaxed);
                }
            });
        }
    });
    let signing = begun.elapsed();
    drop(tokens);
    println!("opened in {opened:.2?}; every issuer signs after {signing:.2?} more");
    if failed.into_inner() > 0 || opened + signing > RESTART_MAX {
        return Err(format!("a restart is to take at most {RESTART_MAX:?}").into());
    }
    Ok(())
}
