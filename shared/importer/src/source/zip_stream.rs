//! The files of a zip archive, one after the other, as they come: an archive need not fit in memory, and it may end
//! early. The directory at its end is not read.

use std::io::{self, BufRead, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::error::ImportError;

pub(super) const LOCAL_MAGIC: &[u8] = b"PK\x03\x04";
/// What begins instead of a further file: the directory, its end, what belongs to it, a signature.
const DIRECTORY_MAGICS: [&[u8; 4]; 5] =
    [b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x06\x08"];
const DESCRIPTOR_MAGIC: &[u8; 4] = b"PK\x07\x08";

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The lengths and the checksum of a file. Lengths of archives that were written as a stream follow the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sizes {
    checksum: u32,
    packed: u64,
    unpacked: u64,
}

/// A reader of an archive's files. [`Read`] reads the one that [`next_file`](Self::next_file) has found.
pub(super) struct ZipStream<R> {
    reader: R,
    file: Option<OpenFile>,
}

struct OpenFile {
    name: String,
    /// What the header says; none if it follows the file.
    declared: Option<Sizes>,
    inflate: Option<Box<Decompress>>,
    checksum: Crc,
    packed: u64,
    unpacked: u64,
    inflated: bool,
}

/// The fields of the header before a file that are used.
struct LocalHeader {
    flags: u16,
    method: u16,
    sizes: Sizes,
    name: String,
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zip archive is damaged: {what}"))
}

impl<R: BufRead> ZipStream<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, file: None }
    }

    /// The name of the next file, behind what is left of the one before; `None` at the end.
    ///
    /// # Errors
    /// [`ImportError::Read`] if the reader fails or the archive is damaged, [`ImportError::Unsupported`] if the file
    /// cannot be unpacked.
    pub(super) fn next_file(&mut self) -> Result<Option<String>, ImportError> {
        io::copy(self, &mut io::sink()).map_err(ImportError::Read)?;
        let Some(header) = self.header().map_err(ImportError::Read)? else { return Ok(None) };
        let unsupported =
            |is: &'static str, advice: &'static str| Err(ImportError::Unsupported { is, advice });
        // Folders have no content, whatever their flags.
        let is_folder = header.name.ends_with('/');
        if header.flags & 1 != 0 || header.method == 99 {
            return unsupported("is a zip archive with a password", "Unpack it");
        }
        if !is_folder && !matches!(header.method, STORED | DEFLATED) {
            return unsupported(
                "is a zip archive with an unsupported compression",
                "Unpack it, or pack it with the compression Deflate",
            );
        }
        let streamed = header.flags & 8 != 0;
        if streamed && header.method == STORED && header.sizes.packed == 0 && !is_folder {
            return unsupported("is a zip archive that does not say how long its files are", "Unpack it");
        }
        let inflate = (header.method == DEFLATED).then(|| Box::new(Decompress::new(false)));
        self.file = Some(OpenFile {
            name: header.name.clone(),
            declared: (!streamed || header.method == STORED).then_some(header.sizes),
            inflate,
            checksum: Crc::new(),
            packed: 0,
            unpacked: 0,
            inflated: false,
        });
        Ok(Some(header.name))
    }

    /// The header of the next file; `None` where the directory begins.
    fn header(&mut self) -> io::Result<Option<LocalHeader>> {
        let magic: [u8; 4] = self.array()?;
        if DIRECTORY_MAGICS.contains(&&magic) {
            return Ok(None);
        }
        if magic != LOCAL_MAGIC {
            return Err(damaged("a file has no header"));
        }
        let _version = self.array::<2>()?;
        let flags = u16::from_le_bytes(self.array()?);
        let method = u16::from_le_bytes(self.array()?);
        let _time = self.array::<4>()?;
        let checksum = u32::from_le_bytes(self.array()?);
        let packed = u64::from(u32::from_le_bytes(self.array()?));
        let unpacked = u64::from(u32::from_le_bytes(self.array()?));
        let name_bytes = u16::from_le_bytes(self.array()?);
        let extra_bytes = u16::from_le_bytes(self.array()?);
        let name = String::from_utf8_lossy(&self.bytes(name_bytes)?).into_owned();
        let extra = self.bytes(extra_bytes)?;
        let mut sizes = Sizes { checksum, packed, unpacked };
        if packed == u64::from(u32::MAX) || unpacked == u64::from(u32::MAX) {
            sizes = long_sizes(&extra, sizes).ok_or_else(|| damaged("the length of a file is missing"))?;
        }
        Ok(Some(LocalHeader { flags, method, sizes, name }))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn bytes(&mut self, length: u16) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::from(length)];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Checks a file at its end, and passes over what follows it.
    fn close(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let found = Sizes { checksum: file.checksum.sum(), packed: file.packed, unpacked: file.unpacked };
        let declared = match file.declared {
            Some(declared) => declared,
            None => self.descriptor(found)?,
        };
        if declared == found {
            return Ok(());
        }
        Err(damaged(format_args!(
            "{} does not have the checksum and the length that are written there",
            file.name
        )))
    }

    /// What follows a file of unknown length: whether its lengths have four or eight bytes, only they tell.
    fn descriptor(&mut self, found: Sizes) -> io::Result<Sizes> {
        let mut checksum: [u8; 4] = self.array()?;
        if checksum == *DESCRIPTOR_MAGIC {
            checksum = self.array()?;
        }
        let checksum = u32::from_le_bytes(checksum);
        let (packed, unpacked): ([u8; 4], [u8; 4]) = (self.array()?, self.array()?);
        let short = |bytes| u64::from(u32::from_le_bytes(bytes));
        let sizes = Sizes { checksum, packed: short(packed), unpacked: short(unpacked) };
        if sizes == found {
            return Ok(sizes);
        }
        let joined = |low: u64, high: u64| low | (high << 32);
        let packed = joined(sizes.packed, sizes.unpacked);
        let (low, high): ([u8; 4], [u8; 4]) = (self.array()?, self.array()?);
        Ok(Sizes { checksum, packed, unpacked: joined(short(low), short(high)) })
    }
}

