//! Routes: typed in, one domain call, typed out. Nothing is decided here.

mod admin;
mod batches;
mod certificates;
mod compatibility;
mod docs;
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

use actix_web::web::{self, Data, ServiceConfig};
use utoipa::OpenApi;

use super::problem::Problem;
use super::state::AppState;
use docs::Documentation;

/// Routes from one list: what is served and what is documented are the same.
macro_rules! group {
    ($serve:ident, $Document:ident: $($module:ident::$handler:ident),+ $(,)?) => {
        fn $serve(config: &mut ServiceConfig) {
            config$(.service($module::$handler))+;
        }

        #[derive(OpenApi)]
        #[openapi(paths($($module::$handler),+))]
        struct $Document;
    };
}

group!(
    serve_everywhere, EverywhereDocument:
    home::home,
    verify::verify,
    records::submit, records::list, records::read_receipt, records::bundle, records::resign, records::read,
    records::erase,
    events::add_event, events::list_events,
    batches::batches,
    exports::export,
    trust_policy::published,
    certificates::root, certificates::chain, certificates::list, certificates::crl, certificates::status,
    certificates::status_by_post, certificates::authority,
    operations::healthz, operations::readyz, operations::metrics,
    admin::issuers, admin::add_issuer, admin::issue, admin::rotate, admin::revoke, admin::crls,
    admin::archive_timestamp, admin::tokens, admin::create_token, admin::revoke_token,
    verdicts::report_schema, verdicts::every, verdicts::explained,
    docs::openapi_json, docs::redirect, docs::pages,
);

// Where there is a log of statements.
group!(
    serve_statements, StatementsDocument:
    scitt::register, scitt::receipt, scitt::erase, scitt::keys, scitt::key, scitt::configuration, scitt::jwks,
);

// Where there is a compatibility log.
group!(
    serve_compatibility, CompatibilityDocument:
    compatibility::register_payload, compatibility::payload_receipt, compatibility::compatible_configuration,
    compatibility::compatible_jwks,
);

// Where the verifier for the reader's own machine is built in; without it the page asks the server.
#[cfg(feature = "browser")]
group!(serve_in_browser, InBrowserDocument: in_browser::worker_script, in_browser::verify_page);

/// The routes that compress for themselves, or whose answers gain nothing by it.
pub(super) fn that_compress(config: &mut ServiceConfig, state: &AppState) {
    log::serve(config, &state.log);
    if let Some(log) = &state.statements_log {
        log::serve_statements(config, log);
        serve_statements(config);
    }
    if compatibility::log(state).is_some() {
        serve_compatibility(config);
    }
}

/// The routes whose answers are compressed for them.
pub(super) fn to_be_compressed(config: &mut ServiceConfig, state: &AppState) {
    config.app_data(Data::new(Documentation::of(&document(state))));
    serve_everywhere(config);
    #[cfg(feature = "browser")]
    serve_in_browser(config);
    config.default_service(web::to(async || Err::<actix_web::HttpResponse, _>(Problem::not_found("resource"))));
}

/// The document of the routes that are served.
fn document(state: &AppState) -> serde_json::Value {
    let mut routes = openapi::Routes::of(EverywhereDocument::openapi()).and(log::LogDocument::openapi());
    if state.statements_log.is_some() {
        let log = log::StatementsLogDocument::openapi();
        routes = routes.and_below(log::STATEMENTS, log).and(StatementsDocument::openapi());
    }
    if compatibility::log(state).is_some() {
        routes = routes.and(CompatibilityDocument::openapi());
    }
    #[cfg(feature = "browser")]
    let routes = routes.and(InBrowserDocument::openapi());
    routes.document()
}
