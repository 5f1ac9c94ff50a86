//! The evidence bundle as files: `<uuid>.evidence.zip`, or the folder that it unpacks to (`docs/FORMATS.md`).

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use crate::evidence::format::archive_timestamp::ArchiveTimestamp;
use crate::evidence::format::bundle::{Bundle, LayerEvidence};
use crate::evidence::format::record::{RENEWALS_MAX, record_digest};
use crate::evidence::format::zip_archive::{ZipError, read_zip};
use crate::jose::Jws;
use crate::json::JsonLimits;
use crate::pki::{PemError, pem_blocks, to_pem};
use crate::tlog::TlogProof;

/// Files in a bundle: a dozen, and archived revocation lists.
const FILES_MAX: usize = 256;
/// Bytes of all files together: a record of the largest size and its evidence.
const BYTES_MAX: usize = 128 << 20;
/// The folder of evidence of inner layers: in it a folder for each layer inside the outermost.
const INNER_LAYERS: &str = "earlier/";
/// The folder of OCSP responses.
const OCSP: &str = "ocsp/";
/// The stem of the names of a second proof, of the text of its checkpoint, and of the tokens over that.
const SECOND: &str = "second";
/// The prefix of the names of consistency proofs.
const CONSISTENCY: &str = "consistency-";
/// The record in the form of JAdES.
const JADES: &str = "record.jades.json";
/// Certificates, or lists, in one PEM file.
const CERTIFICATES_MAX: usize = 64;

/// The files of a bundle, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleFiles(Vec<(String, Vec<u8>)>);

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum BundleError {
    /// Not a zip archive, a damaged one, or one that two readers could read in two ways.
    #[error("not an unambiguous zip file: {0}")]
    Zip(ZipError),
    /// Too many files or bytes.
    #[error("more than {FILES_MAX} files or {BYTES_MAX} bytes")]
    TooLarge,
    /// The file that everything is about is not there.
    #[error("there is no record.vcon.json in the bundle")]
    NoRecord,
    /// Two forms of one record are of two.
    #[error("{JADES} in the bundle is not the record in record.vcon.json")]
    OtherRecord,
    /// A file of certificates is not PEM.
    #[error("file {0} in the bundle is not PEM")]
    NotPem(String),
    /// A file of certificates cannot be read, or one of certificates or lists has more than are taken.
    #[error("file {file} in the bundle cannot be read: {cause}")]
    Pem { file: String, cause: PemError },
}

