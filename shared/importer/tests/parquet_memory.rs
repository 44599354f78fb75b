//! The memory that reading a Parquet file takes depends on its pages, not on its rows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod common;
#[path = "common/parquet_files.rs"]
mod parquet_files;

use std::io;
use std::sync::Arc;

use common::options;
use nextbasket_importer::{JoinedFiles, RecordKind, RecordScanner, ScanStep, survey};
use parquet::file::properties::WriterProperties;
use parquet_files::{Cells, parquet, texts};
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Row groups of this many rows, each of which has a text of some 200 bytes of its own.
fn file(groups: &[i32]) -> Arc<[u8]> {
    let cells = |rows: &i32| {
        let names: Vec<String> = (0..*rows).map(|row| format!("{:x>200}", row * 7_919)).collect();
        vec![
            Cells::I32((0..*rows).map(Some).collect()),
            Cells::I32((0..*rows).map(|row| Some(row % 1_000)).collect()),
            Cells::I64(vec![Some(1_293_881_696_000); usize::try_from(*rows).unwrap()]),
            texts(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        ]
    };
    let schema = "message rows { required int32 user_id; required int32 product_id; \
                  required int64 timestamp (timestamp(millis,true)); required binary product_name (utf8); }";
    let groups: Vec<Vec<Cells>> = groups.iter().map(cells).collect();
    parquet(schema, WriterProperties::new(), &groups).into()
}

/// Reads all records, one at a time; their number.
fn scan(bytes: &Arc<[u8]>) -> u64 {
    let mut open = || Ok(Box::new(io::Cursor::new(Arc::clone(bytes))) as Box<dyn io::Read + Send>);
    let (kind, joined) = (RecordKind::Purchases, JoinedFiles::default());
    let layout = survey(&mut open, &joined, kind, &options()).unwrap();
    let file = open().unwrap();
    let mut scanner =
        RecordScanner::resume(file, kind, &options(), (&layout, &joined), &layout.start()).unwrap();
    let mut taken = 0;
    loop {
        match scanner.step(&mut io::sink()).unwrap() {
            ScanStep::Taken(_) => taken += 1,
            ScanStep::Refused => {}
            ScanStep::End => return taken,
        }
    }
}

/// One test, since all of a process share its memory.
#[test]
fn rows_are_read_in_some_megabytes_however_long_a_row_group_is() {
    for groups in [&[15_000; 4][..], &[60_000]] {
        let bytes = file(groups);
        assert!(bytes.len() > 12 << 20);
        PEAK.reset_peak_usage();
        let before = PEAK.current_usage_as_mb();
        assert_eq!(scan(&bytes), 60_000);
        let used = PEAK.peak_usage_as_mb() - before;
        assert!(used < 10.0, "{} row groups: {used} megabytes", groups.len());
    }
}
