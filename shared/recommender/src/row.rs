//! A product's neighbours, and their bytes.

use crate::bytes::{ByteReader, DecodeError, put_varint};
use crate::catalogue::ProductIx;
use crate::fixed_point::narrow;

const VERSION: u8 = 1;
const STEPS: f32 = 65_535.0;

/// Neighbours of one product in one model, best first.
///
/// Every neighbour has an evidence count and one value or more; the first value is what the neighbours are ranked
/// by. Further value columns are room for a learned ranker's features.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NeighbourRow {
    columns: u8,
    products: Vec<u32>,
    evidence: Vec<u32>,
    /// Column after column.
    values: Vec<f32>,
}

/// One entry of a [`NeighbourRow`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Which product.
    pub product: ProductIx,
    /// Its score in this row's model, 0 to 1.
    pub score: f32,
    /// How many shoppers (`next`, `similar`) or baskets (`together`) support it.
    pub evidence: u32,
}

impl NeighbourRow {
    /// A row with one value per neighbour, in the order given.
    pub fn new(neighbours: impl IntoIterator<Item = Neighbour>) -> Self {
        let mut row = Self { columns: 1, ..Self::default() };
        for neighbour in neighbours {
            row.products.push(neighbour.product.get());
            row.evidence.push(neighbour.evidence);
            row.values.push(neighbour.score);
        }
        row
    }

    /// Adds a column of values, one per neighbour; shorter ones are filled with 0, longer ones cut.
    #[must_use]
    pub fn with_column(mut self, values: impl IntoIterator<Item = f32>) -> Self {
        let length = self.values.len() + self.len();
        self.values.extend(values);
        self.values.resize(length, 0.0);
        self.columns = self.columns.max(1).saturating_add(1);
        self
    }

    /// How many neighbours there are.
    pub fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// How many values a neighbour has.
    pub fn columns(&self) -> u8 {
        self.columns.max(1)
    }

    /// The values of a column, in the order of the neighbours; empty if there is no such column.
    pub fn column(&self, column: u8) -> &[f32] {
        let start = usize::from(column) * self.len();
        self.values.get(start..start + self.len()).unwrap_or(&[])
    }

    /// The neighbours' products, best first.
    pub fn products(&self) -> impl ExactSizeIterator<Item = ProductIx> + '_ {
        self.products.iter().copied().map(ProductIx::new)
    }

    /// The neighbours, best first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Neighbour> + '_ {
        self.products.iter().zip(&self.evidence).zip(&self.values).map(|((&product, &evidence), &score)| {
            Neighbour { product: ProductIx::new(product), score, evidence }
        })
    }

    /// Packs the row: neighbours as varints, values as 16-bit shares of their column's maximum (the error is below
    /// maximum / 130,000), evidence as varints.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.len() * (5 + 2 * usize::from(self.columns())));
        self.put(&mut out);
        out
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.push(self.columns());
        put_varint(out, self.len() as u64);
        self.products.iter().for_each(|&product| put_varint(out, u64::from(product)));
        for column in 0..self.columns() {
            let values = self.column(column);
            let top = values.iter().copied().fold(0.0, f32::max);
            out.extend_from_slice(&top.to_le_bytes());
            values.iter().for_each(|&value| out.extend_from_slice(&share(value, top).to_le_bytes()));
        }
        self.evidence.iter().for_each(|&count| put_varint(out, u64::from(count)));
    }

    /// Reads what [`NeighbourRow::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, "neighbour row");
        let row = Self::take(&mut reader)?;
        reader.end()?;
        Ok(row)
    }

    pub(crate) fn take(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        reader.version(VERSION)?;
        let columns = reader.byte()?;
        if columns == 0 {
            return Err(DecodeError::Invalid("number of value columns"));
        }
        let length = reader.length(2 + 2 * usize::from(columns))?;
        let mut products = Vec::with_capacity(length);
        for _ in 0..length {
            products.push(reader.varint32()?);
        }
        let mut values = Vec::with_capacity(length * usize::from(columns));
        for _ in 0..columns {
            let top = reader.f32()?;
            if top < 0.0 {
                return Err(DecodeError::Invalid("maximum of a value column"));
            }
            for _ in 0..length {
                values.push(f32::from(reader.u16()?) / STEPS * top);
            }
        }
        let mut evidence = Vec::with_capacity(length);
        for _ in 0..length {
            evidence.push(reader.varint32()?);
        }
        Ok(Self { columns, products, evidence, values })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=65535; NaN becomes 0"
)]
fn share(value: f32, top: f32) -> u16 {
    if top > 0.0 { (value / top * STEPS).round().clamp(0.0, STEPS) as u16 } else { 0 }
}

/// The column of a `next` row with the share of the very next baskets.
pub(crate) const NEXT_BASKET: u8 = 1;
/// The column of a `next` row with the share of the very next baskets of the last days.
pub(crate) const RECENT_NEXT_BASKET: u8 = 2;

