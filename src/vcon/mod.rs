//! The vCon container (draft-ietf-vcon-vcon-core-03, syntax 0.4.0).
//!
//! A [`Vcon`] is the document as it was written, with views that know the members of the draft and the names they had in
//! older syntaxes; what no view knows stays where it is. A signed document is never changed: views only read. Signing,
//! certificates and ledgers are other rooms' matters.

mod build;
mod document;
mod migrate;
mod redaction;
mod streaming;
mod transcript;
mod validation;
mod view;

pub use build::builder::VconBuilder;
pub use build::{
    CivicAddress, Disposition, NewAnalysis, NewAttachment, NewContent, NewDialog, NewParty, PartyEvent, PartyKind,
    Session, Transfer,
};
pub use document::bound_content::BoundContent;
pub use document::content::{
    Content, ContentDecoder, ContentDigester, ContentDigests, ContentError, ContentHash, HashAlgorithm, HashSyntaxError,
};
pub use document::form::Form;
pub use document::gzip::{GzipError, InflateReader, inflate};
pub use document::item_ref::ItemRef;
pub use document::lawful_basis::{Basis, LawfulBasis, LawfulBasisError, Permission, PurposeGrant, RecordedBasis};
pub use document::lifecycle::LifecycleOperation;
pub use document::tags::{Tag, TagError};
pub use document::uuid8::uuid8;
pub use document::vcon::{Vcon, VconError};
pub use migrate::{Change, migrate};
pub use redaction::amend::{AmendError, PriorVersion, amend};
pub use redaction::redact::{RedactError, References, Removal, redact};
pub use redaction::residual::{ResidualMention, residual_mentions};
pub use streaming::{BodyLocation, DetachedDocument, DocumentPart, StreamingError, StreamingReader};
pub use transcript::turns::{Turn, turns};
pub use transcript::wtf::{Wtf, WtfError, WtfSegment};
pub use validation::{Level, RULES, VconFinding, VconRule, rule, validate, validate_any};
pub use view::{Analysis, Attachment, Dialog, Party, PartyHistory};

use crate::json::JsonLimits;

/// The syntax that Affiant writes.
pub const SYNTAX: &str = "0.4.0";

/// Limits of a vCon.
#[derive(Clone, Copy, Debug)]
pub struct VconLimits {
    /// Of the JSON text, signed or not.
    pub json: JsonLimits,
    /// Bytes that a gzipped payload may inflate to per byte of its own. JSON transcripts reach 20; a bomb has 1000.
    pub inflation_ratio_max: usize,
    /// Dialogs, parties, analyses and attachments, each. A conference of a day with its key presses stays below.
    pub items_max: usize,
}

impl Default for VconLimits {
    fn default() -> Self {
        Self { json: JsonLimits::default(), inflation_ratio_max: 200, items_max: 10_000 }
    }
}
