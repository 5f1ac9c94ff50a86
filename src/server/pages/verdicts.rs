//! The page that explains sub-indications.

use askama::Template;

use crate::evidence::render::STYLE;
use crate::evidence::report::SubIndication;

#[derive(Template)]
#[template(path = "server/pages/verdicts.html")]
struct Verdicts<'a> {
    shown: &'a [SubIndication],
    style: &'static str,
}

/// The page that explains `shown`.
pub(in crate::server) fn verdicts_page(shown: &[SubIndication]) -> String {
    Verdicts { shown, style: STYLE }.render().expect("memory takes every byte")
}
