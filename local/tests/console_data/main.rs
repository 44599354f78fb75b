//! The console's routes for tables, jobs, dumps, locks and imports, over HTTP against a running `serve`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

#[path = "../command/mod.rs"]
mod command;
mod imports;
mod operations;
mod pages;
mod site;
mod writes;
