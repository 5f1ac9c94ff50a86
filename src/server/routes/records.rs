//! `/v1/records`: submit, list, read, collect, erase.

use actix_web::http::header::{CONTENT_DISPOSITION, ContentType};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, delete, get, post, routes, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::authority::IssuerId;
use crate::crypto::Sha256Digest;
use crate::evidence::JadesLevel;
use crate::issuance::{AssembleError, ErasureScope, SubmissionReceipt};
use crate::jose::draft_dialect;
use crate::ledger::{Durability, LedgerReader};
use crate::server::extract::auth::Authenticated;
use crate::server::extract::body::RecordBody;
use crate::server::problem::Problem;
use crate::server::state::AppState;
use crate::tlog::{EntryCount, LeafIndex};

/// Records of one page of a list.
pub(super) const PAGE_MAX: usize = 1000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitQuery {
    /// How far the record must come before the receipt: `accepted`, `included` (default) or `witnessed`.
    #[serde(default)]
    wait: Durability,
    /// The issuer, when an admin submits for one.
    #[param(nullable = false)]
    issuer: Option<String>,
}

/// Submit a vCon: an unsigned one is scored, signed and appended; a signed one is verified and anchored.
///
/// Submission is idempotent: the same bytes give the same receipt.
#[utoipa::path(tag = "records", params(SubmitQuery), request_body(content = ref("#/components/schemas/AnyVcon"), content_type = "application/vcon+json"),
    responses((status = 201, description = "The receipt", body = SubmissionReceipt, headers(("Location" = String, description = "The record"))),
    (status = 200, description = "The receipt of the same submission before", body = SubmissionReceipt, headers(("Location" = String, description = "The record"))),
        (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/records")]
pub(super) async fn submit(
    state: Data<AppState>,
    auth: Authenticated,
    query: Query<SubmitQuery>,
    body: RecordBody,
) -> Result<HttpResponse, Problem> {
    let submitter = auth.submitter(query.issuer.as_deref())?;
    let receipt = state.services.issuance.submit(submitter, body.0, query.wait).await?;
    let mut response = if receipt.is_duplicate { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.insert_header(("Location", receipt.links.record.as_str())).json(receipt))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    /// How far the record must come before the receipt: `accepted`, `included` (default) or `witnessed`.
    #[serde(default)]
    wait: Durability,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ErasureQuery {
    /// How far it reaches: `record` (default), or `call`: also what amends the record and what it amends, and what any issuer
    /// has under one of their uuids.
    #[serde(default)]
    #[param(inline)]
    scope: ErasureScope,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The count of the first record to list, from 1.
    #[serde(default = "first")]
    from: u64,
    /// How many, at most 1000.
    #[serde(default = "page")]
    limit: usize,
    /// The issuer, for an auditor or admin.
    #[param(nullable = false)]
    issuer: Option<String>,
}

fn first() -> u64 {
    1
}

pub(super) fn page() -> usize {
    100
}

/// A page of receipts.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiptPage {
    /// In the order of their counts.
    records: Vec<SubmissionReceipt>,
    /// `from` of the next page; null at the end.
    #[schema(value_type = Option<u64>, required)]
    next: Option<EntryCount>,
}

/// List an issuer's records in the order of their counts.
#[utoipa::path(operation_id = "list_records", tag = "records", params(ListQuery), responses((status = 200, description = "A page of receipts", body = ReceiptPage),
    (status = "4XX", body = Problem)), security(("token" = [])))]
