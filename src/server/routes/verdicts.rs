//! `/docs/verdicts/`: the meaning of each sub-indication, its causes, and next steps. And the schema of reports.

use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::web::Path;
use actix_web::{HttpResponse, get, routes};

use crate::evidence::report::{REPORT_SCHEMA, SubIndication};
use crate::server::pages::home::content_security_policy;
use crate::server::pages::verdicts::verdicts_page;
use crate::server::problem::Problem;

/// Every sub-indication, explained.
#[utoipa::path(get, path = "/docs/verdicts", tag = "verification",
    responses((status = 200, description = "A page", content_type = "text/html")))]
#[routes]
#[get("/docs/verdicts")]
#[get("/docs/verdicts/")]
pub(super) async fn every() -> HttpResponse {
    page(SubIndication::ALL)
}

/// A sub-indication, explained.
#[utoipa::path(tag = "verification", params(("name" = String, Path, description = "as in a report: TRY_LATER")),
    responses((status = 200, description = "A page", content_type = "text/html"), (status = 404, body = Problem)))]
#[get("/docs/verdicts/{name}")]
pub(super) async fn explained(name: Path<String>) -> Result<HttpResponse, Problem> {
    let sub = SubIndication::of_name(&name).ok_or_else(|| Problem::not_found("sub-indication"))?;
    Ok(page(&[sub]))
}

/// The shape of validation reports, as a JSON Schema (draft 2020-12).
#[utoipa::path(tag = "verification", responses((status = 200, description = "The schema", body = Object, content_type = "application/schema+json")))]
#[get("/v1/schemas/validation-report-1.json")]
pub(super) async fn report_schema() -> HttpResponse {
    HttpResponse::Ok().content_type("application/schema+json").body(REPORT_SCHEMA)
}

fn page(shown: &[SubIndication]) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy()))
        .body(verdicts_page(shown))
}
