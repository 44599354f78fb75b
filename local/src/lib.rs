//! The whole system on one machine, and the operator's commands.
//!
//! * [`cli`]: the commands and their options
//! * [`system`]: the machine with our functions on it: HTTP front end, stream mappings
//! * [`place`]: where a command works: through the server that has the folder open, or on a machine of its own
//! * [`serve`], [`demo`], [`import`], [`train`], [`ask`]: one module a command (`ask`: recommend and related)
//! * [`target`]: where the operator's commands work: on a data folder, on AWS, at other endpoints
//! * [`jobs`]: jobs started, followed, listed, cancelled
//! * [`lock`], [`upload`]: leases by name; files to S3, each exactly once
//! * [`table`], [`progress`]: what a person sees
//! * [`failure`]: why a command ends, in a sentence that says what to do, and its exit code

pub mod ask;
pub mod cli;
pub mod client;
pub mod demo;
pub mod failure;
pub mod import;
pub mod jobs;
pub mod lock;
pub mod place;
pub mod progress;
pub mod serve;
pub mod system;
pub mod table;
pub mod target;
pub mod train;
pub mod upload;

pub use failure::Failure;
