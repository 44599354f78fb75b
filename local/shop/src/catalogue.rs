//! What the shop sells: the rows of `catalogue.csv`.

use std::sync::LazyLock;

use serde::Deserialize;

/// Whether a product can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stock {
    /// All the time.
    Sold,
    /// Not any more, for some weeks.
    Gone,
    /// Since a few days ago: nobody has bought it.
    New,
}

/// When a product is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Season {
    /// In all months alike.
    Always,
    /// From May to September.
    Summer,
    /// From September to November.
    Autumn,
    /// In November and December.
    Christmas,
}

impl Season {
    /// How much more a product of this season is wanted in a month (1 to 12) than in a usual one, in tenths.
    pub(crate) fn pull(self, month: u32) -> u32 {
        match (self, month) {
            (Self::Always, _) => 10,
            (Self::Summer, 6..=8) => 40,
            (Self::Summer, 5 | 9) => 15,
            (Self::Autumn, 9..=11) => 30,
            (Self::Christmas, 12) => 60,
            (Self::Christmas, 11) => 25,
            _ => 1,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct CatalogueItem {
    pub(crate) shelf: String,
    pub(crate) id: String,
    pub(crate) name: String,
    /// Euro cents.
    pub(crate) cents: u16,
    /// How often it is picked beside the others of its shelf.
    pub(crate) pull: u8,
    pub(crate) season: Season,
    pub(crate) stock: Stock,
}

/// The products, shelf by shelf.
pub(crate) static CATALOGUE: LazyLock<Vec<CatalogueItem>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> csv::Result<Vec<CatalogueItem>> {
    csv::Reader::from_reader(include_bytes!("catalogue.csv").as_slice()).deserialize().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_readable() {
        assert_eq!(read().unwrap().len(), 207);
    }
}
