//! The window of an anchor: which anchor a path leads to that the trust policy trusts at another time.

use chrono::{DateTime, Utc};

use crate::clock::format_time;
use crate::pki::{PathOutcome, TrustAnchors};

/// The anchor to which the path would lead if it were trusted at the time, in words; `None` where there is no path.
pub(crate) fn outside_window(outcome: &PathOutcome, anchors: &TrustAnchors) -> Option<String> {
    let path = outcome.path()?;
    let of_certificate =
        anchors.entries().iter().filter(|one| one.certificate.thumbprint() == path.anchor().thumbprint());
    let end = |time: Option<DateTime<Utc>>| time.map_or_else(|| "ever".to_owned(), format_time);
    let windows = of_certificate.clone().map(|one| format!("from {} to {}", end(one.not_before), end(one.not_after)));
    let windows = windows.collect::<Vec<_>>().join(" and ");
    let anchor = of_certificate.clone().next()?;
    let name = if anchor.name.is_empty() { path.anchor().subject().to_string() } else { anchor.name.clone() };
    Some(format!("the trust policy trusts {name} {windows}, and it is not of that time"))
}
