//! One machine's stand-ins for the services that the template names.
//!
//! For: running the deployed system's functions, tables, buckets, routes and stream mappings in one process on
//! loopback, from the same `template.yaml`. It knows neither what the tables hold nor what the functions do.
//!
//! Guarantees: what the template says and cannot be followed is an error that names the resource; an acknowledged
//! write outlives the process; of conditional writes that race, one wins; a stream's record is given to its function
//! at least once, in the order of its partition key; an item that has expired is removed within minutes, an object within an hour; nothing
//! listens on anything but loopback, answers a web page of another origin, or gives access to tables and objects
//! without a signature by the machine's access key.
//!
//! Does not: limit what a client that has the key may do, throttle, or keep what a crash of the whole machine loses while bulk loading is on.
//!
//! | module | holds |
//! |---|---|
//! | [`access`] | a machine's access key, and signatures with it |
//! | [`template`] | the template's tables, buckets, functions, routes, mappings and schedules |
//! | [`dynamodb`] | the embedded DynamoDB and its tables |
//! | [`s3`] | the embedded S3 and its buckets |
//! | [`folder`] | the data folder: lock, format, who serves it |
//! | [`gateway`] | the HTTP API in front of the functions |
//! | [`lambda`] | functions that are invoked by name |
//! | [`streams`] | event source mappings from tables' streams |
//! | [`schedules`] | what starts by itself |
//! | [`machine`] | all of it, started and stopped together |

pub mod access;
mod door;
pub mod dynamodb;
pub mod folder;
pub mod gateway;
mod invoke;
pub mod lambda;
mod listen;
pub mod machine;
pub mod s3;
pub mod schedules;
mod server;
pub mod streams;
pub mod template;

pub use access::AccessKey;
pub use door::ConnectionLimits;
pub use invoke::{Handler, HttpFunction, StreamFunction, handler};
pub use listen::ListenError;
pub use machine::{Machine, MachineError, MachineOptions};
