//! Routes: typed in, one domain call, typed out. Nothing is decided here.

mod admin;
mod batches;
mod certificates;
mod compatibility;
mod events;
mod exports;
mod home;
#[cfg(feature = "browser")]
mod in_browser;
mod log;
mod openapi;
mod operations;
mod records;
mod scitt;
mod trust_policy;
mod verdicts;
mod verify;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi as _;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::Problem;
use super::state::AppState;
use openapi::ApiDocument;

/// The routes that compress for themselves, or whose answers gain nothing by it.
pub(super) fn that_compress(config: &mut ServiceConfig, state: &AppState) {
    config
        .configure(|config| log::routes(config, state))
        .configure(|config| scitt::routes(config, state))
        .configure(|config| compatibility::routes(config, state));
}

/// The routes whose answers are compressed for them.
pub(super) fn to_be_compressed(config: &mut ServiceConfig) {
    config
        .service(home::home)
        .service(verify::verify)
        .service(records::submit)
        .service(records::list)
        .service(records::read_receipt)
        .service(records::bundle)
        .service(records::resign)
        .service(records::read)
        .service(records::erase)
        .service(events::add_event)
        .service(events::list_events)
        .service(batches::batches)
        .service(exports::export)
        .service(trust_policy::published)
        .service(certificates::root)
        .service(certificates::chain)
        .service(certificates::list)
        .service(certificates::crl)
        .service(certificates::status)
        .service(certificates::status_by_post)
        .service(certificates::authority)
        .service(operations::healthz)
        .service(operations::readyz)
        .service(operations::metrics)
        .service(admin::issuers)
        .service(admin::add_issuer)
        .service(admin::issue)
        .service(admin::rotate)
        .service(admin::revoke)
        .service(admin::crls)
        .service(admin::archive_timestamp)
        .service(admin::tokens)
        .service(admin::create_token)
        .service(admin::revoke_token)
        .service(verdicts::report_schema)
        .service(verdicts::every)
        .service(verdicts::explained)
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", ApiDocument::openapi()))
        .configure(verifier_in_browser)
        .default_service(web::to(async || Err::<actix_web::HttpResponse, _>(Problem::not_found("resource"))));
}

#[cfg(feature = "browser")]
fn verifier_in_browser(config: &mut ServiceConfig) {
    config.service(in_browser::worker_script).service(in_browser::verify_page);
}

/// Without it the page asks the server.
#[cfg(not(feature = "browser"))]
fn verifier_in_browser(_: &mut ServiceConfig) {}
