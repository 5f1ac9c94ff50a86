//! Inputs of a verification: bundles, records, recordings, revocation lists.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use crate::cli::progress;
use crate::evidence::{Bundle, BundleFiles, SuppliedRecording};
use crate::pki::ocsp::OcspResponse;
use crate::pki::{Certificate, Crl};
use crate::vcon::VconLimits;

/// Largest file of certificates: a chain of ten of the largest that are read.
pub(in crate::cli) const CERTIFICATES_BYTES_MAX: u64 = 1 << 20;
/// Certificates of one file: the longest path that is tried, and some that are offered in vain.
pub(in crate::cli) const CERTIFICATES_MAX: usize = 10;

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

/// Reads certificates, PEM in their order, or one in DER.
pub(in crate::cli) fn read_certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(CERTIFICATES_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {}", path.display()))?;
    let most = CERTIFICATES_BYTES_MAX;
    anyhow::ensure!(bytes.len() as u64 <= most, "{} has more than {most} bytes", path.display());
    let certificates = Certificate::from_file_bytes(&bytes, CERTIFICATES_MAX);
    let certificates = certificates.with_context(|| format!("certificates in {}", path.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "{} holds no certificate", path.display());
    Ok(certificates)
}

/// Reads a revocation list, PEM or DER, as DER.
pub(in crate::cli) fn read_crl(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let no_list = || format!("{} is no revocation list", path.display());
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN "));
    let crl = match text {
        Some(text) if !text.contains("-----BEGIN X509 CRL-----") => {
            let label = text.split("-----BEGIN ").nth(1).and_then(|rest| rest.split("-----").next());
            let label = label.unwrap_or_default().escape_debug();
            anyhow::bail!("{}: the PEM in it is of {label}, and not of X509 CRL", no_list());
        }
        Some(text) => Crl::from_pem(text),
        None => Crl::from_der(&bytes),
    };
    Ok(crl.with_context(no_list)?.der().to_vec())
}

/// Reads an OCSP response, DER.
pub(in crate::cli) fn read_ocsp_response(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    OcspResponse::from_der(&bytes).with_context(|| format!("OCSP response {}", path.display()))?;
    Ok(bytes)
}
