//! The scorecards, in the order of their files.

use std::path::Path;

use anyhow::Context as _;

use crate::scorecard::Scorecard;

/// Bytes of a scorecard file.
const SCORECARD_BYTES_MAX: u64 = 1 << 20;

pub(super) fn read_scorecards(dir: &Path) -> anyhow::Result<Vec<Scorecard>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading scorecards in {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::metadata(path)?.len();
        anyhow::ensure!(bytes <= SCORECARD_BYTES_MAX, "{bytes} bytes are more than {SCORECARD_BYTES_MAX}");
        let text = std::fs::read_to_string(path)?;
        Ok(Scorecard::from_file(&text, toml::Deserializer::parse(&text)?)?)
    };
    paths.iter().map(|path| read(path).with_context(|| format!("scorecard {}", path.display()))).collect()
}
