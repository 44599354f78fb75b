//! Many distinct strings in one piece of text, numbered in order of arrival.

use std::hash::{BuildHasher, RandomState};

const FREE: u32 = u32::MAX;
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Four bytes and the text per string; a lookup hashes the text and compares it once as a rule.
///
/// The hash is seeded per table: ids come from outside, and nobody should be able to choose ids that collide.
#[derive(Debug, Clone)]
pub(crate) struct StringTable {
    text: String,
    ends: Vec<u32>,
    slots: Vec<u32>,
    seed: u64,
}

/// The texts add up to more than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Default for StringTable {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl StringTable {
    pub(crate) fn with_capacity(strings: usize, bytes: usize) -> Self {
        let slots = (strings * 2).next_power_of_two().max(16);
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(strings),
            slots: vec![FREE; slots],
            seed: RandomState::new().hash_one(0u8),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Empty for a number that was never given.
    pub(crate) fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let end = self.ends.get(at).copied().unwrap_or(0) as usize;
        let start = at.checked_sub(1).and_then(|b| self.ends.get(b)).copied().unwrap_or(0) as usize;
        self.text.get(start..end).unwrap_or("")
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.slots.get(self.slot_of(text)).copied().filter(|&n| n != FREE)
    }

    /// The number of `text`, a new one if it is not there yet.
    pub(crate) fn intern(&mut self, text: &str) -> Result<u32, Full> {
        let slot = self.slot_of(text);
        match self.slots.get(slot) {
            Some(&number) if number != FREE => Ok(number),
            _ => self.append(text, slot),
        }
    }

    fn append(&mut self, text: &str, slot: usize) -> Result<u32, Full> {
        let number = u32::try_from(self.ends.len()).ok().filter(|&n| n != FREE).ok_or(Full)?;
        let end = u32::try_from(self.text.len() + text.len()).map_err(|_| Full)?;
        self.text.push_str(text);
        self.ends.push(end);
        if let Some(free) = self.slots.get_mut(slot) {
            *free = number;
        }
        if self.ends.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        Ok(number)
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; self.slots.len() * 2];
        for number in 0..crate::fixed_point::narrow(self.ends.len()) {
            let slot = self.slot_of(self.get(number));
            if let Some(free) = self.slots.get_mut(slot) {
                *free = number;
            }
        }
    }

    /// The slot that holds `text`, or the free one where it belongs.
    fn slot_of(&self, text: &str) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = usize::try_from(self.hash(text.as_bytes()) >> 16).unwrap_or(0) & mask;
        loop {
            match self.slots.get(slot) {
                Some(&number) if number != FREE && self.get(number) != text => slot = (slot + 1) & mask,
                _ => return slot,
            }
        }
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        let mut state = self.seed ^ bytes.len() as u64;
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            state = fold(state ^ u64::from_le_bytes(*chunk));
        }
        if !rest.is_empty() {
            let tail = rest.iter().fold(0u64, |tail, &byte| (tail << 8) | u64::from(byte));
            state = fold(state ^ tail);
        }
        fold(state ^ self.seed.rotate_left(32))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves of the product are what is wanted")]
fn fold(value: u64) -> u64 {
    let product = u128::from(value ^ 0xA076_1D64_78BD_642F) * u128::from(MULTIPLIER);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_keeps_its_number_while_the_table_grows() {
        let mut table = StringTable::default();
        let texts: Vec<String> = (0..5000).map(|n| format!("product {}", n * 7919)).collect();
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(table.intern(text).unwrap() as usize, n);
        }
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(table.intern(text).unwrap() as usize, n);
            assert_eq!(table.find(text).unwrap() as usize, n);
            assert_eq!(table.get(u32::try_from(n).unwrap()), text);
        }
        assert_eq!(table.find("product"), None);
        assert_eq!(table.get(5000), "");
        assert_eq!(table.len(), 5000);
    }
}
