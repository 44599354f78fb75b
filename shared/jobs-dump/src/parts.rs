//! What is compared: a table or a dump, in parts that are read one by one.

use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::{from_json, to_json};
use nextbasket_items::scan::{Projection, Scan};
use nextbasket_items::segment::{Segment, segments};
use nextbasket_items::table::TableAddress;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::{BatchPlan, JobError, Planning, Refusal, Trust, Work, WorkError};
use nextbasket_objects::{Files, Location};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::format::SourceFormat;
use crate::json::LineChange;
use crate::manifest::record::Filter;
use crate::records::{Piece, ReadError, Record, Records};
use crate::settings::{ScanSettings, check_location, condition};
use crate::source::{Source, SourceFile, locate};

/// A table, `{"table": "NAME", "region": "…", "endpoint": "…"}`, or a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Side {
    Dump(DumpSide),
    Table(TableAddress),
}

/// `{"dump": "s3://BUCKET/PREFIX"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DumpSide {
    pub dump: Location,
}

impl Side {
    pub(crate) fn check(&self, field: &str, trust: Trust) -> Result<(), Refusal> {
        match self {
            Self::Dump(side) => check_location(&format!("{field}dump"), &side.dump, trust),
            Self::Table(side) => side.check(field, trust),
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dump(side) => write!(f, "the dump {}", side.dump),
            Self::Table(side) => {
                write!(f, "table {}", side.table)?;
                side.region.iter().try_for_each(|region| write!(f, " in {region}"))?;
                side.endpoint.iter().try_for_each(|endpoint| write!(f, " at {endpoint}"))
            }
        }
    }
}

/// A part of a side: a batch reads one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    /// 0 is left, 1 is right.
    pub side: u8,
    pub of: PartOf,
}

