//! The sums of what batches have done: the same in any order.

use derive_more::{Add, Sum};
use nextbasket_job_engine::Progress;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a batch has done. Units are counted in thousandths, so that sums do not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Add, Sum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ItemTotals {
    pub(crate) processed: u64,
    /// Of them, those that met the condition.
    pub(crate) matched: u64,
    pub(crate) changed: u64,
    /// Items that could not be: they are listed in the refused files.
    pub(crate) refused: u64,
    /// Items that the table must not get, since their users were erased.
    pub(crate) erased: u64,
    /// Thousandths of units.
    pub(crate) read_millis: u64,
    pub(crate) write_millis: u64,
}

impl ItemTotals {
    pub(crate) fn of(progress: &Progress) -> Self {
        Self {
            processed: progress.processed,
            matched: progress.matched,
            changed: progress.changed,
            refused: progress.refused,
            erased: 0,
            read_millis: millis(progress.read_units),
            write_millis: millis(progress.write_units),
        }
    }

    /// For people and programs. `changes` is whether the job changes items; then those that met the condition and were
    /// neither changed nor refused are those that did not meet it any more when their turn came.
    pub(crate) fn result(&self, changes: bool, seconds: f64) -> Value {
        let mut result = json!({
            "processed": self.processed,
            "matched": self.matched,
            "readUnits": units(self.read_millis),
            "writeUnits": units(self.write_millis),
            "seconds": seconds,
        });
        if changes && let Value::Object(fields) = &mut result {
            let skipped = self.matched.saturating_sub(self.changed + self.refused + self.erased);
            for (name, count) in [("changed", self.changed), ("skipped", skipped), ("refused", self.refused)]
            {
                fields.insert(name.to_owned(), json!(count));
            }
            if self.erased > 0 {
                fields.insert("erased".to_owned(), json!(self.erased));
            }
        }
        result
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "units are not negative; as saturates"
)]
fn millis(units: f64) -> u64 {
    (units * 1000.0).round() as u64
}

fn units(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_units_do_not_depend_on_their_order() {
        let of = |units: f64| ItemTotals::of(&Progress { read_units: units, ..Progress::default() });
        let all: Vec<ItemTotals> = (1..1000).map(|n| of(f64::from(n) * 0.1)).collect();
        let forwards = all.iter().fold(ItemTotals::default(), |sum, one| sum + *one);
        let backwards = all.iter().rev().fold(ItemTotals::default(), |sum, one| *one + sum);
        assert_eq!(forwards, backwards);
        assert_eq!(
            forwards.result(false, 1.5).to_string(),
            r#"{"matched":0,"processed":0,"readUnits":49950.0,"seconds":1.5,"writeUnits":0.0}"#
        );
    }

    #[test]
    fn what_met_the_condition_and_was_not_changed_was_skipped() {
        let tally = ItemTotals { processed: 10, matched: 7, changed: 4, refused: 1, ..ItemTotals::default() };
        assert_eq!(tally.result(true, 0.0)["skipped"], 2);
    }
}
