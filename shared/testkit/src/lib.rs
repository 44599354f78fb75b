//! What tests of several crates share: a started system, real binaries, faults in the transport.
//!
//! For tests only: what cannot go on panics with a sentence, so that a test reads without error handling.
//!
//! | module | holds |
//! |---|---|
//! | [`stack`] | the template's tables and buckets, with clients |
//! | [`function_process`] | a function's own binary, invoked as Lambda does |
//! | [`events`] | the repository's example events, and what a function answers them |
//! | [`jobs`] | jobs of any kinds, worked on and killed, with a clock that tests set forward |
//! | [`seeded`] | randomness that can be replayed |
//! | [`fault_proxy`] | faults on the way to an endpoint, calls counted, capacity measured |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails there"
)]
#![allow(clippy::missing_panics_doc, reason = "everything here panics where a test cannot go on")]

pub mod events;
pub mod fault_proxy;
pub mod function_process;
pub mod jobs;
pub mod seeded;
pub mod stack;

pub use fault_proxy::{Capacity, FAULT_HEADER, Fault, FaultProxy};
pub use function_process::FunctionProcess;
pub use jobs::JobStack;
pub use seeded::Seeded;
pub use stack::TestStack;