impl Part {
    /// The file or the table, for messages.
    pub(crate) fn name(&self) -> &str {
        match &self.of {
            PartOf::File { file, .. } => &file.name,
            PartOf::Segment { table, .. } => &table.table,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum PartOf {
    File { file: SourceFile, format: SourceFormat },
    Segment { table: TableAddress, segment: Segment, mean_bytes: u64, filter: Option<Filter> },
}

/// A dump with what its manifests say of it.
pub(crate) async fn dump(
    planning: &Planning<'_>,
    dump: &Location,
    table: Option<&str>,
) -> Result<Source, JobError> {
    let files = planning.objects().files();
    let source = locate(&files, dump, table, None).await?;
    if source.incremental {
        let problem = "an incremental export holds changes, not items: it can be restored, but not compared with a table";
        return Err(JobError::Failed(format!("{}: {problem}", source.at)));
    }
    Ok(source)
}

/// A batch for each file; those that are not there are problems already.
pub(crate) fn files(side: u8, source: &Source) -> Vec<BatchPlan> {
    let batch = |file: &SourceFile| BatchPlan {
        weight: file.found.as_ref().map_or(0, |found| found.bytes),
        of: file.items,
        ..BatchPlan::new(json!(Part { side, of: PartOf::File { file: file.clone(), format: source.format } }))
    };
    source.files.iter().filter(|file| file.found.is_some()).map(batch).collect()
}

/// A batch for each segment of the table, of which the items that meet the filter count; and its keys' names.
pub(crate) async fn table(
    planning: &Planning<'_>,
    side: u8,
    table: &TableAddress,
    scan: ScanSettings,
    filter: Option<&Filter>,
) -> Result<(Vec<BatchPlan>, Vec<String>), JobError> {
    let found = table.describe(planning.site).await?;
    let of = segments(scan.segments, found.bytes, found.items);
    let batches = BatchPlan::for_parts(of, found.bytes, found.items, |number| {
        let (table, filter) = (table.clone(), filter.cloned());
        let segment = Segment { number, of };
        let of = PartOf::Segment { table, segment, mean_bytes: found.mean_bytes(), filter };
        json!(Part { side, of })
    });
    Ok((batches, found.keys.names().map(str::to_owned).collect()))
}

/// Up to where a part has been read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum PartPosition {
    #[default]
    Start,
    Line(u64),
    After(Value),
}

pub(crate) enum PartPage {
    /// Items, what is wrong with other lines, and up to where that is.
    Items { items: Vec<Item>, problems: Vec<String>, at: PartPosition },
    /// All has been read; of a file with its MD5 and its size.
    End(Option<([u8; 16], u64)>),
    /// The rest cannot be read: why.
    Broken(String),
}

/// Reads a part, a page or a chunk at a time.
pub(crate) enum PartReader {
    /// With what the numbers of its records count.
    File(Records, &'static str),
    Segment(Box<SegmentReader>),
}

pub(crate) struct SegmentReader {
    scan: Scan,
    segment: Segment,
    calls: Calls,
    /// Where the next page begins, if there is one.
    next: Option<PartPosition>,
}

impl PartReader {
    pub(crate) async fn open(
        work: &Work,
        files: &Files,
        part: &Part,
        at: &PartPosition,
        settings: ScanSettings,
    ) -> Result<Self, WorkError> {
        match &part.of {
            PartOf::File { file, format } => {
                let Some(found) = &file.found else {
                    return Err(WorkError::Failed(format!("{} not found", file.name)));
                };
                let skip = if let PartPosition::Line(line) = at { *line } else { 0 };
                Ok(Self::File(Records::open(files, found, *format, skip).await?, format.position()))
            }
            PartOf::Segment { table, segment, mean_bytes, filter } => {
                let text = filter.as_ref().map(|filter| &filter.r#where);
                let condition =
                    condition("filter", text).map_err(|refusal| WorkError::Systemic(refusal.to_string()))?;
                let now = filter.as_ref().map_or_else(|| work.site().clock.now(), |filter| filter.now);
                let scan = Scan::new(&table.table, condition.as_ref(), Projection::Whole, now)
                    .consistent(settings.consistent_read)
                    .pages_of(settings.batch_size, *mean_bytes);
                let calls = Calls::new(work).to(&table.client(work.site()));
                let next = Some(at.clone());
                Ok(Self::Segment(Box::new(SegmentReader { scan, segment: *segment, calls, next })))
            }
        }
    }

    /// What comes next. Read units are counted.
    pub(crate) async fn next(&mut self, work: &mut Work) -> Result<PartPage, CallError> {
        match self {
            Self::File(records, position) => match records.next().await {
                Ok(Piece::Chunk(chunk)) => Ok(items_of(chunk, position)),
                Ok(Piece::End { md5, bytes }) => Ok(PartPage::End(md5.map(|md5| (md5, bytes)))),
                Err(ReadError::Content(problem)) => Ok(PartPage::Broken(problem)),
                Err(error) => Err(error.into()),
            },
            Self::Segment(reader) => {
                let SegmentReader { scan, segment, calls, next } = reader.as_mut();
                let Some(at) = next.take() else { return Ok(PartPage::End(None)) };
                let start = match &at {
                    PartPosition::After(key) => from_json(key),
                    _ => None,
                };
                let limiter = work.limits().read.clone();
                let page = scan.page(calls, &limiter, *segment, start.as_ref()).await?;
                work.progress.read_units += page.units;
                work.progress.processed += page.scanned;
                work.progress.matched += page.matched;
                let at = match &page.next {
                    Some(key) => PartPosition::After(to_json(key)),
                    None => at,
                };
                *next = page.next.is_some().then(|| at.clone());
                Ok(PartPage::Items { items: page.items, problems: Vec::new(), at })
            }
        }
    }

    /// Whether the last page of a segment was read: a checkpoint behind it would begin it anew.
    pub(crate) fn is_at_end(&self) -> bool {
        matches!(self, Self::Segment(reader) if reader.next.is_none())
    }
}

fn items_of(chunk: Vec<Record>, position: &str) -> PartPage {
    let (mut items, mut problems, mut last) = (Vec::with_capacity(chunk.len()), Vec::new(), 0);
    for Record { line, change } in chunk {
        last = line;
        match change {
            Ok(LineChange::Put(item)) => items.push(item),
            Ok(LineChange::Delete(_)) => problems.push(format!("{position} {line}: no \"Item\"")),
            Err(problem) => problems.push(format!("{position} {line}: {problem}")),
        }
    }
    PartPage::Items { items, problems, at: PartPosition::Line(last) }
}

pub(crate) fn filter_of(source: &Source) -> Option<&Filter> {
    source.record.as_ref().and_then(|record| record.filter.as_ref())
}

pub(crate) fn count_lines(work: &mut Work, part: &Part, items: usize, problems: usize) {
    if matches!(part.of, PartOf::File { .. }) {
        work.progress.processed += u64::try_from(items + problems).unwrap_or(0);
        work.progress.matched += u64::try_from(items).unwrap_or(0);
    }
}
