//! The form of a file of any size is detected in flat memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use nextbasket_importer::{Container, detect_source};
use peak_alloc::PeakAlloc;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// The same piece again and again.
struct Repeated<'a> {
    piece: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Repeated<'a> {
    fn new(piece: &'a [u8], times: usize) -> Self {
        Self { piece, at: 0, left: times }
    }
}

impl Read for Repeated<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let read = (&self.piece[self.at..]).read(into)?;
        self.at += read;
        if self.at == self.piece.len() {
            (self.at, self.left) = (0, self.left - 1);
        }
        Ok(read)
    }
}

/// One test, since all of a process share its memory.
#[test]
fn files_of_any_size_are_detected_in_some_megabytes() {
    const MEGABYTES: usize = 6;
    let piece = |line: &[u8]| line.repeat((1 << 20) / line.len());
    let (latin, utf_8, endless) =
        (piece(b"1,K\xe4se,2.50\n"), piece("1,Käse,2.50\n".as_bytes()), piece(b"\"\xe4"));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    io::copy(&mut Repeated::new(&latin, MEGABYTES), &mut gzip).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zip = ZipWriter::new_stream(Vec::new());
    zip.start_file("orders.csv", SimpleFileOptions::default()).unwrap();
    for _ in 0..MEGABYTES {
        zip.write_all(&latin).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let files: [(&str, Box<dyn Read + Send>, Container, &str); 5] = [
        ("Latin-1", Box::new(Repeated::new(&latin, MEGABYTES)), Container::Plain, "Windows-1252"),
        ("UTF-8", Box::new(Repeated::new(&utf_8, MEGABYTES)), Container::Plain, "UTF-8"),
        ("no line end", Box::new(Repeated::new(&endless, MEGABYTES)), Container::Plain, "Windows-1252"),
        ("gzip", Box::new(&gzip[..]), Container::Gzip, "Windows-1252"),
        ("zip", Box::new(&zip[..]), Container::Zip, "Windows-1252"),
    ];
    for (name, file, container, encoding) in files {
        PEAK.reset_peak_usage();
        let before = PEAK.current_usage_as_mb();
        let form = detect_source(file).unwrap();
        let used = PEAK.peak_usage_as_mb() - before;
        assert_eq!((form.container, form.encoding.to_string().as_str()), (container, encoding), "{name}");
        assert!(used < 2.0, "{name}: {used} megabytes");
    }
}
