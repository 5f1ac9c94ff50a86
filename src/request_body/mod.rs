//! The bodies of requests: how much of them is in memory, and how slowly they may come.
//!
//! Whoever sends a body decides when its bytes come. So a place that others wait for is taken only when the body is there;
//! what is there of all bodies together is counted in [`BodyMemory`], by caller too; and each body is read at a least pace
//! ([`IncomingBody`]). Out of scope: what is done with a body that is there.

mod caller;
mod incoming;
mod memory;
mod pace;
mod unread;
mod whole;

pub use caller::{Caller, client_address};
pub use incoming::IncomingBody;
pub use memory::{BodyLimits, BodyMemory, HeldMemory};
pub use unread::close_unread;
pub use whole::{HeldBody, read_whole};

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum BodyReadError {
    /// It has more bytes than the request may have.
    #[error("the body is larger than the {bytes_max} bytes allowed")]
    TooLarge { bytes_max: u64 },
    /// It broke off, or is not of the form that its headers say.
    #[error("the body is malformed or incomplete")]
    Broken,
    /// Its encoding is not one that is unpacked here.
    #[error("a body is sent as it is, or with Content-Encoding: gzip")]
    Encoding,
    /// It came too slowly.
    #[error("the body came too slowly")]
    TooSlow,
    /// The memory of bodies is full, or was needed for a body that comes faster.
    #[error("server busy; retry later")]
    NoRoom,
}
