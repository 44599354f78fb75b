//! From what the first stage found to the batches of `map`.

use std::collections::BTreeMap;

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::{BatchPlan, JobError, Planning};
use serde_json::json;

use crate::batch_input::{BatchInput, ColumnHeader, FileRange, RecordSource};
use crate::parameters::{BatchSplit, MapTask};
use crate::read_table::Sorted;
use crate::record_bins::BinSection;
use crate::records::trimmed;
use crate::split_files::CutFile;
use nextbasket_objects::{FoundFile, Location};

/// Batches of more ranges than this have them in an object.
const MAX_INLINE_RANGES: usize = 20;
const MAX_BATCHES: usize = 200_000;

/// A batch in the making.
struct PlannedBatch {
    name: String,
    header: ColumnHeader,
    ranges: Vec<FileRange>,
    bytes: u64,
    items: Option<u64>,
    priority: i64,
}

/// The batches of files that were cut, in the files' order, or by the day of their last change.
pub(crate) async fn of_files(
    planning: &Planning<'_>,
    task: &MapTask,
    mut files: Vec<CutFile>,
) -> Result<Vec<BatchPlan>, JobError> {
    let day = |file: &FoundFile| match &task.split {
        BatchSplit::Time { every, .. } => {
            let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
            file.modified_ms - file.modified_ms.rem_euclid(every)
        }
        _ => 0,
    };
    // Stable: within a day in the files' order.
    files.sort_by_key(|cut| day(&cut.file));
    let mut batches: Vec<PlannedBatch> = Vec::new();
    let mut before: Option<(i64, String)> = None;
    for cut in files {
        let (day, name) = (day(&cut.file), cut.file.at.to_string());
        let alike = before.replace((day, cut.columns.clone())) == Some((day, cut.columns.clone()));
        let whole = cut.ranges.len() == 1 && !cut.gzip;
        for (from, to, items) in cut.ranges {
            let range = FileRange { file: cut.file.clone(), from, to, gzip: cut.gzip };
            if alike
                && whole
                && let Some(batch) = batches.last_mut()
                && batch.takes(to - from, items, task)
            {
                batch.add(range, items);
                continue;
            }
            let header = ColumnHeader::of(task.format(), cut.gzip, cut.header);
            let name = if cut.gzip { name.clone() } else { format!("{name} bytes {from}-{}", to - 1) };
            batches.push(PlannedBatch {
                name,
                header,
                ranges: vec![range],
                bytes: to - from,
                items,
                priority: -day,
            });
        }
    }
    finished(planning, batches).await
}

/// The batches of records that were sorted into objects.
pub(crate) async fn of_sorted(
    planning: &Planning<'_>,
    task: &MapTask,
    sorted: Vec<Sorted>,
) -> Result<Vec<BatchPlan>, JobError> {
    let header = common_header(&sorted)?;
    let header = header.map_or(ColumnHeader::None, ColumnHeader::Text);
    let sections = sorted
        .iter()
        .flat_map(|sorted| &sorted.bin_objects)
        .flat_map(|object| object.sections.iter().map(move |section| (object.key.as_str(), *section)));
    let mut batches: Vec<PlannedBatch> = Vec::new();
    if task.split == BatchSplit::Size {
        for (number, (key, section)) in sections.enumerate() {
            let range = range(planning, key, section);
            match batches
                .last_mut()
                .filter(|batch| batch.takes(section.to - section.from, Some(section.items), task))
            {
                Some(batch) => batch.add(range, Some(section.items)),
                None => batches.push(PlannedBatch::begun(
                    format!("items from page {number}"),
                    header.clone(),
                    range,
                    section,
                )),
            }
        }
    } else {
        let mut bins: BTreeMap<Option<i64>, PlannedBatch> = BTreeMap::new();
        for (key, section) in sections {
            let range = range(planning, key, section);
            match bins.get_mut(&section.bin) {
                Some(batch) => batch.add(range, Some(section.items)),
                None => {
                    let batch =
                        PlannedBatch::begun(bin_name(task, section.bin), header.clone(), range, section);
                    bins.insert(section.bin, batch);
                }
            }
        }
        batches.extend(bins.into_values());
    }
    finished(planning, batches).await
}

