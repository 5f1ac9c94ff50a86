//! The page at `/`: verify a record, see the ledger and its certificates. Plain HTML that works without script.
//!
//! Nothing is loaded from elsewhere, and what the page may do is said by [`content_security_policy`]: the style sheet by
//! its digest, and no script but the one that verifies on the reader's machine, where that was built in.

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};

use crate::authority::{CertificateState, CertificateSummary};
use crate::crypto::{Sha256Digest, sha256};
use crate::evidence::{ValidationReport, render};

/// The style sheet of the page: that of a report, and what only the page has.
pub(in crate::server) const STYLE: &str =
    concat!(include_str!("../../evidence/render/style.css"), include_str!("page.css"));
/// The script of the page.
pub(in crate::server) const SCRIPT: &str = include_str!("../../../web/page.js");
/// The picture in a browser's tab.
pub(in crate::server) const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E\
    %3Crect width='32' height='32' rx='7' fill='%231f5673'/%3E%3Cpath d='M9 17l5 5 9-12' fill='none' stroke='white' \
    stroke-width='3.5' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";
/// Characters of a record digest that are shown: `sha256-` and enough to find it by.
const SHORT_DIGEST_CHARACTERS: usize = 7 + 12;

/// The contents of the page.
#[derive(Debug, Template)]
#[template(path = "server/pages/home.html")]
pub struct HomePage<'a> {
    name: &'a str,
    origin: &'a str,
    checkpoint: Option<CheckpointShown>,
    entries: Vec<EntryShown>,
    certificates: Vec<CertificateSummary>,
    trouble: Option<&'a str>,
    successor: Option<&'a str>,
    report: Option<&'a ValidationReport>,
    local: Option<&'a LocalVerifier>,
    /// Whether the form has a server to go to.
    has_server: bool,
    style: &'static str,
}

/// The verifier for the reader's machine, as a page embeds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct LocalVerifier {
    /// Address of the worker; `None` in a page that embeds it.
    pub worker: Option<String>,
    /// The trust policy that is offered, whole.
    pub policy: String,
    pub name: String,
    /// Its digest.
    pub digest: Sha256Digest,
    /// The owner of the policy, as a sentence for the reader.
    pub source: String,
}

/// The newest checkpoint, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointShown {
    /// Size of the tree.
    pub size: u64,
    /// Its root, in base64 as in the checkpoint.
    pub root: String,
    /// Time of the last entry.
    pub last_entry: Option<DateTime<Utc>>,
    /// Names of the witnesses that cosigned in the last round.
    pub witnesses: Vec<String>,
}

/// An entry, as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryShown {
    /// Its place.
    pub index: u64,
    /// When it was sequenced.
    pub time: DateTime<Utc>,
    /// Its kind, as the entry has it.
    pub kind: &'static str,
    /// The record that it is about, where it is about one.
    pub record: Option<Sha256Digest>,
}

impl<'a> HomePage<'a> {
    /// A page of a service and its log that shows nothing yet.
    #[must_use]
    pub fn new(name: &'a str, origin: &'a str) -> Self {
        Self {
            name,
            origin,
            checkpoint: None,
            entries: Vec::new(),
            certificates: Vec::new(),
            trouble: None,
            successor: None,
            report: None,
            local: None,
            has_server: true,
            style: STYLE,
        }
    }

    /// Shows the newest checkpoint.
    #[must_use]
    pub fn checkpoint(mut self, checkpoint: CheckpointShown) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Shows entries, in the order given: the newest first.
    #[must_use]
    pub fn entries(mut self, entries: Vec<EntryShown>) -> Self {
        self.entries = entries;
        self
    }

    /// Shows certificates, in the order given.
    #[must_use]
    pub fn certificates(mut self, certificates: Vec<CertificateSummary>) -> Self {
        self.certificates = certificates;
        self
    }

    /// Says on top what is wrong, as why the ledger takes no new records.
    #[must_use]
    pub fn trouble(mut self, trouble: Option<&'a str>) -> Self {
        self.trouble = trouble;
        self
    }

    /// Says on top that the log has ended, and which one goes on.
    #[must_use]
    pub fn successor(mut self, successor: Option<&'a str>) -> Self {
        self.successor = successor;
        self
    }

    /// Shows the report on what was handed in.
    #[must_use]
    pub fn report(mut self, report: &'a ValidationReport) -> Self {
        self.report = Some(report);
        self
    }

    /// Lets the page verify on the reader's machine.
    #[must_use]
    pub fn local(mut self, local: Option<&'a LocalVerifier>) -> Self {
        self.local = local;
        self
    }

