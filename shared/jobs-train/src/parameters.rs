//! The parameters of the kind `train`.

use nextbasket_job_engine::{Aggregate, Assign, Rates, Refusal};
use nextbasket_recommender::{Params, ParamsError};
use serde::{Deserialize, Serialize};

/// Trains a model on the purchases, and makes it live if it is good enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrainParameters {
    /// How the model is counted and scored.
    pub params: Params,
    /// Into how many segments the purchases are split to be read and counted; by default a number that fits the table's
    /// size. The model does not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_PARTS)))]
    pub segments: Option<u32>,
    /// Into how many blocks the products are split to be ranked; by default a number that fits the number of pairs. The
    /// model does not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_PARTS), extend("x-group" = "run")))]
    pub product_blocks: Option<u32>,
    /// Whether the model is evaluated on held-out baskets. If not, no gate holds it back.
    pub evaluate: bool,
    /// Whether a ranker is learned from the hidden baskets, and orders the products if it is better than the hand formula.
    pub ranker: bool,
    /// The approximate maximum number of users whose newest baskets are hidden, to learn from and to evaluate the
    /// model on: each is chosen by a hash of their id.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_evaluated_users: u32,
    /// The fraction by which a model's nDCG@10 may be below the live one's and still be published; beyond it, it is
    /// refused if the difference is no chance.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub gate: f64,
    /// How many batches are worked on at a time.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    pub width: u32,
    /// The order in which a job's batches go out.
    pub assign: Assign,
    /// How the evaluations of a job's batches are merged. The report does not depend on it.
    pub aggregate: Aggregate,
    /// Read units per second of all workers of a job together; unlimited by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "x-unit" = "units/s")))]
    pub read_units: Option<f64>,
    /// Write units per second of all workers of a job together; unlimited by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "x-unit" = "units/s")))]
    pub write_units: Option<f64>,
}

/// The maximum number of segments, and of blocks of products.
pub const MAX_PARTS: u32 = 1_000;

impl Default for TrainParameters {
    fn default() -> Self {
        Self {
            params: Params::default(),
            segments: None,
            product_blocks: None,
            evaluate: true,
            ranker: true,
            max_evaluated_users: 8_000,
            gate: 0.05,
            width: 8,
            assign: Assign::default(),
            aggregate: Aggregate::default(),
            read_units: None,
            write_units: None,
        }
    }
}

impl TrainParameters {
    /// Checks every range.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), Refusal> {
        let wrong =
            |error: ParamsError| Refusal::parameter(&format!("params.{}", error.name), error.to_string());
        self.params.validate().map_err(wrong)?;
        let parts = |parts: Option<u32>| parts.is_none_or(|parts| (1..=MAX_PARTS).contains(&parts));
        let rate = |rate: Option<f64>| rate.is_none_or(|rate| rate > 0.0 && rate.is_finite());
        let checks = [
            ("segments", parts(self.segments), "1 to 1000"),
            ("productBlocks", parts(self.product_blocks), "1 to 1000"),
            ("maxEvaluatedUsers", self.max_evaluated_users > 0, "1 or more"),
            ("gate", (0.0..=1.0).contains(&self.gate), "0 to 1"),
            ("width", (1..=10_000).contains(&self.width), "1 to 10000"),
            ("readUnits", rate(self.read_units), "more than 0"),
            ("writeUnits", rate(self.write_units), "more than 0"),
        ];
        match checks.into_iter().find(|(_, fits, _)| !fits) {
            Some((name, _, range)) => Err(Refusal::parameter(name, format!("must be {range}"))),
            None => Ok(()),
        }
    }

    pub fn rates(&self) -> Rates {
        Rates { read: self.read_units, write: self.write_units }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_unknown_fields_are_refused() {
        let parameters: TrainParameters =
            serde_json::from_str(r#"{"gate": 0.1, "params": {"maxGap": 3}}"#).unwrap();
        assert_eq!(parameters.params.max_gap, 3);
        assert_eq!(
            TrainParameters { gate: 0.05, params: Params::default(), ..parameters },
            TrainParameters::default()
        );
        assert!(serde_json::from_str::<TrainParameters>(r#"{"gates": 0.1}"#).is_err());
    }

    #[test]
    fn a_setting_out_of_its_range_is_named() {
        let error = |parameters: TrainParameters| parameters.validate().unwrap_err();
        let wrong = error(TrainParameters { gate: f64::NAN, ..TrainParameters::default() });
        assert_eq!(wrong, Refusal::parameter("gate", "must be 0 to 1"));
        assert_eq!(
            error(TrainParameters { segments: Some(0), ..TrainParameters::default() }).field,
            "parameters.segments"
        );
        let params = Params { max_gap: 0, ..Params::default() };
        assert_eq!(
            error(TrainParameters { params, ..TrainParameters::default() }).field,
            "parameters.params.maxGap"
        );
        assert_eq!(TrainParameters::default().validate(), Ok(()));
    }
}
