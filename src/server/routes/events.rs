//! `/v1/records/{id}/events`: lifecycle events of a record.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::records::{PAGE_MAX, find, find_one, page};
use crate::clock::format_time;
use crate::crypto::Sha256Digest;
use crate::evidence::Entry;
use crate::server::extract::auth::Authenticated;
use crate::server::extract::body::JsonBody;
use crate::server::problem::Problem;
use crate::server::state::AppState;
use crate::tlog::LeafIndex;
use crate::vcon::LifecycleOperation;

/// An operation on a record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EventRequest)]
pub(super) struct NewEvent {
    /// As draft-howe-vcon-lifecycle names it, for example `vcon_consent_revoked`.
    operation: String,
    /// Which operation on this record it is, from 1. With it, the same request twice makes one entry.
    number: Option<u64>,
}

/// The entry of an operation.
#[derive(Debug, Serialize, ToSchema)]
struct EventReceipt {
    /// Which operation on this record it is, from 1.
    number: u64,
    /// Its place there.
    #[schema(value_type = u64)]
    index: LeafIndex,
    /// When it was.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    time: String,
    /// The record that it is about.
    #[schema(value_type = String, pattern = "^sha256-[A-Za-z0-9_-]{43}$")]
    record: Sha256Digest,
    /// The operation, as the entry has it.
    operation: String,
    /// Whether the same operation was there before under this number: this is its receipt.
    repeated: bool,
}

/// Put a lifecycle operation on a record into the ledger, for its issuer or an admin.
///
/// The same operation may happen twice; a request that got no answer is told apart from that by its `number`.
///
/// The entry names the record's digest and the operation, nothing else. It says that somebody who may said so: not that
/// consent was given, or that all copies are gone.
#[utoipa::path(tag = "records", params(("id" = String, Path, description = "record digest or uuid")),
    request_body = NewEvent, responses((status = 201, description = "Its place in the ledger", body = EventReceipt), (status = 200, description = "Its place, from before", body = EventReceipt),
    (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/records/{id}/events")]
pub(super) async fn add_event(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
    JsonBody(event): JsonBody<NewEvent>,
) -> Result<HttpResponse, Problem> {
    auth.check_writer()?;
    let operation = LifecycleOperation::of_name(&event.operation);
    let operation =
        operation.ok_or_else(|| Problem::bad_request("operation is not one of draft-howe-vcon-lifecycle"))?;
    let ledger = &state.services.issuance.ledger;
    let record = record_at(&state, find_one(&state, &auth, &id).await?).await?;
    let found = ledger.append_operation(record, &operation.word(), event.number).await?;
    let mut response = if found.repeated { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(EventReceipt {
        number: found.number,
        index: found.entry.index,
        time: format_time(found.entry.time),
        record,
        operation: operation.word(),
        repeated: found.repeated,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// The index of the first entry to list.
    #[serde(default)]
    from: u64,
    /// How many, at most 1000.
    #[serde(default = "page")]
    limit: usize,
}

/// A page of the ledger's entries.
#[derive(Debug, Serialize, ToSchema)]
struct EventPage {
    /// The ledger's entries, as they are.
    #[schema(schema_with = entries)]
    events: Vec<serde_json::Value>,
    /// `from` of the next page; null at the end.
    #[schema(required)]
    next: Option<u64>,
}

fn entries() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::Array::new(utoipa::openapi::Ref::from_schema_name("LedgerEntry"))
}

/// List what the ledger tells of a record: amendments, renewals, operations, erasure.
#[utoipa::path(tag = "records", params(EventsQuery, ("id" = String, Path, description = "record digest or uuid")),
    responses((status = 200, description = "A page of ledger entries", body = EventPage), (status = "4XX", body = Problem)), security(("token" = [])))]
#[get("/v1/records/{id}/events")]
pub(super) async fn list_events(
    state: Data<AppState>,
    auth: Authenticated,
    id: Path<String>,
    query: Query<EventsQuery>,
) -> Result<HttpResponse, Problem> {
    let ledger = state.services.issuance.ledger.clone();
    let record = record_at(&state, find(&state, &auth, &id).await?).await?;
    let (from, limit) = (query.from, query.limit.clamp(1, PAGE_MAX));
    let entries = web::block(move || ledger.history(record, LeafIndex(from), limit)).await??;
    let next = (entries.len() == limit).then(|| entries.last().map(|last| last.index.0.saturating_add(1))).flatten();
    let events = entries.iter().map(Entry::to_json).collect();
    Ok(HttpResponse::Ok().json(EventPage { events, next }))
}

/// The record that the entry at `index` is about.
async fn record_at(state: &AppState, index: LeafIndex) -> Result<Sha256Digest, Problem> {
    let issuance = &state.services.issuance;
    let ledger = issuance.ledger.clone();
    let (entry, _) = issuance.cpu_pool.run(move || ledger.entry(index)).await??;
    Ok(entry.event.record().ok_or_else(|| Problem::not_found("record"))?.record)
}
