//! Histories brought in line with the purchases, many users at a time.

use futures::{StreamExt, TryStreamExt};
use nextbasket_batch::Work;
use nextbasket_domain::UserId;
use nextbasket_dynamodb::TableError;
use nextbasket_tables::Damaged;
use nextbasket_tables::history::{HistoryTable, Refreshed};
use nextbasket_tables::purchases::PurchasesTable;

use nextbasket_job_io::patience::{Halt, Pace, Touches};

/// How many histories are looked at at a time.
const AT_A_TIME: usize = 16;

/// What is done with a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is brought in line.
    Refresh,
    /// It is removed if its user has no purchase.
    Sweep,
}

/// Does so with the users' histories; counts each user as processed, and as changed if the history had to be written.
/// Returns the damaged purchases that were left out of the histories.
pub(crate) async fn keep(
    work: &mut Work,
    what: What,
    history: &HistoryTable,
    purchases: &PurchasesTable,
    users: &[UserId],
) -> Result<Vec<Damaged>, Halt> {
    let pace = Pace::of(work);
    let mut progress = work.progress;
    let call = |user| pace.call(Touches::Both, move || one(what, history, purchases, user));
    let calls: Vec<_> = users.iter().map(call).collect();
    let mut calls = futures::stream::iter(calls).buffer_unordered(AT_A_TIME);
    let mut damaged = Vec::new();
    while let Some((refreshed, units)) = calls.try_next().await? {
        progress.processed += 1;
        progress.changed += u64::from(refreshed.changed);
        damaged.extend(refreshed.damaged);
        progress.read_units += units.read;
        progress.write_units += units.write;
    }
    drop(calls);
    progress.matched = progress.processed;
    work.progress = progress;
    Ok(damaged)
}

async fn one(
    what: What,
    history: &HistoryTable,
    purchases: &PurchasesTable,
    user: &UserId,
) -> Result<Refreshed, TableError> {
    if what == What::Sweep && !purchases.page(user, 1, None).await?.purchases.is_empty() {
        return Ok(Refreshed { changed: false, damaged: Vec::new() });
    }
    history.refresh(user, purchases).await
}
