//! Inputs of a verification: bundles, records, recordings, revocation lists.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use crate::cli::progress;
use crate::evidence::{Bundle, BundleFiles, SuppliedRecording};
use crate::vcon::VconLimits;

/// Reads a bundle, the folder that it unpacks to, or a record alone, as the files of a bundle.
pub(in crate::cli) fn read_files(path: &Path) -> anyhow::Result<BundleFiles> {
    if path.is_dir() {
        return read_folder(path);
    }
    let bytes_max = VconLimits::default().json.bytes_max as u64;
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    // A bundle is compressed, and its own limits hold when it is unpacked.
    file.take(4 * bytes_max).read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
    if bytes.starts_with(b"PK") {
        return BundleFiles::from_zip(&bytes).with_context(|| format!("bundle {}", path.display()));
    }
    Ok(BundleFiles::of(&Bundle::of_record(bytes)))
}

fn read_folder(folder: &Path) -> anyhow::Result<BundleFiles> {
    let mut files = BundleFiles::default();
    for prefix in BundleFiles::folders() {
        let dir = folder.join(&prefix);
        if !dir.is_dir() {
            continue;
        }
        let mut names: Vec<_> = std::fs::read_dir(&dir)?.collect::<Result<_, _>>()?;
        names.sort_by_key(std::fs::DirEntry::file_name);
        for entry in names {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && is_bundle_file(&name, &prefix) {
                files.add(&format!("{prefix}{name}"), std::fs::read(entry.path())?);
            }
        }
    }
    Ok(files)
}

/// Beside the bundle there may be recordings of any size: they are not read into memory.
fn is_bundle_file(name: &str, prefix: &str) -> bool {
    let endings = [".json", ".tlog-proof", ".tlog-policy", ".txt", ".tsr", ".proofs", ".pem"];
    !prefix.is_empty() || endings.iter().any(|ending| name.ends_with(ending))
}

/// Reads a recording of any size.
pub(in crate::cli) fn read_recording(path: &Path) -> anyhow::Result<SuppliedRecording> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(SuppliedRecording { name, digests: progress::digests_of(path)?.0 })
}

/// Reads a revocation list, PEM or DER.
pub(in crate::cli) fn read_crl(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is not PEM", path.display()))?;
    let crl = crate::pki::Crl::from_pem(text).with_context(|| format!("revocation list {}", path.display()))?;
    Ok(crl.der().to_vec())
}
