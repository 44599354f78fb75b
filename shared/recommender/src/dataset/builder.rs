//! Collects purchases in any order and lays them out.
#![allow(
    clippy::indexing_slicing,
    reason = "every index comes from a table filled with the same length just before"
)]

use super::{Dataset, DatasetWriter};
use crate::catalogue::Catalogue;
use crate::fixed_point::narrow;
use crate::id_codec::LONGEST;
use crate::string_table::{Full, StringTable};

/// Takes purchases in any order, whole or line by line, with repetitions.
///
/// A basket is what one user bought under one purchase id; its time is the earliest it was given with.
/// Memory: 4 bytes a line and 24 a run of lines of the same purchase, besides the distinct ids.
#[derive(Debug, Default)]
pub struct DatasetBuilder {
    catalogue: Option<Catalogue>,
    users: StringTable,
    purchases: StringTable,
    products: StringTable,
    runs: Vec<LineRun>,
    lines: Vec<u32>,
}

/// Lines that came one after the other for the same purchase.
#[derive(Debug, Clone, Copy)]
struct LineRun {
    user: u32,
    purchase: u32,
    time_ms: i64,
    start: u32,
    end: u32,
}

/// Why purchases cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// Numbers have 32 bits, and sums of weights are exact below 2^32 pairs of baskets.
    #[error("too many purchases for one data set: {0}")]
    TooLarge(&'static str),
    /// Ids of users and products have at most 256 bytes, as in the packed model.
    #[error("id {0:?} is longer than 256 bytes")]
    LongId(String),
    /// The builder was given a catalogue without this product.
    #[error("product {0:?} not found in the catalogue")]
    UnknownProduct(String),
}

impl From<Full> for DatasetError {
    fn from(_: Full) -> Self {
        Self::TooLarge("the ids add up to more than 4 GiB")
    }
}

/// With the widest gap allowed (50), baskets times gap stay below 2^32.
pub(super) const MOST_BASKETS: usize = (u32::MAX / 50) as usize;

impl DatasetBuilder {
    /// Products are numbered by what comes in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Products are numbered as in `catalogue`: for parts of a training set whose counts are merged later.
    pub fn with_catalogue(catalogue: Catalogue) -> Self {
        Self { catalogue: Some(catalogue), ..Self::default() }
    }

    /// Adds a purchase or a part of one, at `time_ms`, in milliseconds since 1970. Without products nothing is added.
    ///
    /// # Errors
    /// Too many lines, an id that is too long, or a product that the given catalogue lacks.
    pub fn push<'a>(
        &mut self,
        user: &str,
        purchase: &str,
        time_ms: i64,
        products: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), DatasetError> {
        let user = short(user)?;
        let start = narrow(self.lines.len());
        for product in products {
            let product = short(product)?;
            let number = match &self.catalogue {
                Some(catalogue) => catalogue
                    .index_of(product)
                    .ok_or_else(|| DatasetError::UnknownProduct(product.to_owned()))?
                    .get(),
                None => self.products.intern(product)?,
            };
            self.lines.push(number);
        }
        let end = narrow(self.lines.len());
        if end == u32::MAX {
            return Err(DatasetError::TooLarge("more than 4,294,967,294 lines"));
        }
        if end > start {
            self.push_run(user, purchase, time_ms, start, end)?;
        }
        Ok(())
    }

    fn push_run(
        &mut self,
        user: &str,
        purchase: &str,
        time_ms: i64,
        start: u32,
        end: u32,
    ) -> Result<(), DatasetError> {
        if let Some(run) = self.runs.last_mut()
            && run.end == start
            && self.users.get(run.user) == user
            && self.purchases.get(run.purchase) == purchase
        {
            run.end = end;
            run.time_ms = run.time_ms.min(time_ms);
            return Ok(());
        }
        let user = self.users.intern(user)?;
        let purchase = self.purchases.intern(purchase)?;
        self.runs.push(LineRun { user, purchase, time_ms, start, end });
        Ok(())
    }

    /// Sorts everything into place.
    ///
    /// # Errors
    /// More than 85,899,345 baskets.
    pub fn build(mut self) -> Result<Dataset, DatasetError> {
        let user_order = sorted(&self.users);
        let user_rank = inverse(&user_order);
        let product_rank = match self.catalogue {
            Some(_) => None,
            None => Some(inverse(&sorted(&self.products))),
        };
        self.runs.sort_unstable_by_key(|run| (user_rank[run.user as usize], run.purchase, run.start));
        let mut baskets = Vec::new();
        let mut first = 0;
        for group in self.runs.chunk_by(|a, b| (a.user, a.purchase) == (b.user, b.purchase)) {
            let time_ms = group.iter().map(|run| run.time_ms).min().unwrap_or_default();
            let runs = first..first + group.len();
            first = runs.end;
            baskets.push((user_rank[group[0].user as usize], time_ms, group[0].purchase, runs));
        }
        if baskets.len() > MOST_BASKETS {
            return Err(DatasetError::TooLarge("more than 85,899,345 baskets"));
        }
        let purchases = std::mem::take(&mut self.purchases);
        baskets.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| purchases.get(a.2).cmp(purchases.get(b.2)))
        });
        drop(purchases);

        let catalogue = match self.catalogue {
            Some(catalogue) => catalogue,
            None => {
                Catalogue::new((0..narrow(self.products.len())).map(|n| self.products.get(n))).ok_or(Full)?
            }
        };
        let mut layout = DatasetWriter::new(catalogue, user_order.len(), baskets.len(), self.lines.len());
        let mut basket: Vec<u32> = Vec::new();
        for of_user in baskets.chunk_by(|a, b| a.0 == b.0) {
            layout.user(self.users.get(user_order[of_user[0].0 as usize]).into());
            for (_, time_ms, _, runs) in of_user {
                basket.clear();
                for run in &self.runs[runs.clone()] {
                    basket.extend_from_slice(&self.lines[run.start as usize..run.end as usize]);
                }
                if let Some(rank) = &product_rank {
                    basket.iter_mut().for_each(|product| *product = rank[*product as usize]);
                }
                basket.sort_unstable();
                basket.dedup();
                layout.basket(*time_ms, &basket);
            }
        }
        Ok(layout.finish())
    }
}

