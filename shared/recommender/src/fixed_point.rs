//! Fixed-point numbers: weights are summed as integers, so that a sum does not depend on its order.
//!
//! The scale is 2^32. A weight is at most 1, so a `u64` cell holds 2^32 additions; a training set whose
//! baskets times the largest gap reach that bound is refused before counting starts
//! ([`crate::DatasetError::TooLarge`]). The smallest weight that is kept, 2^-32, is the age of 32 half-lives.

/// The number 1.
pub(crate) const ONE: u64 = 1 << 32;

/// Nearest fixed-point number; `value` is never negative and far below 2^31.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 <= value < 2^31, so the product is below 2^63"
)]
pub(crate) fn to_fixed(value: f64) -> u64 {
    scaled_to_fixed(value * ONE as f64)
}

/// Like [`to_fixed`] for a value that carries the factor 2^32 already.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= value < 2^63")]
pub(crate) fn scaled_to_fixed(value: f64) -> u64 {
    (value + 0.5) as i64 as u64
}

pub(crate) fn from_fixed(value: u64) -> f64 {
    value as f64 / ONE as f64
}

/// Sizes and indices are below 2^32: the builder refuses larger sets.
pub(crate) fn narrow(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
