//! `POST /v1/verify`: the public verification endpoint.

use actix_multipart::Multipart;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::web::{Data, Payload, Query};
use actix_web::{FromRequest, HttpRequest, HttpResponse, post};
use futures_util::StreamExt as _;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{AppState, Problem};
use crate::evidence::{
    Bundle, BundleFiles, Depth, FormEvidence, LedgerAnswer, Record, SuppliedRecording, ValidationReport,
};
use crate::tlog::TlogProof;
use crate::vcon::ContentDigester;

/// Recordings of one verification: a conference has some dozens.
const RECORDINGS_MAX: usize = 256;
/// Characters of a file name that a report repeats.
const NAME_CHARACTERS_MAX: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyQuery {
    /// How much of the report is written as JSON: `simple`, `detailed` (default) or `diagnostic`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    depth: Depth,
}

/// Verify a record: signature, certificate path, recordings, ledger and time together.
///
/// Takes the signed vCon itself (JSON), an evidence bundle (zip), or a form with `record` (either of them) and any number
/// of `recording` files, which are hashed as they stream by and not kept. Answers JSON, or HTML where `Accept` prefers it.
/// A record that does not hold is an answer (200), not an error.
#[utoipa::path(tag = "verification", request_body(content((Object = "application/vcon+json"), (Vec<u8> = "application/zip"),
    (Object = "multipart/form-data"))), params(VerifyQuery), responses((status = 200, description = "The validation report"), (status = "4XX", body = Problem),
    (status = 503, body = Problem)))]
#[post("/v1/verify")]
pub(super) async fn verify(
    state: Data<AppState>,
    request: HttpRequest,
    query: Query<VerifyQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let _place = state.verifications.try_acquire().map_err(|_| Problem::busy())?;
    let multipart = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (record, recordings) = if multipart.is_some_and(|value| value.starts_with("multipart/form-data")) {
        form(&state, &request, payload).await?
    } else {
        (whole_body(&state, payload).await?, Vec::new())
    };
    let shared = state.clone();
    let html = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let html = html.is_some_and(|accept| accept.contains("text/html"));
    let depth = query.depth;
    let verified = state.issuance.workers.run(move || {
        let (report, bundle) = report(&shared, record, recordings)?;
        let json = (!html).then(|| report.to_json_at(depth, &bundle, shared.issuance.verifier.policy()));
        Ok::<_, Problem>((report, json))
    });
    let (report, json) = verified.await??;
    metrics::counter!("affiant_verifications_total", "indication" => report.verdict.indication.name()).increment(1);
    match json {
        Some(json) => Ok(HttpResponse::Ok().content_type("application/json").body(json)),
        None => super::index::page(state.clone(), Some(report)).await,
    }
}

/// Adds what our own ledger knows of the record, then verifies.
fn report(
    state: &AppState,
    bytes: Vec<u8>,
    recordings: Vec<SuppliedRecording>,
) -> Result<(ValidationReport, Bundle), Problem> {
    let issuance = &state.issuance;
    let mut bundle =
        if bytes.starts_with(b"PK") { BundleFiles::from_zip(&bytes)?.to_bundle()? } else { Bundle::of_record(bytes) };
    bundle.recordings = recordings;
    let record = Record::parse(&bundle.record, &issuance.limits);
    if let Ok(record) = &record {
        // Before anything of it is replaced: the proof that was sent may be what shows a fork.
        if is_of_another_tree(state, &bundle, record)? {
            bundle.ledger_answer = LedgerAnswer::OtherTree;
        }
        match issuance.ledger.index_of_record(record.digest())? {
            Some(index) => {
                let known = issuance.known_of(Some(index), Some(record))?;
                // An old bundle lacks what was renewed since; tokens go with the checkpoint of the proof.
                let is_newer = known.archives.len() > bundle.archives.len();
                if bundle.ledger_answer == LedgerAnswer::Nothing && (bundle.evidence.proof.is_none() || is_newer) {
                    replace(&mut bundle.evidence, known.evidence);
                    bundle.consistency = known.consistency;
                    bundle.archives = known.archives;
                }
                for (position, form) in known.earlier.into_iter().enumerate() {
                    match bundle.earlier.get_mut(position) {
                        Some(sent) if sent.proof.is_some() && !is_newer => {}
                        Some(sent) => replace(sent, form),
                        None => bundle.earlier.push(form),
                    }
                }
                bundle.own_crls = known.crls;
            }
            None => {
                if bundle.evidence.proof.is_none() {
                    bundle.ledger_answer = LedgerAnswer::Denied;
                }
                bundle.own_crls = issuance.authority.current_crls()?.iter().map(|crl| crl.der.clone()).collect();
            }
        }
    }
    Ok((issuance.verifier.verify_parsed(&bundle, &record, state.clock.now()), bundle))
}

