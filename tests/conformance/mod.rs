//! What a suite from outside came to: each writes its own line of `docs/CONFORMANCE.md`, and is held to it.
//!
//! `AFFIANT_CONFORMANCE=write cargo test vectors` writes the lines anew. Without it a line is compared with what ran,
//! where what ran are the cases that the line counts; of another set of cases a suite says so, and compares nothing.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

/// Tests of one program run at once, and the document is one.
static DOCUMENT: Mutex<()> = Mutex::new(());

/// The count of a suite.
pub(crate) struct Count {
    suite: &'static str,
    cases: BTreeSet<String>,
    passed: usize,
    diverged: BTreeMap<String, usize>,
    not_applicable: BTreeMap<String, usize>,
}

impl Count {
    pub(crate) fn new(suite: &'static str) -> Self {
        Self { suite, cases: BTreeSet::new(), passed: 0, diverged: BTreeMap::new(), not_applicable: BTreeMap::new() }
    }

    fn case(&mut self, id: &str) {
        assert!(self.cases.insert(id.to_owned()), "{} counts {id} twice", self.suite);
    }

    /// The case came to what it expects.
    pub(crate) fn passed(&mut self, id: &str) {
        self.case(id);
        self.passed += 1;
    }

    /// The case came to something else, for a reason that is a rule here.
    pub(crate) fn diverged(&mut self, id: &str, reason: &str) {
        self.case(id);
        *self.diverged.entry(reason.to_owned()).or_default() += 1;
    }

    /// The case asks for what is no matter here.
    pub(crate) fn not_applicable(&mut self, id: &str, reason: &str) {
        self.case(id);
        *self.not_applicable.entry(reason.to_owned()).or_default() += 1;
    }

    pub(crate) fn has_passed(&self) -> usize {
        self.passed
    }

    pub(crate) fn has_diverged(&self) -> usize {
        self.diverged.values().sum()
    }

    /// Which cases these are: SHA-256 of their names, in order, shortened.
    fn set(&self) -> String {
        let names: Vec<&str> = self.cases.iter().map(String::as_str).collect();
        Sha256::digest(names.join("\n")).iter().take(6).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn line(&self) -> String {
        let reasons: Vec<String> =
            self.diverged.iter().chain(&self.not_applicable).map(|(why, count)| format!("{count}: {why}")).collect();
        let (cases, passed, set) = (self.cases.len(), self.passed, self.set());
        let (diverged, other) = (self.diverged.values().sum::<usize>(), self.not_applicable.values().sum::<usize>());
        let why = reasons.join("; ");
        format!("| {} | {cases} | {passed} | {diverged} | {other} | `{set}` | {why} |", self.suite)
    }

    /// Writes the line of the suite, or compares it.
    pub(crate) fn finish(self) {
        if self.cases.is_empty() {
            return;
        }
        let _one_at_a_time = DOCUMENT.lock();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFORMANCE.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = self.line();
        println!("{line}");
        let begin = format!("| {} |", self.suite);
        let found = text.lines().find(|line| line.starts_with(&begin));
        if std::env::var_os("AFFIANT_CONFORMANCE").is_some_and(|value| value == "write") {
            let new = match found {
                Some(old) => text.replace(old, &line),
                // The table is the last of the document.
                None => format!("{}\n{line}\n", text.trim_end()),
            };
            std::fs::write(&path, new).unwrap();
            return;
        }
        match found {
            Some(found) if found.contains(&format!("| `{}` |", self.set())) => {
                assert_eq!(found, line, "docs/CONFORMANCE.md says otherwise; AFFIANT_CONFORMANCE=write writes it anew");
            }
            _ => println!("{}: other cases than docs/CONFORMANCE.md counts; nothing is compared", self.suite),
        }
    }
}
