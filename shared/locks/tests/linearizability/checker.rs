//! Whether a history can be explained, and whether anybody was wronged.
//!
//! A history is linearizable if its calls can be put in one order, each somewhere between its being made and its
//! answer, in which the specification gives every answer that was heard. The search goes along orders, call by
//! call, and remembers which sets of calls led to which state, so that none is tried twice (Wing and Gong 1993, Lowe
//! 2017). A call with an unknown outcome may be left out.

use std::collections::HashSet;
use std::fmt;

use crate::history::{Call, History, Hold, Op, Outcome};
use crate::model::{State, after, is_pure};

/// What is wrong with a history.
pub enum Violation {
    /// No order explains it; this is how far the longest came.
    NotLinearizable { explained: Vec<usize> },
    /// Two acquisitions were told the same fence, or a later one a smaller.
    Fences { earlier: usize, later: usize },
    /// Two clients took themselves for the holder at the same time.
    TwoHolders { one: Hold, other: Hold },
}

pub fn check(history: &History) -> Result<(), Violation> {
    check_holders(&history.holds)?;
    check_fences(&history.ops)?;
    linearize(&history.ops)
}

/// That no two clients' times as holders meet.
fn check_holders(holds: &[Hold]) -> Result<(), Violation> {
    let mut holds: Vec<Hold> = holds.iter().filter(|hold| hold.from < hold.to).copied().collect();
    holds.sort_by_key(|hold| hold.from);
    for (n, one) in holds.iter().enumerate() {
        let meets = |other: &&Hold| other.fence != one.fence || other.client != one.client;
        if let Some(other) = holds[n + 1..].iter().take_while(|other| other.from < one.to).find(meets) {
            return Err(Violation::TwoHolders { one: *one, other: *other });
        }
    }
    Ok(())
}

/// That fences are unique, and grow from an acquisition to those made after it.
fn check_fences(ops: &[Op]) -> Result<(), Violation> {
    let held = |(n, op): (usize, &Op)| match op.outcome {
        Outcome::Held { fence, .. } => Some((n, op.invoked, op.returned, fence)),
        _ => None,
    };
    let held: Vec<_> = ops.iter().enumerate().filter_map(held).collect();
    for (earlier, _, returned, fence) in &held {
        for (later, invoked, _, greater) in &held {
            let follows = returned.is_some_and(|returned| returned < *invoked);
            if earlier != later && (fence == greater || (follows && fence > greater)) {
                return Err(Violation::Fences { earlier: *earlier, later: *later });
            }
        }
    }
    Ok(())
}

/// A search that comes to so many has gone astray; some hundred are usual.
const MOST_STATES: usize = 1_000_000;

/// Calls by their numbers, as bits.
type Set = u128;

struct Search<'a> {
    ops: &'a [Op],
    seen: HashSet<(Set, State)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

fn linearize(ops: &[Op]) -> Result<(), Violation> {
    assert!(ops.len() <= 128, "a run has at most 128 calls");
    let mut search = Search { ops, seen: HashSet::new(), order: Vec::new(), longest: Vec::new() };
    if search.explain(0, State::default()) {
        Ok(())
    } else {
        Err(Violation::NotLinearizable { explained: search.longest })
    }
}

