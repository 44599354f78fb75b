//! The options of how fast jobs read and write, and of what becomes of items that are there already.

use clap::Args;
use serde_json::{Value, json};

use super::parameters::Parameters;

/// How fast a job reads.
#[derive(Debug, Clone, Args)]
pub struct ReadUnits {
    /// Read units per second, over all workers [default: as many as go through]
    #[arg(long, value_name = "UNITS")]
    pub rcu: Option<f64>,
}

/// How fast a job writes.
#[derive(Debug, Clone, Args)]
pub struct WriteUnits {
    /// Write units per second, over all workers [default: as many as go through]
    #[arg(long, value_name = "UNITS")]
    pub wcu: Option<f64>,
}

/// How a job puts items into a table.
#[derive(Debug, Clone, Args)]
pub struct Puts {
    /// Items that are there already: skip, overwrite, fail, or if-newer=ATTRIBUTE
    #[arg(long, value_name = "POLICY", default_value = "overwrite", value_parser = on_conflict)]
    pub on_conflict: Value,
    /// How fast it writes.
    #[command(flatten)]
    pub writes: WriteUnits,
}

impl ReadUnits {
    /// Adds what was said of it.
    pub(crate) fn add(&self, parameters: Parameters) -> Parameters {
        parameters.with("readUnits", self.rcu)
    }
}

impl WriteUnits {
    /// Adds what was said of it.
    pub(crate) fn add(&self, parameters: Parameters) -> Parameters {
        parameters.with("writeUnits", self.wcu)
    }
}

impl Puts {
    /// Adds what was said of it.
    pub(crate) fn add(&self, parameters: Parameters) -> Parameters {
        self.writes.add(parameters.with("onConflict", self.on_conflict.clone()))
    }
}

/// What becomes of items that are there already, as the job's parameters have it.
fn on_conflict(text: &str) -> Result<Value, String> {
    match text.split_once('=') {
        None if matches!(text, "skip" | "overwrite" | "fail") => Ok(json!(text)),
        Some(("if-newer", attribute)) if !attribute.is_empty() => Ok(json!({ "ifNewer": attribute })),
        _ => Err("one of skip, overwrite, fail, if-newer=ATTRIBUTE".to_owned()),
    }
}
