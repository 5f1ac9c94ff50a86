//! What holds of any bytes at all: the properties that the fuzzer tries to break, and the corpus is held against.

#![allow(dead_code, reason = "each fuzz target has one of them")]

use affiant::clock::parse_time;
use affiant::evidence::{Bundle, Record, TrustPolicy, verify};
use affiant::jose::Jwe;
use affiant::json::{self, JsonLimits};
use affiant::vcon::{Vcon, VconLimits, migrate as migrated, turns, validate, validate_any};
use serde_json::Value;

/// Limits that a fuzzer reaches.
fn limits() -> VconLimits {
    let json = JsonLimits { bytes_max: 1 << 16, depth_max: 32, values_max: 4096 };
    VconLimits { json, ..VconLimits::default() }
}

/// Every property of its name, for the corpus.
pub(crate) fn holds(name: &str, bytes: &[u8]) {
    match name {
        "json" => json(bytes),
        "vcon" => vcon(bytes),
        "jwe" => jwe(bytes),
        "jws" => jws(bytes),
        "migrate" => migrate(bytes),
        other => panic!("no property {other}"),
    }
}

/// What passes the strict gate reads as another parser reads it, and is written again byte for byte.
pub(crate) fn json(bytes: &[u8]) {
    let limits = limits().json;
    let Ok(value) = json::parse(bytes, &limits) else { return };
    assert_eq!(serde_json::from_slice::<Value>(bytes).ok().as_ref(), Some(&value));
    if let Value::Object(members) = &value {
        assert_eq!(json::rewrite(bytes, members, &limits).as_deref(), Ok(bytes));
    }
    let _ = json::to_canonical(&value);
}

/// A vCon keeps its bytes, whatever is read of it.
pub(crate) fn vcon(bytes: &[u8]) {
    let limits = limits();
    if let Ok(findings) = validate_any(bytes, &limits) {
        assert!(findings.len() <= 100);
    }
    let Ok(mut vcon) = Vcon::parse(bytes, &limits) else { return };
    let _ = (validate(&vcon), turns(&vcon));
    for dialog in vcon.dialogs() {
        let _ = (dialog.content().bytes(), dialog.content_hashes(), dialog.speaker());
    }
    assert_eq!(vcon.to_bytes(), bytes);
    vcon.set_updated_at("2026-07-01T12:00:00Z");
    vcon.add_attachment(serde_json::Map::new());
    let changed = vcon.to_bytes();
    assert_eq!(Vcon::parse(&changed, &VconLimits::default()).as_ref(), Ok(&vcon));
}

/// A record parses or does not; verified without any trust it never passes.
pub(crate) fn jws(bytes: &[u8]) {
    let _ = Record::parse(bytes, &limits());
    let now = parse_time("2026-07-01T12:00:00Z").expect("a time");
    let report = verify(&Bundle::of_record(bytes.to_vec()), &TrustPolicy::nobody(), now);
    assert_ne!(report.verdict.code(), "TOTAL-PASSED");
    let _ = (report.to_json(), report.to_text());
}

/// An encrypted document parses or does not; what is around it may be asked of it either way.
pub(crate) fn jwe(bytes: &[u8]) {
    let limits = limits();
    let _ = validate_any(bytes, &limits);
    let Ok(jwe) = Jwe::parse(bytes, &limits.json) else { return };
    assert!(!jwe.recipients().is_empty());
    let _ = (jwe.content_algorithm(), jwe.content_type(), jwe.check_uuid(jwe.uuid()).expect("its own"));
    for recipient in jwe.recipients() {
        let _ = (recipient.algorithm(), recipient.key_id());
    }
}

/// A document that was migrated is one, and is not migrated again.
pub(crate) fn migrate(bytes: &[u8]) {
    let Ok(old) = Vcon::parse(bytes, &limits()) else { return };
    let now = parse_time("2026-07-01T12:00:00Z").expect("a time");
    let (new, _) = migrated(&old, now);
    let written = new.to_bytes();
    assert_eq!(Vcon::parse(&written, &VconLimits::default()).as_ref(), Ok(&new));
    let (again, changes) = migrated(&new, now);
    assert_eq!((again, changes), (new, Vec::new()));
}
