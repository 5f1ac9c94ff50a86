//! The house rules that a compiler does not know: floors, sizes, names, and what stays out of pure code.

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/errors.rs"]
mod errors;
#[path = "architecture/functions.rs"]
mod functions;
#[path = "architecture/numbers.rs"]
mod numbers;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Lines of a source file, tests included.
const LINES_MAX: usize = 550;

/// Source files of a folder.
const FOLDER_FILES_MAX: usize = 20;

/// The floor of each module at the top of the library (`docs/ARCHITECTURE.md`).
const FLOORS: &[(&str, u8)] = &[
    ("clock", 0),
    ("crypto", 0),
    ("json", 0),
    ("vcon", 1),
    ("jose", 1),
    ("cose", 1),
    ("pki", 1),
    ("tlog", 1),
    ("evidence", 2),
    ("scorecard", 3),
    ("browser", 3),
    ("trusted_list", 3),
    ("backup", 4),
    ("ledger", 4),
    ("authority", 4),
    ("access", 4),
    ("operator", 4),
    ("issuance", 4),
    ("witness", 4),
    ("monitor", 4),
    ("statements", 4),
    ("client", 4),
    ("private_key_file", 4),
    ("row_file", 4),
    ("path_error", 4),
    ("cpu_pool", 4),
    ("request_body", 4),
    ("atomic_file", 4),
    ("vfs", 4),
    ("server", 5),
    ("cli", 5),
];
/// The floor of the formats, which do not know each other.
const FORMATS: u8 = 1;
/// The module of its floor that imports none beside it.
const LOWEST: &str = "vfs";
/// The highest floor that has no disk, no socket and no clock.
const PURE: u8 = 3;

/// The rooms of `evidence`, each with those that it may import.
const EVIDENCE_ROOMS: &[(&str, &[&str])] = &[
    ("format", &[]),
    ("policy", &["format"]),
    ("report", &["format", "policy"]),
    ("verify", &["format", "policy", "report"]),
    ("render", &["format", "policy", "report"]),
];

/// Files of the ledger, beside its stores, that name a path: whoever audits a directory has one.
const LEDGER_PATHS: &[&str] = &["src/ledger/directory_source.rs"];

