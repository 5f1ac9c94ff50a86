//! `/openapi.json`, and `/docs/` that shows it.

use actix_web::http::header::{CONTENT_ENCODING, ContentEncoding, LOCATION};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::Config;

use crate::server::problem::Problem;

/// The parts of the documentation.
pub(super) struct Documentation {
    document: Bytes,
    pages: std::sync::Arc<Config<'static>>,
}

impl Documentation {
    /// The documentation that `document` is.
    pub(super) fn of(document: &serde_json::Value) -> Self {
        Self { document: document.to_string().into(), pages: Config::from("/openapi.json").into() }
    }
}

/// This document.
#[utoipa::path(tag = "documentation", operation_id = "openapi", responses(
    (status = 200, description = "An OpenAPI document (3.1)", body = Object, content_type = "application/json")))]
#[get("/openapi.json")]
pub(super) async fn openapi_json(documentation: Data<Documentation>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(documentation.document.clone())
}

/// To the pages that show this document.
#[utoipa::path(tag = "documentation", operation_id = "docs", responses((status = 307, description = "To /docs/", headers(("Location" = String, description = "/docs/")))))]
#[get("/docs")]
pub(super) async fn redirect() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// The pages that show this document, and what they load.
#[utoipa::path(tag = "documentation", operation_id = "docs_file",
    params(("file" = String, Path, description = "index.html, or what it loads; may be empty")),
    responses((status = 200, description = "A page", content_type = "text/html"), (status = 404, body = Problem)))]
#[get("/docs/{file:.*}")]
pub(super) async fn pages(documentation: Data<Documentation>, file: Path<String>) -> Result<HttpResponse, Problem> {
    let found = utoipa_swagger_ui::serve(&file, documentation.pages.clone());
    let found = found.map_err(|error| Problem::internal(&error))?.ok_or_else(|| Problem::not_found("page"))?;
    let mut response = HttpResponse::Ok();
    if found.gzpipped {
        response.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip));
    }
    Ok(response.content_type(found.content_type).body(found.bytes.into_owned()))
}