/// The lengths of a file of more than four gigabytes, from the field of its header that has them.
fn long_sizes(extra: &[u8], short: Sizes) -> Option<Sizes> {
    const LONG_LENGTHS: [u8; 2] = [1, 0];
    let mut rest = extra;
    while let Some((&[one, two, low, high], after)) = rest.split_first_chunk::<4>() {
        let (field, next) = after.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        if [one, two] == LONG_LENGTHS {
            let (unpacked, after) = field.split_first_chunk::<8>()?;
            let (packed, _) = after.split_first_chunk::<8>()?;
            let (packed, unpacked) = (u64::from_le_bytes(*packed), u64::from_le_bytes(*unpacked));
            return Some(Sizes { packed, unpacked, ..short });
        }
        rest = next;
    }
    None
}

impl<R: BufRead> Read for ZipStream<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Ok(0) };
        if into.is_empty() {
            return Ok(0);
        }
        let read = match &mut file.inflate {
            _ if file.inflated => 0,
            Some(inflate) => loop {
                let input = self.reader.fill_buf()?;
                if input.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let before = (inflate.total_in(), inflate.total_out());
                let status = inflate
                    .decompress(input, into, FlushDecompress::None)
                    .map_err(|_| damaged(format_args!("{} cannot be unpacked", file.name)))?;
                let (used, written) = (inflate.total_in() - before.0, inflate.total_out() - before.1);
                self.reader.consume(usize::try_from(used).unwrap_or(usize::MAX));
                file.packed += used;
                file.inflated = status == Status::StreamEnd;
                if written > 0 || file.inflated {
                    break usize::try_from(written).unwrap_or_default();
                }
                if used == 0 {
                    return Err(damaged(format_args!("{} cannot be unpacked", file.name)));
                }
            },
            None => {
                let left = file.declared.unwrap_or_default().packed - file.packed;
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
                let read = self.reader.read(into.get_mut(..length).unwrap_or_default())?;
                if read == 0 && left > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.packed += u64::try_from(read).unwrap_or_default();
                read
            }
        };
        file.checksum.update(into.get(..read).unwrap_or_default());
        file.unpacked += u64::try_from(read).unwrap_or_default();
        if read == 0 {
            self.close()?;
        }
        Ok(read)
    }
}

/// The name of the first file, as far as the beginning of an archive has it.
pub(super) fn first_file(head: &[u8]) -> String {
    const NAME: usize = 30;
    let length = match head.get(26..28) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };
    String::from_utf8_lossy(head.get(NAME..NAME + length).unwrap_or_default()).into_owned()
}

