//! Newest baskets set aside, to see how well a model foretells them.

use super::Dataset;
use crate::fixed::narrow;

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
        let mut rest = Self {
            catalogue: self.catalogue.clone(),
            users: self.users.clone(),
            user_starts: Vec::with_capacity(self.user_starts.len()),
            times: Vec::with_capacity(self.times.len()),
            basket_starts: Vec::with_capacity(self.basket_starts.len()),
            lines: Vec::with_capacity(self.lines.len()),
        };
        let mut held = Vec::new();
        for (user, id) in (0u32..).zip(&self.users) {
            rest.user_starts.push(narrow(rest.times.len()));
            let mut baskets = self.baskets_of(user);
            if baskets.len() >= least.max(2)
                && chosen(id)
                && let Some((time_ms, products)) = baskets.next_back()
            {
                held.push(HeldOut { user, time_ms, products: products.to_vec() });
            }
            for (time, products) in baskets {
                rest.times.push(time);
                rest.basket_starts.push(narrow(rest.lines.len()));
                rest.lines.extend_from_slice(products);
            }
        }
        rest.user_starts.push(narrow(rest.times.len()));
        rest.basket_starts.push(narrow(rest.lines.len()));
        (rest, held)
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::DatasetBuilder;

    #[test]
    fn the_newest_basket_moves_from_the_data_to_the_held_out() {
        let mut builder = DatasetBuilder::new();
        builder.push("a", "1", 1, ["x"]).unwrap();
        builder.push("a", "2", 2, ["x", "y"]).unwrap();
        builder.push("b", "3", 3, ["z"]).unwrap();
        builder.push("c", "4", 4, ["x"]).unwrap();
        builder.push("c", "5", 5, ["z"]).unwrap();
        let data = builder.build().unwrap();
        let (rest, held) = data.hold_out_newest(2, |id| id != "c");
        assert_eq!(held.len(), 1);
        assert_eq!((held[0].user, held[0].time_ms, held[0].products.as_slice()), (0, 2, [0, 1].as_slice()));
        assert_eq!((rest.user_count(), rest.basket_count(), rest.line_count()), (3, 4, 4));
        assert_eq!(rest.baskets_of(0).map(|(t, _)| t).collect::<Vec<_>>(), [1]);
        assert_eq!(rest.baskets_of(2).map(|(t, _)| t).collect::<Vec<_>>(), [4, 5]);
    }
}
