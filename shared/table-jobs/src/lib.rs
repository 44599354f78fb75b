//! Jobs over the items of any DynamoDB table: [`TableJob`].
//!
//! | kind | parameters of its own | what it does |
//! |---|---|---|
//! | `count` | | how many items there are, and how many meet a condition |
//! | `update` | `set` | changes them |
//! | `delete` | `all` | deletes them |
//! | `copy` | `to`, `onConflict` | puts them into another table |
//! | `fill` | `count`, `itemBytes`, `seed`, `partitions`, `template` | makes items, for trying |
//!
//! All of them take what [`parameters::Parameters`] says; all but `fill` take `where`, `split`, `segments`,
//! `consistentRead` and `follow`.
//!
//! Guarantees: no item that met the condition during the whole job is left out; a change that would count twice, such
//! as `n = n + 1`, happens once, whoever is killed; a kill costs each worker one page at most; throttles slow a job down and lose
//! nothing; an item that cannot be changed stands in the job's refused files, with its key and why; what no batch could
//! do (no such table, no permission, an expression that DynamoDB refuses) ends the job with one sentence.
//!
//! Does not: take a snapshot (items that change while it reads are seen as they are when they are read), change the keys
//! of items, or write to the table in which jobs stand.
//!
//! | module | holds |
//! |---|---|
//! | [`parameters`] | what a job is submitted with |
//! | [`expression`] | DynamoDB's conditions and updates with names and values written in place |
//! | [`table`], [`key`] | what DynamoDB says of a table; keys as JSON and as 128 bits |
//! | [`calls`] | calls that wait for their turn, back off, and end when the work has to stop |
//! | [`scan`], [`fetch`] | items by segment, items by key |
//! | [`mod@write`] | items written, many at a time |
//! | [`tally`] | what batches have done, put together |
//! | [`tasks`] | work on tasks of its own |
//! | `answer` | answers kept as text |
//! | `kinds` | the kinds: fields, estimate, stages, batches |
//! | `pass`, `once`, `source`, `input` | a batch's pages, with changes that may happen twice and that may not |
//! | `bins` | keys sorted by time or by feature |
//! | `seen` | what met the condition in the last pass of a job that follows a table |
//! | `fill` | items by their numbers |

mod answer;
mod bins;
pub mod calls;
pub mod expression;
pub mod fetch;
mod fill;
mod input;
pub mod key;
mod kinds;
mod once;
pub mod parameters;
mod pass;
pub mod scan;
mod seen;
mod source;
pub mod table;
pub mod tally;
pub mod tasks;
pub mod write;

pub use kinds::plan::segments;
pub use kinds::target;
pub use kinds::{TableJob, What};
