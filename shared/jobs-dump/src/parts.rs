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
use crate::source::place::Located;
use crate::source::{Source, SourceFile, locate};

/// A table, `{"table": "NAME", "region": "…", "endpoint": "…"}`, or a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) enum Side {
    Dump(DumpSide),
    Table(TableAddress),
}

/// `{"dump": "s3://BUCKET/PREFIX"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(title = "Dump"))]
pub(crate) struct DumpSide {
    /// The folder or the prefix of a dump or an export, or one that holds some.
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
    pub(crate) fn batch(&self) -> BatchPlan {
        let (weight, of) = match &self.of {
            PartOf::File { file, .. } => {
                (file.found.as_ref().map_or(0, |found| found.bytes), file.plausible_items())
            }
            PartOf::Segment { .. } => (0, None),
        };
        BatchPlan { weight, of, ..BatchPlan::new(json!(self)) }
    }

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
    File {
        file: SourceFile,
        format: SourceFormat,
        /// Which of the sources of its side it is of.
        #[serde(default)]
        source: usize,
        /// It holds changes, not items.
        #[serde(default)]
        changes: bool,
    },
    Segment {
        table: TableAddress,
        segment: Segment,
        mean_bytes: u64,
        filter: Option<Filter>,
    },
}

/// What a location stands for, with what the manifests say of it.
pub(crate) async fn located(
    planning: &Planning<'_>,
    dump: &Location,
    table: Option<&str>,
) -> Result<Located, JobError> {
    locate(&planning.objects().files(), dump, table, None).await
}

/// A dump in its own folder.
pub(crate) async fn dump(planning: &Planning<'_>, folder: &Location) -> Result<Source, JobError> {
    let first = located(planning, folder, None).await?.sources.into_iter().next();
    first.ok_or_else(|| JobError::Failed(format!("{folder}: no complete dump found")))
}

/// Refuses what holds no items: the settings alone, or changes without the items that they change.
pub(crate) fn refuse_without_items(located: &Located) -> Result<(), JobError> {
    if let Some(schema) = located.sources.iter().find(|source| source.is_schema()) {
        let problem = "the dump has only the table's settings, no items";
        return Err(JobError::Failed(format!("{}: {problem}", schema.at)));
    }
    match located.sources.as_slice() {
        [only] if only.incremental => Err(JobError::Failed(format!(
            "{}: an incremental export holds changes, not items: it can be restored, but not compared with a table",
            only.at
        ))),
        _ => Ok(()),
    }
}

/// The only source of a location.
pub(crate) fn one_source(dump: &Location, located: Located) -> Result<Source, JobError> {
    refuse_without_items(&located)?;
    let count = located.sources.len();
    <[Source; 1]>::try_from(located.sources).map(|[only]| only).map_err(|_| {
        JobError::Failed(format!(
            "{dump}: stands for {count} exports, of which verify checks each by itself. Compare them with diff, or give \
             one folder."
        ))
    })
}

/// A batch for each file of one of a side's sources; those that are not there are problems already.
pub(crate) fn files(side: u8, number: usize, source: &Source) -> Vec<BatchPlan> {
    let part = |file: &SourceFile| Part {
        side,
        of: PartOf::File {
            file: file.clone(),
            format: source.format,
            source: number,
            changes: source.incremental,
        },
    };
    source.files.iter().filter(|file| file.found.is_some()).map(|file| part(file).batch()).collect()
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
    File {
        records: Records,
        /// It holds changes: of a deletion, the key stands for the item.
        changes: bool,
        /// What the numbers of its records count.
        position: &'static str,
    },
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
            PartOf::File { file, format, changes, .. } => {
                let Some(found) = &file.found else {
                    return Err(WorkError::Failed(format!("{} not found", file.name)));
                };
                let skip = if let PartPosition::Line(line) = at { *line } else { 0 };
                let records = Records::open(files, found, *format, skip).await?;
                Ok(Self::File { records, changes: *changes, position: format.position() })
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
            Self::File { records, changes, position } => match records.next().await {
                Ok(Piece::Chunk(chunk)) => Ok(items_of(chunk, *changes, position)),
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

fn items_of(chunk: Vec<Record>, changes: bool, position: &str) -> PartPage {
    let (mut items, mut problems, mut last) = (Vec::with_capacity(chunk.len()), Vec::new(), 0);
    for Record { line, change } in chunk {
        last = line;
        match change {
            Ok(LineChange::Put(item)) => items.push(item),
            Ok(LineChange::Delete(key)) if changes => items.push(key),
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