    /// The page as HTML.
    ///
    /// # Panics
    /// Never: it is written to memory.
    #[must_use]
    pub fn render(&self) -> String {
        Template::render(self).expect("memory takes every byte")
    }

    fn short(digest: &Sha256Digest) -> String {
        let digest = digest.to_string();
        digest.chars().take(SHORT_DIGEST_CHARACTERS).chain(['…']).collect()
    }

    fn state(certificate: &CertificateSummary) -> &'static str {
        match certificate.state {
            CertificateState::Active => "active",
            CertificateState::Passive => "passive",
            CertificateState::Expired => "expired",
            CertificateState::Revoked => "revoked",
        }
    }
}

/// The `Content-Security-Policy` under which the page and a report are shown: nothing from elsewhere, the style sheets
/// and the script by their digests, a worker from this server, and no connection to anywhere (CSP 3 §2.3.1).
#[must_use]
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let script = format!("script-src {}; worker-src 'self'; ", source(SCRIPT));
        format!(
            "default-src 'none'; {}style-src {} {}; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
            if cfg!(feature = "browser") { &script } else { "" },
            source(STYLE),
            source(render::STYLE)
        )
    });
    &POLICY
}

/// The source expression of an inline script or style sheet (CSP 3 §2.3.1).
pub(in crate::server) fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(sha256(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::CertificateKind;
    use crate::clock::parse_time;
    use crate::evidence::report::example;

    fn certificate(subject: &str, state: CertificateState) -> CertificateSummary {
        let at = |text| parse_time(text).unwrap();
        CertificateSummary {
            thumbprint: Sha256Digest::of(subject.as_bytes()).to_string(),
            serial: "01".into(),
            kind: CertificateKind::SigningLeaf,
            issuer: None,
            subject: subject.into(),
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2027-04-06T00:00:00Z"),
            active_until: at("2026-04-01T00:00:00Z"),
            state,
            revocation: None,
        }
    }

    fn full<'a>() -> HomePage<'a> {
        let time = parse_time("2026-07-01T12:00:01Z").unwrap();
        let entry = |index, kind, record: Option<&str>| EntryShown {
            index,
            time,
            kind,
            record: record.map(|record| Sha256Digest::of(record.as_bytes())),
        };
        HomePage::new("Example ledger", "ledger.example/2026")
            .checkpoint(CheckpointShown {
                size: 1042,
                root: STANDARD.encode(sha256(b"root")),
                last_entry: Some(time),
                witnesses: vec!["witness.example/w1".into(), "<b>w2</b>".into()],
            })
            .entries(vec![
                entry(1041, "vcon.issued", Some("a")),
                entry(1040, "vcon.anchored", Some("b")),
                entry(1039, "crl.published", None),
                entry(1038, "vcon.issued", Some("c")),
            ])
            .certificates(vec![
                certificate("CN=<script>alert(1)</script>", CertificateState::Active),
                certificate("CN=Example Calls Ltd,O=Example,C=XX", CertificateState::Passive),
                certificate("CN=Example Issuing Authority", CertificateState::Revoked),
            ])
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let html = full().trouble(Some("<i>disk</i>")).render();
        for raw in ["<script>alert", "<b>", "<i>disk"] {
            assert!(!html.contains(raw), "{raw}");
        }
        assert!(html.contains("alert(1)") && html.contains("disk"));
    }

    #[test]
    fn the_form_works_without_script() {
        let html = HomePage::new("x", "y").render();
        assert!(html.contains(r#"method="post" action="/v1/verify" enctype="multipart/form-data""#));
        assert!(html.contains(r#"name="record" required"#) && html.contains(r#"name="recording" multiple"#));
        assert!(!html.contains("<script") && !html.contains(" onclick"));
        assert_eq!(html.matches("style=").count(), 0, "the policy allows no style of an element");
    }

    #[test]
    fn the_policy_allows_the_very_style_sheets_that_are_shown() {
        let policy = content_security_policy();
        for page in [full().render(), example("CN=Example").to_html()] {
            let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
            assert!(policy.contains(&STANDARD.encode(sha256(style.as_bytes()))));
        }
        assert!(!policy.contains("unsafe") && !policy.contains("connect-src"));
        assert_eq!(policy.contains("script-src"), cfg!(feature = "browser"));
    }

    #[test]
    fn a_report_is_shown_with_its_five_rows() {
        let report = example("CN=Example");
        let html = full().report(&report).render();
        for row in &report.rows {
            assert!(html.contains(row.title) && html.contains(&row.code));
        }
        let signer = report.signatures[0].signer.as_ref().unwrap();
        assert!(html.contains(&signer.thumbprint), "a name is shown, the thumbprint identifies");
        assert!(html.contains("What this does not prove"));
    }
}
