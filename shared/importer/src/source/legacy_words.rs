//! Which of the encodings that are not Unicode a text is in.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1250, WINDOWS_1252};

/// Longer lines are looked at in parts.
const MAX_LINE_BYTES: usize = 4_096;
/// The detector reads some megabytes a second. Behind so many bytes of words, only one with a new letter tells it more.
const MAX_FED_BYTES: usize = 1 << 18;

/// Looks at the words of a text that are not ASCII, once each: the others say nothing, and would cost most of the time.
pub(super) struct LegacyWords {
    detector: EncodingDetector,
    /// The line so far.
    line: Vec<u8>,
    /// Hashes of the words that were looked at: a product that is sold often says no more than one that is not.
    words: HashSet<u64>,
    letters: Letters,
    fed: usize,
}

impl LegacyWords {
    pub(super) fn new() -> Self {
        let detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        Self { detector, line: Vec::new(), words: HashSet::new(), letters: Letters::default(), fed: 0 }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let mut rest = part;
            while !rest.is_empty() {
                let (fits, after) = rest.split_at(rest.len().min(MAX_LINE_BYTES - self.line.len()));
                self.line.extend_from_slice(fits);
                rest = after;
                if self.line.len() == MAX_LINE_BYTES || part.ends_with(b"\n") || part.ends_with(b"\r") {
                    self.end_line();
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> &'static Encoding {
        self.end_line();
        self.detector.feed(b"", true);
        if self.letters.are_few() {
            return WINDOWS_1252;
        }
        match self.detector.guess(None, Utf8Detection::Deny) {
            guess if guess.is_single_byte() && self.letters.are_mac_roman() => MACINTOSH,
            guess if guess == WINDOWS_1252 && self.letters.are_hungarian() => WINDOWS_1250,
            guess => guess,
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if !line.is_ascii() {
            let cleaned = without_signs(&line);
            // The second byte of a character of two bytes may be an ASCII one, but none before the at sign.
            cleaned
                .split(|byte| *byte < b'@')
                .filter(|word| !word.is_ascii())
                .for_each(|word| self.feed_word(word));
        }
        line.clear();
        self.line = line;
    }

    fn feed_word(&mut self, word: &[u8]) {
        if self.fed >= MAX_FED_BYTES && !self.letters.are_new(word) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        if self.words.insert(hasher.finish()) {
            self.detector.feed(word, false);
            self.detector.feed(b" ", false);
            self.letters.count(word);
            self.fed += word.len();
        }
    }
}

/// The line without currency signs and fixed blanks beside numbers. They would be letters in another encoding (`\u{a3}`
/// is `\u{141}` in Windows-1250), and a table has more of them than of any letter.
fn without_signs(line: &[u8]) -> Cow<'_, [u8]> {
    let is_sign = |byte: u8| matches!(byte, 0x80 | 0xa0 | 0xa2..=0xa5);
    if !line.iter().any(|byte| is_sign(*byte)) {
        return Cow::Borrowed(line);
    }
    // Neither a letter nor the second byte of a character of two bytes.
    let is_apart =
        |neighbour: Option<&u8>| neighbour.is_none_or(|byte| *byte < b'@' || matches!(byte, 0x80 | 0xa0));
    let cleaned = line.iter().enumerate().map(|(at, byte)| {
        let before = at.checked_sub(1).and_then(|at| line.get(at));
        if is_sign(*byte) && is_apart(before) && is_apart(line.get(at + 1)) { b' ' } else { *byte }
    });
    Cow::Owned(cleaned.collect())
}

/// The bytes beyond ASCII of a text.
struct Letters {
    seen: [bool; 256],
    /// Bytes within words that are letters in Mac Roman, and signs or capitals in Windows-1252.
    of_mac: u64,
    /// Bytes within words that are letters in Windows-1252, and hardly any in Mac Roman.
    of_windows: u64,
}

impl Default for Letters {
    fn default() -> Self {
        Self { seen: [false; 256], of_mac: 0, of_windows: 0 }
    }
}

impl Letters {
    fn count(&mut self, word: &[u8]) {
        for byte in word.iter().filter(|byte| !byte.is_ascii()) {
            if let Some(seen) = self.seen.get_mut(usize::from(*byte)) {
                *seen = true;
            }
        }
        for around in word.windows(3) {
            let &[before, byte, after] = around else { continue };
            if !before.is_ascii_alphabetic() || !after.is_ascii_lowercase() {
                continue;
            }
            match byte {
                // What both have within words: an apostrophe, dashes, small letters.
                0x92 | 0x96 | 0x97 | 0x9a | 0x9c | 0x9e => {}
                0x87..=0x9f | 0xa7 => self.of_mac += 1,
                0xc0..=0xff => self.of_windows += 1,
                _ => {}
            }
        }
    }

    /// Whether a word has one that was not seen before.
    fn are_new(&self, word: &[u8]) -> bool {
        word.iter().any(|byte| !byte.is_ascii() && self.seen.get(usize::from(*byte)) == Some(&false))
    }

    /// Whether they are too few to tell anything: one or two letters, however often, are most likely those of a western
    /// language, which uses few of them; in other languages words have more than that.
    fn are_few(&self) -> bool {
        const FEW: usize = 2;
        self.seen.iter().filter(|seen| **seen).count() <= FEW && self.of_mac == 0
    }

    /// Whether they are the letters of Hungarian in Windows-1250, which the detector takes for western ones: no western
    /// language has the letters that the two with long accents would be together with the two with dots.
    fn are_hungarian(&self) -> bool {
        const ALL: &[u8] = b"\xc1\xc9\xcd\xd3\xd5\xd6\xda\xdb\xdc\xe1\xe9\xed\xf3\xf5\xf6\xfa\xfb\xfc";
        const LONG: &[u8] = b"\xd5\xdb\xf5\xfb";
        const DOTTED: &[u8] = b"\xd6\xdc\xf6\xfc";
        let letters: Vec<u8> =
            (0xc0..=0xff).filter(|byte| self.seen.get(usize::from(*byte)) == Some(&true)).collect();
        let has = |some: &[u8]| letters.iter().any(|letter| some.contains(letter));
        letters.iter().all(|letter| ALL.contains(letter)) && has(LONG) && has(DOTTED)
    }

    /// Whether they are those of Mac Roman, which the detector does not know.
    fn are_mac_roman(&self) -> bool {
        self.of_mac > 0 && self.of_windows == 0
    }
}
