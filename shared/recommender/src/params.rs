//! The knobs of the score, with their defaults and ranges.

use serde::{Deserialize, Serialize};

/// How the model is counted and how its parts are weighed.
///
/// `score(u,i) = f_i · d(u,i) · P(u,i) + nextWeight · N(u,i) + popularityWeight · pop_i`; every field says
/// which part it shapes. Values outside the named range are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Params {
    /// P: what one basket further back still counts. (0, 1]
    #[cfg_attr(feature = "schema", schemars(range(max = 1), extend("exclusiveMinimum" = 0)))]
    pub personal_decay: f64,
    /// N: what one basket further back still counts. (0, 1]
    #[cfg_attr(feature = "schema", schemars(range(max = 1), extend("exclusiveMinimum" = 0)))]
    pub next_decay: f64,
    /// N: a basket's products share its weight, divided by size to this power. [0, 2]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 2)))]
    pub basket_size_power: f64,
    /// S: how many baskets apart a pair may be. 1 to 50
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 50)))]
    pub max_gap: u8,
    /// S: what one basket more between the two still counts. (0, 1]
    #[cfg_attr(feature = "schema", schemars(range(max = 1), extend("exclusiveMinimum" = 0)))]
    pub gap_decay: f64,
    /// S: days after which a pair counts half. (0, 1e12]
    #[cfg_attr(feature = "schema", schemars(range(max = 1e12), extend("exclusiveMinimum" = 0, "x-unit" = "days")))]
    pub transition_half_life_days: f64,
    /// f: power of the relative repeat rate. [0, 4]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 4)))]
    pub repurchase_power: f64,
    /// f: power of the recent popularity; 0 turns it off. [0, 4]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 4)))]
    pub trend_power: f64,
    /// f: half-life of that recent popularity in days. (0, 1e12]
    #[cfg_attr(feature = "schema", schemars(range(max = 1e12), extend("exclusiveMinimum" = 0, "x-unit" = "days")))]
    pub trend_half_life_days: f64,
    /// pop: half-life in days. (0, 1e12]
    #[cfg_attr(feature = "schema", schemars(range(max = 1e12), extend("exclusiveMinimum" = 0, "x-unit" = "days")))]
    pub popularity_half_life_days: f64,
    /// a: weight of N. [0, 1000]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub next_weight: f64,
    /// g: weight of pop. [0, 1000]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub popularity_weight: f64,
    /// Weight of what is bought together with the products of a cart, until a training has learned one; 0 turns it off.
    /// [0, 1000]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub together_weight: f64,
    /// d: factor for a product whose usual gap has hardly begun; 1 turns it off. [0, 1]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub too_soon_factor: f64,
    /// d: a product bought c times counts c/(c + this). [0, 1000]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1000)))]
    pub count_shrinkage: f64,
    /// Neighbours kept per product of the next-basket model. 1 to 1000
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub next_neighbours: u16,
    /// Neighbours kept per product of the same-basket model. 1 to 1000
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub together_neighbours: u16,
    /// Neighbours kept per product of the same-shopper model. 1 to 1000
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub similar_neighbours: u16,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            personal_decay: 0.95,
            next_decay: 0.7,
            basket_size_power: 0.5,
            max_gap: 10,
            gap_decay: 0.85,
            transition_half_life_days: 45.0,
            repurchase_power: 0.25,
            trend_power: 0.0,
            trend_half_life_days: 7.0,
            popularity_half_life_days: 7.0,
            next_weight: 1.0,
            popularity_weight: 0.5,
            together_weight: 4.0,
            too_soon_factor: 1.0,
            count_shrinkage: 0.0,
            next_neighbours: 50,
            together_neighbours: 50,
            similar_neighbours: 50,
        }
    }
}

/// A parameter outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("invalid {name} {value}: must be {range}")]
pub struct ParamsError {
    /// The field as it is spelled in JSON.
    pub name: &'static str,
    /// What it was.
    pub value: f64,
    /// What is allowed.
    pub range: &'static str,
}

/// The test of a parameter, and its range in words.
type Allowed = (fn(f64) -> bool, &'static str);

const SHARE: Allowed = (|v| v > 0.0 && v <= 1.0, "over 0 and at most 1");
const DAYS: Allowed = (|v| v > 0.0 && v <= 1e12, "over 0 and at most 1e12");
const POWER: Allowed = (|v| (0.0..=4.0).contains(&v), "0 to 4");
const WEIGHT: Allowed = (|v| (0.0..=1000.0).contains(&v), "0 to 1000");
const NEIGHBOURS: Allowed = (|v| (1.0..=1000.0).contains(&v), "1 to 1000");

impl Params {
    /// Checks every range; NaN is outside all of them.
    pub fn validate(&self) -> Result<(), ParamsError> {
        let checks: [(&'static str, f64, Allowed); 18] = [
            ("personalDecay", self.personal_decay, SHARE),
            ("nextDecay", self.next_decay, SHARE),
            ("basketSizePower", self.basket_size_power, (|v| (0.0..=2.0).contains(&v), "0 to 2")),
            ("maxGap", f64::from(self.max_gap), (|v| (1.0..=50.0).contains(&v), "1 to 50")),
            ("gapDecay", self.gap_decay, SHARE),
            ("transitionHalfLifeDays", self.transition_half_life_days, DAYS),
            ("repurchasePower", self.repurchase_power, POWER),
            ("trendPower", self.trend_power, POWER),
            ("trendHalfLifeDays", self.trend_half_life_days, DAYS),
            ("popularityHalfLifeDays", self.popularity_half_life_days, DAYS),
            ("nextWeight", self.next_weight, WEIGHT),
            ("popularityWeight", self.popularity_weight, WEIGHT),
            ("togetherWeight", self.together_weight, WEIGHT),
            ("tooSoonFactor", self.too_soon_factor, (|v| (0.0..=1.0).contains(&v), "0 to 1")),
            ("countShrinkage", self.count_shrinkage, WEIGHT),
            ("nextNeighbours", f64::from(self.next_neighbours), NEIGHBOURS),
            ("togetherNeighbours", f64::from(self.together_neighbours), NEIGHBOURS),
            ("similarNeighbours", f64::from(self.similar_neighbours), NEIGHBOURS),
        ];
        match checks.into_iter().find(|(_, value, (fits, _))| !fits(*value)) {
            Some((name, value, (_, range))) => Err(ParamsError { name, value, range }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_json() {
        let params = Params::default();
        assert_eq!(params.validate(), Ok(()));
        let text = serde_json::to_string(&params).unwrap();
        assert!(text.contains("\"transitionHalfLifeDays\":45.0"), "{text}");
        assert_eq!(serde_json::from_str::<Params>(&text).unwrap(), params);
    }

    #[test]
    fn missing_fields_take_defaults_and_unknown_ones_are_refused() {
        assert_eq!(serde_json::from_str::<Params>("{\"maxGap\":3}").unwrap().max_gap, 3);
        assert!(serde_json::from_str::<Params>("{\"maxgap\":3}").is_err());
    }

    #[test]
    fn a_value_outside_its_range_is_named() {
        let error = Params { gap_decay: 1.5, ..Params::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "invalid gapDecay 1.5: must be over 0 and at most 1");
        assert!(Params { next_weight: f64::NAN, ..Params::default() }.validate().is_err());
        assert!(Params { max_gap: 0, ..Params::default() }.validate().is_err());
        assert!(Params { similar_neighbours: 0, ..Params::default() }.validate().is_err());
    }
}
