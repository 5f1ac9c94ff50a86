//! The numbers of a log, which have types of their own (`src/tlog/position.rs`).

/// Names that say which of them a number is.
const NAMES: &[&str] = &["index", "first", "size", "seq", "round", "watermark", "entries"];

/// The parameter or result of a public function in a line that is a number without its type: what it is called.
pub(crate) fn bare(signature: &str) -> Option<&str> {
    let start = signature.find("pub fn ").or_else(|| signature.find("pub async fn "))?;
    let rest = &signature[start..];
    let name = rest[..rest.find('(')?].rsplit(' ').next()?;
    let result = rest.split_once("->").map_or("", |(_, result)| result);
    let bare_result = result.contains("u64") && NAMES.iter().any(|one| name.split('_').any(|part| part == *one));
    let parameters = rest[rest.find('(')? + 1..].split([',', ')']).filter_map(|one| one.split_once(": "));
    let bare_parameter = parameters
        .map(|(name, kind)| (name.trim(), kind))
        .find(|(name, kind)| NAMES.contains(name) && matches!(*kind, "u64" | "Option<u64>"));
    bare_parameter.map(|(name, _)| name).or_else(|| bare_result.then_some(name))
}

#[test]
fn a_number_without_its_type_is_seen() {
    for (signature, complaint) in [
        ("    pub fn record(&self, index: u64) -> Result<Record, ReadError> {", Some("index")),
        ("    pub fn size(&self) -> u64 {", Some("size")),
        ("    pub fn index_of_uuid(&self, uuid: &str) -> Result<Option<u64>, ReadError> {", Some("index_of_uuid")),
        ("    pub fn record(&self, index: LeafIndex) -> Result<Record, ReadError> {", None),
        ("    pub fn keep_crl(&self, number: u64, crl: &[u8]) -> Result<(), ReadError> {", None),
        ("    fn node(&self, level: u32, index: u64) -> NodeHash {", None),
    ] {
        assert_eq!(bare(signature), complaint, "{signature}");
    }
}
