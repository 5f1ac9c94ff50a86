//! The Time-Stamp Protocol (RFC 3161): imprint, request, response, token.

mod error;
mod imprint;
mod request;
mod response;
#[cfg(feature = "server")]
mod sign;
mod status;
mod token;

pub use error::{TOKEN_BYTES_MAX, TimestampError};
pub use imprint::MessageImprint;
pub use request::{REQUEST_BYTES_MAX, TimestampRequest};
pub use response::TimestampResponse;
#[cfg(feature = "server")]
pub use sign::{TstError, sign_token};
pub use status::{TimestampFailure, TimestampStatus};
pub use token::{Timestamp, TimestampToken, TstInfo};