/// The three rows of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductRows {
    /// Whose neighbours these are.
    pub product: ProductIx,
    /// What shoppers buy in the baskets after one with this product. Evidence: shoppers.
    pub next: NeighbourRow,
    /// What lies in the same baskets. Evidence: baskets.
    pub together: NeighbourRow,
    /// What the same shoppers buy at other times. Evidence: shoppers.
    pub similar: NeighbourRow,
}

impl ProductRows {
    /// Whether the product has no neighbour in any model.
    pub fn is_empty(&self) -> bool {
        self.next.is_empty() && self.together.is_empty() && self.similar.is_empty()
    }

    /// Packs the three rows, one after the other.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, u64::from(self.product.get()));
        self.next.put(&mut out);
        self.together.put(&mut out);
        self.similar.put(&mut out);
        out
    }

    /// Reads what [`ProductRows::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, "product rows");
        reader.version(VERSION)?;
        let product = ProductIx::new(reader.varint32()?);
        let next = NeighbourRow::take(&mut reader)?;
        let together = NeighbourRow::take(&mut reader)?;
        let similar = NeighbourRow::take(&mut reader)?;
        reader.end()?;
        Ok(Self { product, next, together, similar })
    }
}

/// Keeps the entries with the highest scores; of equal scores the smaller number wins.
///
/// Scores come as integers in the order of the scores: integers themselves, or the bits of a float ≥ 0.
#[derive(Debug)]
pub(crate) struct BestNeighbours {
    limit: usize,
    keys: Vec<u128>,
    /// Score of the last entry that is sure to stay, if `limit` entries were seen.
    floor: u64,
}

impl BestNeighbours {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), keys: Vec::with_capacity(limit * 4 + 64), floor: 0 }
    }

    #[inline]
    pub(crate) fn offer(&mut self, score: u64, number: u32) {
        if score >= self.floor {
            self.keys.push(u128::from(score) << 32 | u128::from(u32::MAX - number));
            if self.keys.len() >= self.limit * 4 + 64 {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.keys.len() > self.limit {
            let (_, last, _) = self.keys.select_nth_unstable_by(self.limit - 1, |a, b| b.cmp(a));
            self.floor = score_of(*last);
            self.keys.truncate(self.limit);
        }
    }

    /// The best, best first; the collector is empty afterwards.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (u64, u32)> + use<'_> {
        self.cut();
        self.floor = 0;
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys.drain(..).map(|key| {
            (score_of(key), u32::MAX - narrow(usize::try_from(key & u128::from(u32::MAX)).unwrap_or(0)))
        })
    }
}

fn score_of(key: u128) -> u64 {
    u64::try_from(key >> 32).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = NeighbourRow> {
        let neighbour = (any::<u32>(), 0.0f32..=1.0, any::<u32>());
        (prop::collection::vec(neighbour, 0..60), 1u8..5).prop_map(|(neighbours, columns)| {
            let scores: Vec<f32> = neighbours.iter().map(|n| n.1).collect();
            let row = NeighbourRow::new(neighbours.iter().map(|&(product, score, evidence)| Neighbour {
                product: ProductIx::new(product),
                score,
                evidence,
            }));
            (1..columns).fold(row, |row, c| row.with_column(scores.iter().map(|s| s * f32::from(c))))
        })
    }

    proptest! {
        #[test]
        fn a_row_comes_back_within_its_precision(row in rows()) {
            let bytes = row.encode();
            let back = NeighbourRow::decode(&bytes).unwrap();
            prop_assert_eq!(&back.products, &row.products);
            prop_assert_eq!(&back.evidence, &row.evidence);
            prop_assert_eq!(back.columns(), row.columns());
            for column in 0..row.columns() {
                let top = row.column(column).iter().copied().fold(0.0, f32::max);
                for (a, b) in row.column(column).iter().zip(back.column(column)) {
                    prop_assert!((a - b).abs() <= top / 130_000.0, "{} {}", a, b);
                }
            }
            prop_assert_eq!(back.encode(), bytes);
        }

        #[test]
        fn corrupt_bytes_are_an_error_or_a_row_but_no_panic(row in rows(), at: prop::sample::Index, byte: u8) {
            let mut bytes = row.encode();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = NeighbourRow::decode(&bytes);
        }

        #[test]
        fn bytes_cut_short_are_an_error(row in rows(), cut: prop::sample::Index) {
            let mut bytes = row.encode();
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(NeighbourRow::decode(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = NeighbourRow::decode(&bytes);
            let _ = ProductRows::decode(&bytes);
        }

        #[test]
        fn the_best_are_those_of_a_full_sort(scores in prop::collection::vec(0u64..50, 0..900), limit in 1usize..40) {
            let mut best = BestNeighbours::new(limit);
            for (number, &score) in (0u32..).zip(&scores) {
                best.offer(score, number);
            }
            let mut all: Vec<(u64, u32)> = scores.iter().copied().zip(0u32..).collect();
            all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(limit);
            prop_assert_eq!(best.take().collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn a_row_of_a_newer_format_is_refused_by_name() {
        let mut bytes = NeighbourRow::new([]).encode();
        bytes[0] = 9;
        let error = NeighbourRow::decode(&bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "neighbour row has format 9, but this version of the program reads format 1"
        );
    }
}
