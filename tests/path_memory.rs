//! What certificates and lists that are made to take much take of the heap at most, counted in a process that does
//! nothing else.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[allow(dead_code, reason = "each program uses its part")]
mod fixtures {
    pub(crate) mod certificates;
    pub(crate) mod hostile_certificates;
}

use crate::fixtures::certificates::{DOCUMENT_SIGNING, Key, Mint};
use crate::fixtures::hostile_certificates::{
    chain, constrained, constrained_and_unverifiable, cross_signed, long_list, unverifiable, window,
};
use affiant::pki::Crl;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// What reading or searching one input may take beside its own bytes.
const MEMORY_MAX: usize = 8 << 20;

/// Bytes that `work` had on the heap at most.
fn peak_of<T>(work: impl FnOnce() -> T) -> usize {
    let profiler = dhat::Profiler::builder().testing().build();
    let made = work();
    let peak = dhat::HeapStats::get().max_bytes;
    drop(profiler);
    drop(made);
    peak
}

#[test]
fn no_search_and_no_list_takes_more_than_its_share() {
    for (name, search) in [
        ("ten authorities that nobody can tell apart", unverifiable()),
        ("five keys that certify one another", cross_signed()),
        ("1500 names against 1500 constraints", constrained(1500, 1500)),
        ("400 names against 400 constraints on every path", constrained_and_unverifiable()),
        ("a chain of eight", chain(8)),
    ] {
        let peak = peak_of(|| search.run());
        println!("{name}: {peak} bytes");
        assert!(peak < MEMORY_MAX, "{name}: {peak} bytes");
    }
    let key = Key::p256();
    let leaf = Mint::leaf(("Leaf", &key), ("Authority", &key), window(), DOCUMENT_SIGNING);
    for lines in [100_000, 400_000, 690_000] {
        let der = long_list(&key, lines, &leaf);
        let bytes = der.len();
        let peak = peak_of(|| Crl::from_der(&der).unwrap());
        println!("a list of {lines} lines, {bytes} bytes: {peak} bytes");
        // A list that was read is kept: its bytes once more.
        assert!(peak < bytes + MEMORY_MAX, "{lines} lines: {peak} bytes");
    }
    // What is allocated is seen at all.
    assert!(peak_of(|| vec![1_u8; 64 << 20]) >= 64 << 20);
}
