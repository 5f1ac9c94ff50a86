//! Certificate policies (RFC 5280 §6.1.2 to §6.1.5), with any policy acceptable to who asks.
//!
//! The RFC's tree may grow with the power of a path's length (CVE-2023-0464). Whether it is empty in the end follows from
//! less: the policies that its lowest level expects. Each level is a set, no larger than the one above and what its own
//! certificate names together, and is paid for from the budget.

use std::collections::BTreeSet;
use std::sync::Arc;

use const_oid::ObjectIdentifier;

use super::budget::Budget;
use super::certificate::Certificate;

const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// Why the policies of a path are not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificatePolicyError {
    /// A policy is required, and none holds for the whole path (RFC 5280 §6.1.3 (f), §6.1.5).
    #[error("a certificate policy is required, and none holds for the whole path")]
    NoneHolds,
    /// anyPolicy is mapped, or mapped to (RFC 5280 §6.1.4 (a)).
    #[error("a policy mapping names anyPolicy")]
    MapsAnyPolicy,
    /// The policies are too many.
    #[error("too many certificate policies")]
    TooMany,
}

/// A level of the tree: the policies that the next certificate may have.
#[derive(Debug, Default)]
struct PolicyLevel {
    expected: BTreeSet<ObjectIdentifier>,
    /// Whether it has the node of anyPolicy, under which every policy may stand.
    any: bool,
}

impl PolicyLevel {
    fn is_empty(&self) -> bool {
        self.expected.is_empty() && !self.any
    }

    /// The level below it, by a certificate's policies (§6.1.3 (d) and (e)).
    fn below(&self, certificate: &Certificate, any_allowed: bool) -> Self {
        let policies = certificate.policies();
        let takes_any = any_allowed && policies.contains(&ANY_POLICY);
        let mut expected: BTreeSet<_> = policies
            .iter()
            .copied()
            .filter(|policy| *policy != ANY_POLICY && (self.any || self.expected.contains(policy)))
            .collect();
        if takes_any {
            expected.extend(&self.expected);
        }
        Self { expected, any: self.any && takes_any }
    }

    /// Takes the mappings of the certificate that it stands at (§6.1.4 (b)).
    fn map(&mut self, mappings: &[(ObjectIdentifier, ObjectIdentifier)], mapping_allowed: bool) {
        let mapped: BTreeSet<_> = mappings.iter().map(|(from, _)| *from).collect();
        let held: BTreeSet<_> = mapped.into_iter().filter(|policy| self.expected.remove(policy) || self.any).collect();
        if mapping_allowed {
            self.expected.extend(mappings.iter().filter(|(from, _)| held.contains(from)).map(|(_, to)| *to));
        }
    }
}

/// The counters of §6.1.2 (d) to (f): how many certificates may still go without.
struct Counters {
    explicit_policy: usize,
    policy_mapping: usize,
    any_policy: usize,
}

/// Checks the policies of a path, leaf first, whose last certificate is the anchor and takes no part.
///
/// # Errors
/// Gives the depth of the certificate at which they are not acceptable.
pub(super) fn check_policies(
    certificates: &[Arc<Certificate>],
    budget: &mut Budget,
) -> Result<(), (usize, CertificatePolicyError)> {
    let below_anchor = certificates.len() - 1;
    let mut level = PolicyLevel { expected: BTreeSet::new(), any: true };
    let most = below_anchor + 1;
    let mut counters = Counters { explicit_policy: most, policy_mapping: most, any_policy: most };
    for depth in (0..below_anchor).rev() {
        let certificate = &certificates[depth];
        let extensions = certificate.extensions();
        let cost = level.expected.len() + certificate.policies().len() + extensions.policy_mappings.len();
        budget.spend_comparisons(cost).map_err(|_| (depth, CertificatePolicyError::TooMany))?;
        let passes_on = depth > 0 && certificate.is_self_issued();
        level = level.below(certificate, counters.any_policy > 0 || passes_on);
        let is_last = depth == 0;
        if is_last {
            counters.finish(certificate);
        }
        if counters.explicit_policy == 0 && level.is_empty() {
            return Err((depth, CertificatePolicyError::NoneHolds));
        }
        if !is_last {
            if extensions.policy_mappings.iter().any(|(from, to)| [*from, *to].contains(&ANY_POLICY)) {
                return Err((depth, CertificatePolicyError::MapsAnyPolicy));
            }
            level.map(&extensions.policy_mappings, counters.policy_mapping > 0);
            counters.descend(certificate);
        }
    }
    Ok(())
}

impl Counters {
    /// §6.1.4 (h) to (j).
    fn descend(&mut self, certificate: &Certificate) {
        if !certificate.is_self_issued() {
            for counter in [&mut self.explicit_policy, &mut self.policy_mapping, &mut self.any_policy] {
                *counter = counter.saturating_sub(1);
            }
        }
        let extensions = certificate.extensions();
        let lower = |counter: &mut usize, skipped: Option<u32>| {
            let skipped = skipped.map(|skipped| usize::try_from(skipped).unwrap_or(usize::MAX));
            *counter = skipped.unwrap_or(usize::MAX).min(*counter);
        };
        let constraints = extensions.policy_constraints.as_ref().map(|marked| marked.value).unwrap_or_default();
        lower(&mut self.explicit_policy, constraints.require_explicit_policy);
        lower(&mut self.policy_mapping, constraints.inhibit_policy_mapping);
        lower(&mut self.any_policy, extensions.inhibit_any_policy.as_ref().map(|marked| marked.value));
    }

    /// §6.1.5 (a) and (b).
    fn finish(&mut self, leaf: &Certificate) {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        let constraints = leaf.extensions().policy_constraints.as_ref();
        if constraints.is_some_and(|marked| marked.value.require_explicit_policy == Some(0)) {
            self.explicit_policy = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(n: u32) -> ObjectIdentifier {
        ObjectIdentifier::from_arcs([1, 3, 6, 1, n]).unwrap()
    }

    fn level(policies: &[u32], any: bool) -> PolicyLevel {
        PolicyLevel { expected: policies.iter().map(|n| policy(*n)).collect(), any }
    }

    #[test]
    fn a_mapped_policy_is_expected_under_its_new_names_alone() {
        let mappings = [(policy(1), policy(7)), (policy(1), policy(8)), (policy(3), policy(9))];
        let mut held = level(&[1, 2], false);
        held.map(&mappings, true);
        assert_eq!(held.expected, level(&[2, 7, 8], false).expected);
        // Below anyPolicy every policy is held, and so is every mapping.
        let mut any = level(&[1], true);
        any.map(&mappings, true);
        assert_eq!(any.expected, level(&[7, 8, 9], true).expected);
        // Where mapping is inhibited, what is mapped holds no more.
        let mut inhibited = level(&[1, 2], false);
        inhibited.map(&mappings, false);
        assert_eq!(inhibited.expected, level(&[2], false).expected);
    }

    proptest::proptest! {
        #[test]
        fn a_level_grows_by_what_is_named_and_no_more(
            held in proptest::collection::btree_set(0..40_u32, 0..40),
            mappings in proptest::collection::vec((0..40_u32, 0..40_u32), 0..40),
            any in proptest::bool::ANY,
        ) {
            let held: Vec<u32> = held.into_iter().collect();
            let mut level = level(&held, any);
            let mappings: Vec<_> = mappings.into_iter().map(|(from, to)| (policy(from), policy(to))).collect();
            level.map(&mappings, true);
            proptest::prop_assert!(level.expected.len() <= held.len() + mappings.len());
        }
    }
}
