//! The ids that our answers carry: `scenario.modelVersion.random`.
//!
//! Where an answer was shown and by which model can be read off its id when a purchase brings it back, so no answer
//! has to be stored.

use crate::{Random, RecommendationId};

/// The longest scenario, in bytes.
pub const MAX_SCENARIO_BYTES: usize = 32;

impl RecommendationId {
    /// An id for an answer shown in this scenario. `model_version` is `None` before the first training.
    #[must_use]
    pub fn of_answer(scenario: &str, model_version: Option<u64>, random: &Random) -> String {
        format!("{scenario}.{}.{:016x}{:016x}", model_version.unwrap_or(0), random.draw(), random.draw())
    }

    /// The scenario that the answer was shown in, if the id is one of ours.
    #[must_use]
    pub fn scenario(&self) -> Option<&str> {
        let mut parts = self.as_str().splitn(3, '.');
        let (scenario, version, random) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = version.parse::<u64>().is_ok()
            && random.len() == 32
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
            && (1..=MAX_SCENARIO_BYTES).contains(&scenario.len());
        ours.then_some(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_of_ours_names_a_scenario() {
        let of = |id: &str| RecommendationId::parse(id).unwrap().scenario().map(str::to_owned);
        assert_eq!(
            of(&RecommendationId::of_answer("home", Some(41), &Random::new(|| 7))).as_deref(),
            Some("home")
        );
        assert_eq!(of("home.41.3c9d6eeda3edef4878fcb72d06ceeded").as_deref(), Some("home"));
        for other in [
            "home",
            "home.41",
            "home.x.3c9d6eeda3edef4878fcb72d06ceeded",
            "a.1.xyz",
            ".1.3c9d6eeda3edef4878fcb72d06ceeded",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
