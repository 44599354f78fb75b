//! What a refresh of a history reads and writes, and when it may end: the steps alone, without a table.
//!
//! Several processes may refresh the history of one user at once: consumers that received the same records twice,
//! jobs, erasures. All writes are conditional on what was read, but the purchases are read before the write, so a
//! write may already be out of date when it is made. These rules ensure that, once every refresh has ended, the
//! history equals the fold of the purchases, provided that each change of the purchases is followed by a refresh that
//! begins after it:
//!
//! 1. The history is read before the purchases. If it equals their fold, the refresh ends.
//! 2. Otherwise the fold is written over what was read. If the history was changed meanwhile, the refresh starts
//!    again.
//! 3. After a write, the purchases are read again. If their fold is what was written, the refresh ends.
//! 4. Otherwise they are read once more. If the two reads differ, a purchase changed *after* the write; the refresh
//!    that follows this change also begins after the write, so this one may end. So a user who buys without a pause
//!    delays nobody else. If the two reads are equal, their fold is written, and rule 3 applies again.
//!
//! Why that is enough: consider the last write of all, and the last change of the purchases. If the change came after
//! the write, the refresh that follows the change read the history after the write and the purchases after the
//! change, and ended because they were equal. If the change came before the write, the refresh that made the write
//! read the purchases after both (rules 3 and 4), and ended because they were equal, since there was no later change.
//! It needs versions that never recur: a put whose answer was lost is sent again, and its first copy may arrive after the
//! refresh has ended, when nobody reads the purchases any more. A refresh that is interrupted is repeated by whoever needed it.

/// The packed baskets; `None` if there are no purchases, and so no history.
pub(crate) type Packed = Option<Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefreshStep {
    /// Read the history, strongly consistent.
    ReadHistory,
    /// Read the purchases, strongly consistent, and fold them.
    ReadPurchases,
    /// Write this over what was last read or written.
    Write(Packed),
    /// The refresh has ended. `changed`: whether anything was written.
    Done { changed: bool },
    /// Other writers changed the history each time.
    GiveUp,
}

#[derive(Debug)]
pub(crate) struct Refresh {
    state: RefreshState,
    changed: bool,
    /// The number of writes that are left.
    writes: usize,
}

#[derive(Debug)]
enum RefreshState {
    Begun,
    /// The history that was read; `None` if it is damaged.
    Stored(Option<Packed>),
    Folded(Packed),
    Written(Packed),
    /// The fold of the purchases after a write, which was not what was written.
    Differed(Packed),
    Done,
}

impl Refresh {
    /// A refresh that gives up after this many writes.
    pub(crate) fn new(writes: usize) -> Self {
        Self { state: RefreshState::Begun, changed: false, writes }
    }

    pub(crate) fn next(&self) -> RefreshStep {
        match &self.state {
            RefreshState::Begun => RefreshStep::ReadHistory,
            RefreshState::Stored(_) | RefreshState::Written(_) | RefreshState::Differed(_) => {
                RefreshStep::ReadPurchases
            }
            RefreshState::Folded(_) if self.writes == 0 => RefreshStep::GiveUp,
            RefreshState::Folded(packed) => RefreshStep::Write(packed.clone()),
            RefreshState::Done => RefreshStep::Done { changed: self.changed },
        }
    }

    /// The history was read: `None` if it exists and is damaged.
    pub(crate) fn history(&mut self, stored: Option<Packed>) {
        self.state = RefreshState::Stored(stored);
    }

    pub(crate) fn purchases(&mut self, folded: Packed) {
        self.state = match std::mem::replace(&mut self.state, RefreshState::Done) {
            RefreshState::Stored(Some(stored)) if stored == folded => RefreshState::Done,
            RefreshState::Stored(_) => RefreshState::Folded(folded),
            RefreshState::Written(written) if written == folded => RefreshState::Done,
            RefreshState::Written(_) => RefreshState::Differed(folded),
            RefreshState::Differed(seen) if seen == folded => RefreshState::Folded(folded),
            RefreshState::Differed(_)
            | RefreshState::Begun
            | RefreshState::Folded(_)
            | RefreshState::Done => RefreshState::Done,
        };
    }

