//! `POST /v1/verify`: the public verification endpoint.

use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::evidence::ReportLevel;
use crate::server::extract::multipart::VerificationBody;
use crate::server::problem::Problem;
use crate::server::state::AppState;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyQuery {
    /// How much of the report is written as JSON: `simple`, `detailed` (default) or `diagnostic`.
    #[serde(default)]
    #[param(inline)]
    depth: ReportLevel,
}

/// Verify a record: signature, certificate path, recordings, ledger and time together.
///
/// Takes the signed vCon itself (JSON), an evidence bundle (zip), or a form with `record` (either of them) and any number
/// of `recording` files, which are hashed as they stream by and not kept. Answers JSON, or HTML where `Accept` prefers it.
/// A record that does not verify is an answer (200), not an error.
#[utoipa::path(tag = "verification", request_body(content((ref("#/components/schemas/SignedVcon") = "application/vcon+json"),
    (Vec<u8> = "application/zip"), (ref("#/components/schemas/VerificationForm") = "multipart/form-data"))), params(VerifyQuery), responses((status = 200, description = "The validation report",
    content((ref("#/components/schemas/ValidationReport") = "application/json"), (String = "text/html"))), (status = "4XX", body = Problem)))]
#[post("/v1/verify")]
pub(super) async fn verify(
    state: Data<AppState>,
    request: HttpRequest,
    query: Query<VerifyQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let VerificationBody { record, recordings } =
        VerificationBody::read(&request, payload, &state.config.limits).await?;
    // Behind the body: nobody keeps a place by sending slowly.
    let _place = state.public_requests.try_acquire().map_err(|_| Problem::busy())?;
    let html = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let html = html.is_some_and(prefers_html);
    let depth = query.depth;
    let issuance = state.services.issuance.clone();
    let verified = state.services.issuance.cpu_pool.run(move || {
        let (record, _memory) = record.into_parts();
        let (report, bundle) = issuance.verify_with_ledger(record, recordings)?;
        let json = (!html).then(|| report.to_json_at_level(depth, &bundle, issuance.verifier.policy()));
        Ok::<_, Problem>((report, json))
    });
    let (report, json) = verified.await??;
    metrics::counter!("affiant_verifications_total", "indication" => report.verdict.indication.name()).increment(1);
    match json {
        Some(json) => Ok(HttpResponse::Ok().content_type("application/json").body(json)),
        None => super::home::page(state.clone(), Some(report)).await,
    }
}

/// Whether a page is wanted rather than JSON (RFC 9110 §12.5.1): its weight is larger, or its name is the closer one. Whoever
/// takes both alike, as generated clients say, gets JSON.
fn prefers_html(accept: &str) -> bool {
    let ranges: Vec<(String, f32)> = accept
        .split(',')
        .map(|range| {
            let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=").and_then(|weight| weight.parse().ok()));
            (name, weight.unwrap_or(1.0))
        })
        .collect();
    // The closest range that matches, and how close it is.
    let preference = |kind: &str, group: &str| {
        [kind, group, "*/*"].iter().zip([2_u8, 1, 0]).find_map(|(range, closeness)| {
            ranges.iter().find(|(name, _)| name == range).map(|(_, weight)| (*weight, closeness))
        })
    };
    match (preference("text/html", "text/*"), preference("application/json", "application/*")) {
        (Some(html), json) => html.0 > 0.0 && json.is_none_or(|json| html > json),
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_and_a_program_json() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("text/html", true),
            ("text/html, */*", true),
            ("text/*;q=0.9, application/json;q=0.1", true),
            ("application/json, application/problem+json, text/html", false),
            ("text/html;q=0.5, application/json", false),
            ("application/problem+json,text/html,application/json", false),
            ("text/html;q=0", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(prefers_html(accept), html, "{accept}");
        }
    }
}
