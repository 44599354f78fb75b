//! The whole system on one machine, and the operator's commands.
//!
//! * [`cli`]: the command line; [`commands`]: one module a command; [`options`]: options that several commands share
//! * [`target`]: what a command works on: a data folder, AWS, or other endpoints; `profiles`: whose credentials;
//!   `setup`: what jobs need there
//! * [`folder_session`]: a command's work on a data folder; [`folder_sharing`]: how any number of commands work on one
//!   folder, whichever of them ends or is killed
//! * [`local_deployment`]: the template's tables, functions, stream mappings, schedules and job workers, on this machine
//! * `console`: the console over this machine or over a deployed stack; `aws`: the calls to AWS that it needs
//! * [`confirmation`]: the question before items are changed or deleted
//! * `arn`: names of resources
//! * `job_run`: a job that a command runs, with its progress; `job_text`: jobs in words; `json_fields`: their results
//! * [`api_client`]: a client of the HTTP API
//! * [`text_table`], [`step_progress`]: what people see
//! * [`stdio`], [`signals`]: output, also when nobody reads it; Ctrl-C and SIGTERM
//! * [`failure`]: why a command fails, what to do, and its exit code

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod api_client;

mod arn;
mod aws;
pub mod cli;
pub mod commands;
pub mod confirmation;
mod console;
pub mod failure;
pub mod folder_session;
pub mod folder_sharing;
mod job_run;
mod job_text;
mod json_fields;
pub mod local_deployment;
pub mod options;
mod profiles;
mod setup;
pub mod signals;
pub mod stdio;
pub mod step_progress;
pub mod target;
pub mod text_table;

pub use failure::Failure;