/// Words that were ours and gave way to the field's (`docs/GLOSSARY.md`): no name brings one back.
const RETIRED: &[&str] = &[
    "Announced",
    "ArchiveError",
    "ArchiveReader",
    "ArchiveTree",
    "CertificateShown",
    "CollectError",
    "CrlLines",
    "DataLock",
    "DiskFile",
    "EvidenceKind",
    "EvidenceRecords",
    "EvidenceStore",
    "Existence",
    "FormEvidence",
    "FormTime",
    "FramePosition",
    "HOUSEKEEPING_INTERVAL",
    "INDEX_PAIRS",
    "JudgedToken",
    "KeptArchive",
    "KnownRun",
    "KnownUpTo",
    "LedgerAnswer",
    "LineProblem",
    "NotListedFor",
    "NoteErasing",
    "Particulars",
    "PartyHealth",
    "PartySize",
    "PeriodReader",
    "PeriodRequest",
    "PolicyError",
    "PublishPlan",
    "Recovered",
    "RevocationShown",
    "SealedBody",
    "SkeletonReader",
    "Standing",
    "Sunset",
    "SystemDisk",
    "Tidier",
    "TokenError",
    "Turns",
    "WalkError",
    "WholeBody",
    "Wish",
    "WitnessPlan",
    "WitnessedAt",
    "Witnessing",
    "as_of",
    "begin_again",
    "believable_time",
    "by_hand",
    "check_torn",
    "disorder",
    "ends_pass",
    "evidence_records",
    "first_prev",
    "get_if",
    "get_of",
    "goes_on",
    "hold_ledger_to_its_time",
    "hold_to_one_tree",
    "in_doubt",
    "is_cleared",
    "is_said_of",
    "keep_house",
    "kept_records",
    "key_runs_out",
    "known_of",
    "lookalikes",
    "outlived",
    "own_checkpoints",
    "own_crls",
    "party_up",
    "pass_strangers",
    "place_one",
    "set_marks",
    "sign_again",
    "signed_again",
    "take_back",
    "tidier",
    "whole_pieces",
    "write_frozen",
];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The module at the top of the library that the file belongs to; `None` for `main` and `lib`.
    fn module(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src").ok()?.iter().next()?.to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "main" | "lib")).then_some(name)
    }

    /// The lines before the tests, which stand last, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.file_name().is_some_and(|name| name == "tests.rs" || name == "conformance.rs");
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines
            .take_while(move |(_, line)| !is_test && *line != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The path of the file as a module of the library: `["tlog", "policy"]`.
    fn module_path(&self) -> Vec<String> {
        let path = self.path.with_extension("");
        let parts = path.iter().skip(1).filter_map(|part| part.to_str()).map(str::to_owned);
        parts.filter(|part| !matches!(part.as_str(), "mod" | "lib" | "main")).collect()
    }

    /// The text before the tests, which stand last; empty for a file of tests.
    fn text_without_tests(&self) -> &str {
        let is_test = self.path.file_name().is_some_and(|name| name == "tests.rs" || name == "conformance.rs");
        let starts = ["\nmod tests {", "\npub(super) mod tests {", "\npub(crate) mod tests {"];
        let end = starts.iter().filter_map(|start| self.text.find(start)).min().unwrap_or(self.text.len());
        if is_test { "" } else { &self.text[..end] }
    }

    /// What a rule says of each line of code, with its place.
    fn complaints<'a>(&'a self, rule: impl Fn(&str) -> Option<String> + 'a) -> impl Iterator<Item = String> + 'a {
        self.code().filter_map(move |(number, line)| {
            rule(line).map(|complaint| format!("{}:{number}: {complaint}", self.path.display()))
        })
    }
}

fn files(dir: &Path, extension: &str, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).expect("the tests run in the package") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|one| one == extension) {
            let text = std::fs::read_to_string(&path).expect("text in UTF-8");
            found.push(Source { path, text });
        }
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    files(Path::new("src"), "rs", &mut found);
    assert!(found.len() > 50, "the sources are there");
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Names that follow `crate::` or `affiant::` in a line.
fn named_modules(line: &str) -> Vec<&str> {
    let starts = ["crate::", "affiant::"].into_iter().flat_map(|root| line.match_indices(root));
    starts
        .map(|(at, root)| {
            let rest = &line[at + root.len()..];
            &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
        })
        .collect()
}

fn import_complaint(module: &str, line: &str) -> Option<String> {
    if line.contains("crate::{") {
        return Some("one `use` for each module, so that it can be read which".into());
    }
    let own = floor(module)?;
    named_modules(line).into_iter().find_map(|named| {
        let other = floor(named)?;
        if other > own {
            return Some(format!("{module} (floor {own}) imports {named} (floor {other})"));
        }
        // The disk is the lowest of its floor: whatever stores something is handed one.
        let lowest = module == LOWEST && other == own;
        let formats = other == FORMATS && own == FORMATS;
        ((formats || lowest) && named != module).then(|| format!("{module} imports {named}"))
    })
}