#[get("/v1/records")]
pub(super) async fn list(
    state: Data<AppState>,
    auth: Authenticated,
    query: Query<ListQuery>,
) -> Result<Json<impl Serialize>, Problem> {
    let issuer = match (auth.reads(), &query.issuer) {
        (Some(own), None) => own.to_string(),
        (Some(own), Some(named)) if own.as_str() == named => own.to_string(),
        (None, Some(named)) => named.clone(),
        (None, None) => return Err(Problem::bad_request("name the issuer: ?issuer=…")),
        (Some(_), Some(_)) => return Err(Problem::forbidden("this token may not read that issuer's records")),
    };
    let (from, limit) = (query.from, query.limit.clamp(1, PAGE_MAX));
    let issuance = state.services.issuance.clone();
    let page = web::block(move || {
        let indices = issuance.ledger.records_of(&issuer, EntryCount(from), limit)?;
        let receipts = indices.iter().map(|index| issuance.receipt(*index));
        receipts.collect::<Result<Vec<_>, _>>()
    });
    let records: Vec<SubmissionReceipt> = page.await??.into_iter().flatten().collect();
    let next = (records.len() == limit).then(|| records.last().map(|last| last.seq.next())).flatten();
    Ok(Json(ReceiptPage { records, next }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadQuery {
    /// `rfc7515` (default: the stored bytes), `draft` (alg repeated in the unprotected header) or `jades` (what is known
    /// beside the record as unsigned properties of its signatures, ETSI TS 119 182-1).
    #[serde(default)]
    #[param(inline)]
    dialect: DialectName,
    /// With `jades`: `b`, `t`, `lt` or `lta`; without it the highest level that can be made of what is kept.
    #[param(inline, nullable = false)]
    level: Option<JadesLevel>,
}

/// The form in which a record is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DialectName {
    #[default]
    Rfc7515,
    Draft,
    Jades,
}

/// Read a record by its digest or the uuid of its vCon: the stored bytes, or the same record in another dialect.
///
/// A level of `jades` that cannot be made of what is kept is a 409 that says what is missing.
#[utoipa::path(tag = "records", params(ReadQuery, ("id" = String, Path, description = "record digest or uuid")),
    responses((status = 200, description = "The signed vCon", body = ref("#/components/schemas/SignedVcon"), content_type = "application/vcon+json"), (status = "4XX", body = Problem)), security(("token" = [])))]
#[get("/v1/records/{id}")]
pub(super) async fn read(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
    query: Query<ReadQuery>,
) -> Result<HttpResponse, Problem> {
    let index = find(&state, &auth, &id).await?;
    let issuance = state.services.issuance.clone();
    let cpu_pool = &state.services.issuance.cpu_pool;
    let (dialect, level) = (query.dialect, query.level);
    if level.is_some() && dialect != DialectName::Jades {
        return Err(Problem::bad_request("a level is of dialect=jades"));
    }
    let stored = move || issuance.ledger.record(index)?.body.map(|(_, record)| record).ok_or(AssembleError::Erased);
    let record = match dialect {
        DialectName::Rfc7515 => web::block(stored).await??,
        DialectName::Draft => cpu_pool.run(move || stored().map(|record| draft_dialect(&record))).await??,
        DialectName::Jades if level == Some(JadesLevel::Lta) => {
            state.services.signature_timestamps.archived(index).await?.bytes
        }
        DialectName::Jades => {
            let issuance = state.services.issuance.clone();
            cpu_pool.run(move || issuance.jades(index, level)).await??.bytes
        }
    };
    Ok(HttpResponse::Ok().content_type("application/vcon+json").body(record))
}

/// Read a record's receipt.
#[utoipa::path(tag = "records", params(("id" = String, Path, description = "record digest or uuid")),
    responses((status = 200, description = "The receipt", body = SubmissionReceipt), (status = "4XX", body = Problem)), security(("token" = [])))]
#[get("/v1/records/{id}/receipt")]
pub(super) async fn read_receipt(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
) -> Result<Json<SubmissionReceipt>, Problem> {
    let index = find(&state, &auth, &id).await?;
    let issuance = state.services.issuance.clone();
    let receipt = state.services.issuance.cpu_pool.run(move || issuance.receipt(index)).await??;
    receipt.map(Json).ok_or_else(|| Problem::not_found("record"))
}

/// Collect a record's evidence bundle: a zip that verifies offline.
#[utoipa::path(tag = "records", params(("id" = String, Path, description = "record digest or uuid")),
    responses((status = 200, description = "The bundle", content_type = "application/zip",
    headers(("Content-Disposition" = String, description = "The name of its file"))), (status = "4XX", body = Problem)),
    security(("token" = [])))]
#[get("/v1/records/{id}/bundle")]
pub(super) async fn bundle(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let index = find(&state, &auth, &id).await?;
    let issuance = state.services.issuance.clone();
    let assembled = state.services.issuance.cpu_pool.run(move || {
        let assembled = issuance.assemble_bundle(index)?;
        Ok::<_, AssembleError>((assembled.to_files().to_zip(), assembled.uuid))
    });
    let (zip, uuid) = assembled.await??;
    let disposition = format!("attachment; filename=\"{}.evidence.zip\"", file_stem(&uuid));
    Ok(HttpResponse::Ok()
        .content_type(ContentType("application/zip".parse().expect("a media type")))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .body(zip))
}