impl BundleFiles {
    /// The files of `bundle`, named. Reports and instructions are added by the caller.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let mut files = Self::default();
        files.add("record.vcon.json", bundle.record.clone());
        if let Some(form) = &bundle.jades {
            files.add(JADES, form.clone());
        }
        files.add_layer("", &bundle.evidence);
        for (position, layer) in bundle.inner_layers.iter().enumerate() {
            files.add_layer(&format!("{INNER_LAYERS}{:02}/", position + 1), layer);
        }
        for (position, archive) in bundle.archives.iter().enumerate() {
            let stem = format!("archive-{:02}", position + 1);
            files.add(&format!("{stem}.txt"), archive.root.clone());
            files.add(&format!("{stem}.proofs"), archive.proofs.clone());
            for (position, token) in archive.tokens.iter().enumerate() {
                files.add(&numbered(&stem, position, "tsr"), token.clone());
            }
        }
        for (position, proof) in bundle.consistency.iter().enumerate() {
            files.add(&format!("{CONSISTENCY}{:02}.txt", position + 1), proof.clone());
        }
        let pem = |ders: &[Vec<u8>]| ders.iter().map(|der| to_pem("CERTIFICATE", der)).collect::<String>();
        if !bundle.certificates.is_empty() {
            files.add("certificates.pem", pem(&bundle.certificates).into_bytes());
        }
        for (position, crl) in bundle.crls.iter().enumerate() {
            files.add(&format!("crls/{position}.crl.pem"), to_pem("X509 CRL", crl).into_bytes());
        }
        for (position, response) in bundle.ocsp_responses.iter().enumerate() {
            files.add(&format!("{OCSP}{position}.ors"), response.clone());
        }
        if !bundle.offered_anchors.is_empty() {
            files.add("anchors.pem", pem(&bundle.offered_anchors).into_bytes());
        }
        if let Some(policy) = &bundle.offered_log_policy {
            files.add("ledger.tlog-policy", policy.clone());
        }
        files
    }

    /// Whether a bundle has a file of this name. Whoever writes one writes no other: two readers could take a name that
    /// differs in case or form alone for another file.
    #[must_use]
    pub fn is_own(name: &str) -> bool {
        let named = [
            "record.vcon.json",
            JADES,
            "certificates.pem",
            "anchors.pem",
            "ledger.tlog-policy",
            "report.json",
            "report.html",
            "VERIFY.txt",
        ];
        named.contains(&name)
            || is_of_layer(name)
            || inner_layer_part(name).is_some_and(|(_, file)| is_of_layer(file))
            || name.strip_prefix("crls/").or_else(|| name.strip_prefix(OCSP)).is_some_and(|file| !file.is_empty())
            || archive_part(name).is_some()
            || is_consistency(name)
    }

    /// The folders that files of a bundle may be in: that of the bundle itself, empty, and those in it, each with `/`.
    pub fn folders() -> impl Iterator<Item = String> {
        let earlier = (1..RENEWALS_MAX).map(|layer| format!("{INNER_LAYERS}{layer:02}/"));
        ["", "crls/", OCSP].map(str::to_owned).into_iter().chain(earlier)
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.push((name.to_owned(), bytes));
    }

    fn add_layer(&mut self, folder: &str, layer: &LayerEvidence) {
        if let Some(entry) = &layer.entry {
            self.add(&format!("{folder}entry.json"), entry.clone());
        }
        if let Some(proof) = &layer.proof {
            self.add_proof(&format!("{folder}record"), &format!("{folder}checkpoint"), proof);
        }
        self.add_tokens(&format!("{folder}checkpoint"), &layer.checkpoint_tokens);
        if let Some(proof) = &layer.second_proof {
            self.add_proof(&format!("{folder}{SECOND}"), &format!("{folder}{SECOND}"), proof);
        }
        self.add_tokens(&format!("{folder}{SECOND}"), &layer.second_tokens);
        self.add_tokens(&format!("{folder}record"), &layer.record_tokens);
    }

    /// Adds a proof, and the text of its checkpoint, which tokens are over.
    fn add_proof(&mut self, stem: &str, checkpoint: &str, proof: &[u8]) {
        self.add(&format!("{stem}.tlog-proof"), proof.to_vec());
        if let Ok(proof) = TlogProof::parse(proof) {
            let text = proof.checkpoint().note().text().as_bytes().to_vec();
            self.add(&format!("{checkpoint}.txt"), text);
        }
    }

    fn add_tokens(&mut self, stem: &str, tokens: &[Vec<u8>]) {
        for (position, token) in tokens.iter().enumerate() {
            self.add(&numbered(stem, position, "tsr"), token.clone());
        }
    }

    /// The files, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The bundle that these files are. Unknown files are left alone.
    ///
    /// # Errors
    /// When there is no record, another one in the form of JAdES, or a file of certificates is not PEM; when a file has more
    /// certificates or lists than are taken. A file of lists that cannot be read says nothing, like one that is not there.
    pub fn to_bundle(&self) -> Result<Bundle, BundleError> {
        let mut bundle = Bundle::default();
        let mut record = None;
        let mut archives: BTreeMap<&str, ArchiveTimestamp> = BTreeMap::new();
        for (name, bytes) in self.iter() {
            let pem = |label| {
                let text = std::str::from_utf8(bytes).map_err(|_| BundleError::NotPem(name.to_owned()))?;
                let wrong = |cause| BundleError::Pem { file: name.to_owned(), cause };
                pem_blocks(text, label, CERTIFICATES_MAX).map_err(wrong)
            };
            match name {
                "record.vcon.json" => record = Some(bytes.to_vec()),
                JADES => bundle.jades = Some(bytes.to_vec()),
                "certificates.pem" => bundle.certificates = pem("CERTIFICATE")?,
                "anchors.pem" => bundle.offered_anchors = pem("CERTIFICATE")?,
                "ledger.tlog-policy" => bundle.offered_log_policy = Some(bytes.to_vec()),
                _ if let Some((number, part)) = archive_part(name) => {
                    let archive = archives.entry(number).or_default();
                    match part {
                        ArchivePart::Root => archive.root = bytes.to_vec(),
                        ArchivePart::Proofs => archive.proofs = bytes.to_vec(),
                        ArchivePart::Token => archive.tokens.push(bytes.to_vec()),
                    }
                }
                _ if is_consistency(name) => bundle.consistency.push(bytes.to_vec()),
                _ if name.starts_with(OCSP) => bundle.ocsp_responses.push(bytes.to_vec()),
                _ if name.starts_with("crls/") => match pem("X509 CRL") {
                    Err(error @ BundleError::Pem { cause: PemError::TooMany { .. }, .. }) => return Err(error),
                    lists => bundle.crls.extend(lists.unwrap_or_default()),
                },
                _ if let Some((layer, file)) = inner_layer_part(name) => {
                    if bundle.inner_layers.len() < layer {
                        bundle.inner_layers.resize_with(layer, LayerEvidence::default);
                    }
                    bundle.inner_layers[layer - 1].take(file, bytes);
                }
                _ => bundle.evidence.take(name, bytes),
            }
        }
        bundle.archives = archives.into_values().collect();
        bundle.record = record.ok_or(BundleError::NoRecord)?;
        if bundle.jades.as_ref().is_some_and(|form| !is_same_record(form, &bundle.record)) {
            return Err(BundleError::OtherRecord);
        }
        Ok(bundle)
    }

    /// Packs the files.
    ///
    /// # Panics
    /// Never: it is written to memory.
    #[must_use]
    pub fn to_zip(&self) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        // No times: the same files are the same bytes.
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, bytes) in self.iter() {
            archive.start_file(name, options).expect("a name of our own, in memory");
            archive.write_all(bytes).expect("memory takes every byte");
        }
        archive.finish().expect("memory takes every byte").into_inner()
    }

    /// Unpacks an archive.
    ///
    /// # Errors
    /// When it is damaged or larger than a bundle may be.
    pub fn from_zip(bytes: &[u8]) -> Result<Self, BundleError> {
        match read_zip(bytes, FILES_MAX, BYTES_MAX) {
            Ok(files) => Ok(Self(files)),
            Err(ZipError::TooLarge) => Err(BundleError::TooLarge),
            Err(error) => Err(BundleError::Zip(error)),
        }
    }
}

