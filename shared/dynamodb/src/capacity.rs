//! What the calls of one piece of work consumed, from ReturnConsumedCapacity.

use std::cell::Cell;
use std::future::Future;

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units as DynamoDB charged them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// Read units: half a unit for up to 4 KB read eventually consistent, one for strongly consistent.
    pub read: f64,
    /// Write units: one for up to 1 KB, index writes included.
    pub write: f64,
}

tokio::task_local! {
    static SPENT: Cell<Units>;
}

/// Runs the work and tells what its table calls consumed. Calls made on other tasks are not counted.
pub async fn metered<F: Future>(work: F) -> (F::Output, Units) {
    SPENT
        .scope(Cell::new(Units::default()), async {
            let output = work.await;
            (output, SPENT.with(Cell::get))
        })
        .await
}

fn add(read: f64, write: f64) {
    // Outside of `metered` nobody asks.
    let _ = SPENT.try_with(|spent| {
        let so_far = spent.get();
        spent.set(Units { read: so_far.read + read, write: so_far.write + write });
    });
}

/// The units of a request, of one table or several.
#[must_use]
pub fn units<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

/// Counts what a read consumed.
pub fn read<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
    add(units(consumed), 0.0);
}

/// Counts what a write consumed.
pub fn write<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
    add(0.0, units(consumed));
}
