//! The peak memory of an operation, measured on a process that does nothing else.
#![cfg(all(feature = "server", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Barrier};

use affiant::authority::{Authority, AuthorityParams, FileKeyStore, KeyProtection, Profiles};
use affiant::clock::{Clock, SystemClock};
use zeroize::Zeroizing;

/// OpenMode one key: 128 MiB of scrypt (N = 2^17, r = 8).
const KEY_MIB: u64 = 128;
const CALLERS: usize = 12;

/// A first batch right after a start asks for the issuer's key from many threads at once.
#[test]
fn a_key_is_opened_once_however_many_ask_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("authority");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let protection = || KeyProtection::from(Zeroizing::new("correct".to_owned()));
    let params = AuthorityParams {
        organisation: "Example Ltd".into(),
        base_url: "http://pki.example.com/".into(),
        root_key_path: directory.path().join("root-key.pem"),
        root_key_protection: protection(),
        profiles: Profiles::load(None).unwrap().with_smallest_keys(),
    };
    let authority =
        Authority::init(&data, params, FileKeyStore::of_authority(&data, protection()), clock.clone()).unwrap();
    let issuer = authority.add_issuer("One").unwrap().id;
    authority.issue(&issuer).unwrap();
    drop(authority);

    let authority = Authority::open(&data, FileKeyStore::of_authority(&data, protection()), clock).unwrap();
    let together = Barrier::new(CALLERS);
    let credentials: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    together.wait();
                    authority.signer(&issuer).unwrap()
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert!(credentials.iter().all(|credential| Arc::ptr_eq(credential, &credentials[0])));
    let peak = peak_mib();
    assert!((KEY_MIB..2 * KEY_MIB).contains(&peak), "{peak} MiB at the peak");
}

/// The most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
