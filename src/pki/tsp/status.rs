//! The status of a response: PKIStatusInfo and PKIFailureInfo (RFC 3161 §2.4.2).

use std::fmt;

/// Why an authority made no token (PKIFailureInfo), by its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFailure {
    /// 0: the digest is not supported.
    BadAlgorithm = 0,
    /// 2: the transaction is not permitted or supported.
    BadRequest = 2,
    /// 5: the request is malformed.
    BadDataFormat = 5,
    /// 14: the authority does not know the time.
    TimeNotAvailable = 14,
    /// 15: the policy is not supported.
    UnacceptedPolicy = 15,
    /// 16: an extension is not supported.
    UnacceptedExtension = 16,
    /// 17: additional information is not available.
    AddInfoNotAvailable = 17,
    /// 25: the authority cannot handle the request.
    SystemFailure = 25,
}

impl TimestampFailure {
    pub(super) const ALL: [Self; 8] = [
        Self::BadAlgorithm,
        Self::BadRequest,
        Self::BadDataFormat,
        Self::TimeNotAvailable,
        Self::UnacceptedPolicy,
        Self::UnacceptedExtension,
        Self::AddInfoNotAvailable,
        Self::SystemFailure,
    ];
}

/// The status of a response (PKIStatusInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampStatus {
    /// 0 and 1 are granted; 2 to 5 are not.
    pub status: u32,
    /// The first reason that is given.
    pub failure: Option<TimestampFailure>,
}

impl TimestampStatus {
    /// Whether there is a token.
    #[must_use]
    pub fn is_granted(self) -> bool {
        self.status <= 1
    }
}

impl fmt::Display for TimestampStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "status {}", self.status)?;
        self.failure.map_or(Ok(()), |failure| write!(formatter, ", {failure:?}"))
    }
}