/// Whether a file of an archive may be the one with data: no folder, nothing that systems put there, no text about
/// the data.
pub(super) fn may_be_data(name: &str) -> bool {
    const ABOUT: [&str; 14] =
        ["md", "pdf", "html", "htm", "png", "jpg", "jpeg", "gif", "doc", "docx", "rtf", "url", "ini", "db"];
    let path = name.replace('\\', "/").to_lowercase();
    let file = path.rsplit('/').next().unwrap_or_default();
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    !file.is_empty()
        && !file.starts_with('.')
        && !path.split('/').any(|folder| folder == "__macosx")
        && !ABOUT.contains(&extension)
        && !["readme", "license", "licence"].contains(&stem)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Write};
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    /// An archive of these files; written to a stream, the lengths follow the files.
    pub(in crate::source) fn archive(files: &[(&str, &[u8])], streamed: bool) -> Vec<u8> {
        fn fill<W: Write + io::Seek>(mut zip: ZipWriter<W>, files: &[(&str, &[u8])]) -> W {
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
            for (name, content) in files {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
            zip.finish().unwrap()
        }
        if streamed {
            fill(ZipWriter::new_stream(Vec::new()), files).into_inner()
        } else {
            fill(ZipWriter::new(Cursor::new(Vec::new())), files).into_inner()
        }
    }

    fn all(bytes: &[u8], piece: usize) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut zip = ZipStream::new(io::BufReader::with_capacity(piece, bytes));
        let mut files = Vec::new();
        while let Some(name) = zip.next_file().map_err(|error| error.to_string())? {
            let mut content = Vec::new();
            zip.read_to_end(&mut content).map_err(|error| error.to_string())?;
            files.push((name, content));
        }
        Ok(files)
    }

    #[test]
    fn files_are_read_however_the_archive_was_written() {
        let long = "order,sku\n1,cup\n".repeat(20_000);
        let files = [("a.csv", long.as_bytes()), ("folder/b.csv", b"x"), ("empty.csv", b"")];
        for streamed in [false, true] {
            let bytes = archive(&files, streamed);
            for piece in [1, 7, 65_536] {
                let read = all(&bytes, piece).unwrap();
                let read: Vec<_> =
                    read.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
                assert!(read == files, "streamed: {streamed}, pieces of {piece}");
            }
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file("a.csv", stored.large_file(true)).unwrap();
        zip.write_all(b"order,sku\n").unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert_eq!(all(&bytes, 3).unwrap(), [("a.csv".to_owned(), b"order,sku\n".to_vec())]);
    }

    #[test]
    fn a_file_may_be_skipped() {
        let bytes = archive(&[("a.csv", b"one"), ("b.csv", b"two")], true);
        let mut zip = ZipStream::new(&bytes[..]);
        assert_eq!(zip.next_file().unwrap().as_deref(), Some("a.csv"));
        assert_eq!(zip.next_file().unwrap().as_deref(), Some("b.csv"));
        let mut content = String::new();
        zip.read_to_string(&mut content).unwrap();
        assert_eq!((content.as_str(), zip.next_file().unwrap()), ("two", None));
    }

    #[test]
    fn a_wrong_byte_is_an_error_behind_the_content() {
        let mut bytes = archive(&[("a.csv", b"order")], false);
        bytes[14] ^= 1;
        let error = all(&bytes, 100).unwrap_err();
        insta::assert_snapshot!(error, @"the zip archive is damaged: a.csv does not have the checksum and the length that are written there");
    }

    #[test]
    fn what_cannot_be_unpacked_is_named() {
        let with = |offset: usize, byte: u8| {
            let mut bytes = archive(&[("a.csv", b"order")], false);
            bytes[offset] = byte;
            all(&bytes, 100).unwrap_err()
        };
        insta::assert_snapshot!(with(6, 1), @"the file is a zip archive with a password. Unpack it.");
        insta::assert_snapshot!(with(8, 9), @"the file is a zip archive with an unsupported compression. Unpack it, or pack it with the compression Deflate.");
    }

    #[test]
    fn only_files_that_may_hold_data_count() {
        for name in ["orders.csv", "export/orders.txt", "data", "Orders 2024.JSONL", "a\\b.tsv", "x.csv.gz"] {
            assert!(may_be_data(name), "{name}");
        }
        for name in [
            "export/",
            "__MACOSX/._orders.csv",
            "a/__MACOSX/b.csv",
            ".DS_Store",
            "a/.hidden.csv",
            "README.txt",
            "LICENSE",
            "about.md",
            "Thumbs.db",
        ] {
            assert!(!may_be_data(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn an_archive_that_is_cut_or_damaged_does_not_make_it_panic(
            cut in 0_usize..600, at in 0_usize..600, byte in any::<u8>(), streamed in any::<bool>(), piece in 1_usize..50,
        ) {
            let content = "order,sku\n1,cup\n2,box\n".repeat(10);
            let mut bytes = archive(&[("a.csv", content.as_bytes()), ("b.csv", b"x")], streamed);
            if let Some(byte_at) = bytes.get_mut(at) {
                *byte_at = byte;
            }
            bytes.truncate(cut.max(1));
            let _ = all(&bytes, piece);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&[LOCAL_MAGIC, &bytes].concat(), 16);
        }
    }
}