impl LayerEvidence {
    /// Takes over a file, if it is one of a layer's evidence.
    fn take(&mut self, name: &str, bytes: &[u8]) {
        match name {
            "entry.json" => self.entry = Some(bytes.to_vec()),
            "record.tlog-proof" => self.proof = Some(bytes.to_vec()),
            "second.tlog-proof" => self.second_proof = Some(bytes.to_vec()),
            _ if name.starts_with(SECOND) && name.ends_with(".tsr") => {
                self.second_tokens.push(bytes.to_vec());
            }
            _ if name.starts_with("checkpoint") && name.ends_with(".tsr") => {
                self.checkpoint_tokens.push(bytes.to_vec());
            }
            _ if name.starts_with("record") && name.ends_with(".tsr") => self.record_tokens.push(bytes.to_vec()),
            _ => {}
        }
    }
}

/// Whether this is the name of a file of a layer's evidence.
fn is_of_layer(file: &str) -> bool {
    let stems = ["checkpoint", "record", SECOND];
    let is_token = stems.iter().any(|stem| file.starts_with(stem)) && file.ends_with(".tsr");
    let others = ["entry.json", "record.tlog-proof", "checkpoint.txt", "second.tlog-proof", "second.txt"];
    is_token || others.contains(&file)
}

/// Whether both are of the same payload, protected headers and signatures.
fn is_same_record(form: &[u8], record: &[u8]) -> bool {
    let limits = JsonLimits { bytes_max: BYTES_MAX, ..JsonLimits::default() };
    let digest = |bytes: &[u8]| Jws::parse(bytes, &limits).ok().map(|jws| record_digest(&jws));
    digest(form).is_some_and(|form| digest(record) == Some(form))
}