/// Takes the ledger's own word for one form of the record; tokens over the record itself stay.
fn replace(sent: &mut FormEvidence, known: FormEvidence) {
    if known.proof.is_some() {
        let record_tokens = std::mem::take(&mut sent.record_tokens);
        *sent = FormEvidence { record_tokens, ..known };
    }
}

/// Whether a proof, or a checkpoint inside the record, is signed with our log's key and is not of our tree.
fn is_of_another_tree(state: &AppState, bundle: &Bundle, record: &Record) -> Result<bool, Problem> {
    let ledger = &state.issuance.ledger;
    let proofs = bundle.forms().filter_map(|form| TlogProof::parse(form.proof.as_ref()?).ok());
    let proofs = proofs.map(|proof| proof.checkpoint().clone());
    for signed in proofs.chain(state.issuance.verifier.checkpoints_inside(record.vcon())) {
        if signed.check_log(&state.log_key).is_err() {
            continue;
        }
        let (size, root) = (signed.checkpoint().size(), signed.checkpoint().root());
        if size.0 > ledger.size() || ledger.root(size)? != root {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn whole_body(state: &AppState, mut payload: Payload) -> Result<Vec<u8>, Problem> {
    let bytes_max = state.config.limits.record_bytes_max;
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("the body broke off"))?;
        if body.len() + chunk.len() > bytes_max {
            return Err(Problem::too_large(bytes_max as u64));
        }
        body.extend_from_slice(&chunk);
    }
    if body.is_empty() { Err(Problem::bad_request("there is no record in the body")) } else { Ok(body) }
}

async fn form(
    state: &AppState,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Vec<u8>, Vec<SuppliedRecording>), Problem> {
    let broken = |_| Problem::bad_request("the form is malformed or broke off");
    let mut parts = Multipart::from_request(request, &mut payload.into_inner()).await.map_err(broken_request)?;
    let mut record = None;
    let mut recordings: Vec<SuppliedRecording> = Vec::new();
    let mut recordings_left = state.config.limits.recordings_bytes_max;
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(broken)?;
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.content_disposition().and_then(|disposition| disposition.get_filename());
        let file: String = file.unwrap_or_default().chars().take(NAME_CHARACTERS_MAX).collect();
        match name.as_str() {
            "record" => {
                let bytes_max = state.config.limits.record_bytes_max;
                let mut bytes = Vec::new();
                while let Some(chunk) = part.next().await {
                    let chunk = chunk.map_err(broken)?;
                    if bytes.len() + chunk.len() > bytes_max {
                        return Err(Problem::too_large(bytes_max as u64));
                    }
                    bytes.extend_from_slice(&chunk);
                }
                if record.replace(bytes).is_some() {
                    return Err(Problem::bad_request("the form holds more than one record"));
                }
            }
            "recording" => {
                let mut digester = ContentDigester::default();
                let mut bytes = 0_u64;
                while let Some(chunk) = part.next().await {
                    let chunk = chunk.map_err(broken)?;
                    bytes += chunk.len() as u64;
                    if bytes > recordings_left {
                        return Err(Problem::too_large(state.config.limits.recordings_bytes_max));
                    }
                    digester.update(&chunk);
                }
                recordings_left -= bytes;
                // A form sends an empty part for a file input that was left empty.
                if bytes == 0 && file.is_empty() {
                    continue;
                }
                if recordings.len() == RECORDINGS_MAX {
                    return Err(Problem::bad_request("the form holds too many recordings"));
                }
                recordings.push(SuppliedRecording { name: file, digests: digester.finish() });
            }
            _ => return Err(Problem::bad_request(format!("the form has a field {name:?}; only record and recording"))),
        }
    }
    let record = record.filter(|record| !record.is_empty());
    Ok((record.ok_or_else(|| Problem::bad_request("the form holds no record"))?, recordings))
}

fn broken_request(_: actix_web::Error) -> Problem {
    Problem::bad_request("the form is malformed")
}
