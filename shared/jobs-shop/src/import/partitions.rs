//! Brings records that belong together to one batch: objects are divided into parts, and a batch reads the same part
//! of all objects.
//!
//! Entries of the same group are in the same part of every object. An object begins with the offsets at which its
//! parts end, eight bytes each.

use std::ops::Range;

use nextbasket_job_engine::{Work, WorkError};
use serde::{Deserialize, Serialize};

/// The size of a number in an object, in bytes.
const NUMBER: usize = 8;

pub(super) struct PartitionSorter {
    parts: usize,
    bytes: Vec<u8>,
    /// The part and the byte range of each entry.
    entries: Vec<(usize, Range<usize>)>,
}

impl PartitionSorter {
    pub(super) fn new(parts: usize) -> Self {
        Self { parts, bytes: Vec::new(), entries: Vec::new() }
    }

    /// Adds an entry; the entries of a part keep their order.
    pub(super) fn push(&mut self, group: u64, number: u64, content: &[u8]) {
        let part = (u128::from(group) * u128::try_from(self.parts).unwrap_or(1)) >> 64;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&count(content.len()).to_le_bytes());
        self.bytes.extend_from_slice(content);
        self.entries.push((usize::try_from(part).unwrap_or(0), start..self.bytes.len()));
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The object with the entries that were added since the last call, and where its parts end; `None` if there are
    /// none.
    pub(super) fn take(&mut self) -> Option<(Vec<u8>, Vec<u64>)> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.sort_by_key(|(part, _)| *part);
        let mut ends = vec![0; self.parts];
        for (part, place) in &self.entries {
            if let Some(end) = ends.get_mut(*part) {
                *end += count(place.len());
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut object = Vec::with_capacity(self.parts * NUMBER + self.bytes.len());
        ends.iter().for_each(|end| object.extend_from_slice(&end.to_le_bytes()));
        for (_, place) in self.entries.drain(..) {
            object.extend_from_slice(self.bytes.get(place).unwrap_or_default());
        }
        self.bytes.clear();
        Some((object, ends))
    }
}

/// The entries of one or several parts: number and content.
pub(super) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Option<(u64, &[u8])>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let entry = split(bytes);
        bytes = entry.map_or(&[], |(_, _, rest)| rest);
        Some(entry.map(|(number, content, _)| (number, content)))
    })
}

fn split(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER>()?;
    let (length, rest) = rest.split_first_chunk::<NUMBER>()?;
    let (content, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some((u64::from_le_bytes(*number), content, rest))
}

/// An object, and where its parts end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionedObject {
    pub key: String,
    pub ends: Vec<u64>,
}

impl PartitionedObject {
    fn end_before(&self, part: usize) -> u64 {
        part.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default()
    }

    /// The bytes of these parts.
    pub(super) async fn read(&self, work: &Work, parts: &Range<usize>) -> Result<Vec<u8>, WorkError> {
        let (from, to) = (self.end_before(parts.start), self.end_before(parts.end));
        if from == to {
            return Ok(Vec::new());
        }
        let header = count(self.ends.len() * NUMBER);
        read(work, &self.key, header + from..header + to).await
    }
}

async fn read(work: &Work, key: &str, range: Range<u64>) -> Result<Vec<u8>, WorkError> {
    let length = range.end - range.start;
    let content = work.site().objects.get_range(key, range).await?;
    if count(content.len()) == length { Ok(content) } else { Err(damaged(key)) }
}

/// Reads the offsets at which the parts of objects end.
pub(super) async fn sorted(
    work: &Work,
    keys: Vec<String>,
    parts: usize,
) -> Result<Vec<PartitionedObject>, WorkError> {
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let header = read(work, &key, 0..count(parts * NUMBER)).await?;
        let end = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or_default();
        all.push(PartitionedObject { key, ends: header.chunks(NUMBER).map(end).collect() });
    }
    Ok(all)
}

/// Ranges of neighbouring parts with about `bytes` over all these objects. A part with more is alone; empty parts are
/// added to others.
pub(super) fn groups(all: &[PartitionedObject], parts: usize, bytes: u64) -> Vec<(Range<usize>, u64)> {
    let size = |part: usize| {
        all.iter().map(|one| one.end_before(part + 1).saturating_sub(one.end_before(part))).sum::<u64>()
    };
    let mut groups: Vec<(Range<usize>, u64)> = Vec::new();
    for (part, size) in (0..parts).map(|part| (part, size(part))).filter(|(_, size)| *size > 0) {
        match groups.last_mut() {
            Some((group, sum)) if *sum + size <= bytes => {
                *sum += size;
                group.end = part + 1;
            }
            _ => groups.push((part..part + 1, size)),
        }
    }
    groups
}

pub(super) fn damaged(key: &str) -> WorkError {
    WorkError::Failed(format!("{key} is damaged. Submit the job again."))
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_group_are_in_one_part_and_in_their_order() {
        let mut sorter = PartitionSorter::new(4);
        for n in 0..100_u64 {
            sorter.push((n % 7).wrapping_mul(0x9e37_79b9_7f4a_7c15), n, format!("entry {n}").as_bytes());
        }
        let (object, ends) = sorter.take().unwrap();
        assert_eq!(sorter.take(), None);
        let parts: Vec<&[u8]> = (0..4)
            .map(|part| {
                let at = |end: u64| 32 + usize::try_from(end).unwrap();
                let from = if part == 0 { 0 } else { ends[part - 1] };
                &object[at(from)..at(ends[part])]
            })
            .collect();
        let mut seen = Vec::new();
        for part in parts {
            let mut last = [None; 7];
            for entry in entries(part) {
                let (number, content) = entry.unwrap();
                assert_eq!(content, format!("entry {number}").as_bytes());
                let group = usize::try_from(number % 7).unwrap();
                assert!(last[group] < Some(number));
                last[group] = Some(number);
                seen.push((group, part.as_ptr()));
            }
        }
        assert_eq!(seen.len(), 100);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 7, "a group is in several parts");
    }

    #[test]
    fn what_is_cut_off_is_found() {
        let mut sorter = PartitionSorter::new(1);
        sorter.push(1, 1, b"entry");
        let (object, _) = sorter.take().unwrap();
        for end in NUMBER + 1..object.len() {
            assert_eq!(entries(&object[NUMBER..end]).next(), Some(None));
        }
    }

    #[test]
    fn parts_are_put_together_up_to_a_size() {
        let one = |ends: &[u64]| PartitionedObject { key: String::new(), ends: ends.to_vec() };
        let all = [one(&[10, 10, 30, 30, 35]), one(&[0, 5, 5, 5, 200])];
        assert_eq!(groups(&all, 5, 20), [(0..2, 15), (2..3, 20), (4..5, 200)]);
        assert_eq!(groups(&[], 5, 20), []);
    }
}
