//! Newest baskets set aside, to see how well a model foretells them.

use super::{Dataset, DatasetWriter};

/// What one user bought last, and when; it is no longer in the data set it was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOut {
    /// The user's number, the same in both data sets.
    pub user: u32,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Product numbers, ascending.
    pub products: Vec<u32>,
}

impl Dataset {
    /// Takes away the newest basket of every chosen user with at least `least` baskets (2 at the least, so that
    /// a history remains). Users and products keep their numbers.
    pub fn hold_out_newest(&self, least: usize, chosen: impl Fn(&str) -> bool) -> (Self, Vec<HeldOut>) {
        self.hold_out(|id, times| {
            let newest = times.len().saturating_sub(1);
            (times.len() >= least.max(2) && chosen(id)).then_some(newest)
        })
    }

    /// Takes away each user's baskets from the one on whose number `first` answers, by the user's id and the times of
    /// all their baskets, oldest first; of those that are taken away the first is the held-out one, and the others are
    /// dropped. Users and products keep their numbers, also where no basket is left.
    pub fn hold_out(&self, first: impl Fn(&str, &[i64]) -> Option<usize>) -> (Self, Vec<HeldOut>) {
        let mut rest = self.same_size();
        let mut held = Vec::new();
        for (user, id) in (0u32..).zip(&self.users) {
            rest.user(id.clone());
            let numbers = self.baskets_in(user..user.saturating_add(1));
            let times = self.times.get(numbers.start as usize..numbers.end as usize).unwrap_or(&[]);
            let from = first(id, times).unwrap_or(times.len());
            for (nth, (time_ms, products)) in self.baskets_of(user).enumerate().take(from.saturating_add(1)) {
                if nth < from {
                    rest.basket(time_ms, products);
                } else {
                    held.push(HeldOut { user, time_ms, products: products.to_vec() });
                }
            }
        }
        (rest.finish(), held)
    }

    /// The chosen users, by id and number of baskets, and the others. Products keep their numbers.
    pub fn split(&self, chosen: impl Fn(&str, usize) -> bool) -> (Self, Self) {
        let mut parts = (self.same_size(), self.same_size());
        for (user, id) in (0u32..).zip(&self.users) {
            let baskets = self.baskets_of(user);
            let part = if chosen(id, baskets.len()) { &mut parts.0 } else { &mut parts.1 };
            part.user(id.clone());
            baskets.for_each(|(time_ms, products)| part.basket(time_ms, products));
        }
        (parts.0.finish(), parts.1.finish())
    }

    fn same_size(&self) -> DatasetWriter {
        DatasetWriter::new(self.catalogue.clone(), self.users.len(), self.times.len(), self.lines.len())
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::{Dataset, DatasetBuilder};

    fn shop() -> Dataset {
        let mut builder = DatasetBuilder::new();
        builder.push("a", "1", 1, ["x"]).unwrap();
        builder.push("a", "2", 2, ["x", "y"]).unwrap();
        builder.push("b", "3", 3, ["z"]).unwrap();
        builder.push("c", "4", 4, ["x"]).unwrap();
        builder.push("c", "5", 5, ["z"]).unwrap();
        builder.build().unwrap()
    }

    #[test]
    fn the_newest_basket_moves_from_the_data_to_the_held_out() {
        let (rest, held) = shop().hold_out_newest(2, |id| id != "c");
        assert_eq!(held.len(), 1);
        assert_eq!((held[0].user, held[0].time_ms, held[0].products.as_slice()), (0, 2, [0, 1].as_slice()));
        assert_eq!((rest.user_count(), rest.basket_count(), rest.line_count()), (3, 4, 4));
        assert_eq!(rest.baskets_of(0).map(|(t, _)| t).collect::<Vec<_>>(), [1]);
        assert_eq!(rest.baskets_of(2).map(|(t, _)| t).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn baskets_after_the_held_out_one_are_dropped() {
        let (rest, held) = shop().hold_out(|_, times| times.iter().position(|&time| time >= 2));
        let held: Vec<(u32, i64)> = held.iter().map(|held| (held.user, held.time_ms)).collect();
        assert_eq!(held, [(0, 2), (1, 3), (2, 4)]);
        assert_eq!((rest.user_count(), rest.basket_count(), rest.catalogue().len()), (3, 1, 3));
        assert_eq!(rest.baskets_of(2).count(), 0);
    }

    #[test]
    fn split_users_keep_their_baskets_and_the_numbers_of_products() {
        let (chosen, others) = shop().split(|id, baskets| baskets > 1 && id != "a");
        assert_eq!((chosen.user_count(), others.user_count()), (1, 2));
        assert_eq!(chosen.user_id(0), Some("c"));
        let baskets: Vec<(i64, &[u32])> = chosen.baskets_of(0).collect();
        assert_eq!(baskets, [(4, [0].as_slice()), (5, [2].as_slice())]);
        assert_eq!(others.user_of("b"), Some(1));
        assert_eq!(others.baskets_of(1).next(), Some((3, [2].as_slice())));
        assert_eq!(chosen.catalogue(), others.catalogue());
    }
}
