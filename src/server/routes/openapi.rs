//! The OpenAPI document, made of the handlers' own annotations.

use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Deprecated, OpenApi as Document, RefOr};
use utoipa::{Modify, OpenApi};

use crate::server::problem::Problem;

/// The media type of a problem (RFC 9457 §3).
const PROBLEM: &str = "application/problem+json";

/// Paths of the release before, and those that give the same now.
const BEFORE: [(&str, &str); 3] = [
    ("/v1/records/{id}/renewals", "/v1/records/{id}/resign"),
    ("/v1/ledger/periods", "/v1/ledger/exports"),
    ("/v1/admin/renewals", "/v1/admin/archive-timestamps"),
];

/// What is said once, and of every route.
#[derive(OpenApi)]
#[openapi(
    info(title = "Affiant", description = "An evidence-chain ledger and verification server for vCons."),
    components(schemas(Problem)),
    modifiers(&Token)
)]
struct Frame;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The routes that a server has.
pub(super) struct Routes(Document);

impl Routes {
    pub(super) fn of(routes: Document) -> Self {
        Self(Frame::openapi()).and(routes)
    }

    pub(super) fn and(mut self, routes: Document) -> Self {
        self.0.merge(routes);
        self
    }

    /// The same routes once more, below `path`: their operations have names of their own.
    pub(super) fn and_below(self, path: &str, mut routes: Document) -> Self {
        let before = format!("{}_", path.trim_matches('/'));
        for operation in routes.paths.paths.values_mut().flat_map(operations) {
            rename(operation, |name| format!("{before}{name}"));
        }
        Self(self.0.nest(path, routes))
    }

    /// The whole document.
    pub(super) fn document(self) -> Value {
        let mut document = self.0;
        for (path, now) in BEFORE {
            let mut item = document.paths.paths.get(now).cloned().expect("a path that is served");
            for operation in operations(&mut item) {
                rename(operation, |name| format!("{name}_before"));
                operation.deprecated = Some(Deprecated::True);
            }
            document.paths.paths.insert(path.to_owned(), item);
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            // Said of every operation, so that nobody has to know what it means where nothing is said.
            operation.security.get_or_insert_default();
            describe_problems(operation);
        }
        serde_json::to_value(document).expect("a document is JSON")
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.put, &mut path.delete].into_iter().flatten()
}

fn rename(operation: &mut Operation, name: impl FnOnce(&str) -> String) {
    operation.operation_id = operation.operation_id.as_deref().map(name);
}

/// Says of every answer that is a problem what it is (RFC 9457): the same everywhere.
fn describe_problems(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            "What is wrong".clone_into(&mut response.description);
            response.content = response.content.drain(..).map(|(_, content)| (PROBLEM.to_owned(), content)).collect();
        }
    }
}
