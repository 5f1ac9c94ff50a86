//! No two files import each other: the imports of the library as a graph of files, and its circles.
//!
//! A path is followed through re-exports to the file that defines the item, so that a child which names a sibling by way
//! of their parent counts as an import of the sibling. A parent's own `pub use` of its children is no import, unless the
//! parent uses the name itself.

use std::collections::{BTreeMap, BTreeSet};

/// Segments of a path that are followed: more than any path has, so that two re-exports of each other end.
const DEPTH_MAX: usize = 24;

/// One name that a `use` brings in.
struct Import {
    /// The segments, as written.
    path: Vec<String>,
    /// The name in the file; `*` for all names of a module.
    name: String,
    is_reexport: bool,
}

#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths in the code outside of `use`.
    paths: BTreeSet<Vec<String>>,
    /// Words in the code outside of `use`.
    words: BTreeSet<String>,
    items: BTreeSet<String>,
}

/// What a path leads to.
enum Target {
    Module(Vec<String>),
    /// An item of the module.
    Item(Vec<String>),
}

/// The library as modules, by their paths.
pub(crate) struct Library(BTreeMap<Vec<String>, Module>);

impl Library {
    /// Reads the files: module path (`["tlog", "policy"]`) and code without tests.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = (Vec<String>, &'a str)>) -> Self {
        let mut modules = BTreeMap::new();
        for (path, code) in files {
            modules.insert(path, module(code));
        }
        let paths: Vec<_> = modules.keys().cloned().collect();
        for path in paths {
            if let Some((name, parent)) = path.split_last()
                && let Some(parent) = modules.get_mut(parent)
            {
                parent.children.insert(name.clone());
            }
        }
        Self(modules)
    }

    /// The groups of modules that import each other, each sorted.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let edges: BTreeMap<_, _> = self.0.keys().map(|path| (path, self.imports_of(path))).collect();
        let reached: BTreeMap<_, _> = self.0.keys().map(|path| (path, reachable(path, &edges))).collect();
        let mut circles = BTreeSet::new();
        for (path, reaches) in &reached {
            let circle: BTreeSet<_> =
                reaches.iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(*path))).collect();
            if circle.len() > 1 {
                circles.insert(circle.into_iter().map(|one| one.join("::")).collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }

    /// The modules whose items a module imports.
    pub(crate) fn imports_of(&self, path: &[String]) -> BTreeSet<Vec<String>> {
        let module = &self.0[path];
        let mut found = BTreeSet::new();
        let used = module.imports.iter().filter(|one| !one.is_reexport || module.words.contains(&one.name));
        let used = used.map(|one| one.path.clone()).chain(module.paths.iter().cloned());
        for used in used {
            if let Some(Target::Item(of)) = self.resolve(path, &used, 0) {
                found.insert(of);
            }
        }
        found.remove(path);
        found
    }

    /// Follows a path that is written in `from`; `None` where it leads out of the library.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<Target> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.descend(&[], rest, depth),
            "self" => self.descend(from, rest, depth),
            "super" => self.descend(from.split_last()?.1, rest, depth),
            _ => {
                let module = self.0.get(from)?;
                let is_local = module.children.contains(first) || module.imports.iter().any(|one| one.name == *first);
                if is_local { self.descend(from, path, depth) } else { None }
            }
        }
    }

    fn descend(&self, at: &[String], path: &[String], depth: usize) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module(at.to_vec())) };
        if first == "super" {
            return self.descend(at.split_last()?.1, rest, depth + 1);
        }
        let module = self.0.get(at)?;
        if module.children.contains(first) {
            return self.descend(&[at, std::slice::from_ref(first)].concat(), rest, depth);
        }
        if module.items.contains(first) {
            return Some(Target::Item(at.to_vec()));
        }
        for import in &module.imports {
            let path = match &*import.name {
                name if name == first => import.path.clone(),
                "*" => [&import.path[..], std::slice::from_ref(first)].concat(),
                _ => continue,
            };
            match self.resolve(at, &path, depth + 1) {
                Some(Target::Module(of)) => return self.descend(&of, rest, depth + 1),
                Some(item) => return Some(item),
                None if import.name == "*" => {}
                None => return None,
            }
        }
        // An item that a macro makes, or a module inside the file.
        Some(Target::Item(at.to_vec()))
    }
}

fn reachable(from: &[String], edges: &BTreeMap<&Vec<String>, BTreeSet<Vec<String>>>) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::from([from.to_vec()]);
    let mut open = vec![from.to_vec()];
    while let Some(one) = open.pop() {
        for next in edges.get(&one).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    found
}

fn module(code: &str) -> Module {
    let mut module = Module::default();
    let tokens = tokens(code);
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            let is_reexport = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            at += 1;
            let end = tokens[at..].iter().position(|one| one == ";").map_or(tokens.len(), |length| at + length);
            tree(&tokens[at..end], &[], is_reexport, &mut module.imports);
            at = end;
        } else if is_word(&tokens[at]) {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|one| one == "::")
                && tokens.get(at + 2).is_some_and(|one| is_word(one))
            {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            let defines = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod"];
            if at > 0 && defines.contains(&&*tokens[at - 1]) {
                module.items.insert(path[0].clone());
            }
            if at == 0 || tokens[at - 1] != "mod" {
                module.words.insert(path[0].clone());
            }
            if path.len() > 1 {
                module.paths.insert(path);
            }
        }
        at += 1;
    }
    module
}

