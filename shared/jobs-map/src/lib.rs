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
//! * [`map`]: [`Map`], its stages; `parameters`: what a job is given
//! * [`records`]: where records end; `split_files`, `sort_files`, `read_table`: the first stages; `record_bins`,
//!   `item_lines`: what they leave
//! * `batch_plans`: from there to batches; `batch_input`: a batch's records as a stream
//! * `map_batch`, `batch_attempt`, `command`, `function`, `batch_output`: a batch; `gather_outputs`: the one output

mod batch_attempt;
mod batch_input;
mod batch_output;
mod batch_plans;
mod command;
mod function;
mod gather_outputs;
mod item_lines;
pub mod map;
mod map_batch;
mod parameters;
mod read_table;
mod record_bins;
pub mod records;
mod sort_files;
mod split_files;

pub use map::Map;
pub use parameters::{ItemForm, OutputFormat};