fn short(id: &str) -> Result<&str, DatasetError> {
    if id.len() <= LONGEST { Ok(id) } else { Err(DatasetError::LongId(id.to_owned())) }
}

/// The numbers of a table's strings in the order of the strings.
fn sorted(table: &StringTable) -> Vec<u32> {
    let mut order: Vec<u32> = (0..narrow(table.len())).collect();
    order.sort_unstable_by(|&a, &b| table.get(a).cmp(table.get(b)));
    order
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut rank = vec![0; order.len()];
    for (place, &number) in order.iter().enumerate() {
        rank[number as usize] = narrow(place);
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(order: &[usize]) -> Dataset {
        let lines = [
            ("u2", "x", 50, "pear"),
            ("u1", "b", 20, "apple"),
            ("u1", "a", 20, "fig"),
            ("u1", "b", 20, "fig"),
            ("u1", "c", 10, "pear"),
            ("u1", "b", 25, "apple"),
        ];
        let mut builder = DatasetBuilder::new();
        for &at in order {
            let (user, purchase, time, product) = lines[at];
            builder.push(user, purchase, time, [product]).unwrap();
        }
        builder.build().unwrap()
    }

    #[test]
    fn order_and_repetition_of_lines_do_not_matter() {
        let expected = small(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(small(&[5, 4, 3, 2, 1, 0]), expected);
        assert_eq!(small(&[3, 3, 0, 5, 1, 4, 2, 2]), expected);
    }

    #[test]
    fn baskets_come_by_time_then_purchase_id() {
        let data = small(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(data.catalogue().ids().collect::<Vec<_>>(), ["apple", "fig", "pear"]);
        let baskets: Vec<(i64, Vec<u32>)> = data.baskets_of(0).map(|(t, p)| (t, p.to_vec())).collect();
        assert_eq!(baskets, [(10, vec![2]), (20, vec![1]), (20, vec![0, 1])]);
        assert_eq!(data.user_of("u2"), Some(1));
        assert_eq!(data.user_id(1), Some("u2"));
        assert_eq!((data.user_count(), data.basket_count(), data.line_count()), (2, 4, 5));
        assert_eq!(data.newest_ms(), Some(50));
    }

    #[test]
    fn the_same_purchase_id_of_two_users_is_two_baskets() {
        let mut builder = DatasetBuilder::new();
        builder.push("a", "1", 5, ["x"]).unwrap();
        builder.push("b", "1", 5, ["x"]).unwrap();
        builder.push("b", "2", 5, []).unwrap();
        let data = builder.build().unwrap();
        assert_eq!((data.user_count(), data.basket_count()), (2, 2));
    }

    #[test]
    fn a_product_outside_the_catalogue_is_an_error() {
        let mut builder = DatasetBuilder::with_catalogue(Catalogue::new(["x"]).unwrap());
        builder.push("a", "1", 5, ["x"]).unwrap();
        assert_eq!(builder.push("a", "1", 5, ["y"]), Err(DatasetError::UnknownProduct("y".to_owned())));
    }

    #[test]
    fn an_id_that_could_not_be_read_back_is_refused() {
        let (longest, longer) = ("é".repeat(128), "é".repeat(129));
        let mut builder = DatasetBuilder::new();
        builder.push(&longest, "1", 5, [longest.as_str()]).unwrap();
        for (user, product) in [("a", longer.as_str()), (longer.as_str(), "x")] {
            assert_eq!(builder.push(user, "2", 5, [product]), Err(DatasetError::LongId(longer.clone())));
        }
        let data = builder.build().unwrap();
        assert_eq!(Dataset::decode(&data.encode()), Ok(data));
    }

    #[test]
    fn nothing_in_gives_an_empty_data_set() {
        let data = DatasetBuilder::new().build().unwrap();
        assert_eq!((data.user_count(), data.basket_count(), data.newest_ms()), (0, 0, None));
        assert_eq!(data.baskets_of(0).count(), 0);
    }
}
