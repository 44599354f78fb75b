//! What a lease does when one call comes after the other: the specification.

use crate::common::{LENGTH, SKEW};
use crate::history::{Call, Op, Outcome, Seen};

/// What is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The lease, if it was ever acquired.
    pub lease: Option<Seen>,
    /// How many renewals were applied: each adds one to an attribute beside the lease.
    pub renewals: u64,
}

/// What is stored after a call with this outcome; none if the call cannot have it. An unknown outcome stands for the
/// call's having been applied.
pub fn after(state: State, op: &Op) -> Option<State> {
    let told = |outcome| op.outcome == Outcome::Unknown || op.outcome == outcome;
    let lease = state.lease;
    match (op.call, op.outcome) {
        (Call::Acquire { holder }, Outcome::Held { .. } | Outcome::Unknown) => {
            let fence = lease.map_or(0, |lease| lease.fence) + 1;
            let expires_at = op.local + millis(LENGTH);
            let possible = free(lease, holder, op.local) && told(Outcome::Held { fence, expires_at });
            let lease = Some(Seen { holder, fence, expires_at, released: false });
            possible.then_some(State { lease, ..state })
        }
        (Call::Renew { holder, fence, until }, Outcome::Renewed { .. } | Outcome::Unknown) => {
            let lease = lease.filter(|lease| ours(lease, holder, fence) && !lease.released)?;
            let expires_at = lease.expires_at.max(until);
            let lease = Some(Seen { expires_at, ..lease });
            told(Outcome::Renewed { expires_at }).then_some(State { lease, renewals: state.renewals + 1 })
        }
        (Call::Release { holder, fence }, Outcome::Released | Outcome::Unknown) => {
            let lease = lease.filter(|lease| ours(lease, holder, fence))?;
            Some(State { lease: Some(Seen { released: true, ..lease }), ..state })
        }
        _ => fits(state, op).then_some(state),
    }
}

/// Whether a call that changes nothing can have its outcome.
fn fits(State { lease, renewals }: State, op: &Op) -> bool {
    match (op.call, op.outcome) {
        (Call::Acquire { holder }, Outcome::Busy(seen)) => {
            lease == Some(seen) && !free(lease, holder, op.local)
        }
        (Call::Renew { holder, fence, .. } | Call::Release { holder, fence }, Outcome::Taken(seen)) => {
            lease == Some(seen) && !ours(&seen, holder, fence)
        }
        (Call::Renew { holder, fence, .. }, Outcome::WasReleased) => {
            lease.is_some_and(|lease| ours(&lease, holder, fence) && lease.released)
        }
        (Call::Renew { .. } | Call::Release { .. }, Outcome::Gone) => lease.is_none(),
        (Call::Show, Outcome::Shown(seen)) => lease == seen,
        (Call::Count, Outcome::Counted(counted)) => renewals == counted,
        _ => false,
    }
}

/// Whether a call with this outcome changes nothing.
pub fn is_pure(outcome: Outcome) -> bool {
    use Outcome::{Busy, Counted, Gone, Shown, Taken, WasReleased};
    matches!(outcome, Busy(_) | Taken(_) | WasReleased | Gone | Shown(_) | Counted(_))
}

fn free(lease: Option<Seen>, holder: usize, now: i64) -> bool {
    lease.is_none_or(|lease| {
        lease.holder != holder && (lease.released || now > lease.expires_at + millis(SKEW))
    })
}

fn ours(lease: &Seen, holder: usize, fence: u64) -> bool {
    lease.holder == holder && lease.fence == fence
}

pub fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}
