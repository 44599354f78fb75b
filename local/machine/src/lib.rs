//! One machine's stand-ins for the services that the template names.
//!
//! For: running the deployed system's functions, tables, routes and stream mappings in one process on loopback,
//! from the same `template.yaml`. It knows neither what the tables hold nor what the functions do.
//!
//! Guarantees: what the template says and cannot be followed is an error that names the resource; an acknowledged
//! write outlives the process; a stream's record is given to its function at least once, in the order of its
//! partition key; nothing listens on anything but loopback.
//!
//! Does not: check credentials, throttle, or keep what a crash of the whole machine takes while bulk loading is on.
//!
//! | module | holds |
//! |---|---|
//! | [`template`] | the template's tables, functions, routes and mappings |
//! | [`dynamodb`] | the embedded DynamoDB and its tables |
//! | [`folder`] | the data folder: lock, format, who serves it |
//! | [`gateway`] | the HTTP API in front of the functions |
//! | [`streams`] | event source mappings from tables' streams |
//! | [`machine`] | all of it, started and stopped together |

pub mod dynamodb;
pub mod folder;
pub mod gateway;
mod invoke;
mod listen;
pub mod machine;
pub mod streams;
pub mod template;

pub use invoke::{Handler, HttpFunction, StreamFunction, handler};
pub use listen::ListenError;
pub use machine::{Machine, MachineError, Options};
