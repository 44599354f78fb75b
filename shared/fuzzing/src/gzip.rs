//! Compressed files: for imports, and of dumps.

use std::io::Write;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use nextbasket_jobs_dump::gzip::{GzipState, Pages, end};
use nextbasket_jobs_dump::{Format, ItemsDigest};

use crate::csv::{all, items, products, purchases};
use crate::memory::within;

/// No content is held unpacked as a whole: the largest line has 8 MB, and its values take a multiple of that.
const MOST: usize = 320 << 20;

/// The first byte chooses the reader, and whether the rest is already compressed or is to be compressed; the second
/// byte chooses how.
pub fn check(data: &[u8]) {
    let Some((&[reader, how], rest)) = data.split_first_chunk::<2>() else { return };
    if reader & 0x80 == 0 {
        let mut packed = rest.to_vec();
        // Other beginnings are plain files, which have their own target.
        packed.splice(0..packed.len().min(2), [0x1f, 0x8b]);
        let _ = within(MOST, || outcome(reader, &packed));
        return;
    }
    let packed = pack(rest, how);
    assert_eq!(all(MultiGzDecoder::new(packed.as_slice())).expect("a whole file"), rest);
    let (one, other) = (outcome(reader, &packed), outcome(reader, rest));
    // Content that begins like gzip is compressed twice here, but would be unpacked only once.
    if !rest.starts_with(&[0x1f, 0x8b]) {
        assert_eq!(one, other, "packed and not");
    }
    // Truncated anywhere, a file gives no more records than the whole, and the same ones at the beginning.
    let cut = packed.len() * usize::from(how) / 256;
    let part = outcome(reader, &packed[..cut]);
    if let (Outcome::Items(part), Outcome::Items(whole)) = (&part, &one) {
        assert!(part.len() <= whole.len() && whole.starts_with(&part[..part.len().saturating_sub(1)]));
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Items(Vec<ItemsDigest>),
    Records(Option<usize>),
}

fn outcome(reader: u8, file: &[u8]) -> Outcome {
    match reader & 0x7f {
        0 => Outcome::Records(purchases(file).map(|purchases| purchases.len())),
        1 => Outcome::Records(products(file).map(|products| products.len())),
        2 => Outcome::Items(items(file, Format::Csv)),
        3 => Outcome::Items(items(file, Format::JsonLines)),
        _ => Outcome::Items(items(file, Format::DynamodbJson)),
    }
}

/// Compresses in pages like our dumps, or in members like other programs.
fn pack(content: &[u8], how: u8) -> Vec<u8> {
    let chunk = usize::from(how).max(1) * 16;
    let mut file = Vec::new();
    if how.is_multiple_of(2) {
        let mut state = GzipState::default();
        for page in content.chunks(chunk) {
            // A worker that resumes after a kill has a new compressor.
            Pages::default().page(&mut state, page, &mut file).unwrap();
        }
        end(&mut state, &mut file);
        assert_eq!((state.bytes, state.length), (file.len() as u64, content.len() as u64));
        return file;
    }
    for member in content.chunks(chunk).chain(content.is_empty().then_some(content)) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(member).unwrap();
        file.extend(encoder.finish().unwrap());
    }
    file
}
