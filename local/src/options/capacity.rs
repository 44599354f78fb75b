//! How fast jobs read and write, and what they do with items that exist already.

use clap::Args;
use serde_json::{Value, json};

use super::Parameters;

/// How fast a job reads.
#[derive(Debug, Clone, Args)]
pub struct ReadRate {
    /// Read units per second, over all workers [default: unlimited]
    #[arg(long, value_name = "UNITS")]
    pub rcu: Option<f64>,
}

/// How fast a job writes.
#[derive(Debug, Clone, Args)]
pub struct WriteRate {
    /// Write units per second, over all workers [default: unlimited]
    #[arg(long, value_name = "UNITS")]
    pub wcu: Option<f64>,
}

/// How a job puts items into a table.
#[derive(Debug, Clone, Args)]
pub struct PutOptions {
    /// What to do with items that exist already: skip, overwrite, fail, or if-newer=ATTRIBUTE
    #[arg(long, value_name = "POLICY", default_value = "overwrite", value_parser = on_conflict)]
    pub on_conflict: Value,
    #[command(flatten)]
    pub writes: WriteRate,
}

impl ReadRate {
    pub(crate) fn add_to(&self, parameters: Parameters) -> Parameters {
        parameters.with("readUnits", self.rcu)
    }
}

impl WriteRate {
    pub(crate) fn add_to(&self, parameters: Parameters) -> Parameters {
        parameters.with("writeUnits", self.wcu)
    }
}

impl PutOptions {
    pub(crate) fn add_to(&self, parameters: Parameters) -> Parameters {
        self.writes.add_to(parameters.with("onConflict", self.on_conflict.clone()))
    }
}

/// The policy as the job's parameters have it.
fn on_conflict(text: &str) -> Result<Value, String> {
    match text.split_once('=') {
        None if matches!(text, "skip" | "overwrite" | "fail") => Ok(json!(text)),
        Some(("if-newer", attribute)) if !attribute.is_empty() => Ok(json!({ "ifNewer": attribute })),
        _ => Err("expected skip, overwrite, fail or if-newer=ATTRIBUTE".to_owned()),
    }
}
