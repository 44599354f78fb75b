//! What every function reports about itself, on standard output, where Lambda's log agent reads it.
//!
//! * [`logging`]: logs as JSON lines
//! * [`metrics`]: CloudWatch's embedded metric format

pub mod logging;
pub mod metrics;

pub use metrics::{Metrics, Unit};
