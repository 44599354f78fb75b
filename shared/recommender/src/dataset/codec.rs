//! A data set as bytes: two to three a line, since products ascend and times follow each other.

use super::builder::MOST_BASKETS;
use super::{Dataset, DatasetWriter};
use crate::bytes::{ByteReader, DecodeError, put_signed, put_varint};
use crate::catalogue::Catalogue;
use crate::fixed_point::narrow;
use crate::id_codec::{self, DecodedIds};

const VERSION: u8 = 1;

impl Dataset {
    /// Packs everything; equal data sets give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.catalogue.put(&mut out);
        put_varint(&mut out, self.users.len() as u64);
        id_codec::put(self.users.iter().map(AsRef::as_ref), &mut out);
        let mut before_ms = 0;
        for user in 0..self.user_count() {
            let baskets = self.baskets_of(user);
            put_varint(&mut out, baskets.len() as u64);
            for (time_ms, products) in baskets {
                put_signed(&mut out, time_ms.wrapping_sub(before_ms));
                before_ms = time_ms;
                put_varint(&mut out, products.len() as u64);
                let mut before = 0;
                for &product in products {
                    put_varint(&mut out, u64::from(product - before));
                    before = product;
                }
            }
        }
        out
    }

    /// Reads what [`Dataset::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, "data set");
        reader.version(VERSION)?;
        let catalogue = Catalogue::take(&mut reader)?;
        let products = narrow(catalogue.len());
        let users = reader.length(3)?;
        let mut ids = DecodedIds::default();
        ids.take(&mut reader, users)?;
        let ids: Vec<Box<str>> = ids.finish(|ids| Some(ids.into_iter().map(Box::from).collect()))?;
        let mut layout = DatasetWriter::new(catalogue, users, 0, 0);
        let (mut time_ms, mut baskets, mut basket) = (0i64, 0, Vec::new());
        for id in ids {
            layout.user(id);
            let own = reader.length(3)?;
            baskets += own;
            if baskets > MOST_BASKETS {
                return Err(DecodeError::Invalid("number of baskets"));
            }
            for nth in 0..own {
                let before_ms = time_ms;
                time_ms = time_ms.wrapping_add(reader.signed()?);
                if nth > 0 && time_ms < before_ms {
                    return Err(DecodeError::Invalid("order of baskets"));
                }
                take_basket(&mut reader, products, &mut basket)?;
                layout.basket(time_ms, &basket);
            }
        }
        reader.end()?;
        Ok(layout.finish())
    }
}

fn take_basket(reader: &mut ByteReader<'_>, products: u32, basket: &mut Vec<u32>) -> Result<(), DecodeError> {
    basket.clear();
    let mut product = 0u32;
    for nth in 0..reader.length(1)? {
        let difference = reader.varint32()?;
        product = product.checked_add(difference).ok_or(DecodeError::Invalid("product"))?;
        if product >= products || (nth > 0 && difference == 0) {
            return Err(DecodeError::Invalid("product"));
        }
        basket.push(product);
    }
    if basket.is_empty() { Err(DecodeError::Invalid("basket without products")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DatasetBuilder;
    use proptest::prelude::*;

    fn data() -> impl Strategy<Value = Dataset> {
        let line = (0u8..5, 0u8..4, any::<i64>(), prop::collection::vec(0u8..30, 1..5));
        prop::collection::vec(line, 0..40).prop_map(|baskets| {
            let mut builder = DatasetBuilder::new();
            for (user, purchase, time_ms, products) in baskets {
                let products: Vec<String> = products.iter().map(|product| format!("p{product}")).collect();
                let (user, purchase) = (format!("u{user}"), purchase.to_string());
                builder.push(&user, &purchase, time_ms, products.iter().map(String::as_str)).unwrap();
            }
            builder.build().unwrap()
        })
    }

    proptest! {
        #[test]
        fn a_data_set_comes_back_from_its_bytes(data in data()) {
            prop_assert_eq!(Dataset::decode(&data.encode()).unwrap(), data);
        }

        #[test]
        fn bytes_cut_short_are_an_error(data in data(), cut: prop::sample::Index) {
            let bytes = data.encode();
            prop_assert!(Dataset::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }

        #[test]
        fn corrupt_bytes_are_an_error_or_a_data_set_but_no_panic(
            data in data(), at: prop::sample::Index, byte: u8
        ) {
            let mut bytes = data.encode();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            if let Ok(other) = Dataset::decode(&bytes) {
                prop_assert_eq!(Dataset::decode(&other.encode()).unwrap(), other);
            }
        }
    }
}
