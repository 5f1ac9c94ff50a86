//! The page that can be saved, and the verifier for the reader's own machine that is inside it.
//!
//! Built in with the feature `browser`, from what `make web` built.

use std::sync::LazyLock;

use askama::Template;

use super::home::{ICON, LocalVerifier, SCRIPT, STYLE, source};
use crate::crypto::Sha256Digest;
use crate::evidence::{TrustPolicy, ValidationReport};

/// The worker with the verifier inside.
pub(in crate::server) const WORKER: &str = include_str!("../../../web/dist/verifier.js"); // `make web` builds it; the feature `browser` needs it

/// A page that verifies without a server, a network or anything beside itself.
#[derive(Template)]
#[template(path = "server/pages/saved.html")]
pub(in crate::server) struct SavedPage<'a> {
    local: Option<&'a LocalVerifier>,
    report: Option<&'a ValidationReport>,
    has_server: bool,
}

impl SavedPage<'_> {
    /// No connection to anywhere, no form to anywhere; the worker is made of what is in the page.
    pub(in crate::server) fn content_security_policy() -> &'static str {
        static POLICY: LazyLock<String> = LazyLock::new(|| {
            format!(
                "default-src 'none'; script-src {} 'wasm-unsafe-eval'; worker-src blob:; style-src {}; img-src data:; \
                 form-action 'none'; base-uri 'none'",
                source(SCRIPT),
                source(STYLE)
            )
        });
        &POLICY
    }
}

/// A page to be saved, which offers `policy`; `source` says to the reader whose it is.
pub(crate) fn saved_page(policy: &TrustPolicy, source: String) -> String {
    let local = offer(policy, None, source);
    let page = SavedPage { local: Some(&local), report: None, has_server: false };
    page.render().expect("memory takes every byte")
}

pub(in crate::server) fn offer(policy: &TrustPolicy, worker: Option<String>, source: String) -> LocalVerifier {
    LocalVerifier { worker, policy: policy.to_toml(), name: policy.name.clone(), digest: policy.digest(), source }
}

pub(in crate::server) static WORKER_DIGEST: LazyLock<Sha256Digest> =
    LazyLock::new(|| Sha256Digest::of(WORKER.as_bytes()));
