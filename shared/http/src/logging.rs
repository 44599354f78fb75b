//! Logs: one JSON object a line on standard output, as Lambda's log agent reads them.

use std::env;

use nextbasket_tables::Damaged;
use tracing::Level;

/// Begins to log. The least level is `AWS_LAMBDA_LOG_LEVEL`'s, else `RUST_LOG`'s, else INFO.
pub fn init() {
    let named = |variable| env::var(variable).ok().and_then(|level| level.parse().ok());
    let level: Level = named("AWS_LAMBDA_LOG_LEVEL").or_else(|| named("RUST_LOG")).unwrap_or(Level::INFO);
    tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(level).init();
}

/// Logs items that were skipped because they are damaged, with users hashed.
pub fn skipped(damaged: &[Damaged]) {
    for item in damaged {
        tracing::warn!(
            table = item.table,
            item = item.logged(),
            problem = item.problem,
            "a damaged item was skipped"
        );
    }
}
