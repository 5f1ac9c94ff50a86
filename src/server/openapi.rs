//! The OpenAPI document, made of the handlers' own annotations.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    Problem, admin, batches, certificates, compatibility, events, operations, periods, records, scrapi, tlog_routes,
    trust, verdicts, verify,
};

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(title = "Affiant", description = "An evidence-chain ledger and verification server for vCons."),
    paths(
        verify::verify, records::submit, records::list, records::read, records::read_receipt, records::bundle, records::renew,
        records::erase, events::add_event, events::list_events, batches::batches, tlog_routes::checkpoint, tlog_routes::tile, tlog_routes::policy, tlog_routes::proof, periods::period,
        scrapi::register, scrapi::receipt, scrapi::erase, scrapi::keys, scrapi::key, scrapi::configuration, scrapi::jwks,
        compatibility::register_payload, compatibility::payload_receipt, compatibility::compatible_configuration,
        compatibility::compatible_jwks,
        trust::published, verdicts::every, verdicts::explained, verdicts::report_schema,
        certificates::list, certificates::root, certificates::chain, certificates::crl, certificates::authority,
        operations::healthz, operations::readyz, operations::metrics,
        admin::issuers, admin::add_issuer, admin::issue, admin::rotate, admin::revoke, admin::crls, admin::renew, admin::tokens,
        admin::create_token, admin::revoke_token,
    ),
    components(schemas(Problem)),
    modifiers(&Token)
)]
pub(super) struct ApiDocument;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}
