//! Products by number.

use crate::fixed::narrow;
use crate::strings::StringTable;
use std::sync::Arc;

/// A product's number in one model: the place of its id among all ids in byte order.
///
/// Numbers of different models have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductIx(u32);

impl ProductIx {
    /// The product with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// The products that one model knows, sorted by id. Cloning shares the ids.
#[derive(Debug, Clone)]
pub struct Catalogue(Arc<StringTable>);

impl Catalogue {
    /// Sorts and deduplicates; `None` if the ids add up to more than 4 GiB.
    pub fn new<'a>(ids: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut ids: Vec<&str> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut table = StringTable::with_capacity(ids.len(), ids.iter().map(|id| id.len()).sum());
        for id in ids {
            table.intern(id).ok()?;
        }
        Some(Self(Arc::new(table)))
    }

    /// How many products there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of a product; empty for a number of another model.
    pub fn id(&self, product: ProductIx) -> &str {
        self.0.get(product.0)
    }

    /// The number of a product, by hash: some 20 ns.
    pub fn index_of(&self, id: &str) -> Option<ProductIx> {
        self.0.find(id).map(ProductIx)
    }

    /// All ids in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..narrow(self.len())).map(|number| self.0.get(number))
    }
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.len() == other.len() && self.ids().eq(other.ids()))
    }
}