/// What is wrong with a line of a room of `evidence`.
fn evidence_complaint(room: &str, line: &str) -> Option<String> {
    let (_, allowed) = EVIDENCE_ROOMS.iter().find(|(name, _)| *name == room)?;
    let named = line.match_indices("crate::evidence::").filter_map(|(at, root)| {
        let rest = &line[at + root.len()..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        (!rest.starts_with('{')).then_some(&rest[..end])
    });
    let other = named.into_iter().find(|named| *named != room && !allowed.contains(named))?;
    Some(format!("evidence::{room} imports evidence::{other}"))
}

/// What is wrong with a line of the ledger: of `evidence` it knows the formats, and only its stores know a path.
fn ledger_complaint(path: &Path, line: &str) -> Option<String> {
    let beyond =
        line.match_indices("crate::evidence::").any(|(at, root)| !line[at + root.len()..].starts_with("format::"));
    if beyond {
        return Some("the ledger imports more of evidence than its formats".into());
    }
    let place = path.to_str().unwrap_or_default();
    if place.starts_with("src/ledger/store") {
        let above =
            line.match_indices("crate::ledger::").any(|(at, root)| !line[at + root.len()..].starts_with("store"));
        return above.then(|| "a store imports what is built upon it".into());
    }
    let named =
        ["std::path", "std::fs", "crate::vfs", "crate::atomic_file"].into_iter().find(|name| line.contains(name));
    named.filter(|_| !LEDGER_PATHS.contains(&place)).map(|name| format!("{name} outside of the stores"))
}

/// The retired word in a line.
fn retired(line: &str) -> Option<String> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.into_iter().find(|word| RETIRED.contains(word)).map(|word| format!("{word} is a retired word"))
}

fn impurity(line: &str) -> Option<String> {
    [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::net::ToSocketAddrs",
        "tokio::",
        "SystemClock",
        "Utc::now",
        "SystemTime",
        "Instant::now",
    ]
    .into_iter()
    .find(|one| line.contains(one))
    .map(|one| format!("{one} below floor 4"))
}

fn unfinished(line: &str) -> Option<String> {
    [".unwrap()", "todo!", "unimplemented!", "TODO", "FIXME"]
        .into_iter()
        .find(|one| line.contains(one))
        .map(|one| format!("{one} outside of tests"))
}

fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let mut text = String::new();
    for complaint in complaints {
        let _ = writeln!(text, "{complaint}");
    }
    assert!(text.is_empty(), "\n{text}");
}

#[test]
fn every_module_has_a_floor_and_none_imports_a_higher_one() {
    let sources = sources();
    let homeless = sources.iter().filter_map(Source::module).filter(|module| floor(module).is_none());
    assert_none(homeless.map(|module| format!("{module} has no floor")));
    assert_none(sources.iter().filter_map(|source| source.module().map(|module| (source, module))).flat_map(
        |(source, module)| source.complaints(move |line| import_complaint(module, line)).collect::<Vec<_>>(),
    ));
}

#[test]
fn pure_floors_have_no_disk_no_socket_and_no_clock() {
    let sources = sources();
    let pure = sources.iter().filter(|source| {
        // `clock` is where the machine's clock is wrapped, for floor 4 to hold.
        source.module().is_some_and(|module| module != "clock" && floor(module).is_some_and(|floor| floor <= PURE))
    });
    assert_none(pure.flat_map(|source| source.complaints(impurity)));
}

#[test]
fn a_file_is_one_noun_of_readable_length() {
    let sources = sources();
    assert_none(sources.iter().filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines, at most {LINES_MAX}", source.path.display()))
    }));
    assert_none(sources.iter().filter_map(|source| {
        let stem = source.path.file_stem()?.to_str()?;
        let vague = ["utils", "util", "common", "helpers", "helper", "misc", "manager"];
        let parts = source.path.iter().filter_map(|part| part.to_str()).chain([stem]);
        parts.into_iter().any(|part| vague.contains(&part)).then(|| format!("{}: a vague name", source.path.display()))
    }));
}

#[test]
fn rooms_of_evidence_import_only_lower_ones() {
    let sources = sources();
    assert_none(sources.iter().flat_map(|source| {
        let path = source.module_path();
        let room = path.get(1).filter(|_| path[0] == "evidence").cloned().unwrap_or_default();
        source.complaints(move |line| evidence_complaint(&room, line)).collect::<Vec<_>>()
    }));
}

