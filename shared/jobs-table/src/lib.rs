//! Jobs over the items of any DynamoDB table: [`TableOperation`].
//!
//! | kind | parameters of its own | what it does |
//! |---|---|---|
//! | `count` | `index`, `sample`, `seed` | how many items there are, and how many meet a condition |
//! | `update` | `set`, `limit` | changes them |
//! | `delete` | `all`, `limit` | deletes them |
//! | `copy` | `to`, `onConflict` | puts them into another table |
//! | `fill` | `count`, `itemBytes`, `seed`, `partitions`, `template` | makes items, for trying |
//!
//! All of them take what [`parameters::TableParameters`] says; all but `fill` take `where`, `split`, `segments`,
//! `consistentRead` and `follow`.
//!
//! Guarantees: no item that met the condition during the whole job is left out; a change that would count twice, such
//! as `n = n + 1`, happens once, whoever is killed; a kill costs each worker one page at most; throttles slow a job down and lose
//! nothing; an item that cannot be changed is listed in the job's refused files, with its key and the reason; what no batch could
//! do (no such table, no permission, an expression that DynamoDB refuses) ends the job with one sentence.
//!
//! Does not: take a snapshot (items that change while it reads are seen as they are when they are read), change the keys
//! of items, or write to the operations table.
//!
//! | module | holds |
//! |---|---|
//! | [`parameters`] | what a job is submitted with |
//! | `kinds` | the operations: fields, estimate, stages, batches |
//! | `batch` | a batch's input, checkpoint and result |
//! | `page_loop` | works on a batch page by page, with changes that may happen twice |
//! | `exactly_once` | changes that must not happen twice |
//! | `source` | where the items of a batch come from |
//! | `bins` | keys sorted by time or by feature |
//! | `matched_items` | what met the condition in the last pass of a job that follows a table |
//! | `generated` | items by their numbers |
//! | `totals` | the sums of what batches did |

mod batch;
mod bins;
mod exactly_once;
mod generated;
mod kinds;
mod matched_items;
mod page_loop;
pub mod parameters;
mod source;
mod totals;

pub use kinds::{GuardedCopy, TableOperation};
