//! Products by number.

use crate::bytes::{ByteReader, DecodeError, put_varint};
use crate::fixed_point::narrow;
use crate::id_codec::{self, DecodedIds};
use crate::string_table::StringTable;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const VERSION: u8 = 1;

/// A product's number in one model: the place of its id among all ids in byte order.
///
/// Numbers of different models have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
        // Stable, since that is quick with runs in order: the ids of other catalogues, one after the other.
        ids.sort();
        ids.dedup();
        let mut table = StringTable::with_capacity(ids.len(), ids.iter().map(|id| id.len()).sum());
        for id in ids {
            table.intern(id).ok()?;
        }
        Some(Self(Arc::new(table)))
    }

    /// Packs the ids; equal catalogues give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.put(&mut out);
        out
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        id_codec::put(self.ids(), out);
    }

    /// Reads what [`Catalogue::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, "catalogue");
        reader.version(VERSION)?;
        let catalogue = Self::take(&mut reader)?;
        reader.end()?;
        Ok(catalogue)
    }

    pub(crate) fn take(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let mut ids = DecodedIds::default();
        let length = reader.length(2)?;
        ids.take(reader, length)?;
        ids.finish(|ids| Self::new(ids))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_catalogue_comes_back_from_its_bytes(ids in prop::collection::btree_set("[a-c]{1,4}|\\PC{1,6}", 0..40)) {
            let catalogue = Catalogue::new(ids.iter().map(String::as_str)).unwrap();
            let back = Catalogue::decode(&catalogue.encode()).unwrap();
            prop_assert!(back.ids().eq(ids.iter().map(String::as_str)));
            prop_assert!(ids.iter().all(|id| catalogue.index_of(id) == back.index_of(id)));
        }

        #[test]
        fn bytes_that_are_no_catalogue_are_an_error_and_no_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let _ = Catalogue::decode(&bytes);
        }
    }

    #[test]
    fn ids_out_of_order_are_refused() {
        let bytes = [VERSION, 2, 0, 1, b'b', 0, 1, b'a'];
        assert_eq!(Catalogue::decode(&bytes).unwrap_err(), DecodeError::Invalid("order of ids"));
    }
}
