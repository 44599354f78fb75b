//! The features that depend on time: standing at the newest purchase of the model, or elapsed up to the request.

use super::features::{DUE_OFFSET, LEAST_GAP, put};
use serde::{Deserialize, Serialize};
use std::ops::Range;

const BOUGHT: usize = 14;
const BOUGHT_ONCE: usize = 15;
/// Time stands at the newest purchase of the model.
const STANDING: Range<usize> = 33..35;
/// Time is that of the request.
const ELAPSED: Range<usize> = 35..42;
/// What those are computed from, so that they can be had for another time; nothing is learned from these themselves.
const ELAPSED_FROM: Range<usize> = 42..44;

/// How time enters the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeFeatures {
    /// It stands at the newest purchase that the model has seen.
    Standing,
    /// It is the time of the request.
    Elapsed,
}

impl TimeFeatures {
    /// The columns that nothing is learned from.
    pub fn unused(self) -> Vec<usize> {
        let unused = match self {
            Self::Standing => ELAPSED,
            Self::Elapsed => STANDING,
        };
        unused.chain(ELAPSED_FROM).collect()
    }
}

/// The smallest mean gap, in days, of elapsed time.
pub(super) const LEAST_ELAPSED_GAP: f64 = 0.3;
/// The bound of what is due, in mean gaps.
const MOST_DUE: f64 = 20.0;
/// Of the products that are never bought twice.
const LEAST_DUE: f64 = 0.05;

/// Changes [`FEATURES`](super::FEATURES) of one candidate to those of another time of the request.
pub(super) fn ask_at(row: &mut [f32], user: ElapsedOfUser) {
    let mut elapsed = Vec::with_capacity(ELAPSED.len());
    put(&mut elapsed, ElapsedOfCandidate::of_row(row).features(user));
    row.iter_mut().skip(ELAPSED.start).zip(elapsed).for_each(|(value, elapsed)| *value = elapsed);
}

/// When a user asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct ElapsedOfUser {
    /// Days from the newest purchase of the model to the request.
    pub(super) ahead: f64,
    /// Days from the user's newest basket to the newest purchase of the model.
    pub(super) newest_days: f64,
    /// Mean days between the user's baskets.
    pub(super) mean_gap: f64,
}

/// When a candidate was bought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ElapsedOfCandidate {
    pub(super) bought: bool,
    pub(super) twice: bool,
    /// Days from the last time to the newest purchase of the model.
    pub(super) newest_days: f64,
    /// Mean days between two times.
    pub(super) gap: f64,
}

impl ElapsedOfCandidate {
    fn of_row(row: &[f32]) -> Self {
        let value = |at: usize| f64::from(row.get(at).copied().unwrap_or(0.0));
        let bought = value(BOUGHT) > 0.0;
        let twice = bought && value(BOUGHT_ONCE) == 0.0;
        Self { bought, twice, newest_days: value(ELAPSED_FROM.start), gap: value(ELAPSED_FROM.start + 1) }
    }

    /// The features whose time stands.
    pub(super) fn standing(self) -> [f64; 2] {
        let days = if self.bought { self.newest_days.max(0.0) } else { 0.0 };
        let due = (days / self.gap.max(LEAST_GAP)).min(MOST_DUE);
        [days.ln_1p(), if self.twice { (due + DUE_OFFSET).ln() } else { 0.0 }]
    }

    /// The features whose time is that of the request.
    pub(super) fn features(self, user: ElapsedOfUser) -> [f64; 7] {
        let since = (user.newest_days + user.ahead).max(0.0);
        let of_user = [since.ln_1p(), (since / user.mean_gap + DUE_OFFSET).ln()];
        let (has, new) = if self.bought { (of_user, [0.0; 2]) } else { ([0.0; 2], of_user) };
        let days = (self.newest_days + user.ahead).max(0.0);
        let due = (days / self.gap.max(LEAST_ELAPSED_GAP)).min(MOST_DUE);
        let (due_days, nearly_due) = if self.twice {
            ((due + DUE_OFFSET).ln(), (-due.max(LEAST_DUE).ln().abs()).exp())
        } else {
            (0.0, 0.0)
        };
        let days = if self.bought { days.ln_1p() } else { 0.0 };
        [days, due_days, has[0], new[0], has[1], new[1], nearly_due]
    }
}
