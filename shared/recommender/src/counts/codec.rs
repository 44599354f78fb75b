//! Counts as bytes: ascending neighbours as differences, everything in variable length.

use super::pairs::Sparse;
use super::totals::ProductTotals;
use super::{PairCounts, Totals};
use crate::bytes::{DecodeError, Reader, put_signed, put_varint};
use crate::fixed::narrow;

const VERSION: u8 = 1;

impl Totals {
    /// Packs the sums; equal sums give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.stamp.to_le_bytes());
        put_varint(&mut out, self.users);
        put_varint(&mut out, self.baskets);
        self.basket_weights.iter().for_each(|&weight| put_varint(&mut out, weight));
        put_varint(&mut out, self.products.len() as u64);
        for product in &self.products {
            put_varint(&mut out, u64::from(product.baskets));
            if product.baskets == 0 {
                continue;
            }
            product.popularity.iter().for_each(|&weight| put_varint(&mut out, weight));
            put_varint(&mut out, product.transitions);
            put_varint(&mut out, product.repeat_chances);
            put_varint(&mut out, product.repeats);
            put_varint(&mut out, u64::from(product.buyers));
            put_signed(&mut out, product.first_ms);
            put_signed(&mut out, product.last_ms);
        }
        out
    }

    /// Reads what [`Totals::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are cut, of another version, or not sums.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, "totals");
        reader.version(VERSION)?;
        let stamp = reader.u64()?;
        let users = reader.varint()?;
        let baskets = reader.varint()?;
        let mut basket_weights = [0; super::totals::POPULARITIES];
        for weight in &mut basket_weights {
            *weight = reader.varint()?;
        }
        let length = reader.length(1)?;
        let mut products = Vec::with_capacity(length);
        for _ in 0..length {
            let mut product = ProductTotals { baskets: reader.varint32()?, ..ProductTotals::default() };
            if product.baskets > 0 {
                for weight in &mut product.popularity {
                    *weight = reader.varint()?;
                }
                product.transitions = reader.varint()?;
                product.repeat_chances = reader.varint()?;
                product.repeats = reader.varint()?;
                product.buyers = reader.varint32()?;
                product.first_ms = reader.signed()?;
                product.last_ms = reader.signed()?;
            }
            products.push(product);
        }
        reader.end()?;
        Ok(Self { stamp, users, baskets, basket_weights, products })
    }
}

/// What stands beside a neighbour.
pub(crate) trait Value: Copy {
    fn put(self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

impl Value for u32 {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self));
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.varint32()
    }
}

impl Value for (u64, u32) {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, self.0);
        self.1.put(out);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((reader.varint()?, u32::take(reader)?))
    }
}

impl<V: Value> Sparse<V> {
    fn put(&self, out: &mut Vec<u8>) {
        for (neighbours, values) in self.rows() {
            put_varint(out, neighbours.len() as u64);
            let mut before = 0;
            for (&neighbour, &value) in neighbours.iter().zip(values) {
                put_varint(out, u64::from(neighbour - before));
                before = neighbour;
                value.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>, rows: usize) -> Result<Self, DecodeError> {
        let mut sparse = Self::new();
        for _ in 0..rows {
            let mut neighbour = 0u32;
            for at in 0..reader.length(2)? {
                let difference = reader.varint32()?;
                if at > 0 && difference == 0 {
                    return Err(DecodeError::Invalid("order of neighbours"));
                }
                neighbour = neighbour.checked_add(difference).ok_or(DecodeError::Invalid("neighbour"))?;
                sparse.push(neighbour, V::take(reader)?);
            }
            sparse.end_row();
        }
        Ok(sparse)
    }
}

impl PairCounts {
    /// Packs the counts; equal counts give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.stamp.to_le_bytes());
        put_varint(&mut out, u64::from(self.products.start));
        put_varint(&mut out, self.products.len() as u64);
        self.next.put(&mut out);
        self.together.put(&mut out);
        self.similar.put(&mut out);
        out
    }

    /// Reads what [`PairCounts::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are cut, of another version, or not counts.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, "pair counts");
        reader.version(VERSION)?;
        let stamp = reader.u64()?;
        let start = reader.varint32()?;
        let rows = reader.length(3)?;
        let end = start.checked_add(narrow(rows)).ok_or(DecodeError::Invalid("block of products"))?;
        let next = Sparse::take(&mut reader, rows)?;
        let together = Sparse::take(&mut reader, rows)?;
        let similar = Sparse::take(&mut reader, rows)?;
        reader.end()?;
        Ok(Self { stamp, products: start..end, next, together, similar })
    }
}