/// The names that the tree of one `use` brings in.
fn tree(tokens: &[String], before: &[String], is_reexport: bool, imports: &mut Vec<Import>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        match &*tokens[at] {
            "::" => {}
            "{" => {
                let (mut depth, mut start) = (0_usize, at + 1);
                for (position, token) in tokens.iter().enumerate().skip(at) {
                    match &**token {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if (depth == 1 && token == ",") || depth == 0 {
                        if start < position {
                            tree(&tokens[start..position], &path, is_reexport, imports);
                        }
                        start = position + 1;
                    }
                    if depth == 0 {
                        return;
                    }
                }
                return;
            }
            "as" => {
                let name = tokens.get(at + 1).cloned().unwrap_or_default();
                imports.push(Import { path, name, is_reexport });
                return;
            }
            "*" => {
                imports.push(Import { path, name: "*".into(), is_reexport });
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    if let Some(name) = path.last().cloned() {
        imports.push(Import { path, name, is_reexport });
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and other signs; comments and literals are left out.
fn tokens(code: &str) -> Vec<String> {
    let chars: Vec<char> = code.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let rest = &chars[at..];
        at += match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['r', '"', ..] | ['r', '#', ..] | ['b', 'r', ..] if raw_string(rest).is_some() => {
                raw_string(rest).expect("it was seen")
            }
            ['"', ..] => string(rest),
            ['\'', '\\', ..] => 2 + rest[3..].iter().position(|c| *c == '\'').map_or(0, |length| length + 2),
            ['\'', _, '\'', ..] => 3,
            [':', ':', ..] => {
                found.push("::".into());
                2
            }
            [first, ..] if first.is_alphanumeric() || *first == '_' => {
                let word: String = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
                let length = word.chars().count();
                found.push(word);
                length
            }
            [first, ..] => {
                if !first.is_whitespace() {
                    found.push(first.to_string());
                }
                1
            }
            [] => 1,
        };
    }
    found
}

fn string(chars: &[char]) -> usize {
    let mut at = 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string(chars: &[char]) -> Option<usize> {
    let start = chars.iter().position(|c| *c == 'r')? + 1;
    let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = start + hashes + 1;
    let length = chars[body..].windows(end.len()).position(|window| window == end)?;
    Some(body + length + end.len())
}

fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let path = |name: &str| name.split("::").filter(|one| !one.is_empty()).map(str::to_owned).collect();
    Library::of(files.iter().map(|(name, code)| (path(name), *code))).circles()
}

#[test]
fn a_circle_is_seen_however_it_is_written() {
    let root = ("", "pub mod a;");
    let parent = ("a", "mod b;\nmod c;\npub use b::{B, other};\npub use c::*;");
    let circle = vec![vec!["a::b".to_owned(), "a::c".to_owned()]];
    for (b, c) in [
        ("use super::c::C;\npub struct B;", "use super::b::B;\npub struct C;"),
        (
            "use crate::a::c::C;\npub struct B;",
            "use crate::a::{\n    b::{self, other as one},\n};\nfn c() { one() }\npub struct C;",
        ),
        // By way of the parent, which re-exports both.
        ("use super::C;\npub struct B;", "use crate::a::B;\npub struct C;"),
        ("pub struct B;\nfn b() { crate::a::c::make() }", "pub fn make() { super::b::other() }\npub struct C;"),
        ("use crate::a;\npub struct B;\nfn b(c: a::C) {}", "use super::super::a::B;\npub struct C;"),
    ] {
        assert_eq!(circles_of(&[root, parent, ("a::b", b), ("a::c", c)]), circle, "{b}\n{c}");
    }
    let with_parent = ("a", "mod b;\nmod c;\npub use b::B;\nimpl B {}\npub fn up() {}");
    let found = circles_of(&[root, with_parent, ("a::b", "use super::up;\npub struct B;"), ("a::c", "")]);
    assert_eq!(found, vec![vec!["a".to_owned(), "a::b".to_owned()]]);
}

#[test]
fn what_is_no_circle_is_not_called_one() {
    let root = ("", "pub mod a;");
    let parent = ("a", "mod b;\nmod c;\npub use b::B;\npub(crate) use c::C;\npub fn up() {}");
    for (b, c) in [
        ("use super::c::C;\npub struct B;", "pub struct C;"),
        // A parent that hands its children's names on imports nothing.
        ("use super::up;\npub struct B;", "use super::{B, up};\npub struct C;"),
        ("// use super::c::C;\npub struct B;", "use super::B;\npub struct C;"),
        ("fn b() { let text = \"use super::c::C;\"; }\npub struct B;", "use super::b::B;\npub struct C;"),
    ] {
        assert_eq!(circles_of(&[root, parent, ("a::b", b), ("a::c", c)]), Vec::<Vec<String>>::new(), "{b}\n{c}");
    }
}
