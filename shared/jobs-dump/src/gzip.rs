//! A gzip file made of pages, so that it can be resumed after a kill.
//!
//! Each page is compressed for itself and ends in a full flush, so the pages one after the other are one stream of
//! deflate (RFC 1951), and the file is one member of gzip (RFC 1952): what any reader takes, also those that stop behind
//! the first member. What has to be kept between pages is [`GzipState`], 24 bytes, and the file's length: nothing of
//! the compressor's.

use flate2::{Compress, Compression, FlushCompress, Status};
use serde::{Deserialize, Serialize};

/// Magic, deflate, no flags, no time, fastest, Unix.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];
/// An empty block that says it is the last: 1, 01, and the seven zeros of the end of a block.
const LAST_BLOCK: [u8; 2] = [3, 0];
/// How much room is made at a time.
const ROOM: usize = 32 << 10;

/// How far a file has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GzipState {
    /// The file's length so far.
    pub bytes: u64,
    /// The CRC-32 of what went into it.
    pub crc: u32,
    /// How much went into it.
    pub length: u64,
}

/// Compresses pages. One may be used for many files, one page after the other.
pub struct Pages {
    compress: Compress,
}

impl Default for Pages {
    fn default() -> Self {
        Self { compress: Compress::new(Compression::fast(), false) }
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

impl Pages {
    /// Appends the file's next bytes to `out`.
    pub fn page(&mut self, state: &mut GzipState, content: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        let begin = out.len();
        if state.bytes == 0 {
            out.extend_from_slice(&HEADER);
        }
        if !content.is_empty() {
            self.compress.reset();
            let mut left = content;
            loop {
                out.reserve(ROOM);
                let before = self.compress.total_in();
                let status = self.compress.compress_vec(left, out, FlushCompress::Full);
                let taken = usize::try_from(self.compress.total_in() - before).unwrap_or(usize::MAX);
                left = left.get(taken..).unwrap_or_default();
                match status.map_err(std::io::Error::other)? {
                    // Room that is left says that all is flushed.
                    Status::Ok | Status::BufError if left.is_empty() && out.len() < out.capacity() => break,
                    _ => {}
                }
            }
            let mut crc = crc32fast::Hasher::new_with_initial_len(state.crc, state.length);
            crc.update(content);
            state.crc = crc.finalize();
            state.length += length(content.len());
        }
        state.bytes += length(out.len() - begin);
        Ok(())
    }
}

pub fn end(state: &mut GzipState, out: &mut Vec<u8>) {
    let begin = out.len();
    if state.bytes == 0 {
        out.extend_from_slice(&HEADER);
    }
    out.extend_from_slice(&LAST_BLOCK);
    out.extend_from_slice(&state.crc.to_le_bytes());
    // The format has the length modulo 2³².
    let [a, b, c, d, ..] = state.length.to_le_bytes();
    out.extend_from_slice(&[a, b, c, d]);
    state.bytes += length(out.len() - begin);
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::io::Read;

    fn unpacked(file: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(file);
        reader.read_to_end(&mut content).unwrap();
        assert_eq!(reader.into_inner().len(), 0, "nothing stands behind the only member");
        content
    }

    #[test]
    fn a_file_without_pages_is_an_empty_one() {
        let (mut state, mut file) = (GzipState::default(), Vec::new());
        end(&mut state, &mut file);
        assert_eq!(unpacked(&file), b"");
        assert_eq!(state.bytes, file.len() as u64);
    }

    #[test]
    fn what_does_not_compress_takes_many_rooms() {
        let mut seed = 1_u32;
        let noise: Vec<u8> = (0..300_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed.to_be_bytes()[0]
            })
            .collect();
        let (mut state, mut file) = (GzipState::default(), Vec::new());
        Pages::default().page(&mut state, &noise, &mut file).unwrap();
        Pages::default().page(&mut state, b"and text", &mut file).unwrap();
        end(&mut state, &mut file);
        assert_eq!(unpacked(&file), [noise, b"and text".to_vec()].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_file_gone_on_with_at_any_page_is_the_same_and_whole(
            pages in vec(vec(prop_oneof![Just(b'a'), any::<u8>()], 0..5_000), 0..6),
            kills in vec(any::<bool>(), 6),
        ) {
            let mut once = (Pages::default(), GzipState::default(), Vec::new());
            let mut again = (Pages::default(), GzipState::default(), Vec::new());
            for (page, kill) in pages.iter().zip(&kills) {
                once.0.page(&mut once.1, page, &mut once.2).unwrap();
                if *kill {
                    // What was written behind the checkpoint is cut off, and all but the checkpoint forgotten.
                    let checkpoint = serde_json::to_string(&again.1).unwrap();
                    let (mut lost, mut file) = (again.1, again.2.clone());
                    again.0.page(&mut lost, b"lost", &mut file).unwrap();
                    again.1 = serde_json::from_str(&checkpoint).unwrap();
                    file.truncate(usize::try_from(again.1.bytes).unwrap());
                    again = (Pages::default(), again.1, file);
                }
                again.0.page(&mut again.1, page, &mut again.2).unwrap();
            }
            end(&mut once.1, &mut once.2);
            end(&mut again.1, &mut again.2);
            prop_assert_eq!(&once.2, &again.2);
            prop_assert_eq!(once.1.bytes, once.2.len() as u64);
            prop_assert_eq!(unpacked(&once.2), pages.concat());
        }
    }
}
