//! What jobs over files share: files and objects as one, outputs, and calls under a job's rates.
//!
//! Guarantees: a file is read in the state in which it was found, whatever breaks on the way, or not at all; an
//! output appears when it is complete, and an earlier one stays until then; a call that is throttled is retried until
//! it succeeds or the batch has to stop.
//!
//! Does not: hold a kind of job of its own.
//!
//! * [`files`]: local files and objects in S3: named, listed, read in ranges, written as a whole
//! * [`output`]: local files that appear when they are complete
//! * [`journal`]: what a batch remembers beyond its checkpoint
//! * [`leftovers`]: a job's objects that nobody needs any more
//! * [`patience`]: calls under a job's rates, patient with throttles

pub mod files;
pub mod journal;
pub mod leftovers;
pub mod output;
pub mod patience;
