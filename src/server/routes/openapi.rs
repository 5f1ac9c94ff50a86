//! The OpenAPI document, made of the handlers' own annotations.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    admin, batches, certificates, compatibility, events, exports, log, operations, records, scitt, trust_policy,
    verdicts, verify,
};
use crate::server::problem::Problem;

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(title = "Affiant", description = "An evidence-chain ledger and verification server for vCons."),
    paths(
        verify::verify, records::submit, records::list, records::read, records::read_receipt, records::bundle, records::resign,
        records::erase, events::add_event, events::list_events, batches::batches, log::checkpoint, log::tile, log::policy, log::proof, exports::export,
        scitt::register, scitt::receipt, scitt::erase, scitt::keys, scitt::key, scitt::configuration, scitt::jwks,
        compatibility::register_payload, compatibility::payload_receipt, compatibility::compatible_configuration,
        compatibility::compatible_jwks,
        trust_policy::published, verdicts::every, verdicts::explained, verdicts::report_schema,
        certificates::list, certificates::root, certificates::chain, certificates::crl, certificates::status, certificates::status_by_post, certificates::authority,
        operations::healthz, operations::readyz, operations::metrics,
        admin::issuers, admin::add_issuer, admin::issue, admin::rotate, admin::revoke, admin::crls, admin::archive_timestamp, admin::tokens,
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
