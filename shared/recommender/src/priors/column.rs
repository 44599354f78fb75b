//! A number per product, kept as the logarithm in 16 or 24 bits.

use crate::bytes::{ByteReader, DecodeError};

/// Smaller values count as 0.
const SMALLEST: f64 = 1e-12;

/// Non-negative numbers with a fixed relative precision: code 0 is 0, code n is `exp(low + (n-1)·step)`.
///
/// Over the twelve decades from 1e-12 the relative error stays below 2.2e-4 with 16 bits and 9e-7 with 24;
/// columns that span less are that much finer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PriorsColumn {
    bytes: u8,
    low: f64,
    step: f64,
    codes: Vec<u32>,
}

/// How a column's codes are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) bytes: u8,
    pub(crate) low: f64,
    pub(crate) step: f64,
}

impl PriorsColumn {
    /// `bytes` is 2 or 3.
    pub(crate) fn new(values: &[f64], bytes: u8) -> Self {
        let logs = || values.iter().filter(|&&value| value >= SMALLEST).map(|value| value.ln());
        let low = logs().fold(f64::INFINITY, f64::min);
        let high = logs().fold(f64::NEG_INFINITY, f64::max);
        let most = f64::from((1u32 << (8 * u32::from(bytes))) - 2);
        let low = if low.is_finite() { low } else { 0.0 };
        let step = if high > low { (high - low) / most } else { 1.0 };
        let codes = values.iter().map(|&value| code(value, low, step, most)).collect();
        Self { bytes, low, step, codes }
    }

    pub(crate) fn empty(scale: Scale, capacity: usize) -> Self {
        Self { bytes: scale.bytes, low: scale.low, step: scale.step, codes: Vec::with_capacity(capacity) }
    }

    pub(crate) fn scale(&self) -> Scale {
        Scale { bytes: self.bytes, low: self.low, step: self.step }
    }

    pub(crate) fn get(&self, at: usize) -> f64 {
        self.codes.get(at).map_or(0.0, |&code| self.value(code))
    }

    fn value(&self, code: u32) -> f64 {
        if code == 0 { 0.0 } else { (self.low + f64::from(code - 1) * self.step).exp() }
    }

    #[allow(clippy::cast_possible_truncation, reason = "single precision is meant")]
    pub(crate) fn singles(&self) -> Vec<f32> {
        self.codes.iter().map(|&code| self.value(code) as f32).collect()
    }

    /// Numbers of the products by falling value, equal ones by number.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut keys: Vec<u64> = self
            .codes
            .iter()
            .zip(0u32..)
            .map(|(&code, at)| u64::from(u32::MAX - code) << 32 | u64::from(at))
            .collect();
        keys.sort_unstable();
        keys.into_iter().filter_map(|key| u32::try_from(key & u64::from(u32::MAX)).ok()).collect()
    }

    /// Most significant bytes first, byte by byte over all products: neighbouring bytes then resemble each other.
    pub(crate) fn put(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        let codes = self.codes.get(range).unwrap_or(&[]);
        for byte in (0..usize::from(self.bytes)).rev() {
            out.extend(codes.iter().filter_map(|code| code.to_le_bytes().get(byte).copied()));
        }
    }

    pub(crate) fn take(&mut self, reader: &mut ByteReader<'_>, length: usize) -> Result<(), DecodeError> {
        let start = self.codes.len();
        self.codes.resize(start + length, 0);
        for _ in 0..self.bytes {
            let plane = reader.take(length)?;
            for (code, &byte) in self.codes.iter_mut().skip(start).zip(plane) {
                *code = *code << 8 | u32::from(byte);
            }
        }
        // Such a value would make every score infinite or NaN.
        let most = self.codes.iter().skip(start).copied().max().unwrap_or(0);
        if self.value(most) > f64::from(f32::MAX) {
            return Err(DecodeError::Invalid("value in priors"));
        }
        Ok(())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and `most`, which has 24 bits"
)]
fn code(value: f64, low: f64, step: f64, most: f64) -> u32 {
    if value < SMALLEST { 0 } else { 1 + ((value.ln() - low) / step).round().clamp(0.0, most) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_keep_their_relative_precision(logs in prop::collection::vec(-27.0f64..1.0, 1..50), wide: bool) {
            let values: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
            let column = PriorsColumn::new(&values, if wide { 3 } else { 2 });
            let bound = if wide { 9e-7 } else { 2.2e-4 };
            for (at, value) in values.iter().enumerate() {
                prop_assert!((column.get(at) / value - 1.0).abs() < bound);
            }
        }
    }

    #[test]
    fn zero_stays_zero_and_order_is_by_value_then_number() {
        let column = PriorsColumn::new(&[0.0, 0.5, 0.1, 0.5, 1e-30], 2);
        assert_eq!(column.get(0), 0.0);
        assert_eq!(column.get(4), 0.0);
        assert_eq!(column.order(), [1, 3, 2, 0, 4]);
        assert_eq!(PriorsColumn::new(&[0.0], 3).order(), [0]);
    }
}
