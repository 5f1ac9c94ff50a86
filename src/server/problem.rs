//! The only map from errors to HTTP: problem details (RFC 9457) with stable types.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ContentType, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::ApiTokenError;
use crate::authority::AuthorityError;
use crate::clock::format_time;
use crate::cpu_pool::WorkError;
use crate::evidence::{BundleError, Indication, ValidationReport};
use crate::issuance::{AssembleError, BatchError, EvidenceError, JadesError, LineError, SubmitError, VerifyError};
use crate::ledger::{AppendError, BodyError, ClockTrouble, OperationError, ReadError, StoreError, TileReadError};
use crate::operator::archive_renewal::ArchiveRenewalError;
use crate::operator::signature_timestamps::SignatureArchiveError;
use crate::request_body::BodyReadError;
use crate::vcon::VconError;

/// A problem as the caller sees it (RFC 9457 §3).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:affiant:problem:…`: stable, and explained in the documentation.
    #[serde(rename = "type", serialize_with = "urn")]
    #[schema(value_type = String, example = "urn:affiant:problem:not-covered")]
    kind: &'static str,
    /// The title of the problem type.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The detail of this occurrence.
    detail: String,
    /// The validation report, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = report)]
    report: Option<Box<ValidationReport>>,
    /// Ids and numbers of the detail, as extension members (RFC 9457 §3.2).
    #[serde(flatten)]
    #[schema(ignore)]
    members: BTreeMap<&'static str, Value>,
    /// The cause of a fault of ours: for the log alone.
    #[serde(skip)]
    #[schema(ignore)]
    cause: Option<String>,
    /// The connection ends with the answer: the rest of a body is not waited for.
    #[serde(skip)]
    #[schema(ignore)]
    closes: bool,
}

fn report() -> utoipa::openapi::Ref {
    utoipa::openapi::Ref::from_schema_name("ValidationReport")
}

/// The members that may stand beside a detail, with their types and what they are.
pub(super) const MEMBERS: &[(&str, &str, &str)] = &[
    ("issuer", "string", "The issuer that the detail names."),
    ("certificate", "string", "Serial number or thumbprint of the certificate that the detail names."),
    ("since", "string", "Since when it is revoked, RFC 3339."),
    ("ahead_seconds", "integer", "How far the ledger is ahead of the clock."),
    ("index", "integer", "Place of the entry that the detail names."),
    ("number", "integer", "Which operation on the record was asked for."),
    ("operation", "string", "The operation that has this number."),
    ("next", "integer", "The number of the record's next operation."),
    ("level", "string", "The level that was asked for."),
    ("missing", "string", "What it lacks."),
    ("bytes", "integer", "How large it would be."),
    ("successor", "string", "The log that goes on."),
];

impl Problem {
    /// A problem of one of our types.
    pub(super) fn new(kind: &'static str, title: &'static str, status: StatusCode, detail: impl Into<String>) -> Self {
        let (detail, members) = (detail.into(), BTreeMap::new());
        Self { kind, title, status: status.as_u16(), detail, report: None, members, cause: None, closes: false }
    }

    /// Adds a member beside the detail that names it.
    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.insert(name, value.into());
        self
    }

    /// The cause, which is logged and not sent.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new("not-found", "Not found", StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        let detail = format!("this resource allows only {allowed}");
        Self::new("method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new("bad-request", "Bad request", StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn too_large(bytes_max: u64) -> Self {
        let detail = format!("the body is larger than the {bytes_max} bytes allowed");
        Self::new("too-large", "Too large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new("unauthorized", "No valid token", StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("forbidden", "Not allowed", StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn busy() -> Self {
        Self::new("busy", "Busy", StatusCode::SERVICE_UNAVAILABLE, "server busy; retry later")
    }

    pub(super) fn uuid_shared() -> Self {
        let detail = "more than one record has this uuid; name the record by its digest";
        Self::new("uuid-conflict", "Another record has this uuid", StatusCode::CONFLICT, detail)
    }

    /// A fault of ours: the cause is for the log alone.
    pub(super) fn internal(cause: &dyn std::fmt::Display) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let problem = Self::new("internal", "Internal fault", status, "the fault has been logged");
        Self { cause: Some(cause.to_string()), ..problem }
    }

    fn http_status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).expect("made of a status")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.http_status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.http_status());
        response.insert_header(ContentType("application/problem+json".parse().expect("a media type")));
        match self.http_status() {
            StatusCode::SERVICE_UNAVAILABLE => response.insert_header((RETRY_AFTER, "1")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => response.insert_header((ACCEPT_ENCODING, "gzip, identity")),
            StatusCode::UNAUTHORIZED => response.insert_header((WWW_AUTHENTICATE, "Bearer")),
            _ => &mut response,
        };
        if self.closes {
            response.force_close();
        }
        response.body(serde_json::to_vec(self).expect("a problem is JSON"))
    }
}

