//! The budget of one verification: how many signatures, steps and comparisons its path searches may cost.

/// Nothing of the budget is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSpent;

/// The cost that searches may have. One budget may serve several searches of one verification.
#[derive(Debug)]
pub struct Budget {
    signatures: usize,
    steps: usize,
    comparisons: usize,
    is_spent: bool,
}

impl Budget {
    /// Signature checks of one verification: a record, its timestamps and their revocation lists need some dozens.
    pub const SIGNATURES: usize = 200;
    /// Certificates put on a path. Honest searches take tens; ten cross-signed ones could take a million.
    pub const STEPS: usize = 5_000;
    /// Pairs of name and subtree, and each of them once for reading it. The largest honest chains have some hundreds of
    /// either; the number is the one that rustls-webpki settled on.
    pub const COMPARISONS: usize = 250_000;

    /// Spends one signature check.
    ///
    /// # Errors
    /// When none is left.
    pub fn spend_signature(&mut self) -> Result<(), BudgetSpent> {
        spend(&mut self.signatures, 1, &mut self.is_spent)
    }

    pub(super) fn spend_steps(&mut self, steps: usize) -> Result<(), BudgetSpent> {
        spend(&mut self.steps, steps, &mut self.is_spent)
    }

    pub(super) fn spend_comparisons(&mut self, comparisons: usize) -> Result<(), BudgetSpent> {
        spend(&mut self.comparisons, comparisons, &mut self.is_spent)
    }

    /// Whether something was asked for that was not left: what was found out since may not be all that there is.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Signature checks that were spent.
    #[must_use]
    pub fn signatures_spent(&self) -> usize {
        Self::SIGNATURES - self.signatures
    }

    /// Certificates that were put on a path or checked against the rules.
    #[must_use]
    pub fn steps_spent(&self) -> usize {
        Self::STEPS - self.steps
    }

    /// Names that were read, and checked against constraints.
    #[must_use]
    pub fn comparisons_spent(&self) -> usize {
        Self::COMPARISONS - self.comparisons
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { signatures: Self::SIGNATURES, steps: Self::STEPS, comparisons: Self::COMPARISONS, is_spent: false }
    }
}

fn spend(left: &mut usize, cost: usize, is_spent: &mut bool) -> Result<(), BudgetSpent> {
    *left = left.checked_sub(cost).ok_or_else(|| {
        *is_spent = true;
        BudgetSpent
    })?;
    Ok(())
}
