//! The segments of a parallel scan.

use serde::{Deserialize, Serialize};

/// One of the parts that a table is scanned in, at most 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Counted from 0.
    pub number: u32,
    /// How many segments there are.
    pub of: u32,
}
