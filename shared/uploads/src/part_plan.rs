//! How a large content is cut into parts.

use std::ops::Range;

use nextbasket_objects::MAX_PARTS;

const MEBIBYTE: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartRange {
    /// From 1 on.
    pub(crate) number: i32,
    /// Its bytes in the content.
    pub(crate) range: Range<u64>,
}

impl PartRange {
    pub(crate) fn size(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The size of a content's parts: the wanted one, or, for a content that would have too many, the least of whole
/// mebibytes that gives few enough. None if the content is sent in one piece.
pub(crate) fn part_size(size: u64, wanted: u64) -> Option<u64> {
    if size <= wanted {
        return None;
    }
    let least = size.div_ceil(MAX_PARTS);
    Some(if least <= wanted { wanted } else { least.next_multiple_of(MEBIBYTE) })
}

/// Whether parts of this size are few enough for a content.
pub(crate) fn fits(size: u64, part_size: u64) -> bool {
    part_size > 0 && size > 0 && size.div_ceil(part_size) <= MAX_PARTS
}

/// A content's parts, in order: all of the size but the last, which has the rest.
pub(crate) fn parts(size: u64, part_size: u64) -> impl Iterator<Item = PartRange> {
    let count = if part_size == 0 { 0 } else { size.div_ceil(part_size).min(MAX_PARTS) };
    (1..).zip(0..count).map(move |(number, before)| {
        let start = before * part_size;
        PartRange { number, range: start..size.min(start.saturating_add(part_size)) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use nextbasket_objects::MIN_PART_SIZE;

    use super::*;

    #[test]
    fn what_is_no_larger_than_a_part_is_sent_in_one_piece() {
        assert_eq!(part_size(0, MIN_PART_SIZE), None);
        assert_eq!(part_size(MIN_PART_SIZE, MIN_PART_SIZE), None);
        assert_eq!(part_size(MIN_PART_SIZE + 1, MIN_PART_SIZE), Some(MIN_PART_SIZE));
    }

    #[test]
    fn a_content_that_would_have_too_many_parts_has_larger_ones() {
        let terabyte = 1 << 40;
        assert_eq!(part_size(terabyte, 16 * MEBIBYTE), Some(105 * MEBIBYTE));
        assert!(parts(terabyte, 105 * MEBIBYTE).count() <= 10_000);
    }

    proptest! {
        #[test]
        fn parts_cover_the_content_in_order(size in 1..1_u64 << 45, wanted in MIN_PART_SIZE..1 << 30) {
            let Some(part_size) = part_size(size, wanted) else {
                prop_assert!(size <= wanted);
                return Ok(());
            };
            prop_assert!(fits(size, part_size) && part_size >= wanted);
            let mut end = 0;
            let mut number = 0;
            for part in parts(size, part_size) {
                prop_assert_eq!((part.range.start, part.number), (end, number + 1));
                prop_assert!(part.size() == part_size || part.range.end == size);
                (end, number) = (part.range.end, part.number);
            }
            prop_assert_eq!(end, size);
        }
    }
}
