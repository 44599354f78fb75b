//! What schedules have found in the product and what is not mended yet: counted, and no failure.

use std::collections::BTreeMap;

use crate::{Scenario, Violation};

/// A fault of the product's.
#[derive(Debug)]
pub struct Finding {
    /// Where it shows; none for all scenarios.
    pub scenario: Option<Scenario>,
    /// A part of what the violation says.
    pub says: &'static str,
    /// The fault without which it does not come, if there is one.
    pub after: Option<&'static str>,
    /// Why it comes.
    pub reason: &'static str,
}

/// All that are known. Whoever mends one removes it here: the schedules then ask for it.
pub const KNOWN: [Finding; 1] = [Finding {
    scenario: Some(Scenario::Erasure),
    says: "the history of erased-",
    after: Some("late"),
    reason: "a first history is put if there is none; such a put that arrives after the user's erasure holds again",
}];

/// The finding that this violation is.
#[must_use]
pub fn known(
    scenario: Scenario,
    violation: &Violation,
    faults: &BTreeMap<&'static str, u64>,
) -> Option<&'static Finding> {
    KNOWN.iter().find(|finding| {
        finding.scenario.is_none_or(|known| known == scenario)
            && violation.0.contains(finding.says)
            && finding.after.is_none_or(|fault| faults.contains_key(fault))
    })
}