    /// Whether the write was made; it was not if the history had changed.
    pub(crate) fn written(&mut self, made: bool) {
        self.writes = self.writes.saturating_sub(1);
        self.changed |= made;
        self.state = match std::mem::replace(&mut self.state, RefreshState::Begun) {
            RefreshState::Folded(packed) if made => RefreshState::Written(packed),
            _ => RefreshState::Begun,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Purchases and a history in memory. Both are versioned by their content alone, as in the tables.
    #[derive(Default)]
    struct World {
        purchases: Packed,
        history: Packed,
    }

    /// A refresh, and the history that it has read.
    struct Actor {
        refresh: Refresh,
        guard: Packed,
        /// The number of steps that it has taken.
        steps: usize,
    }

    impl Actor {
        fn new() -> Self {
            Self { refresh: Refresh::new(20), guard: None, steps: 0 }
        }

        /// Takes one step; `false` if there is none left. A lost answer looks like a write that was not made.
        fn step(&mut self, world: &mut World, answer_lost: bool) -> bool {
            match self.refresh.next() {
                RefreshStep::ReadHistory => {
                    self.guard = world.history.clone();
                    self.refresh.history(Some(world.history.clone()));
                }
                RefreshStep::ReadPurchases => self.refresh.purchases(world.purchases.clone()),
                RefreshStep::Write(packed) => {
                    let made = world.history == self.guard;
                    if made {
                        world.history = packed.clone();
                        self.guard = packed;
                    }
                    self.refresh.written(made && !answer_lost);
                }
                RefreshStep::Done { .. } => return false,
                RefreshStep::GiveUp => panic!("it gave up"),
            }
            self.steps += 1;
            true
        }
    }

    fn packed(content: u8) -> Packed {
        (content > 0).then(|| vec![content])
    }

    /// Runs a schedule: each number makes a change, which a refresh follows, lets one of the refreshes take a step,
    /// or interrupts it.
    fn play(schedule: &[(u8, bool)]) -> World {
        let mut world = World::default();
        let mut actors: Vec<Actor> = Vec::new();
        for &(draw, answer_lost) in schedule {
            // There are few different contents, so that the purchases return to earlier ones.
            if draw < 40 || actors.is_empty() {
                world.purchases = packed(draw % 3);
                actors.push(Actor::new());
                continue;
            }
            let at = usize::from(draw) % actors.len();
            if draw > 250 {
                // Interrupted, and repeated.
                actors[at] = Actor::new();
            } else {
                actors[at].step(&mut world, answer_lost);
            }
        }
        // The latest ones first: an early refresh ends after all others.
        while let Some(mut actor) = actors.pop() {
            while actor.step(&mut world, false) {}
        }
        world
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn however_refreshes_interleave_the_history_ends_as_the_purchases_say(
            schedule in prop::collection::vec((any::<u8>(), prop::bool::weighted(0.1)), 0..80),
        ) {
            let world = play(&schedule);
            prop_assert_eq!(world.history, world.purchases);
        }
    }

    #[test]
    fn an_old_fold_that_passes_since_the_history_is_the_same_again_is_written_over() {
        let mut world = World { purchases: packed(1), history: packed(1) };
        let (mut early, mut late) = (Actor::new(), Actor::new());
        world.purchases = None;
        // It reads the history and the purchases while there are none.
        assert!(early.step(&mut world, false) && early.step(&mut world, false));
        world.purchases = packed(1);
        while late.step(&mut world, false) {}
        assert_eq!((late.steps, &world.history), (2, &packed(1)), "the late one has nothing to do");
        assert!(early.step(&mut world, false));
        assert_eq!(world.history, None, "the old fold has passed");
        while early.step(&mut world, false) {}
        assert_eq!(world.history, packed(1));
    }

    #[test]
    fn purchases_that_change_at_every_reading_end_a_refresh_after_one_write() {
        let mut world = World { purchases: packed(1), history: None };
        let mut actor = Actor::new();
        for content in 2..100 {
            world.purchases = packed(content);
            if !actor.step(&mut world, false) {
                break;
            }
        }
        assert!(matches!(actor.refresh.next(), RefreshStep::Done { changed: true }));
        assert_eq!(actor.steps, 5, "history, purchases, write, and the purchases twice");
    }

    #[test]
    fn a_history_that_cannot_be_read_is_written_over() {
        let mut refresh = Refresh::new(20);
        refresh.history(None);
        refresh.purchases(packed(1));
        assert_eq!(refresh.next(), RefreshStep::Write(packed(1)));
        let mut refresh = Refresh::new(20);
        refresh.history(None);
        refresh.purchases(None);
        assert_eq!(refresh.next(), RefreshStep::Write(None), "also if there are no purchases");
    }

    #[test]
    fn a_refresh_whose_writes_are_refused_each_time_gives_up() {
        let mut refresh = Refresh::new(2);
        for _ in 0..2 {
            refresh.history(Some(packed(1)));
            refresh.purchases(packed(2));
            refresh.written(false);
        }
        refresh.history(Some(packed(1)));
        refresh.purchases(packed(2));
        assert_eq!(refresh.next(), RefreshStep::GiveUp);
    }
}