/// A uuid as the beginning of a file name: what stands in its place may hold quotes and slashes.
fn file_stem(uuid: &str) -> String {
    uuid.chars().map(|one| if one.is_ascii_alphanumeric() || one == '-' { one } else { '_' }).collect()
}

/// Sign a record again, all of it, with the key that its issuer signs with now: before its certificate or algorithm ends.
///
/// The record as it was stays. One that is signed with that key already is not signed again (200). The path of the release
/// before ends in `/renewals`.
#[utoipa::path(post, path = "/v1/records/{id}/resign", tag = "records", params(WaitQuery, ("id" = String, Path, description = "record digest or uuid")),
    responses((status = 201, description = "The receipt of the new record", body = SubmissionReceipt, headers(("Location" = String, description = "The record"))),
    (status = 200, description = "The receipt of the record as it is", body = SubmissionReceipt, headers(("Location" = String, description = "The record"))),
        (status = "4XX", body = Problem)), security(("token" = [])))]
#[routes]
#[post("/v1/records/{id}/resign")]
#[post("/v1/records/{id}/renewals")]
pub(super) async fn resign(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
    query: Query<WaitQuery>,
) -> Result<HttpResponse, Problem> {
    auth.check_writer()?;
    let index = find_one(&state, &auth, &id).await?;
    let receipt = state.services.issuance.resign(index, query.wait).await?;
    let mut response = if receipt.is_duplicate { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.insert_header(("Location", receipt.links.record.as_str())).json(receipt))
}

/// Erase a record's body, for an admin: its key is overwritten, its entry and every proof stay. So are all forms that it
/// has because it was signed again.
///
/// A uuid that several records have is refused: the digest says which one.
#[utoipa::path(operation_id = "erase_record", tag = "admin", params(ErasureQuery, ("id" = String, Path, description = "record digest or uuid")),
    responses((status = 204, description = "Erased"), (status = "4XX", body = Problem)), security(("token" = [])))]
#[delete("/v1/records/{id}")]
pub(super) async fn erase(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
    query: Query<ErasureQuery>,
) -> Result<HttpResponse, Problem> {
    auth.check_admin()?;
    let index = find_one(&state, &auth, &id).await?;
    state.services.issuance.erase(index, query.scope).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The entry of a record that the caller may read, where something is done to it: a uuid that several records have does
/// not say to which, unless they are versions of the caller's own.
pub(super) async fn find_one(state: &AppState, auth: &Authenticated, id: &str) -> Result<LeafIndex, Problem> {
    let by_uuid = id.parse::<Sha256Digest>().is_err();
    if by_uuid && auth.reads().is_none() {
        let issuance = &state.services.issuance;
        let (ledger, uuid) = (issuance.ledger.clone(), id.to_owned());
        if issuance.cpu_pool.run(move || ledger.is_uuid_shared(&uuid)).await?? {
            return Err(Problem::uuid_shared());
        }
    }
    find(state, auth, id).await
}

/// The entry of a record that the caller may read. Another issuer's is as if it were not there.
pub(super) async fn find(state: &AppState, auth: &Authenticated, id: &str) -> Result<LeafIndex, Problem> {
    let issuance = &state.services.issuance;
    let (ledger, issuer, id) = (issuance.ledger.clone(), auth.reads().cloned(), id.to_owned());
    issuance.cpu_pool.run(move || find_for(&ledger, issuer.as_ref(), &id)).await?
}

fn find_for(ledger: &LedgerReader, issuer: Option<&IssuerId>, id: &str) -> Result<LeafIndex, Problem> {
    let index = match id.parse::<Sha256Digest>() {
        Ok(digest) => ledger.index_of_record(digest)?,
        Err(_) => ledger.index_of_uuid(issuer.map(IssuerId::as_str), id)?,
    };
    let index = index.ok_or_else(|| Problem::not_found("record"))?;
    if let Some(own) = issuer {
        let (entry, _) = ledger.entry(index)?;
        if entry.event.issuer_sequence().is_none_or(|(issuer, _)| issuer != own.as_str()) {
            return Err(Problem::not_found("record"));
        }
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_holds_nothing_but_its_uuid() {
        assert_eq!(file_stem("01909c6e-0000-8000-8000-000000000000"), "01909c6e-0000-8000-8000-000000000000");
        assert_eq!(file_stem("a\"; filename=\"../b.exe"), "a___filename_____b_exe");
    }
}
