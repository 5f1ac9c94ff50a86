//! `/v1/batches`: NDJSON in, NDJSON out, in constant memory.

use actix_web::web::{Bytes, Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::issuance::{BatchResult, SubmissionReceipt, lines, run_batch};
use crate::ledger::Durability;
use crate::server::extract::auth::Authenticated;
use crate::server::extract::body::{check_plain, incoming};
use crate::server::problem::Problem;
use crate::server::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchQuery {
    /// How far each record must come before its receipt: `accepted`, `included` (default) or `witnessed`.
    #[serde(default)]
    wait: Durability,
    /// The issuer, when an admin submits for one.
    #[param(nullable = false)]
    issuer: Option<String>,
}

/// The result of a line: its receipt, or the problem that it has.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchLine)]
struct ResultLine {
    /// The line's number, from 1.
    #[schema(minimum = 1)]
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    receipt: Option<SubmissionReceipt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

impl From<BatchResult> for ResultLine {
    fn from(result: BatchResult) -> Self {
        let (receipt, problem) = match result.outcome {
            Ok(receipt) => (Some(receipt), None),
            Err(error) => (None, Some(Problem::from(error))),
        };
        Self { line: result.line, receipt, problem }
    }
}

/// Submit a batch: a vCon a line (NDJSON), a result line for each, in order, as it is reached.
///
/// Invalid lines fail individually. Resubmitting a batch is idempotent, so an interrupted batch is sent again.
#[utoipa::path(tag = "records", params(BatchQuery), request_body(content = ref("#/components/schemas/AnyVcon"), content_type = "application/x-ndjson", description = "A vCon a line; whatever media type is named"),
    responses((status = 200, description = "A line for each, in order", body = ResultLine, content_type = "application/x-ndjson"),
        (status = "4XX", body = Problem)), security(("token" = [])))]
#[post("/v1/batches")]
pub(super) async fn batches(
    state: Data<AppState>,
    auth: Authenticated,
    query: Query<BatchQuery>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    check_plain(&request)?;
    let body = incoming(&request, payload.into_inner());
    let submitter = auth.submitter(query.issuer.as_deref())?;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(16);
    let (issuance, wait) = (state.services.issuance.clone(), query.wait);
    // The payload stays on this thread; the work is spread from there.
    actix_web::rt::spawn(async move {
        let lines = lines(body, issuance.limits.json.bytes_max);
        // A body that breaks off ends the batch with a line that says so; what was taken stays taken.
        let results = run_batch(issuance, submitter, wait, lines);
        let mut results = std::pin::pin!(results);
        while let Some(result) = results.next().await {
            let result = ResultLine::from(result);
            if let Some(cause) = result.problem.as_ref().and_then(Problem::cause) {
                tracing::error!(line = result.line, cause, "line of a batch failed");
            }
            let mut line = serde_json::to_vec(&result).expect("a result is JSON");
            line.push(b'\n');
            if sender.send(Bytes::from(line)).await.is_err() {
                return;
            }
        }
    });
    let results = stream::unfold(receiver, |mut receiver| async move {
        let line = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line), receiver))
    });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(results))
}
