//! Products renumbered: a part of a training set joins the others.

use super::{Dataset, DatasetError};
use crate::catalogue::{Catalogue, ProductIx};
use crate::fixed_point::narrow;

impl Dataset {
    /// The same baskets, with products numbered as in a larger catalogue.
    ///
    /// # Errors
    /// [`DatasetError::UnknownProduct`] if the catalogue lacks one.
    pub fn reindexed(mut self, catalogue: &Catalogue) -> Result<Self, DatasetError> {
        let mut numbers = Vec::with_capacity(self.catalogue.len());
        let mut next = 0;
        for id in self.catalogue.ids() {
            // Both are in the order of their ids.
            while next < narrow(catalogue.len()) && catalogue.id(ProductIx::new(next)) < id {
                next += 1;
            }
            if catalogue.id(ProductIx::new(next)) != id {
                return Err(DatasetError::UnknownProduct(id.to_owned()));
            }
            numbers.push(next);
        }
        for line in &mut self.lines {
            if let Some(&number) = numbers.get(*line as usize) {
                *line = number;
            }
        }
        self.catalogue = catalogue.clone();
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DatasetBuilder;

    fn baskets(mut builder: DatasetBuilder) -> Dataset {
        builder.push("u", "1", 1, ["fig", "pear"]).unwrap();
        builder.push("v", "2", 2, ["apple", "pear"]).unwrap();
        builder.build().unwrap()
    }

    #[test]
    fn it_is_as_if_the_baskets_had_been_read_under_the_larger_catalogue() {
        let larger = Catalogue::new(["apple", "banana", "fig", "pear", "quince"]).unwrap();
        let expected = baskets(DatasetBuilder::with_catalogue(larger.clone()));
        assert_eq!(baskets(DatasetBuilder::new()).reindexed(&larger), Ok(expected));
    }

    #[test]
    fn a_product_that_the_catalogue_lacks_is_named() {
        for (ids, missing) in [(["apple", "pear"], "fig"), (["apple", "fig"], "pear")] {
            let result = baskets(DatasetBuilder::new()).reindexed(&Catalogue::new(ids).unwrap());
            assert_eq!(result, Err(DatasetError::UnknownProduct(missing.to_owned())));
        }
    }
}
