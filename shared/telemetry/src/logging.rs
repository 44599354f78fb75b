//! Logs: one JSON object a line on standard output, as Lambda's log agent reads them.

use std::env;

use tracing::Level;

/// Starts logging, at the level of `AWS_LAMBDA_LOG_LEVEL`, else of `RUST_LOG`, else at INFO.
pub fn init() {
    let named = |variable| env::var(variable).ok().and_then(|level| level.parse().ok());
    let level: Level = named("AWS_LAMBDA_LOG_LEVEL").or_else(|| named("RUST_LOG")).unwrap_or(Level::INFO);
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(level).init();
}
