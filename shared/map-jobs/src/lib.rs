//! `map`: the user's own work on batches of files' records or a table's items.
//!
//! For: whatever is done record by record or batch by batch and is not in this project: a command on one machine
//! (standard input, standard output), a Lambda function on AWS. CSV and JSON Lines files of any size, in a folder or
//! under a prefix, are cut at the ends of records; results are gathered in the input's order into one output.
//!
//! Guarantees: every record is in exactly one batch, and whole; a batch that fails is tried again with growing pauses
//! and then reported by name, with what the command said, in the output's manifest, and the rest is kept; an output
//! appears when it is complete, and does not replace an earlier one if all batches fail; a job that was killed
//! resumes and leaves the same output. A command whose batch is stopped or lost is ended with everything that it
//! started. Memory: some tens of megabytes for each worker.
//!
//! Does not: hold a command to once a batch (one that was cut off is run again from the batch's beginning), cut packed
//! files (a batch each), or keep an order between records of a split by time or feature beyond that of the batches.
//!
//! | stage | what its batches do |
//! |---|---|
//! | `split` | find where batches of files begin and end |
//! | `sort` | sort files' records by a feature |
//! | `read` | read a segment of a table |
//! | `map` | run the command, or call the function |
//! | `gather` | put the results together |
//!
//! * [`kind`]: [`Map`], its stages; `parameters`: what a job is told
//! * [`records`]: where records end; `split_files`, `sort_files`, `read_table`: the first stages; `bins`, `items`
//! * `batches`: from there to batches; `source`: a batch's records as a stream
//! * `work`, `command`, `group`, `function`, `output`: a batch; `gather`, `target`: the one output

mod batches;
mod bins;
mod command;
mod function;
mod gather;
mod group;
mod items;
pub mod kind;
mod output;
mod parameters;
mod read_table;
pub mod records;
mod sort_files;
mod source;
mod split_files;
mod target;
mod work;

pub use kind::Map;
pub use parameters::{ItemForm, OutputFormat};
