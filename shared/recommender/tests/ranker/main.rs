//! A ranker that is learned from a generated shop, its bytes, and the answers that it gives.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the message"
)]

mod answers;
mod codec;
mod learned;
#[path = "../common/random.rs"]
mod random;
mod shop;
mod time;
mod trained;