impl Search<'_> {
    /// Whether the calls that are not done can follow.
    fn explain(&mut self, done: Set, state: State) -> bool {
        let left = |op: &usize| done & (1 << op) == 0;
        let required = |op: &usize| self.ops[*op].outcome != Outcome::Unknown;
        let all = 0..self.ops.len();
        let Some(first_return) =
            all.clone().filter(left).filter(required).map(|op| self.ops[op].returned.unwrap()).min()
        else {
            return true;
        };
        if self.order.len() > self.longest.len() {
            self.longest.clone_from(&self.order);
        }
        if !self.seen.insert((done, state)) {
            return false;
        }
        assert!(self.seen.len() < MOST_STATES, "the history is too hard to check");
        let last_made = all.clone().filter(|op| !left(op)).map(|op| self.ops[op].invoked).max().unwrap_or(0);
        // One that had ended when another was made does not come after it.
        let possible = |op: &usize| self.ops[*op].returned.is_none_or(|returned| returned > last_made);
        let next: Vec<(usize, State)> = all
            .clone()
            .filter(left)
            .filter(|op| self.ops[*op].invoked < first_return)
            .filter(possible)
            .filter_map(|op| Some((op, after(state, &self.ops[op])?)))
            .collect();
        // Of what changes nothing and fits now, the first made may as well come before the rest: whatever comes later
        // in some order that explains all is left out by it no more than by the others.
        let (pure, changes): (Vec<_>, Vec<_>) =
            next.into_iter().partition(|(op, _)| is_pure(self.ops[*op].outcome));
        let first = pure.into_iter().min_by_key(|(op, _)| self.ops[*op].invoked);
        // It may even come before all changes, if it leaves out no call that may be left out.
        let unknown = |op: &usize| self.ops[*op].outcome == Outcome::Unknown;
        let ends = all.filter(left).filter(unknown).filter(possible).filter_map(|op| self.ops[op].returned);
        let first_end = ends.min().unwrap_or(u32::MAX);
        if let Some((op, state)) = first.filter(|(op, _)| self.ops[*op].invoked < first_end) {
            return self.follow(done, op, state);
        }
        changes.into_iter().chain(first).any(|(op, state)| self.follow(done, op, state))
    }

    fn follow(&mut self, done: Set, op: usize, state: State) -> bool {
        self.order.push(op);
        let explained = self.explain(done | (1 << op), state);
        self.order.pop();
        explained
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinearizable { explained } => {
                write!(f, "no order of the calls explains the answers; the longest is {explained:?}")
            }
            Self::Fences { earlier, later } => {
                write!(f, "the fences of op{earlier} and op{later} are equal or out of order")
            }
            Self::TwoHolders { one, other } => write!(f, "two holders at once: {one:?} and {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Seen;

    const BUSY: Seen = Seen { holder: 0, fence: 1, expires_at: 10_000, released: false };
    const HELD: Outcome = Outcome::Held { fence: 1, expires_at: 10_000 };

    fn op(call: Call, local: i64, invoked: u32, returned: u32, outcome: Outcome) -> Op {
        Op { client: (0, 0), call, local, invoked, returned: Some(returned), outcome }
    }

    fn acquire(holder: usize, local: i64, steps: (u32, u32), outcome: Outcome) -> Op {
        op(Call::Acquire { holder }, local, steps.0, steps.1, outcome)
    }

    fn show(steps: (u32, u32), seen: Option<Seen>) -> Op {
        op(Call::Show, 0, steps.0, steps.1, Outcome::Shown(seen))
    }

    #[test]
    fn calls_at_the_same_time_may_have_come_in_either_order() {
        let shown = |seen| linearize(&[acquire(0, 0, (1, 4), HELD), show((2, 3), seen)]).is_ok();
        assert!(shown(None) && shown(Some(BUSY)));
        assert!(!shown(Some(Seen { fence: 2, ..BUSY })));
    }

    #[test]
    fn calls_one_after_the_other_came_in_that_order() {
        assert!(linearize(&[acquire(0, 0, (1, 2), HELD), show((3, 4), None)]).is_err());
        assert!(linearize(&[show((1, 2), Some(BUSY)), acquire(0, 0, (3, 4), HELD)]).is_err());
    }

    #[test]
    fn what_nobody_heard_of_may_have_happened_or_not_but_not_after_its_end() {
        let unknown = acquire(0, 0, (1, 4), Outcome::Unknown);
        for seen in [None, Some(BUSY)] {
            assert!(linearize(&[unknown.clone(), show((2, 3), seen)]).is_ok());
            assert!(linearize(&[unknown.clone(), show((5, 6), seen)]).is_ok());
        }
        let late = [unknown.clone(), show((5, 6), None), show((7, 8), Some(BUSY))];
        assert!(linearize(&late).is_err());
        let open = Op { returned: None, ..unknown };
        assert!(linearize(&[open, show((5, 6), None), show((7, 8), Some(BUSY))]).is_ok());
    }

    #[test]
    fn what_nobody_heard_of_is_not_left_out_for_a_later_call_that_would_fit_without_it() {
        let renew = Call::Renew { holder: 0, fence: 1, until: 9_000 };
        let unknown = op(renew, 0, 3, 4, Outcome::Unknown);
        let count = op(Call::Count, 0, 7, 8, Outcome::Counted(1));
        let calls = [acquire(0, 0, (1, 2), HELD), unknown, show((5, 6), Some(BUSY)), count];
        assert!(linearize(&calls).is_ok());
    }

    #[test]
    fn a_lease_is_not_taken_within_the_skew_of_its_expiry() {
        let second =
            |local| acquire(1, local, (3, 4), Outcome::Held { fence: 2, expires_at: local + 10_000 });
        let explained = |local| linearize(&[acquire(0, 0, (1, 2), HELD), second(local)]).is_ok();
        assert!(!explained(12_000));
        assert!(explained(12_001));
    }

    #[test]
    fn a_renewal_that_was_applied_twice_is_found() {
        let renew = Call::Renew { holder: 0, fence: 1, until: 11_000 };
        let renewed = op(renew, 1_000, 3, 4, Outcome::Renewed { expires_at: 11_000 });
        let counted = |renewals| op(Call::Count, 0, 5, 6, Outcome::Counted(renewals));
        let explained = |n| linearize(&[acquire(0, 0, (1, 2), HELD), renewed.clone(), counted(n)]).is_ok();
        assert!(explained(1));
        assert!(!explained(0) && !explained(2));
    }

    #[test]
    fn equal_or_falling_fences_are_found() {
        let fences = |first, second| {
            let held = |fence| Outcome::Held { fence, expires_at: 0 };
            check_fences(&[acquire(0, 0, (1, 2), held(first)), acquire(1, 0, (3, 4), held(second))]).is_ok()
        };
        assert!(fences(1, 2));
        assert!(!fences(1, 1) && !fences(2, 1));
    }

    #[test]
    fn two_holders_at_once_are_found() {
        let hold = |client, from, to| Hold { client: (client, 0), fence: client as u64, from, to };
        assert!(check_holders(&[hold(2, 5, 9), hold(1, 0, 5)]).is_ok());
        assert!(check_holders(&[hold(2, 5, 9), hold(1, 0, 6)]).is_err());
        assert!(check_holders(&[hold(1, 0, 20), hold(2, 5, 5), hold(3, 6, 7)]).is_err());
    }
}
