//! `VERIFY.txt`: how to verify a bundle with openssl and `affiant`.

use std::fmt::Write as _;

use crate::clock::format_time;
use crate::evidence::format::Bundle;
use crate::evidence::report::ValidationReport;
use crate::pki::tsp::TimestampToken;

/// Commands that check the bundle with openssl and with `affiant`, at the times that matter.
#[must_use]
pub fn instructions(bundle: &Bundle, report: &ValidationReport) -> String {
    let mut text = String::from(
        "How to verify this bundle.\n\n\
         Nothing in it has to be believed: decide first whom you trust. anchors.pem holds the root that the issuer\n\
         offers; compare its thumbprint with one that you got another way. TSA.pem below is the root of the timestamp\n\
         authority, which you get from the authority.\n\n\
         Everything, with affiant:\n\n    affiant verify . --trust anchors.pem --trust-time TSA.pem --log-policy ledger.tlog-policy\n",
    );
    let evidence = &bundle.evidence;
    let (stem, first) = match evidence.checkpoint_tokens.first() {
        Some(token) => ("checkpoint", Some(token)),
        None => ("second", evidence.second_tokens.first()),
    };
    let at = first.and_then(|token| TimestampToken::parse(token).ok());
    let time = at.as_ref().map_or(report.verified_at, |token| token.info().gen_time).timestamp();
    if let Some(token) = &at {
        // openssl reads the response that a token came in, and has to be told of a token alone.
        let bare = if first.is_some_and(|bytes| bytes == token.der()) { " -token_in" } else { "" };
        let _ = write!(
            text,
            "\nThe time (the checkpoint existed by {}), with openssl:\n\n    \
             openssl ts -verify -data {stem}.txt -in {stem}.tsr{bare} -CAfile TSA.pem -attime {time}\n",
            format_time(token.info().gen_time),
        );
    }
    let lists: String = (0..bundle.crls.len()).fold(String::new(), |mut lists, position| {
        let _ = write!(lists, " -CRLfile crls/{position}.crl.pem");
        lists
    });
    // openssl knows one time for everything: what has ended since is looked at without it.
    let ended = report.signatures.iter().filter_map(|signature| signature.signer.as_ref());
    let when = match ended.map(|signer| signer.not_after).min() {
        Some(ended) if ended < report.verified_at => "-no_check_time".to_owned(),
        _ => format!("-attime {}", report.verified_at.timestamp()),
    };
    let _ = write!(
        text,
        "\nThe signing certificate (the first in certificates.pem), with openssl:\n\n    \
         openssl verify -crl_check_all -x509_strict -CAfile anchors.pem -untrusted certificates.pem{lists} \
         {when} certificates.pem\n",
    );
    if bundle.jades.is_some() {
        text.push_str(
            "\nrecord.jades.json is the same record as a JAdES signature (ETSI TS 119 182-1), for tools that read those.\n",
        );
    }
    if !bundle.inner_layers.is_empty() {
        text.push_str(
            "\nThe record was signed again: its payload is the record as it was before. earlier/01 holds the evidence of\n\
             that, in files of the same names, and earlier/02 that of what it holds in turn.\n",
        );
    }
    text.push_str(
        "\nA signature proves what was signed and by whom, a timestamp that it existed by then, the ledger that it was\n\
         not taken out. None of it proves that a call was lawful or that consent was given.\n",
    );
    text
}
