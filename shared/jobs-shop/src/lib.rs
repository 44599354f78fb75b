//! Jobs over the shop's own tables.
//!
//! | kind | parameters of its own | what it does |
//! |---|---|---|
//! | [`Import`] | `source`, `kind`, `map`, `currency`, `timeFormat`, `skipProducts`, `batchItems`, `readBytes`, `histories` | files of purchases or products into the tables |
//! | [`RebuildHistory`] | `user` | rebuilds every history from the purchases |
//! | [`RotateSecret`] | | a new secret of the stack, which erased users are remembered with |
//! | [`RefreshPopular`] | `products` | counts what is popular anew, without a training |
//!
//! All of them also take `segments`, `width`, `assign`, `aggregate`, `readUnits` and `writeUnits`.
//!
//! Guarantees: running a job twice is the same as running it once; a job that was killed resumes and leaves the same
//! tables as one that was not; a rejected record is in the job's refused files, with its line and the reason, and so
//! is a damaged item, with its key. A job fails if more than one item in a hundred is damaged.
//!
//! Does not: train (what is popular is counted, what goes together is not), or hold one job off another: two imports
//! at once are as harmless as one after the other. Only `refresh-popular` takes a lock, so that the later lists stay.
//!
//! * [`import`]: read (`split`), group (`gather`, `merge`), write (`write`), refresh the histories (`histories`)
//! * [`rebuild_history`]: the users of the purchases, then those of the histories
//! * [`refresh_popular`]: read the purchases once (`read`), count (`count`), publish (`publish`)
//! * [`rotate_secret`]: a single batch
//! * [`run_settings`]: the parameters that all kinds share
//! * `histories`: many users' histories refreshed; `segments`: tables cut

mod histories;
pub mod import;
pub mod rebuild_history;
pub mod refresh_popular;
pub mod rotate_secret;
pub mod run_settings;
mod segments;

pub use import::Import;
pub use rebuild_history::RebuildHistory;
pub use refresh_popular::RefreshPopular;
pub use rotate_secret::RotateSecret;

use nextbasket_job_engine::{JobError, Work, WorkError};
use nextbasket_tables::{ConfigError, Damaged};

/// Writes skipped damaged items, by their keys, to the job's refused files.
fn refuse(work: &mut Work, damaged: &[Damaged]) {
    for damaged in damaged {
        work.refuse(&serde_json::json!(damaged), &damaged.problem);
    }
}

/// A table without a name is missing in every batch.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unnamed(error: ConfigError) -> WorkError {
    WorkError::Systemic(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unplanned(error: ConfigError) -> JobError {
    JobError::Failed(error.to_string())
}
