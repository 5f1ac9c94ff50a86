//! `/v1/records/{id}/events`: what happened to a record after it was issued.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Authenticated;
use super::records::find;
use super::{AppState, Problem};
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::Event;
use crate::vcon::LifecycleOperation;

/// An operation on a record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEvent {
    /// As draft-howe-vcon-lifecycle names it, for example `vcon_consent_revoked`.
    operation: String,
}

/// What was put into the ledger.
#[derive(Debug, Serialize)]
struct EventReceipt {
    /// Its place there.
    index: u64,
    /// When it was.
    time: String,
    /// The record that it is about.
    record: Sha256Digest,
    /// The operation, as the entry has it.
    operation: String,
}

/// Put a lifecycle operation on a record into the ledger, for its issuer or an admin.
///
/// The entry names the record's digest and the operation, nothing else. It says that somebody who may said so: not that
/// consent was given, or that all copies are gone.
#[utoipa::path(tag = "records", params(("id" = String, Path, description = "record digest or uuid")),
    request_body = NewEvent, responses((status = 201, description = "Its place in the ledger"), (status = "4XX", body = Problem),
    (status = 503, body = Problem)), security(("token" = [])))]
#[post("/v1/records/{id}/events")]
pub(super) async fn add_event(
    state: Data<AppState>,
    who: Authenticated,
    id: Path<String>,
    event: Json<NewEvent>,
) -> Result<HttpResponse, Problem> {
    who.check_writer()?;
    let operation = LifecycleOperation::of_name(&event.operation);
    let operation =
        operation.ok_or_else(|| Problem::bad_request("operation is not one of draft-howe-vcon-lifecycle"))?;
    let ledger = &state.issuance.ledger;
    if id.parse::<Sha256Digest>().is_err() && who.reads().is_none() && ledger.is_uuid_shared(&id)? {
        return Err(Problem::uuid_shared());
    }
    let (entry, _) = ledger.entry(find(&state, &who, &id)?)?;
    let record = entry.event.record().ok_or_else(|| Problem::not_found("record"))?.record;
    let receipt = ledger.append_event(Event::VconEvent { of: record, operation: operation.word() }).await?;
    Ok(HttpResponse::Created().json(EventReceipt {
        index: receipt.entry.index,
        time: format_time(receipt.entry.time),
        record,
        operation: operation.word(),
    }))
}
