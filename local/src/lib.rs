//! The whole system on one machine, and the operator's commands.
//!
//! * [`cli`]: the commands and their options
//! * [`system`]: the machine with our functions on it: HTTP front end, stream mappings
//! * [`place`]: where a command works: through the process that has the folder open, or on a machine of its own
//! * [`sharing`]: how any number of commands work on one folder, whichever of them ends or is killed
//! * [`serve`], [`demo`], [`import`], [`train`], [`ask`]: one module a command (`ask`: recommend and related)
//! * [`target`]: where the operator's commands work: on a data folder, on AWS, at other endpoints
//! * [`jobs`]: jobs run, listed, waited for, cancelled
//! * [`table_jobs`]: count, update, delete, copy, fill; [`dump`]: dump, restore, verify, diff, archive
//! * [`map`], [`shop_jobs`] (rebuild-history and refresh-popular), [`models`]: more commands, most of them jobs
//! * [`lock`], [`upload`]: leases by name; files to S3, each exactly once
//! * [`table`], [`progress`]: what a person sees
//! * [`out`], [`signals`]: output, also when nobody reads it; Ctrl-C and SIGTERM
//! * [`failure`]: why a command ends, in a sentence that says what to do, and its exit code

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod ask;
pub mod cli;
pub mod client;
pub mod demo;
pub mod dump;
pub mod failure;
pub mod import;
pub mod jobs;
pub mod lock;
pub mod map;
pub mod models;
pub mod out;
pub mod place;
pub mod progress;
pub mod serve;
pub mod sharing;
pub mod shop_jobs;
pub mod signals;
pub mod system;
pub mod table;
pub mod table_jobs;
pub mod target;
pub mod train;
pub mod upload;

pub use failure::Failure;