#[test]
fn an_error_says_its_cause_once() {
    let sources = sources();
    assert_none(sources.iter().flat_map(|source| {
        let twice = errors::told_twice(source.text_without_tests()).into_iter();
        twice.map(|(line, message)| format!("{}:{line}: {message:?} holds its source", source.path.display()))
    }));
}

#[test]
fn indices_sizes_and_counts_of_the_ledger_are_types() {
    let sources = sources();
    let ledger = sources.iter().filter(|source| source.path.parent() == Some(Path::new("src/ledger")));
    assert_none(ledger.flat_map(|source| {
        source.complaints(|line| numbers::bare(line).map(|name| format!("{name} is a bare u64"))).collect::<Vec<_>>()
    }));
}

#[test]
fn no_two_files_import_each_other() {
    let sources = sources();
    let files = sources.iter().map(|source| (source.module_path(), source.text_without_tests()));
    let library = circles::Library::of(files);
    assert_none(library.circles().into_iter().map(|circle| format!("a circle: {}", circle.join(", "))));
}

/// The folders with more files than one can know.
fn full_folders<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<&Path, usize>::new();
    for folder in paths.into_iter().filter_map(Path::parent) {
        *counts.entry(folder).or_default() += 1;
    }
    let full = counts.into_iter().filter(|(_, count)| *count > FOLDER_FILES_MAX);
    full.map(|(folder, count)| format!("{}: {count} files, at most {FOLDER_FILES_MAX}", folder.display())).collect()
}

#[test]
fn a_folder_has_no_more_files_than_one_can_know() {
    let sources = sources();
    assert_none(full_folders(sources.iter().map(|source| source.path.as_path())));
    let many: Vec<PathBuf> = (0..=FOLDER_FILES_MAX).map(|n| format!("src/a/{n}.rs").into()).collect();
    assert_eq!(full_folders(many.iter().map(PathBuf::as_path)).len(), 1);
    assert!(full_folders(many[1..].iter().map(PathBuf::as_path)).is_empty());
}

