//! The map from errors of the logs of statements to HTTP: concise problem details in CBOR (RFC 9290).

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use minicbor::Encoder;

use crate::evidence::StatementError;
use crate::ledger::AppendError;
use crate::request_body::BodyReadError;
use crate::statements::{CompatibilityError, RegisterError};

/// A problem as the caller sees it.
#[derive(Debug)]
pub(super) struct ConciseProblem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    retry: bool,
    /// The connection ends with the answer: the rest of a body is not waited for.
    closes: bool,
    /// The cause of a fault of ours: for the log alone.
    cause: Option<String>,
}

impl ConciseProblem {
    pub(super) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), retry: false, closes: false, cause: None }
    }

    /// A fault of ours: the cause is for the log alone.
    pub(super) fn internal(cause: &dyn std::fmt::Display) -> Self {
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "see the server's log");
        Self { cause: Some(cause.to_string()), ..problem }
    }

    /// The cause, which is logged and not sent.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn retry(self) -> Self {
        Self { retry: true, ..self }
    }
}

impl std::fmt::Display for ConciseProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for ConciseProblem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = Vec::new();
        let mut encoder = Encoder::new(&mut body);
        let written = (|| {
            encoder.map(2)?.i8(-1)?.str(self.title)?.i8(-2)?.str(&self.detail)?;
            Ok::<_, minicbor::encode::Error<std::convert::Infallible>>(())
        })();
        written.expect("memory takes every byte");
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CONTENT_TYPE, "application/concise-problem-details+cbor"));
        if self.retry {
            response.insert_header((RETRY_AFTER, "1"));
        }
        if self.closes {
            response.force_close();
        }
        response.body(body)
    }
}

impl From<BodyReadError> for ConciseProblem {
    fn from(error: BodyReadError) -> Self {
        let detail = error.to_string();
        let (status, title) = match error {
            BodyReadError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "Malformed request"),
            BodyReadError::Broken => (StatusCode::BAD_REQUEST, "Malformed request"),
            BodyReadError::Encoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Malformed request"),
            BodyReadError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "Too slow"),
            BodyReadError::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "Not now"),
        };
        let problem = Self { closes: true, ..Self::new(status, title, detail) };
        if error == BodyReadError::NoRoom { problem.retry() } else { problem }
    }
}

impl From<RegisterError> for ConciseProblem {
    fn from(error: RegisterError) -> Self {
        let detail = error.to_string();
        let rejected = |title| Self::new(StatusCode::BAD_REQUEST, title, detail.clone());
        match &error {
            RegisterError::Statement(statement) => rejected(match statement {
                StatementError::Cose(_) => "Malformed request",
                StatementError::Detached => "Payload Missing",
                StatementError::Algorithm => "Bad Signature Algorithm",
                _ => "Rejected",
            }),
            RegisterError::TooFast(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, "Too fast", detail).retry(),
            RegisterError::NotFound => Self::new(StatusCode::NOT_FOUND, "Not Found", detail),
            RegisterError::Erased | RegisterError::Append(AppendError::Erased(_)) => {
                Self::new(StatusCode::GONE, "Erased", detail)
            }
            RegisterError::Append(AppendError::Closed { .. }) => Self::new(StatusCode::GONE, "Closed", detail),
            RegisterError::NotYet
            | RegisterError::Append(
                AppendError::Busy
                | AppendError::Full
                | AppendError::Unreadable
                | AppendError::Index(_)
                | AppendError::ReadOnly(_)
                | AppendError::Forked(_)
                | AppendError::Stopped,
            ) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", detail).retry(),
            _ => Self::internal(&error),
        }
    }
}

impl From<CompatibilityError> for ConciseProblem {
    fn from(error: CompatibilityError) -> Self {
        let detail = error.to_string();
        match error {
            CompatibilityError::Cose(_) => Self::new(StatusCode::BAD_REQUEST, "Malformed request", detail),
            CompatibilityError::Detached => Self::new(StatusCode::BAD_REQUEST, "Payload Missing", detail),
            CompatibilityError::Signature => Self::new(StatusCode::BAD_REQUEST, "Rejected", detail),
            CompatibilityError::NotFound => Self::new(StatusCode::NOT_FOUND, "Not Found", detail),
            CompatibilityError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, "Full", detail),
            CompatibilityError::Io(_) => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", "see the server's log").retry();
                Self { cause: Some(detail), ..problem }
            }
            CompatibilityError::Signing(_) => Self::internal(&detail),
        }
    }
}
