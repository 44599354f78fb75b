//! Jobs over the shop's own tables.
//!
//! | kind | parameters of its own | what it does |
//! |---|---|---|
//! | [`Import`] | `source`, `kind`, `map`, `currency`, `timeFormat`, `skipProducts`, `batchItems`, `histories` | files of purchases or products into the tables |
//! | [`RebuildHistory`] | `user` | brings every history in line with the purchases |
//! | [`RefreshPopular`] | `products` | counts what is popular anew, without a training |
//!
//! All of them also take `segments`, `width`, `assign`, `aggregate`, `readUnits` and `writeUnits`.
//!
//! Guarantees: running a job twice is the same as running it once; a job that was killed goes on and leaves the same
//! tables as one that was not; a record that is not taken stands in the job's refused files, with its line and why.
//!
//! Does not: train (what is popular is counted, what goes together is not), or hold one job off another: two imports
//! at once are as harmless as one after the other. Only `refresh-popular` takes a lock, so that the later lists stay.
//!
//! * [`import`]: read and group (`split`), write (`write`), the histories if asked for (`histories`)
//! * [`rebuild_history`]: the users of the purchases, then those of the histories
//! * [`refresh_popular`]: read the purchases once (`read`), count (`count`), publish (`publish`)
//! * [`settings`]: what all kinds can be told about how they run
//! * `histories`: many users' histories refreshed; `segments`: tables cut

mod histories;
pub mod import;
pub mod rebuild_history;
pub mod refresh_popular;
mod segments;
pub mod settings;

pub use import::Import;
pub use rebuild_history::RebuildHistory;
pub use refresh_popular::RefreshPopular;

use nextbasket_batch::{JobError, WorkError};
use nextbasket_tables::ConfigError;

/// A table without a name is missing in every batch.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unnamed(error: ConfigError) -> WorkError {
    WorkError::Systemic(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unplanned(error: ConfigError) -> JobError {
    JobError::Failed(error.to_string())
}