#[test]
fn a_function_is_of_readable_length() {
    let sources = sources();
    assert_none(sources.iter().flat_map(|source| {
        let lines = source.text_without_tests().lines().enumerate().map(|(at, line)| (at + 1, line));
        functions::too_long(lines)
            .into_iter()
            .map(|(line, name, length)| format!("{}:{line}: {name} has {length} lines", source.path.display()))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn the_ledger_knows_formats_alone_and_only_its_stores_know_a_path() {
    let sources = sources();
    let ledger = sources.iter().filter(|source| source.module() == Some("ledger"));
    assert_none(ledger.flat_map(|source| source.complaints(|line| ledger_complaint(&source.path, line))));
}

#[test]
fn no_retired_word_comes_back() {
    let sources = sources();
    assert_none(sources.iter().flat_map(|source| source.complaints(retired)));
}

#[test]
fn every_file_begins_with_what_it_is() {
    let sources = sources();
    let silent = sources.iter().filter(|source| !source.text.starts_with("//! "));
    assert_none(silent.map(|source| format!("{}: no module docs first", source.path.display())));
}

#[test]
fn nothing_is_unfinished_and_nothing_unwraps() {
    let sources = sources();
    assert_none(sources.iter().flat_map(|source| source.complaints(unfinished)));
}

#[test]
fn every_document_that_is_mentioned_is_there() {
    let mut documents = Vec::new();
    files(Path::new("docs"), "md", &mut documents);
    for name in ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        if let Ok(text) = std::fs::read_to_string(name) {
            documents.push(Source { path: name.into(), text });
        }
    }
    let links = documents.iter().flat_map(|document| {
        let dir = document.path.parent().unwrap_or(Path::new(""));
        document.text.split("](").skip(1).filter_map(move |rest| {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://");
            (!outside && !dir.join(target).exists()).then(|| format!("{}: {target}", document.path.display()))
        })
    });
    assert_none(links);

    let sources = sources();
    let mentions = sources.iter().flat_map(|source| {
        source.text.match_indices("docs/").filter_map(move |(at, _)| {
            let rest = &source.text[at..];
            let end = rest.find(".md").filter(|end| !rest[..*end].contains(char::is_whitespace))?;
            let name = &rest[..end + 3];
            (!Path::new(name).exists()).then(|| format!("{}: {name}", source.path.display()))
        })
    });
    assert_none(mentions);
}

/// The configuration comes to services without HTTP; where an error becomes an answer, nothing is logged: that is done once,
/// where the request ends.
#[test]
fn the_start_knows_no_http_and_conversions_do_not_log() {
    let sources = sources();
    let under = |folder: &'static str| sources.iter().filter(move |source| source.path.starts_with(folder));
    let http = |line: &str| {
        let named = ["actix", "server::state", "server::routes", "server::extract", "server::pages"];
        named.into_iter().find(|one| line.contains(one)).map(|one| format!("{one} in the start"))
    };
    assert_none(under("src/server/start").flat_map(|source| source.complaints(http)));
    let logging = |line: &str| line.contains("tracing::").then(|| "logging in a conversion".to_owned());
    let conversions = ["src/server/problem.rs", "src/server/concise_problem.rs"];
    assert_none(conversions.into_iter().flat_map(under).flat_map(|source| source.complaints(logging)));
    assert_eq!(conversions.into_iter().flat_map(under).count(), conversions.len());
}

/// A rule that never complains proves nothing.
#[test]
fn the_rules_see_what_they_look_for() {
    for (module, line, allowed) in [
        ("evidence", "use crate::ledger::Ledger;", false),
        ("evidence", "use crate::pki::Certificate;", true),
        ("jose", "    let x = crate::pki::pem_blocks(text);", false),
        ("jose", "use crate::{json, vcon};", false),
        ("jose", "use crate::crypto::sha256;", true),
        ("ledger", "use crate::witness::Witness;", true),
        ("witness", "use crate::server::page::Page;", false),
        ("atomic_file", "use crate::vfs::FileSystem;", true),
        ("vfs", "use crate::atomic_file::Access;", false),
    ] {
        assert_eq!(import_complaint(module, line).is_none(), allowed, "{module}: {line}");
    }
    for (room, line, allowed) in [
        ("verify", "use crate::evidence::report::Verdict;", true),
        ("format", "use crate::evidence::report::Verdict;", false),
        ("render", "use crate::evidence::verify::Verifier;", false),
        ("policy", "use crate::evidence::Bundle;", false),
    ] {
        assert_eq!(evidence_complaint(room, line).is_none(), allowed, "{room}: {line}");
    }
    for (path, line, allowed) in [
        ("src/ledger/read.rs", "use crate::evidence::format::Entry;", true),
        ("src/ledger/read.rs", "use crate::evidence::verify::Verifier;", false),
        ("src/ledger/read.rs", "use crate::vfs::FileSystem;", false),
        ("src/ledger/directory_source.rs", "use crate::vfs::FileSystem;", true),
        ("src/ledger/store/local/log.rs", "use crate::vfs::FileSystem;", true),
        ("src/ledger/store/local/log.rs", "use crate::ledger::store::StoreError;", true),
        ("src/ledger/store/local/log.rs", "use crate::ledger::read::ReadError;", false),
    ] {
        assert_eq!(ledger_complaint(Path::new(path), line).is_none(), allowed, "{path}: {line}");
    }
    assert!(retired("let one: Recovered = x;").is_some() && retired("// RecoveredLedger").is_none());
    assert!(impurity("let now = Utc::now();").is_some() && impurity("let now = clock.now();").is_none());
    assert!(unfinished("x.unwrap()").is_some() && unfinished("x.unwrap_or(1)").is_none());
    let source = Source { path: "src/jose/x.rs".into(), text: "a\n// b\n#[cfg(test)]\nx.unwrap()\n".into() };
    assert_eq!((source.module(), source.code().collect::<Vec<_>>()), (Some("jose"), vec![(1, "a")]));
}
