//! Stage `sort`: files' records into parts by the hash of a column or attribute.

use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Progress, Work, WorkError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::batch_input::{BatchInput, ColumnHeader, FileRange, RecordSource, RecordStream};
use crate::item_lines::part;
use crate::parameters::{BatchSplit, MapInput, MapTask};
use crate::read_table::Sorted;
use crate::record_bins::{BinObject, HELD, RecordBins};
use crate::records::{RecordError, RecordFormat, fields, trimmed};
use crate::split_files;
use nextbasket_objects::FoundFile;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// Up to where the file is sorted.
    at: u64,
    /// On which line that is.
    #[serde(default)]
    line: u64,
    #[serde(rename = "sheaves")]
    bin_objects: Vec<BinObject>,
    processed: u64,
}

/// How much of a refused record is shown, in bytes.
const SHOWN: usize = 1_000;

/// Finds the value that a record is sorted by.
enum Feature {
    Column { delimiter: u8, at: usize },
    Attribute(String),
}

impl Feature {
    fn of(attribute: &str, format: RecordFormat, header: &[u8], file: &FoundFile) -> Result<Self, WorkError> {
        let RecordFormat::Csv { delimiter, .. } = format else {
            return Ok(Self::Attribute(attribute.to_owned()));
        };
        let names = fields(header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header), delimiter);
        match names.iter().position(|name| name == attribute.as_bytes()) {
            Some(at) => Ok(Self::Column { delimiter, at }),
            None => Err(WorkError::Failed(format!(
                "{}: column {attribute:?} not found. Name a column of the header.",
                file.at
            ))),
        }
    }

    /// `None` for a record that is not in its format. Records without a value are together.
    fn value(&self, record: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Column { delimiter, at } => {
                Some(fields(record, *delimiter).get(*at).unwrap_or_default().to_vec())
            }
            Self::Attribute(name) => {
                let object: Map<String, Value> = serde_json::from_slice(record).ok()?;
                Some(match object.get(name) {
                    Some(Value::String(text)) => text.clone().into_bytes(),
                    Some(value) => value.to_string().into_bytes(),
                    None => Vec::new(),
                })
            }
        }
    }
}

pub(crate) async fn work(work: &mut Work, task: &MapTask) -> Result<Outcome, WorkError> {
    let (MapInput::Files { format, .. }, BatchSplit::Feature { attribute, parts }) =
        (&task.input, &task.split)
    else {
        return Err(WorkError::Failed("the job has no files, or no feature".to_owned()));
    };
    let file: FoundFile = work.input()?;
    let files = work.site().objects.files();
    let cut = split_files::begin(&files, &file, *format).await?;
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    if cut.gzip {
        // What is packed can only be read from its beginning.
        at = Checkpoint::default();
    }
    work.progress = Progress { processed: at.processed, matched: at.processed, ..Progress::default() };
    let header = ColumnHeader::of(*format, cut.gzip, cut.header);
    let from = at.at.max(cut.header);
    let range = FileRange { file: file.clone(), from, to: file.bytes, gzip: cut.gzip };
    let input = BatchInput { name: file.at.to_string(), header, source: RecordSource::Ranges(vec![range]) };
    let mut stream = RecordStream::open(work, &input, *format).await?;
    let feature = Feature::of(attribute, *format, trimmed(stream.header()), &file)?;
    let wrong = |problem: RecordError| WorkError::Failed(format!("{}: {problem}", file.at));
    if !cut.gzip {
        stream.begin_at_line(cut.line.max(at.line));
    }
    let mut splitter = stream.splitter();
    let (mut bins, mut record, mut read) = (RecordBins::default(), Vec::new(), from);
    let mut line = splitter.line();
    while let Some(piece) = stream.next().await? {
        let mut rest = piece.as_ref();
        while let Some(end) = splitter.end_of_held(rest).map_err(wrong)? {
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            record.extend_from_slice(head);
            rest = tail;
            read += u64::try_from(record.len()).unwrap_or(0);
            sort(work, &file, &feature, *parts, &record, &mut bins);
            record.clear();
            line = splitter.line();
        }
        record.extend_from_slice(rest);
        let stop = if bins.bytes() >= HELD {
            at.bin_objects.extend(bins.write(work, at.bin_objects.len()).await?);
            (at.at, at.line, at.processed) = (read, line, work.progress.processed);
            // What is packed is read from its beginning again, so there is nothing to keep.
            if cut.gzip { work.must_stop() } else { work.save(&at).await? == Go::Stop }
        } else {
            work.must_stop()
        };
        if stop {
            return Ok(Outcome::Stopped);
        }
    }
    splitter.finish().map_err(|problem| wrong(problem.into()))?;
    sort(work, &file, &feature, *parts, &record, &mut bins);
    at.bin_objects.extend(bins.write(work, at.bin_objects.len()).await?);
    let header = String::from_utf8(stream.header().to_vec());
    let header = header.map_err(|_| WorkError::Failed(format!("{}: the header is not UTF-8", file.at)))?;
    Outcome::done(&Sorted {
        header: Some(header).filter(|header| !header.is_empty()),
        bin_objects: at.bin_objects,
    })
}

/// Puts a record into its part, or refuses it.
fn sort(
    work: &mut Work,
    file: &FoundFile,
    feature: &Feature,
    parts: u32,
    record: &[u8],
    bins: &mut RecordBins,
) {
    if trimmed(record).is_empty() {
        return;
    }
    work.progress.processed += 1;
    match feature.value(trimmed(record)) {
        Some(value) => {
            work.progress.matched += 1;
            bins.add(Some(part(&value, parts)), record);
        }
        None => {
            let shown = record.get(..record.len().min(SHOWN)).unwrap_or_default();
            let shown = String::from_utf8_lossy(trimmed(shown)).into_owned();
            work.refuse(&json!({ "file": file.at, "record": shown }), "not_an_object");
        }
    }
}