impl PlannedBatch {
    fn begun(name: String, header: ColumnHeader, range: FileRange, section: BinSection) -> Self {
        let bytes = section.to - section.from;
        let priority = section.bin.map_or(0, |bin| -bin);
        Self { name, header, ranges: vec![range], bytes, items: Some(section.items), priority }
    }

    fn takes(&self, bytes: u64, items: Option<u64>, task: &MapTask) -> bool {
        let packed = self.ranges.iter().any(|range| range.gzip);
        let fits = match (task.batch_items, self.items, items) {
            (None, _, _) => true,
            (Some(most), Some(has), Some(more)) => has + more <= most,
            _ => false,
        };
        !packed && fits && self.bytes + bytes <= task.batch_bytes
    }

    fn add(&mut self, range: FileRange, items: Option<u64>) {
        self.bytes += range.to - range.from;
        self.items = self.items.zip(items).map(|(has, more)| has + more);
        self.ranges.push(range);
    }
}

/// A section of an object of the job's own, which never changes.
fn range(planning: &Planning<'_>, key: &str, section: BinSection) -> FileRange {
    let at = Location::Object { bucket: planning.objects().name().to_owned(), key: key.to_owned() };
    let file = FoundFile { at, bytes: section.to, stamp: String::new(), modified_ms: 0 };
    FileRange { file, from: section.from, to: section.to, gzip: false }
}

fn bin_name(task: &MapTask, bin: Option<i64>) -> String {
    match (&task.split, bin) {
        (BatchSplit::Time { attribute, .. }, Some(at)) => {
            let at = Timestamp::EPOCH.plus_millis(at);
            format!("{} from {at} on", attribute.as_deref().unwrap_or_default())
        }
        (BatchSplit::Time { attribute, .. }, None) => {
            format!("items without a time in {}", attribute.as_deref().unwrap_or_default())
        }
        (BatchSplit::Feature { attribute, parts }, Some(part)) => {
            format!("{attribute}, part {part} of {parts}")
        }
        (_, _) => "all".to_owned(),
    }
}

/// Parts hold records of all files, so that all must have the same columns.
fn common_header(sorted: &[Sorted]) -> Result<Option<String>, JobError> {
    let mut headers = sorted.iter().filter_map(|sorted| sorted.header.as_ref());
    let first = headers.next();
    let same =
        |header: &String| first.is_some_and(|first| trimmed(first.as_bytes()) == trimmed(header.as_bytes()));
    if !headers.all(same) {
        return Err(JobError::Failed(
            "the files have different columns, so one batch cannot hold records of all. Submit one job for each form."
                .to_owned(),
        ));
    }
    Ok(first.map(|header| {
        let header = String::from_utf8_lossy(trimmed(header.as_bytes())).into_owned();
        format!("{header}\n")
    }))
}

async fn finished(planning: &Planning<'_>, batches: Vec<PlannedBatch>) -> Result<Vec<BatchPlan>, JobError> {
    if batches.len() > MAX_BATCHES {
        let problem = format!(
            "{} batches are too many: at most {MAX_BATCHES} are possible. Set a larger batchBytes or batchItems.",
            batches.len()
        );
        return Err(JobError::Failed(problem));
    }
    let mut plans = Vec::with_capacity(batches.len());
    for (number, batch) in batches.into_iter().enumerate() {
        let PlannedBatch { mut name, header, ranges, bytes, items, priority } = batch;
        if ranges.len() > 1
            && matches!(header, ColumnHeader::Prefix(_) | ColumnHeader::None)
            && !name.contains("part ")
        {
            name = format!("{name} and {} more", ranges.len() - 1);
        }
        let source = if ranges.len() > MAX_INLINE_RANGES {
            RecordSource::At(planning.put_json(&format!("ranges/{number:08}.json"), &ranges).await?)
        } else {
            RecordSource::Ranges(ranges)
        };
        plans.push(BatchPlan {
            input: json!(BatchInput { name, header, source }),
            weight: bytes,
            priority,
            of: items,
        });
    }
    Ok(plans)
}
