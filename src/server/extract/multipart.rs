//! The body of a verification: a record or a bundle as it is, or a form with recordings beside it.

use actix_multipart::{Field, Multipart};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;

use crate::evidence::SuppliedRecording;
use crate::server::config::LimitsConfig;
use crate::server::problem::Problem;
use crate::vcon::ContentDigester;

/// Recordings of one verification: a conference has some dozens.
const RECORDINGS_MAX: usize = 256;
/// Characters of a file name that a report repeats.
const NAME_CHARACTERS_MAX: usize = 200;

/// The body of a verification request.
pub(in crate::server) struct VerificationBody {
    /// A signed vCon, or an evidence bundle.
    pub(in crate::server) record: Vec<u8>,
    /// Recordings, hashed as they streamed by.
    pub(in crate::server) recordings: Vec<SuppliedRecording>,
}

impl VerificationBody {
    /// Reads the body of `request`, within `limits`.
    ///
    /// # Errors
    /// When it is too large, malformed or incomplete, or holds no record.
    pub(in crate::server) async fn read(
        request: &HttpRequest,
        payload: Payload,
        limits: &LimitsConfig,
    ) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if kind.is_some_and(|value| value.starts_with("multipart/form-data")) {
            return UploadForm::read(request, payload, limits).await;
        }
        let record = whole(payload, limits.record_bytes_max, || Problem::bad_request("the body is incomplete")).await?;
        if record.is_empty() {
            return Err(Problem::bad_request("there is no record in the body"));
        }
        Ok(Self { record, recordings: Vec::new() })
    }
}

/// A form that is being read.
struct UploadForm<'a> {
    limits: &'a LimitsConfig,
    record: Option<Vec<u8>>,
    recordings: Vec<SuppliedRecording>,
    recording_bytes_left: u64,
}

impl<'a> UploadForm<'a> {
    async fn read(
        request: &HttpRequest,
        payload: Payload,
        limits: &'a LimitsConfig,
    ) -> Result<VerificationBody, Problem> {
        let parts = Multipart::from_request(request, &mut payload.into_inner()).await;
        let mut parts = parts.map_err(|_| Problem::bad_request("the form is malformed"))?;
        let recording_bytes_left = limits.recordings_bytes_max;
        let mut form = Self { limits, record: None, recordings: Vec::new(), recording_bytes_left };
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| broken())?;
            match part.name().unwrap_or_default() {
                "record" => form.add_record(part).await?,
                "recording" => form.add_recording(part).await?,
                name => {
                    let detail = format!("the form has a field {name:?}; only record and recording");
                    return Err(Problem::bad_request(detail));
                }
            }
        }
        let record = form.record.filter(|record| !record.is_empty());
        let record = record.ok_or_else(|| Problem::bad_request("the form holds no record"))?;
        Ok(VerificationBody { record, recordings: form.recordings })
    }

    async fn add_record(&mut self, part: Field) -> Result<(), Problem> {
        let bytes = whole(part, self.limits.record_bytes_max, broken).await?;
        if self.record.replace(bytes).is_some() {
            return Err(Problem::bad_request("the form holds more than one record"));
        }
        Ok(())
    }

    async fn add_recording(&mut self, mut part: Field) -> Result<(), Problem> {
        let name = part.content_disposition().and_then(|disposition| disposition.get_filename());
        let name: String = name.unwrap_or_default().chars().take(NAME_CHARACTERS_MAX).collect();
        let mut digester = ContentDigester::default();
        let mut bytes = 0_u64;
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|_| broken())?;
            bytes += chunk.len() as u64;
            if bytes > self.recording_bytes_left {
                return Err(Problem::too_large(self.limits.recordings_bytes_max));
            }
            digester.update(&chunk);
        }
        self.recording_bytes_left -= bytes;
        // A form sends an empty part for a file input that was left empty.
        if bytes == 0 && name.is_empty() {
            return Ok(());
        }
        if self.recordings.len() == RECORDINGS_MAX {
            return Err(Problem::bad_request("the form holds too many recordings"));
        }
        self.recordings.push(SuppliedRecording { name, digests: digester.finish() });
        Ok(())
    }
}

fn broken() -> Problem {
    Problem::bad_request("the form is malformed or incomplete")
}

/// All bytes of a stream, at most `bytes_max`; `broken` says what it is when the stream breaks off.
async fn whole<E>(
    mut chunks: impl futures_util::Stream<Item = Result<actix_web::web::Bytes, E>> + Unpin,
    bytes_max: usize,
    broken: impl Fn() -> Problem,
) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| broken())?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(Problem::too_large(bytes_max as u64));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
