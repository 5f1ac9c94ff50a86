//! The OpenAPI document, made of the handlers' own annotations.

use utoipa::openapi::RefOr;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    admin, batches, certificates, compatibility, events, exports, log, operations, records, scitt, trust_policy,
    verdicts, verify,
};
use crate::server::problem::Problem;

/// The media type of a problem (RFC 9457 §3).
const PROBLEM: &str = "application/problem+json";

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
    modifiers(&Token, &Problems)
)]
pub(super) struct ApiDocument;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// Says of every answer that is a problem what it is (RFC 9457): the same everywhere.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for path in document.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.put, &mut path.delete];
            let responses =
                operations.into_iter().flatten().flat_map(|operation| operation.responses.responses.values_mut());
            for response in responses {
                let RefOr::T(response) = response else { continue };
                if response.description.is_empty() {
                    "What is wrong".clone_into(&mut response.description);
                    response.content =
                        response.content.drain(..).map(|(_, content)| (PROBLEM.to_owned(), content)).collect();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_answer_is_described_and_every_operation_has_a_name_of_its_own() {
        let document: Value = serde_json::from_str(&ApiDocument::openapi().to_json().unwrap()).unwrap();
        let mut names = HashSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} of {method} {path}");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    assert!(response["description"].is_string(), "{method} {path} {status}");
                    let is_problem = response.to_string().contains("schemas/Problem");
                    assert!(!is_problem || response["content"].get(PROBLEM).is_some(), "{method} {path} {status}");
                }
            }
        }
        assert!(names.len() > 40);
    }
}
