//! The fuzzer's corpus, held against its properties on every test run: what it once broke does not break again.

#[path = "../../fuzz/properties.rs"]
mod properties;

#[test]
fn the_corpus_keeps_every_property() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
    let folder = |path: &std::path::Path| -> Vec<_> {
        let entries = std::fs::read_dir(path).expect("the corpus is in the repository");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let mut held = 0;
    for target in folder(corpus.as_ref()) {
        let name = target.file_name().and_then(|name| name.to_str()).expect("a name");
        for case in folder(&target) {
            properties::holds(name, &std::fs::read(&case).expect("a case"));
            held += 1;
        }
    }
    assert!(held >= 6, "{held} cases");
}
