//! Parameters that all kinds of this crate share: how a job runs.

use nextbasket_job_engine::kind::{self, check_range};
use nextbasket_job_engine::{Aggregate, Assign, Rates, Refusal, StagePlan};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How a job runs. Part of each kind's parameters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RunSettings {
    pub segments: Option<u32>,
    /// How many batches are worked on at a time: 1 to 10,000.
    pub width: Option<u32>,
    pub assign: Option<Assign>,
    pub aggregate: Option<Aggregate>,
    /// Read units per second of all workers together.
    pub read_units: Option<f64>,
    /// Write units per second of all workers together.
    pub write_units: Option<f64>,
}

const FIELDS: [&str; 6] = ["segments", "width", "assign", "aggregate", "readUnits", "writeUnits"];

/// A kind's own parameters, and how the job runs.
///
/// # Errors
/// [`Refusal`] that names the field that is wrong.
pub(crate) fn parse<P: DeserializeOwned>(parameters: &Value) -> Result<(P, RunSettings), Refusal> {
    let Value::Object(all) = parameters else {
        return Err(Refusal::parameter(".", "must be an object"));
    };
    let (settings, own) = all.clone().into_iter().partition(|(name, _)| FIELDS.contains(&name.as_str()));
    let settings: RunSettings = kind::parameters(&Value::Object(settings))?;
    settings.check()?;
    Ok((kind::parameters(&Value::Object(own))?, settings))
}

impl RunSettings {
    /// The default maximum number of batches that are worked on at a time.
    pub(crate) const WIDTH: u32 = 8;

    pub(crate) fn width(&self) -> u32 {
        self.width.unwrap_or(Self::WIDTH)
    }

    /// Refuses what no job can run with.
    fn check(&self) -> Result<(), Refusal> {
        // More segments than DynamoDB knows.
        check_range("segments", self.segments, 1, 1_000_000)?;
        check_range("width", self.width, 1, 10_000)?;
        for (field, rate) in [("readUnits", self.read_units), ("writeUnits", self.write_units)] {
            if rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
                return Err(Refusal::parameter(field, "must be more than 0"));
            }
        }
        Ok(())
    }

    pub(crate) fn rates(&self) -> Rates {
        Rates { read: self.read_units, write: self.write_units }
    }

    pub(crate) fn apply(&self, plan: StagePlan) -> StagePlan {
        StagePlan {
            width: self.width(),
            assign: self.assign.unwrap_or(plan.assign),
            aggregate: self.aggregate.unwrap_or(plan.aggregate),
            rates: self.rates(),
            ..plan
        }
    }
}
