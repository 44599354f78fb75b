//! Histories refreshed from the purchases, many users at a time.

use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::UserId;
use nextbasket_dynamodb::TableError;
use nextbasket_erasure::Erasures;
use nextbasket_job_engine::Work;
use nextbasket_job_engine::calls::{CallError, Consumes, MeteredCalls};
use nextbasket_tables::Damaged;
use nextbasket_tables::history::{HistoryTable, Refreshed};
use nextbasket_tables::purchases::PurchasesTable;

const AT_A_TIME: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistoryAction {
    /// It is written anew from the purchases if it differs from them.
    Refresh,
    /// It is removed if its user has no purchase.
    Sweep,
}

/// Updates the users' histories. Counts each user as processed, and as changed if the history had to be written.
/// Returns the damaged purchases that were skipped.
pub(crate) async fn update(
    work: &mut Work,
    what: HistoryAction,
    history: &HistoryTable,
    purchases: &PurchasesTable,
    users: &[UserId],
) -> Result<Vec<Damaged>, CallError> {
    let metered = MeteredCalls::new(work);
    let mut progress = work.progress;
    let call = |user| metered.call(Consumes::Both, move || one(what, history, purchases, user));
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

/// Deletes the purchases of these users that were erased and have come back. Returns how many there were.
pub(crate) async fn remove_erased(
    work: &mut Work,
    erasures: &Erasures,
    purchases: &PurchasesTable,
    users: &[&UserId],
) -> Result<u64, CallError> {
    let mut removed = 0;
    for user in users {
        if let Some(until) = erasures.until(user.as_str()) {
            let count = work.call(Consumes::Both, || purchases.remove_until(user, until)).await?;
            removed += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }
    Ok(removed)
}

async fn one(
    what: HistoryAction,
    history: &HistoryTable,
    purchases: &PurchasesTable,
    user: &UserId,
) -> Result<Refreshed, TableError> {
    if what == HistoryAction::Sweep && !purchases.page(user, 1, None).await?.purchases.is_empty() {
        return Ok(Refreshed { changed: false, damaged: Vec::new() });
    }
    history.refresh(user, purchases).await
}
