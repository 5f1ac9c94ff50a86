//! The vCon container (draft-ietf-vcon-vcon-core-03, syntax 0.4.0).
//!
//! A [`Vcon`] is the document as it was written, with views that know the members of the draft and the names they had in
//! older syntaxes; what no view knows stays where it is. A signed document is never changed: views only read. Signing,
//! certificates and ledgers are other rooms' matters.

mod amend;
mod builder;
mod captions;
mod content;
mod document;
mod form;
mod gzip;
mod lawful_basis;
mod lifecycle;
mod migrate;
mod parts;
mod place;
mod redact;
mod remains;
mod skeleton;
mod tags;
mod transcript;
mod uuid8;
mod validation;
mod views;
mod wtf;

pub use amend::{AmendError, PriorVersion, amend};
pub use builder::VconBuilder;
pub use content::{
    Content, ContentDecoder, ContentDigester, ContentDigests, ContentError, ContentHash, HashAlgorithm, HashSyntaxError,
};
pub use document::{Vcon, VconError};
pub use form::Form;
pub use gzip::{GzipError, InflateReader, inflate};
pub use lawful_basis::{Basis, LawfulBasis, LawfulBasisError, Permission, PurposeGrant, RecordedBasis};
pub use lifecycle::LifecycleOperation;
pub use migrate::{Change, migrate};
pub use parts::{
    CivicAddress, Disposition, NewAnalysis, NewAttachment, NewContent, NewDialog, NewParty, PartyEvent, PartyKind,
    Session, Transfer,
};
pub use place::Place;
pub use redact::{RedactError, References, Removal, redact};
pub use remains::{Remains, remains};
pub use skeleton::{Held, Piece, Skeleton, SkeletonError, SkeletonReader};
pub use tags::{Tag, TagError};
pub use transcript::{Turn, turns};
pub use uuid8::uuid8;
pub use validation::{Finding, Level, RULES, Rule, rule, validate, validate_any};
pub use views::{Analysis, Attachment, Dialog, Party, PartyHistory};
pub use wtf::{Wtf, WtfError, WtfSegment};

use crate::json::JsonLimits;

/// The syntax that Affiant writes.
pub const SYNTAX: &str = "0.4.0";

/// What a vCon may cost a reader.
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
