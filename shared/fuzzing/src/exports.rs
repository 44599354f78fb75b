//! Exports of shop systems: files that are surveyed, joined and shaped before they are read.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use nextbasket_domain::{Currency, Timestamp};
use nextbasket_importer::{
    DateOrder, DecimalSign, FileLayout, FileOpener, FilePosition, FileRole, ImportOptions, JoinedFiles,
    RecordKind, RecordScanner, ScanStep, survey,
};

use crate::memory::measured;

/// Between two files of an input.
const BETWEEN: &[u8] = b"\n--\n";
/// An input is read again from the positions of the first records.
const RESUMED: usize = 40;
/// The memory that a survey may use, whatever the file.
const SURVEY: usize = 32 << 20;

/// The first byte chooses options; the rest is one file, or several that are imported together.
pub fn check(data: &[u8]) {
    let Some((&choice, content)) = data.split_first() else { return };
    let files = files(content);
    let (kind, options) = options(choice);
    for own in 0..files.len().min(3) {
        let mut openers: Vec<FileOpener<'_>> =
            files.iter().map(|file| Box::new(|| open(file)) as FileOpener<'_>).collect();
        let joined = match JoinedFiles::role(&mut openers, own, kind, &options) {
            Ok(FileRole::Records(joined)) => joined,
            Ok(FileRole::JoinedTo(..)) | Err(_) => continue,
        };
        drop(openers);
        export(&files[own], &joined, kind, &options);
    }
}

fn files(content: &[u8]) -> Vec<Arc<[u8]>> {
    let mut files = Vec::new();
    let mut rest = content;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN) {
        // The line end belongs to the file.
        files.push(rest[..=at].into());
        rest = &rest[at + BETWEEN.len()..];
    }
    files.push(rest.into());
    files
}

fn options(choice: u8) -> (RecordKind, ImportOptions) {
    let now = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
    let mut options = ImportOptions::new(now, Currency::parse("EUR").unwrap());
    let is = |bit: u8| choice & bit != 0;
    if is(2) {
        options.date_order = Some(DateOrder::DayFirst);
        options.decimal = Some(DecimalSign::Point);
    }
    if is(4) {
        options.guests = vec!["guest".to_owned(), String::new()];
    }
    if is(8) {
        options.fill_down = vec!["user_id".to_owned(), "timestamp".to_owned()];
    }
    (if is(1) { RecordKind::Products } else { RecordKind::Purchases }, options)
}

fn open(file: &Arc<[u8]>) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Cursor::new(Arc::clone(file))))
}

/// A file has the same records however often its reading is interrupted, and each of them is accepted or rejected.
fn export(file: &Arc<[u8]>, joined: &JoinedFiles, kind: RecordKind, options: &ImportOptions) {
    let (layout, held) = measured(|| survey(&mut || open(file), joined, kind, options));
    assert!(held <= SURVEY + 8 * file.len(), "{held} bytes are held by a survey");
    let Ok(layout) = layout else { return };
    let stored = serde_json::to_vec(&layout).expect("a layout is stored");
    let again: FileLayout = serde_json::from_slice(&stored).expect("what was stored is read");
    assert_eq!(again, layout);
    let mut positions = Vec::new();
    let whole = records(file, joined, kind, options, &layout, &layout.start(), &mut positions);
    for (read, position) in positions {
        let stored = serde_json::to_vec(&position).expect("a position is stored");
        let position: FilePosition = serde_json::from_slice(&stored).expect("what was stored is read");
        let rest = records(file, joined, kind, options, &layout, &position, &mut Vec::new());
        assert_eq!(rest.0[..], whole.0[read..], "from record {read} on");
        assert_eq!(rest.1, whole.1, "from record {read} on");
    }
}

type Records = (Vec<(u64, u64, Vec<u8>)>, BTreeMap<String, u64>);

/// The accepted records from a position on, with their lines and groups, and the numbers of rejected ones; and the
/// positions after the first records, with the number of accepted ones before them.
fn records(
    file: &Arc<[u8]>,
    joined: &JoinedFiles,
    kind: RecordKind,
    options: &ImportOptions,
    layout: &FileLayout,
    start: &FilePosition,
    positions: &mut Vec<(usize, FilePosition)>,
) -> Records {
    let from = if layout.form.is_seekable() { usize::try_from(start.offset).unwrap() } else { 0 };
    let reader = &file[from..];
    let mut scanner = RecordScanner::resume(reader, kind, options, (layout, joined), start)
        .expect("a position of the file");
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    loop {
        if positions.len() < RESUMED {
            positions.push((taken.len(), scanner.position()));
        }
        match scanner.step(&mut refused).expect("memory is written") {
            ScanStep::Taken(record) => taken.push((record.line, record.group, record.record.to_vec())),
            ScanStep::Refused => {}
            ScanStep::End => break,
        }
    }
    let refused_lines = refused.iter().filter(|byte| **byte == b'\n').count() as u64;
    let before = start.tally.refused.values().sum::<u64>();
    let Ok(end) = scanner.finish() else { return (taken, BTreeMap::new()) };
    let counts: BTreeMap<String, u64> =
        end.tally.refused.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
    assert_eq!(counts.values().sum::<u64>() - before, refused_lines);
    assert_eq!(end.tally.records - start.tally.records, taken.len() as u64 + refused_lines);
    (taken, counts)
}
