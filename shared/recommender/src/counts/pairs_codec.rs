//! Counts of pairs as bytes: ascending neighbours as differences, everything in variable length.

use super::pairs::SparseRows;
use super::{PairCounts, Transitions};
use crate::bytes::{ByteReader, DecodeError, put_varint};
use crate::fixed_point::narrow;
use std::ops::Range;

const VERSION: u8 = 3;

/// The value of a neighbour; never zero, since pairs without a count are left out.
pub(crate) trait PairValue: Copy {
    fn put(self, out: &mut Vec<u8>);
    fn take(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError>;
}

impl PairValue for u32 {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self));
    }

    fn take(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        match reader.varint32()? {
            0 => Err(DecodeError::Invalid("count of a pair")),
            count => Ok(count),
        }
    }
}

/// Most pairs never stood in two baskets in a row: their `next` is one byte, and nothing of its weight is written.
impl PairValue for Transitions {
    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, self.weight);
        self.shoppers.put(out);
        put_varint(out, u64::from(self.next));
        if self.next > 0 {
            put_varint(out, self.recent_next);
        }
    }

    fn take(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let (weight, shoppers, next) = (reader.varint()?, u32::take(reader)?, reader.varint32()?);
        let recent_next = if next > 0 { reader.varint()? } else { 0 };
        Ok(Self { weight, recent_next, next, shoppers })
    }
}

/// Reads one product's row; gives each neighbour and its value to `each`, ascending.
pub(crate) fn take_row<V: PairValue, E: From<DecodeError>>(
    reader: &mut ByteReader<'_>,
    mut each: impl FnMut(u32, V) -> Result<(), E>,
) -> Result<(), E> {
    let mut neighbour = 0u32;
    for at in 0..reader.length(2)? {
        let difference = reader.varint32()?;
        if at > 0 && difference == 0 {
            return Err(DecodeError::Invalid("order of neighbours").into());
        }
        neighbour = neighbour.checked_add(difference).ok_or(DecodeError::Invalid("neighbour"))?;
        each(neighbour, V::take(reader)?)?;
    }
    Ok(())
}

impl<V: PairValue> SparseRows<V> {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (neighbours, values) in self.rows() {
            put_varint(&mut out, neighbours.len() as u64);
            let mut before = 0;
            for (&neighbour, &value) in neighbours.iter().zip(values) {
                put_varint(&mut out, u64::from(neighbour - before));
                before = neighbour;
                value.put(&mut out);
            }
        }
        out
    }

    /// Of a model that was not counted there are no rows.
    fn take(mut reader: ByteReader<'_>, rows: usize) -> Result<Self, DecodeError> {
        let mut sparse = Self::new();
        if reader.remaining() == 0 {
            return Ok(sparse);
        }
        for _ in 0..rows {
            take_row(&mut reader, |neighbour, value| {
                sparse.push(neighbour, value);
                Ok::<_, DecodeError>(())
            })?;
            sparse.end_row();
        }
        reader.end()?;
        Ok(sparse)
    }
}

/// The bytes of [`PairCounts`], opened to be read row by row: the three models' rows are apart, so that each can be
/// read without the others.
#[derive(Debug)]
pub(crate) struct EncodedRows<'b> {
    pub(crate) stamp: u64,
    pub(crate) products: Range<u32>,
    pub(crate) next: ByteReader<'b>,
    pub(crate) together: ByteReader<'b>,
    pub(crate) similar: ByteReader<'b>,
}

impl<'b> EncodedRows<'b> {
    pub(crate) fn open(bytes: &'b [u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "pair counts";
        let mut reader = ByteReader::new(bytes, WHAT);
        reader.version(VERSION)?;
        let stamp = reader.u64()?;
        let start = reader.varint32()?;
        let products = reader.length(1)?;
        let end = start.checked_add(narrow(products)).ok_or(DecodeError::Invalid("block of products"))?;
        let (next, together) = (reader.length(1)?, reader.length(1)?);
        let next = ByteReader::new(reader.take(next)?, WHAT);
        let together = ByteReader::new(reader.take(together)?, WHAT);
        let similar = ByteReader::new(reader.take(reader.remaining())?, WHAT);
        Ok(Self { stamp, products: start..end, next, together, similar })
    }
}

impl PairCounts {
    /// Packs the counts; equal counts give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (next, together, similar) = (self.next.bytes(), self.together.bytes(), self.similar.bytes());
        let mut out = Vec::with_capacity(40 + next.len() + together.len() + similar.len());
        out.push(VERSION);
        out.extend_from_slice(&self.stamp.to_le_bytes());
        put_varint(&mut out, u64::from(self.products.start));
        put_varint(&mut out, self.products.len() as u64);
        put_varint(&mut out, next.len() as u64);
        put_varint(&mut out, together.len() as u64);
        [next, together, similar].iter().for_each(|section| out.extend_from_slice(section));
        out
    }

    /// Reads what [`PairCounts::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let EncodedRows { stamp, products, next, together, similar } = EncodedRows::open(bytes)?;
        let rows = products.len();
        Ok(Self {
            stamp,
            products,
            next: SparseRows::take(next, rows)?,
            together: SparseRows::take(together, rows)?,
            similar: SparseRows::take(similar, rows)?,
        })
    }
}
