//! How much of a table is read to estimate the rest.

use std::fmt;

use nextbasket_job_engine::Refusal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MOST_BATCHES;

/// The fewest segments that say something about the others.
pub const MIN_SAMPLED: u32 = 10;

/// A part of the table, such as `10%`, or a number of its segments.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(from = "String", into = "String", example = "10%")
)]
pub enum Sample {
    /// So many of a hundred.
    Percent(f64),
    /// So many.
    Segments(u32),
}

impl Sample {
    /// Rejects what is no sample.
    ///
    /// # Errors
    /// [`Refusal`] of the parameter.
    pub fn check(&self) -> Result<(), Refusal> {
        let problem = match self {
            Self::Percent(percent) if !(*percent > 0.0 && *percent < 100.0) => {
                "must be more than 0% and less than 100%".to_owned()
            }
            Self::Segments(segments) if !(MIN_SAMPLED..=MOST_BATCHES).contains(segments) => {
                format!(
                    "must be from {MIN_SAMPLED} to {MOST_BATCHES} segments, or a part of the table, such as 10%"
                )
            }
            _ => return Ok(()),
        };
        Err(Refusal::parameter("sample", problem))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Segments(segments) => write!(f, "{segments}"),
        }
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Segments(u32),
            Text(String),
        }
        let problem =
            || serde::de::Error::custom("must be a part of the table, such as 10%, or a number of segments");
        match Written::deserialize(deserializer).map_err(|_| problem())? {
            Written::Segments(segments) => Ok(Self::Segments(segments)),
            Written::Text(text) => match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse().map(Self::Percent).map_err(|_| problem()),
                None => text.parse().map(Self::Segments).map_err(|_| problem()),
            },
        }
    }
}

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_sample_is_a_part_or_a_number_of_segments() {
        let read = |value: Value| {
            let sample: Result<Sample, _> = serde_json::from_value(value);
            sample
                .map_err(|error| error.to_string())
                .and_then(|sample| sample.check().map(|()| sample).map_err(|refusal| refusal.to_string()))
        };
        assert_eq!(read(json!("10%")), Ok(Sample::Percent(10.0)));
        assert_eq!(read(json!("0.5 %")), Ok(Sample::Percent(0.5)));
        assert_eq!(read(json!(40)), Ok(Sample::Segments(40)));
        assert_eq!(read(json!("40")), Ok(Sample::Segments(40)));
        for (wrong, problem) in [
            (json!("ten"), "must be a part of the table, such as 10%, or a number of segments"),
            (json!("0%"), "parameters.sample: must be more than 0% and less than 100%"),
            (json!("100%"), "parameters.sample: must be more than 0% and less than 100%"),
            (json!("NaN%"), "parameters.sample: must be more than 0% and less than 100%"),
            (
                json!(5),
                "parameters.sample: must be from 10 to 10000 segments, or a part of the table, such as 10%",
            ),
        ] {
            assert_eq!(read(wrong), Err(problem.to_owned()));
        }
    }
}