fn urn<S: serde::Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:affiant:problem:{kind}"))
}

/// What is asked for may be there or not.
const INDEX_UNAVAILABLE: &str =
    "the index cannot be read or written; retry later: what is damaged is made again meanwhile";

const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

impl From<BodyReadError> for Problem {
    fn from(error: BodyReadError) -> Self {
        let detail = error.to_string();
        let problem = match error {
            BodyReadError::TooLarge { bytes_max } => Self::too_large(bytes_max),
            BodyReadError::Broken => Self::bad_request(detail),
            BodyReadError::Encoding => {
                Self::new("unknown-encoding", "Unknown encoding", StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
            }
            BodyReadError::TooSlow => Self::new("too-slow", "Too slow", StatusCode::REQUEST_TIMEOUT, detail),
            BodyReadError::NoRoom => Self::busy(),
        };
        Self { closes: true, ..problem }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::Vcon(error) => error.into(),
            SubmitError::Record(_) => Self::new("not-a-record", "Not a signed vCon", UNPROCESSABLE, detail),
            SubmitError::Encrypted => Self::new("encrypted", "Encrypted", UNPROCESSABLE, detail),
            SubmitError::NoUuid => Self::new("no-uuid", "No uuid", UNPROCESSABLE, detail),
            SubmitError::NotCovered => Self::new("not-covered", "Not covered by a scorecard", UNPROCESSABLE, detail),
            SubmitError::Authority(error) => error.into(),
            SubmitError::Erased => AssembleError::Erased.into(),
            SubmitError::Evidence(error) => error.into(),
            SubmitError::TooLate(_) => Self::new("too-late", "Too late to sign again", UNPROCESSABLE, detail),
            SubmitError::Signing(error) => Self::internal(&error),
            SubmitError::TotalFailed(report) => {
                let failed = report.verdict.indication == Indication::Failed;
                let title = if failed { "The record does not hold" } else { "The record is not understood" };
                Self { report: Some(report), ..Self::new("total-failed", title, UNPROCESSABLE, detail) }
            }
            SubmitError::ForeignRecord => {
                Self::new("foreign-record", "Signed by somebody else", StatusCode::FORBIDDEN, detail)
            }
            // A revocation list ran out, say: nothing is wrong with the call, and nothing was appended.
            SubmitError::OwnRecordWrong(report) if report.verdict.indication == Indication::Indeterminate => {
                Self::new("not-verifiable", "Cannot be verified now", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            SubmitError::OwnRecordWrong(report) => Self::internal(&format!("{detail} {}", report.verdict.code())),
            SubmitError::Work(error) => error.into(),
            SubmitError::Append(error) => error.into(),
            SubmitError::Read(error) => error.into(),
        }
    }
}

impl From<VconError> for Problem {
    fn from(error: VconError) -> Self {
        let detail = error.to_string();
        match error {
            VconError::Json(_) => Self::new("not-json", "Not strict JSON", StatusCode::BAD_REQUEST, detail),
            VconError::CriticalExtension(_) => {
                Self::new("critical-extension", "Unknown critical extension", UNPROCESSABLE, detail)
            }
            VconError::TooMany { .. } => Self::new("too-many-items", "Too many items", UNPROCESSABLE, detail),
            _ => Self::new("not-a-vcon", "Not a vCon", UNPROCESSABLE, detail),
        }
    }
}

impl From<AuthorityError> for Problem {
    fn from(error: AuthorityError) -> Self {
        let detail = error.to_string();
        match error {
            AuthorityError::UnknownIssuer(issuer) => {
                let problem = Self::new("unknown-issuer", "Unknown issuer", StatusCode::NOT_FOUND, detail);
                problem.with("issuer", issuer.as_str())
            }
            AuthorityError::UnknownCertificate(certificate) => {
                let problem = Self::new("unknown-certificate", "Unknown certificate", StatusCode::NOT_FOUND, detail);
                problem.with("certificate", certificate)
            }
            AuthorityError::UnknownCrl(_) => Self::not_found("revocation list"),
            AuthorityError::NoCertificate(issuer)
            | AuthorityError::NotActive { issuer, .. }
            | AuthorityError::Revoked { issuer, .. }
            | AuthorityError::KeyElsewhere(issuer) => {
                let problem =
                    Self::new("certificate-not-active", "No active certificate", StatusCode::CONFLICT, detail);
                problem.with("issuer", issuer.as_str())
            }
            AuthorityError::RevokedAlready { certificate, since } => {
                let problem = Self::new("revoked-already", "Revoked already", StatusCode::CONFLICT, detail);
                problem.with("certificate", certificate).with("since", format_time(since))
            }
            AuthorityError::Name
            | AuthorityError::RevocationDate { .. }
            | AuthorityError::RevocationReason(_)
            | AuthorityError::RootKeyNeeded(_) => Self::bad_request(detail),
            other => Self::internal(&other),
        }
    }
}

impl From<ApiTokenError> for Problem {
    fn from(error: ApiTokenError) -> Self {
        let detail = error.to_string();
        match error {
            ApiTokenError::Unknown | ApiTokenError::Revoked(_) | ApiTokenError::Expired(_) => {
                Self::unauthorized(detail)
            }
            ApiTokenError::Binding | ApiTokenError::UnknownRole => Self::bad_request(detail),
            other => Self::internal(&other),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let detail = error.to_string();
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match error {
            AppendError::Busy => Self::busy(),
            AppendError::Full | AppendError::Unreadable => {
                Self::new("storage-full", "Storage is full", unavailable, detail)
            }
            AppendError::Stopped => Self::new("stopped", "The ledger has stopped", unavailable, detail),
            AppendError::Index(_) => Self {
                cause: Some(detail),
                ..Self::new("index-unavailable", "The index is out of use", unavailable, INDEX_UNAVAILABLE)
            },
            AppendError::Forked(_) => Self::new("forked", "The log has forked", unavailable, detail),
            AppendError::ReadOnly(_) => Self::new("read-only", "The ledger is read-only", unavailable, detail),
            AppendError::Clock(ClockTrouble::OutOfRange { ahead, .. } | ClockTrouble::Unsupported { ahead, .. }) => {
                Self::new("clock", "Clock out of range", unavailable, detail).with("ahead_seconds", ahead)
            }
            AppendError::UuidTaken(index) => {
                let conflict = StatusCode::CONFLICT;
                Self::new("uuid-conflict", "Another record has this uuid", conflict, detail).with("index", index.0)
            }
            AppendError::Erased(index) => {
                Self::new("erased", "The record was erased", StatusCode::GONE, detail).with("index", index.0)
            }
            AppendError::Closed { successor } => {
                Self::new("ledger-closed", "The log has ended", StatusCode::GONE, detail).with("successor", successor)
            }
            AppendError::RecordTaken => {
                Self::new("record-conflict", "Another issuer has this record", StatusCode::CONFLICT, detail)
            }
        }
    }
}

fn number_conflict(detail: String) -> Problem {
    Problem::new("number-conflict", "Not the record's next operation", StatusCode::CONFLICT, detail)
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let detail = error.to_string();
        match error {
            OperationError::Read(error) => error.into(),
            OperationError::Append(error) => error.into(),
            OperationError::Taken { number, found } => {
                number_conflict(detail).with("number", number).with("operation", found)
            }
            OperationError::Gap { number, next } => number_conflict(detail).with("number", number).with("next", next),
        }
    }
}

impl From<ArchiveRenewalError> for Problem {
    fn from(error: ArchiveRenewalError) -> Self {
        match error {
            ArchiveRenewalError::Read(error) => error.into(),
            ArchiveRenewalError::Authority(error) => error.into(),
            ArchiveRenewalError::NoToken => Self::new(
                "no-timestamp",
                "No timestamp",
                StatusCode::SERVICE_UNAVAILABLE,
                "no timestamp authority is configured, or none answered",
            ),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Tiles(TileReadError::NoEntry(_)) => Self::not_found("entry"),
            ReadError::NoRecord(_) => Self::not_found("record"),
            ReadError::Store(error @ StoreError::Index(_))
            | ReadError::Body(BodyError::Store(error @ StoreError::Index(_))) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let problem = Self::new("index-unavailable", "The index is out of use", status, INDEX_UNAVAILABLE);
                Self { cause: Some(error.to_string()), ..problem }
            }
            other => Self::internal(&other),
        }
    }
}

impl From<AssembleError> for Problem {
    fn from(error: AssembleError) -> Self {
        let detail = error.to_string();
        match error {
            AssembleError::Erased => Self::new("erased", "The record was erased", StatusCode::GONE, detail),
            AssembleError::NotYetIncluded => {
                Self::new("not-yet-included", "Not yet included", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            AssembleError::Wrong(_) => Self::internal(&detail),
            AssembleError::Read(error) => error.into(),
            AssembleError::Evidence(error) => error.into(),
        }
    }
}

impl From<JadesError> for Problem {
    fn from(error: JadesError) -> Self {
        let detail = error.to_string();
        match error {
            JadesError::Erased => AssembleError::Erased.into(),
            JadesError::Level { level, gap } => {
                let problem = Self::new("level-not-available", "Level not available", StatusCode::CONFLICT, detail);
                problem.with("level", level.to_string()).with("missing", gap.to_string())
            }
            JadesError::Read(error) => error.into(),
            JadesError::Evidence(error) => error.into(),
        }
    }
}

impl From<SignatureArchiveError> for Problem {
    fn from(error: SignatureArchiveError) -> Self {
        let detail = error.to_string();
        match error {
            SignatureArchiveError::Jades(error) => error.into(),
            SignatureArchiveError::NoToken => ArchiveRenewalError::NoToken.into(),
            SignatureArchiveError::TooLarge { bytes } => {
                let problem = Self::new("level-not-available", "Level not available", StatusCode::CONFLICT, detail);
                problem.with("level", "lta").with("bytes", bytes)
            }
            SignatureArchiveError::Read(error) => error.into(),
        }
    }
}

impl From<EvidenceError> for Problem {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Read(error) => error.into(),
            EvidenceError::Authority(error) => error.into(),
        }
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Bundle(error) => error.into(),
            VerifyError::Read(error) => error.into(),
            VerifyError::Authority(error) => error.into(),
            VerifyError::Evidence(error) => error.into(),
        }
    }
}

impl From<BundleError> for Problem {
    fn from(error: BundleError) -> Self {
        Self::new("not-a-bundle", "Not an evidence bundle", UNPROCESSABLE, error.to_string())
    }
}

impl From<BatchError> for Problem {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Line(error @ LineError::TooLong { .. }) => {
                Self::new("too-large", "Too large", StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            BatchError::Line(LineError::Unread(error)) => error.into(),
            BatchError::Submit(error) => error.into(),
        }
    }
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Busy => Self::busy(),
            WorkError::Panicked => Self::internal(&error),
        }
    }
}

impl From<actix_web::error::BlockingError> for Problem {
    fn from(error: actix_web::error::BlockingError) -> Self {
        Self::internal(&error)
    }
}
