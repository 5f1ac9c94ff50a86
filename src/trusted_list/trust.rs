//! From the services of a list to anchors of a trust policy.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::list::{ListedService, ServiceStatus, TrustedList};
use crate::pki::{Certificate, TrustAnchor};

/// What types of service begin with (TS 119 612 §5.5.1).
const TYPES: &str = "http://uri.etsi.org/TrstSvc/Svctype/";
/// What statuses begin with, and the statuses in which a service may be relied upon (§5.5.4; those of before 2016 in annex J
/// of older versions).
const STATUSES: [&str; 2] = [
    "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/",
    "http://uri.etsi.org/TrstSvc/eSigDir-1999-93-EC-TrustedList/Svcstatus/",
];
const GOOD: [&str; 6] = [
    "granted",
    "recognisedatnationallevel",
    "undersupervision",
    "supervisionincessation",
    "accredited",
    "setbynationallaw",
];
/// What certificates of an authority are for (§5.5.9.4).
const PURPOSES: &str = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/";

/// A type of service whose certificates can be anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// `CA/QC`: an authority that issues qualified certificates.
    QualifiedCertificates,
    /// `CA/PKC`: an authority that issues other certificates.
    Certificates,
    /// `TSA/QTST`: an authority of qualified timestamps.
    QualifiedTimestamps,
    /// `TSA`: an authority of other timestamps.
    Timestamps,
    /// `TSA/TSS-QC`: an authority of timestamps that serves an issuer of qualified certificates.
    TimestampsForCertificates,
    /// `TSA/TSS-AdESQCandQES`: an authority of timestamps that serves signatures.
    TimestampsForSignatures,
}

/// A word that names no type of service.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not one of {words}", words = ServiceType::words())]
pub struct UnknownServiceType(String);

impl ServiceType {
    const ALL: [(Self, &'static str); 6] = [
        (Self::QualifiedCertificates, "CA/QC"),
        (Self::Certificates, "CA/PKC"),
        (Self::QualifiedTimestamps, "TSA/QTST"),
        (Self::Timestamps, "TSA"),
        (Self::TimestampsForCertificates, "TSA/TSS-QC"),
        (Self::TimestampsForSignatures, "TSA/TSS-AdESQCandQES"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(one, _)| *one == self).map_or("", |(_, word)| word)
    }

    fn words() -> String {
        Self::ALL.map(|(_, word)| word).join(", ")
    }

    fn is_timestamps(self) -> bool {
        self.word().starts_with("TSA")
    }
}

impl FromStr for ServiceType {
    type Err = UnknownServiceType;

    fn from_str(word: &str) -> Result<Self, UnknownServiceType> {
        let found = Self::ALL.iter().find(|(_, one)| *one == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| UnknownServiceType(word.to_owned()))
    }
}

/// The anchors that a list gives, and what it has beside them.
#[derive(Debug, Default)]
pub struct ImportedAnchors {
    /// Anchors of signers.
    pub anchors: Vec<TrustAnchor>,
    /// Anchors of timestamp authorities.
    pub timestamp_anchors: Vec<TrustAnchor>,
    /// Services without a certificate that can be read, by name.
    pub without_certificate: Vec<String>,
}

impl TrustedList {
    /// The anchors that services of these `types` give: each certificate from when a service was good until it was not, as
    /// often as that was so.
    #[must_use]
    pub fn anchors(&self, types: &[ServiceType]) -> ImportedAnchors {
        let mut imported = ImportedAnchors::default();
        for timestamps in [false, true] {
            let types: Vec<_> = types.iter().copied().filter(|kind| kind.is_timestamps() == timestamps).collect();
            let mut found = Certificates::default();
            for service in &self.services {
                found.add(service, &types, &mut imported.without_certificate);
            }
            let anchors = found.into_anchors();
            if timestamps {
                imported.timestamp_anchors = anchors;
            } else {
                imported.anchors = anchors;
            }
        }
        imported
    }
}

/// A time in which a service was good, without its end; `None` where it still is.
type Period = (DateTime<Utc>, Option<DateTime<Utc>>);

/// Certificates of services, in the order of the list: one may be of several.
#[derive(Default)]
struct Certificates {
    order: Vec<(String, Arc<Certificate>)>,
    periods: BTreeMap<[u8; 32], Vec<Period>>,
}

impl Certificates {
    fn add(&mut self, service: &ListedService, types: &[ServiceType], without_certificate: &mut Vec<String>) {
        let periods = good_periods(&service.statuses, types);
        if periods.is_empty() {
            return;
        }
        let name = format!("{}: {}", service.provider, service.name);
        if service.certificates.is_empty() {
            without_certificate.push(name);
            return;
        }
        for certificate in &service.certificates {
            let known = self.periods.entry(*certificate.thumbprint()).or_default();
            if known.is_empty() {
                self.order.push((name.clone(), certificate.clone()));
            }
            known.extend(&periods);
        }
    }

    /// An anchor for each certificate and each time in which one of its services was good.
    fn into_anchors(self) -> Vec<TrustAnchor> {
        let Self { order, mut periods } = self;
        let anchors = order.into_iter().flat_map(|(name, certificate)| {
            let periods = merged(periods.remove(certificate.thumbprint()).unwrap_or_default());
            periods.into_iter().map(move |(from, until)| TrustAnchor {
                certificate: certificate.clone(),
                name: name.clone(),
                not_before: Some(from),
                // The second in which a service stopped being good is not one of its good ones.
                not_after: until.map(|until| until - TimeDelta::seconds(1)),
            })
        });
        anchors.filter(|one| one.not_after.is_none_or(|until| one.not_before <= Some(until))).collect()
    }
}

/// The periods in which a service was good, oldest first.
fn good_periods(statuses: &[ServiceStatus], types: &[ServiceType]) -> Vec<Period> {
    let mut periods = Vec::new();
    let mut until = None;
    for status in statuses {
        if is_good(status, types) && until != Some(status.since) {
            periods.push((status.since, until));
        }
        until = Some(status.since);
    }
    merged(periods)
}

/// Periods that touch or overlap as one, oldest first.
fn merged(mut periods: Vec<Period>) -> Vec<Period> {
    periods.sort_by_key(|(from, _)| *from);
    let mut merged: Vec<Period> = Vec::new();
    for (from, until) in periods {
        match merged.last_mut() {
            Some((_, end)) if end.is_none_or(|end| from <= end) => {
                *end = end.zip(until).map(|(end, until)| end.max(until))
            }
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// Whether a service of one of `types` may be relied upon while it has this status, for signatures or seals.
fn is_good(status: &ServiceStatus, types: &[ServiceType]) -> bool {
    let kind = status.kind.strip_prefix(TYPES).unwrap_or_default().trim_end_matches('/');
    let is_wanted = types.iter().any(|one| one.word() == kind);
    let word = STATUSES.iter().find_map(|prefix| status.status.strip_prefix(prefix)).unwrap_or_default();
    let mut purposes = status.additional.iter().filter_map(|uri| uri.strip_prefix(PURPOSES));
    let signs = |purpose: &str| matches!(purpose, "ForeSignatures" | "ForeSeals");
    let only_others = purposes.clone().any(|one| one == "ForWebSiteAuthentication") && !purposes.any(signs);
    is_wanted && GOOD.contains(&word.trim_end_matches('/')) && !only_others
}