fn is_consistency(name: &str) -> bool {
    name.starts_with(CONSISTENCY) && name.ends_with(".txt")
}

/// Which layer inside the outermost a file is about, from 1, and its name in that folder.
fn inner_layer_part(name: &str) -> Option<(usize, &str)> {
    let (number, file) = name.strip_prefix(INNER_LAYERS)?.split_once('/')?;
    let layer = number.parse().ok().filter(|layer| (1..RENEWALS_MAX).contains(layer))?;
    Some((layer, file))
}

/// The part of an archive timestamp that a file holds.
enum ArchivePart {
    Root,
    Proofs,
    Token,
}

/// The number of an archive timestamp, two digits, and what the file of this name is of it.
fn archive_part(name: &str) -> Option<(&str, ArchivePart)> {
    let (number, rest) = name.strip_prefix("archive-")?.split_at_checked(2)?;
    let part = match rest {
        ".txt" => ArchivePart::Root,
        ".proofs" => ArchivePart::Proofs,
        _ if rest.ends_with(".tsr") => ArchivePart::Token,
        _ => return None,
    };
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some((number, part))
}

fn numbered(stem: &str, position: usize, ending: &str) -> String {
    if position == 0 { format!("{stem}.{ending}") } else { format!("{stem}-{}.{ending}", position + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_packs_and_unpacks() {
        let bundle = Bundle {
            record: b"{}".to_vec(),
            evidence: LayerEvidence {
                entry: Some(b"entry".to_vec()),
                checkpoint_tokens: vec![vec![1], vec![2]],
                second_proof: Some(b"second proof".to_vec()),
                second_tokens: vec![vec![3], vec![4]],
                ..LayerEvidence::default()
            },
            inner_layers: vec![
                LayerEvidence::default(),
                LayerEvidence { record_tokens: vec![vec![3], vec![4]], ..LayerEvidence::default() },
            ],
            archives: (1..=12)
                .map(|n| ArchiveTimestamp { root: vec![n], tokens: vec![vec![n], vec![n + 1]], proofs: vec![n] })
                .collect(),
            consistency: vec![vec![5], vec![6]],
            certificates: vec![vec![0x30, 0], vec![0x30, 1]],
            crls: vec![vec![0x30, 2]],
            ocsp_responses: vec![vec![0x30, 3], vec![0x30, 4]],
            ..Bundle::default()
        };
        assert!(BundleFiles::of(&bundle).iter().all(|(name, _)| BundleFiles::is_own(name)));
        for name in [
            "notes.txt",
            "Report.json",
            "verify.txt",
            "RECORD.vcon.json",
            "earlier/01/notes.txt",
            "earlier/99/entry.json",
        ] {
            assert!(!BundleFiles::is_own(name), "{name}");
        }
        let packed = BundleFiles::of(&bundle).to_zip();
        let unpacked = BundleFiles::from_zip(&packed).unwrap();
        assert_eq!(unpacked, BundleFiles::of(&bundle));
        let read = unpacked.to_bundle().unwrap();
        assert_eq!(
            (read.evidence, read.inner_layers, read.consistency, read.archives, read.certificates, read.crls),
            (
                bundle.evidence.clone(),
                bundle.inner_layers.clone(),
                bundle.consistency.clone(),
                bundle.archives.clone(),
                bundle.certificates.clone(),
                bundle.crls.clone()
            )
        );
        assert_eq!(read.ocsp_responses, bundle.ocsp_responses);
        assert_eq!(packed, BundleFiles::of(&bundle).to_zip());
    }

    #[test]
    fn refuses_what_is_no_bundle() {
        assert!(matches!(BundleFiles::from_zip(b"PK nonsense"), Err(BundleError::Zip(_))));
        let mut files = BundleFiles::default();
        assert!(matches!(files.to_bundle(), Err(BundleError::NoRecord)));
        files.add("record.vcon.json", b"{}".to_vec());
        let refusal = |name: &str, bytes: &[u8]| {
            let mut files = files.clone();
            files.add(name, bytes.to_vec());
            files.to_bundle().map(|_| ()).map_err(|error| error.to_string())
        };
        let refused = |reason: &str| Err(format!("file certificates.pem in the bundle {reason}"));
        let broken = to_pem("CERTIFICATE", b"x").replace("eA", "!");
        assert_eq!(
            refusal("certificates.pem", broken.as_bytes()),
            refused("cannot be read: CERTIFICATE block 0 is not base64")
        );
        assert_eq!(refusal("certificates.pem", b"\xff"), refused("is not PEM"));
        let many = |label: &str, count: usize| to_pem(label, b"x").repeat(count).into_bytes();
        assert_eq!(refusal("certificates.pem", &many("CERTIFICATE", 64)), Ok(()));
        assert_eq!(
            refusal("certificates.pem", &many("CERTIFICATE", 65)),
            refused("cannot be read: more than 64 CERTIFICATE blocks")
        );
        let reason = "file crls/x.pem in the bundle cannot be read: more than 64 X509 CRL blocks";
        assert_eq!(refusal("crls/x.pem", &many("X509 CRL", 65)), Err(reason.to_owned()));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_as_if_it_were_not_there() {
        let mut files = BundleFiles::default();
        files.add("record.vcon.json", b"{}".to_vec());
        files.add("crls/0.crl.pem", to_pem("X509 CRL", b"x").replace("eA", "!").into_bytes());
        files.add("crls/1.crl.pem", to_pem("X509 CRL", b"list").into_bytes());
        files.add("crls/2.crl.pem", b"-----BEGIN X509 CRL-----".to_vec());
        files.add("crls/3.crl", b"\x30\xff".to_vec());
        assert_eq!(files.to_bundle().unwrap().crls, [b"list"]);
    }

    #[test]
    fn the_form_of_another_record_is_refused() {
        let jws = |payload: &str, header: &str, signature: &str| {
            format!(
                r#"{{"payload":"{payload}","signatures":[{{"protected":"eyJhbGciOiJSUzI1NiJ9",{header}"signature":"{signature}"}}]}}"#
            )
        };
        let bundle = |form: &str| {
            let (record, jades) = (jws("AA", r#""header":{"uuid":"u"},"#, "AA"), Some(form.as_bytes().to_vec()));
            let bundle = Bundle { record: record.into_bytes(), jades, ..Bundle::default() };
            BundleFiles::from_zip(&BundleFiles::of(&bundle).to_zip()).unwrap().to_bundle()
        };
        let form = jws("AA", r#""header":{"etsiU":["e30"]},"#, "AA");
        assert_eq!(bundle(&form).unwrap().jades, Some(form.into_bytes()));
        for other in
            [jws("AQ", "", "AA"), jws("AA", "", "AQ"), jws("AA", "", "AA").replace("eyJh", "eyJi"), "{}".to_owned()]
        {
            assert!(matches!(bundle(&other), Err(BundleError::OtherRecord)), "{other}");
        }
    }
}
