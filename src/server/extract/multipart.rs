//! The body of a verification: a record or a bundle as it is, or a form with recordings beside it.

use std::io;

use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::body::{check_plain, incoming, whole};
use crate::evidence::SuppliedRecording;
use crate::request_body::{BodyReadError, HeldBody, HeldMemory};
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
    pub(in crate::server) record: HeldBody,
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
            check_plain(request)?;
            return UploadForm::read(request, payload, limits).await;
        }
        let record = whole(request, payload.into_inner(), limits.record_bytes_max).await?;
        if record.as_ref().is_empty() {
            return Err(Problem::bad_request("there is no record in the body"));
        }
        Ok(Self { record, recordings: Vec::new() })
    }
}

/// A form that is being read.
struct UploadForm<'a> {
    limits: &'a LimitsConfig,
    memory: HeldMemory,
    record: Option<HeldBody>,
    recordings: Vec<SuppliedRecording>,
    recording_bytes_left: u64,
}

impl<'a> UploadForm<'a> {
    async fn read(
        request: &HttpRequest,
        payload: Payload,
        limits: &'a LimitsConfig,
    ) -> Result<VerificationBody, Problem> {
        let body = incoming(request, payload.into_inner());
        let recording_bytes_left = limits.recordings_bytes_max;
        let (memory, recordings) = (body.memory(), Vec::new());
        let mut form = Self { limits, memory, record: None, recordings, recording_bytes_left };
        let chunks = body.map_err(|error| PayloadError::Io(io::Error::other(error)));
        let mut parts = Multipart::new(request.headers(), chunks);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| form.broken())?;
            match part.name().unwrap_or_default() {
                "record" => form.add_record(part).await?,
                "recording" => form.add_recording(part).await?,
                name => {
                    let detail = format!("the form has a field {name:?}; only record and recording");
                    return Err(Problem::bad_request(detail));
                }
            }
        }
        form.memory.finish();
        let record = form.record.filter(|record| !record.as_ref().is_empty());
        let record = record.ok_or_else(|| Problem::bad_request("the form holds no record"))?;
        Ok(VerificationBody { record, recordings: form.recordings })
    }

    async fn add_record(&mut self, mut part: Field) -> Result<(), Problem> {
        let mut record = HeldBody::empty(self.memory.clone());
        while let Some(chunk) = part.next().await {
            record.push(&chunk.map_err(|_| self.broken())?, self.limits.record_bytes_max).await?;
        }
        if self.record.replace(record).is_some() {
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
            let chunk = chunk.map_err(|_| self.broken())?;
            bytes += chunk.len() as u64;
            if bytes > self.recording_bytes_left {
                return Err(BodyReadError::TooLarge { bytes_max: self.limits.recordings_bytes_max }.into());
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

    /// The problem of a form that breaks off.
    fn broken(&self) -> Problem {
        match self.memory.failure() {
            Some(error @ (BodyReadError::TooSlow | BodyReadError::NoRoom)) => error.into(),
            _ => Problem::bad_request("the form is malformed or incomplete"),
        }
    }
}
