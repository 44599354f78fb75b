//! Parameters that all kinds of this crate share: how a job runs.

use nextbasket_job_engine::kind::{self, check_range};
use nextbasket_job_engine::{Aggregate, Assign, Rates, Refusal, StagePlan};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How a job runs. Part of each kind's parameters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunSettings {
    /// Into how many segments a table is split; by default a number that fits its size.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_SEGMENTS)))]
    pub segments: Option<u32>,
    /// How many batches are worked on at a time; 8 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    pub width: Option<u32>,
    /// The order in which batches go out.
    pub assign: Option<Assign>,
    /// How the results of batches are put together.
    pub aggregate: Option<Aggregate>,
    /// Read units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "x-unit" = "units/s")))]
    pub read_units: Option<f64>,
    /// Write units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "x-unit" = "units/s")))]
    pub write_units: Option<f64>,
}

/// DynamoDB knows no more.
const MAX_SEGMENTS: u32 = 1_000_000;
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

/// The schema of a kind's own parameters together with those of how the job runs.
#[cfg(feature = "schema")]
pub(crate) fn schema_of<P: schemars::JsonSchema>() -> Value {
    use nextbasket_job_engine::schema::{joined, schema_of};
    joined(schema_of::<P>(), schema_of::<RunSettings>())
}

impl RunSettings {
    /// The default maximum number of batches that are worked on at a time.
    pub(crate) const WIDTH: u32 = 8;

    pub(crate) fn width(&self) -> u32 {
        self.width.unwrap_or(Self::WIDTH)
    }

    /// Refuses what no job can run with.
    fn check(&self) -> Result<(), Refusal> {
        check_range("segments", self.segments, 1, u64::from(MAX_SEGMENTS))?;
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
