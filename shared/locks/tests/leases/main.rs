//! Leases on a real endpoint: what they promise, one sentence a test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(unreachable_pub, reason = "the modules of one test binary")]

#[path = "../common/mod.rs"]
mod common;

mod acquisition;
mod keeping;
mod lost_answers;
mod renewal;
mod resumption;
mod waiting;
