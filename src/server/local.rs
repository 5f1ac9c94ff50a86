//! The verifier for the reader's own machine: its worker, the page that can be saved, the trust policy that both offer.
//!
//! Built in with the feature `browser`, from what `make web` built.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use askama::Template;

use super::page::{ICON, LocalVerifier, SCRIPT, STYLE, source};
use super::{AppState, Problem};
use crate::crypto::Sha256Digest;
use crate::evidence::{TrustPolicy, ValidationReport};

/// The worker with the verifier inside.
const WORKER: &str = include_str!("../../web/dist/verifier.js"); // `make web` builds it; the feature `browser` needs it

/// A page that verifies without a server, a network or anything beside itself.
#[derive(Template)]
#[template(path = "server/saved.html")]
struct SavedPage<'a> {
    local: Option<&'a LocalVerifier>,
    report: Option<&'a ValidationReport>,
    has_server: bool,
}

impl SavedPage<'_> {
    /// No connection to anywhere, no form to anywhere; the worker is made of what is in the page.
    fn content_security_policy() -> &'static str {
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

/// What the page of this server needs to verify on the reader's machine.
pub(super) fn local_verifier(state: &AppState) -> LocalVerifier {
    let policy = state.issuance.verifier.policy();
    offer(
        policy,
        Some(format!("/verifier/{}.js", *WORKER_DIGEST)),
        "It is this server's own: whoever runs the server \
        chose whom it trusts. To decide that yourself, use a policy of your own."
            .to_owned(),
    )
}

/// A page to be saved, which offers `policy`; `source` says to the reader whose it is.
pub(crate) fn saved_page(policy: &TrustPolicy, source: String) -> String {
    let local = offer(policy, None, source);
    let page = SavedPage { local: Some(&local), report: None, has_server: false };
    page.render().expect("memory takes every byte")
}

fn offer(policy: &TrustPolicy, worker: Option<String>, source: String) -> LocalVerifier {
    LocalVerifier { worker, policy: policy.to_toml(), name: policy.name.clone(), digest: policy.digest(), source }
}

static WORKER_DIGEST: LazyLock<Sha256Digest> = LazyLock::new(|| Sha256Digest::of(WORKER.as_bytes()));

/// The worker, under the digest of what it is.
#[get("/verifier/{digest}.js")]
pub(super) async fn worker_script(digest: Path<String>) -> Result<HttpResponse, Problem> {
    if *digest != WORKER_DIGEST.to_string() {
        return Err(Problem::not_found("verifier"));
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        // A worker has a policy of its own (HTML §10.2.4): it may run what is in it, and reach nothing.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; script-src 'wasm-unsafe-eval'"))
        .body(WORKER))
}

/// The page that can be saved.
#[get("/verify.html")]
pub(super) async fn verify_page(state: Data<AppState>) -> HttpResponse {
    let origin = state.log_key.name();
    let source = format!(
        "It is that of the server of {origin} when this page was made: whoever runs that server chose whom it trusts. To \
         decide that yourself, use a policy of your own."
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            CONTENT_SECURITY_POLICY,
            format!("{}; frame-ancestors 'none'", SavedPage::content_security_policy()),
        ))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(saved_page(state.issuance.verifier.policy(), source))
}
