//! Seeded schedules of faults: the real handlers, jobs, locks and uploads over the embedded DynamoDB and S3, with
//! faults in the transport, workers that crash and freeze, and streams that deliver twice, late and in pieces. At the
//! end, what is stored is compared with models that share no code with the product.
//!
//! The seed alone determines a schedule: the scenario's data, the fault and the latency of each call, crashes and
//! freezes. Time is virtual (Tokio's paused clock), so no real time is spent waiting for leases and pauses; a call to
//! an endpoint blocks the only thread, so nothing else runs meanwhile. So a seed replays exactly, and quickly.
//!
//! | module | holds |
//! |---|---|
//! | [`endpoints`] | the embedded services that a thread's schedules share, on a runtime in real time |
//! | [`faults`] | which call meets which fault, by the seed |
//! | [`process`] | clients that crash and freeze together |
//! | [`transport`] | one call: latency, fault, crash, answer |
//! | [`bugs`] | planted bugs: what faulty code would send, or make of an answer |
//! | [`journal`] | what was called, for counts, checks and the comparison of replays |
//! | [`world`] | what a scenario works with |
//! | [`jobs`] | jobs, worked on by processes that come and go |
//! | [`scenarios`] | what is run and what must hold |
//! | [`runner`] | one schedule from its seed, or many |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "for tests: what cannot go on fails there, and the schedule with it"
)]
#![allow(clippy::missing_panics_doc, reason = "a panic is a schedule that has failed")]

pub mod bugs;
pub mod endpoints;
pub mod faults;
pub mod jobs;
pub mod journal;
pub mod process;
pub mod runner;
pub mod scenarios;
pub mod transport;
pub mod world;

pub use bugs::Bug;
pub use endpoints::Endpoints;
pub use runner::{Report, run};
pub use scenarios::Scenario;
pub use world::World;

/// A condition that must hold and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// The result of a check.
pub type Checked<T = ()> = Result<T, Violation>;

/// Fails the schedule unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err($crate::Violation(format!($($why)+)));
        }
    };
}
