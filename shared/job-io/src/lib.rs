//! What jobs over files share: files and objects as one, and calls under a job's rates.
//!
//! Guarantees: a file is read as what it was found, whatever breaks on the way, or not at all; a call that is throttled
//! is made again until it goes through or the batch is told to stop.
//!
//! Does not: hold a kind of job of its own.
//!
//! * [`files`]: files of this machine and objects in S3: named, listed, read in ranges
//! * [`patience`]: calls under a job's rates, patient with throttles

pub mod files;
pub mod patience;
