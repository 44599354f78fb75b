//! How many segments a parallel scan has.

pub use nextbasket_dynamodb::Segment;

/// The number of bytes for each segment, by default.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The bounds of the default.
const MIN_SEGMENTS: u64 = 8;
const MAX_SEGMENTS: u64 = 1000;

/// How many segments a table of this size is scanned in: as many as asked for, or one for each 64 MB.
#[must_use]
pub fn segments(asked: Option<u32>, bytes: u64, items: u64) -> u32 {
    // DynamoDB may not have counted a table that seems to be empty.
    let max = if items == 0 { MIN_SEGMENTS } else { items };
    let by_size = bytes.div_ceil(SEGMENT_BYTES).clamp(MIN_SEGMENTS, MAX_SEGMENTS).min(max);
    asked.unwrap_or_else(|| u32::try_from(by_size).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_segment_for_each_64_megabytes_and_an_item_for_each_segment() {
        assert_eq!(segments(None, 0, 0), 8);
        assert_eq!(segments(None, 100, 3), 3);
        assert_eq!(segments(None, 64 << 24, 1_000_000), 16);
        assert_eq!(segments(None, 1 << 50, 1_000_000), 1000);
        assert_eq!(segments(Some(40), 0, 3), 40);
    }
}
