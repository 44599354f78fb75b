//! The stages of a job.
//!
//! A split by size has one stage, of the kind's name, with a batch for each segment. A split by time or by feature has
//! the stage `split` before it, and a batch for each bin; `count` needs no more than the first of the two. A job that
//! follows a table has a stage `follow` for each further pass. A job with a limit has stages `select` before it, each with
//! twice as many segments as the one before, until enough keys are noted.

use std::collections::BTreeMap;
use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_items::find;
use nextbasket_job_engine::store::BatchState;
use nextbasket_job_engine::{
    Assign, BatchPlan, JobError, Kind as _, Next, Planning, Refusal, Site, StagePlan,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::sample::{self, SampledCounts, SegmentSample};
use super::{TableOperation, select};
use crate::batch::{BatchInput, BatchPart, BatchResult};
use crate::bins::{self, RunList, SortedKeys};
use crate::generated::ItemGenerator;
use crate::parameters::{Split, TableParameters};
use crate::totals::ItemTotals;
use nextbasket_items::expression::Change;
use nextbasket_items::key::{KeyAttribute, KeySchema};
use nextbasket_items::segment::{Segment, segments};
use nextbasket_items::table::Table;
use nextbasket_items::transform::Transform;

/// A result names up to this many periods or parts; more of them go to an object.
const MOST_PARTS: usize = 1000;
/// The stage that sorts keys into bins, and the ones that look for what is new.
const SPLIT: &str = "split";
const FOLLOW: &str = "follow";

pub(super) async fn plan(
    operation: TableOperation,
    planning: &Planning<'_>,
    parameters: &TableParameters,
) -> Result<Next, JobError> {
    let Some(last) = planning.job.stage() else {
        return first(operation, planning, parameters).await;
    };
    match (last.name.as_str(), parameters.limit) {
        (SPLIT, _) => return bins_stage(operation, planning, parameters, last.number).await,
        (select::STAGE, Some(limit)) => return select::next(operation, planning, parameters, limit).await,
        _ => {}
    }
    match parameters.follow {
        None => Ok(Next::Done(result(operation, planning, parameters, last.number).await?)),
        // The wait that was asked for is over if the job still has its time.
        Some(follow) if planning.job.waits_until.is_none() => Ok(Next::Wait(follow.interval())),
        Some(follow) => follow_stage(planning, parameters, last.number, follow.interval()).await,
    }
}

/// Rejects what would fail for every item, and changes of the operations table.
pub(super) fn check_table(
    operation: TableOperation,
    site: &Site,
    parameters: &TableParameters,
    table: &Table,
) -> Result<(), JobError> {
    let changed = match &parameters.to {
        Some(to) => &to.table,
        None => &parameters.table,
    };
    if operation.changes() {
        site.check_writable(changed)?;
    }
    if operation == TableOperation::Update
        && let Some(change) = &parameters.set
        && let Some(name) = table.keys.names().find(|name| change.attributes().contains(name))
    {
        let problem =
            format!("parameters.set: attribute \"{name}\" cannot be changed: it is part of the key");
        return Err(JobError::Failed(problem));
    }
    check_index(parameters, table)?;
    if operation == TableOperation::Fill && parameters.partitions.is_some() && table.keys.sort.is_none() {
        let problem =
            "parameters.partitions: not accepted for a table without a sort key: each item is a partition";
        return Err(JobError::Failed(problem.to_owned()));
    }
    Ok(())
}

/// Refuses an index that the table has not, or that cannot answer truly.
fn check_index(parameters: &TableParameters, table: &Table) -> Result<(), JobError> {
    let Some(name) = &parameters.index else { return Ok(()) };
    let problem = |field: &str, problem: String| Err(Refusal::parameter(field, problem).into());
    let index = match table.index(name) {
        Ok(index) => index,
        Err(unknown) => return problem("index", unknown),
    };
    if let Err(refusal) = find::check_index(index, parameters.r#where.as_ref(), parameters.consistent_read) {
        let field = if refusal.field == "consistent" { "consistentRead" } else { &refusal.field };
        return problem(field, refusal.problem);
    }
    match parameters.binned().and_then(Split::attribute).map(|attribute| index.check_projects(attribute)) {
        Some(Err(unprojected)) => problem("split.attribute", unprojected),
        _ => Ok(()),
    }
}

/// The table with the number and the size of the items that are read: its own, or the index's.
pub(super) fn as_read(parameters: &TableParameters, table: Table) -> Table {
    let index = parameters.index.as_ref().and_then(|name| table.index(name).ok());
    match index.map(|index| (index.items, index.bytes)) {
        Some((items, bytes)) => Table { items, bytes, ..table },
        None => table,
    }
}

/// Refuses a target whose keys are others, unless the items get its keys on the way.
pub(super) fn check_keys(parameters: &TableParameters, from: &Table, to: &Table) -> Result<(), JobError> {
    let changes_key = |change: &Change| Transform::changes_key(change, &to.keys);
    if from.keys == to.keys || parameters.set.as_ref().is_some_and(changes_key) {
        return Ok(());
    }
    let (here, there) = (in_words(&from.keys), in_words(&to.keys));
    Err(JobError::Failed(format!(
        "table \"{}\" cannot be copied to table \"{}\": its key is {here}, the target's key is {there}",
        from.name, to.name
    )))
}

fn in_words(keys: &KeySchema) -> String {
    let attribute = |attribute: &KeyAttribute| format!("{} ({:?})", attribute.name, attribute.kind);
    match &keys.sort {
        Some(sort) => format!("{} and {}", attribute(&keys.partition), attribute(sort)),
        None => attribute(&keys.partition),
    }
}

async fn first(
    operation: TableOperation,
    planning: &Planning<'_>,
    parameters: &TableParameters,
) -> Result<Next, JobError> {
    let site = planning.site;
    let table = Table::of_job(&site.dynamodb, &parameters.table).await?;
    check_table(operation, site, parameters, &table)?;
    if let Some(to) = &parameters.to {
        check_keys(parameters, &table, &to.describe(site).await?)?;
    }
    if operation == TableOperation::Fill {
        return Ok(Next::Stage(fill_stage(planning, parameters, &table)));
    }
    let table = as_read(parameters, table);
    if let Some(limit) = parameters.limit {
        return select::stage(planning, parameters, &table, 0, limit);
    }
    if let Some(sample) = parameters.sample
        && let Some(sample) = SegmentSample::draw(sample, parameters, &table, &planning.job.job_id)?
    {
        return Ok(Next::Stage(sample_stage(planning, parameters, &table, &sample)));
    }
    let of = segments(parameters.segments, table.bytes, table.items);
    let counts = operation == TableOperation::Count;
    let (name, split) = match parameters.binned() {
        None => (operation.name(), json!({ "by": "size", "segments": of })),
        Some(split) if counts => (operation.name(), in_plan(split, "segments", of)),
        Some(split) => (SPLIT, in_plan(split, "segments", of)),
    };
    let likely = table.items.checked_div(u64::from(of)).filter(|items| *items > 0);
    let batch = |number: u32| {
        let segment = Segment { number, of };
        let part = if parameters.binned().is_some() {
            BatchPart::Split(segment)
        } else {
            BatchPart::Segment(segment)
        };
        let input = json!(input(planning.job.created_at, &table, part));
        BatchPlan { of: likely, weight: 1, ..BatchPlan::new(input) }
    };
    Ok(Next::Stage(stage(name, split, parameters, (0..of).map(batch).collect())))
}

/// How the work was split, for people.
fn in_plan(split: &Split, what: &str, count: impl Serialize) -> Value {
    let mut value = json!(split);
    if let Value::Object(fields) = &mut value {
        fields.insert(what.to_owned(), json!(count));
    }
    value
}

pub(super) fn input(now: Timestamp, table: &Table, part: BatchPart) -> BatchInput {
    BatchInput { now, keys: table.keys.clone(), mean_bytes: table.mean_bytes(), part, seen: Vec::new() }
}

pub(super) fn stage(
    name: &str,
    split: Value,
    parameters: &TableParameters,
    batches: Vec<BatchPlan>,
) -> StagePlan {
    StagePlan {
        assign: parameters.assign.unwrap_or(Assign::Balanced),
        width: parameters.width(),
        aggregate: parameters.aggregate,
        tolerated: parameters.tolerated,
        rates: parameters.rates(),
        ..StagePlan::new(name, split, batches)
    }
}

fn fill_stage(planning: &Planning<'_>, parameters: &TableParameters, table: &Table) -> StagePlan {
    let count = parameters.count.unwrap_or(0);
    let bytes = count.saturating_mul(ItemGenerator::new(parameters, &table.keys).item_bytes());
    let of = u64::from(segments(parameters.segments, bytes, count)).min(count).max(1);
    let begin = |number: u64| {
        let begin = u128::from(count) * u128::from(number) / u128::from(of);
        u64::try_from(begin).unwrap_or(count)
    };
    let batch = |number: u64| {
        let (from, to) = (begin(number), begin(number + 1));
        let input = json!(input(planning.job.created_at, table, BatchPart::Items { from, to }));
        BatchPlan { of: Some(to - from), weight: to - from, ..BatchPlan::new(input) }
    };
    let split = json!({ "by": "size", "ranges": of, "items": count });
    stage(TableOperation::Fill.name(), split, parameters, (0..of).map(batch).collect())
}

/// A batch for each segment of the sample.
fn sample_stage(
    planning: &Planning<'_>,
    parameters: &TableParameters,
    table: &Table,
    sample: &SegmentSample,
) -> StagePlan {
    let likely = table.items.checked_div(u64::from(sample.of)).filter(|items| *items > 0);
    let batch = |number: &u32| {
        let part = BatchPart::Segment(Segment { number: *number, of: sample.of });
        let input = json!(input(planning.job.created_at, table, part));
        BatchPlan { of: likely, weight: 1, ..BatchPlan::new(input) }
    };
    let batches = sample.chosen.iter().map(batch).collect();
    stage(TableOperation::Count.name(), sample.in_plan(), parameters, batches)
}

/// A batch for each bin that has items.
async fn bins_stage(
    operation: TableOperation,
    planning: &Planning<'_>,
    parameters: &TableParameters,
    number: u32,
) -> Result<Next, JobError> {
    let split = parameters.split.clone().unwrap_or(Split::Size);
    let sorted = sorted_keys(planning, number).await?;
    let table = Table::of_job(&planning.site.dynamodb, &parameters.table).await?;
    let list = planning.put_json("bins.json", &RunList { runs: sorted.runs.clone(), most: None }).await?;
    let batch = |(bin, count): (&i64, &u64)| {
        let part = BatchPart::Bin { bin: *bin, name: bins::name(&split, *bin), runs: list.clone() };
        // The oldest first; what says no time last.
        let priority = if *bin == bins::UNDATED { i64::MIN } else { -bin };
        let input = json!(input(planning.job.created_at, &table, part));
        BatchPlan { input, weight: *count, priority, of: Some(*count) }
    };
    let batches: Vec<BatchPlan> = sorted.bins.iter().map(batch).collect();
    let of = batches.len();
    Ok(Next::Stage(stage(operation.name(), in_plan(&split, "batches", of), parameters, batches)))
}

/// The next pass: each segment with those that met the condition in the last one.
async fn follow_stage(
    planning: &Planning<'_>,
    parameters: &TableParameters,
    number: u32,
    interval: Duration,
) -> Result<Next, JobError> {
    let table = Table::of_job(&planning.site.dynamodb, &parameters.table).await?;
    let mut batches = Vec::new();
    let records = planning.batches(number).await?;
    let of = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let now = planning.clock().now();
    for record in records {
        let left: BatchResult = match planning.result(&record).await? {
            Some(result) => serde_json::from_slice(&result)
                .map_err(|error| JobError::Failed(format!("result of a batch is invalid: {error}")))?,
            None => BatchResult::default(),
        };
        let part = BatchPart::Segment(Segment { number: record.batch, of });
        let input = json!(BatchInput { seen: left.seen, ..input(now, &table, part) });
        batches.push(BatchPlan { of: Some(left.tally.processed), weight: 1, ..BatchPlan::new(input) });
    }
    let split = json!({ "by": "size", "segments": of, "everySeconds": interval.as_secs_f64() });
    Ok(Next::Stage(StagePlan { supersedes: true, ..stage(FOLLOW, split, parameters, batches) }))
}

async fn result(
    operation: TableOperation,
    planning: &Planning<'_>,
    parameters: &TableParameters,
    number: u32,
) -> Result<Value, JobError> {
    let started = planning.job.started_at.unwrap_or(planning.job.created_at);
    let millis = planning.clock().now().as_millis() - started.as_millis();
    let seconds = millis as f64 / 1000.0;
    if parameters.limit.is_some() {
        let read = select::read(planning).await?;
        let here = done(planning, number).await?;
        // More may have been noted than are changed.
        let tally = ItemTotals { processed: read.processed, matched: here.matched, ..read + here };
        return Ok(tally.result(operation.changes(), seconds));
    }
    if parameters.sample.is_some() {
        return sampled_result(planning, number, seconds).await;
    }
    let Some(split) = parameters.binned() else {
        return Ok(done(planning, number).await?.result(operation.changes(), seconds));
    };
    if operation == TableOperation::Count {
        let sorted = sorted_keys(planning, number).await?;
        let mut result = (sorted.tally + failed(planning, number).await?).result(false, seconds);
        add_parts(planning, split, &sorted, &mut result).await?;
        return Ok(result);
    }
    // The first stage has looked at the items, this one at those that met the condition.
    let there = sorted_keys(planning, number.saturating_sub(1)).await?.tally;
    let here = done(planning, number).await?;
    let tally = ItemTotals { processed: there.processed, matched: there.matched, ..there + here };
    Ok(tally.result(operation.changes(), seconds))
}

/// What a sample says of all segments; of a small table all were read.
async fn sampled_result(planning: &Planning<'_>, number: u32, seconds: f64) -> Result<Value, JobError> {
    let mut result = done(planning, number).await?.result(false, seconds);
    let split = planning.job.stage().map(|stage| &stage.split);
    let estimated = match split.and_then(sample::drawn_from) {
        None => json!({ "whole": true }),
        Some((of, seed)) => {
            let results: Vec<BatchResult> = planning.results(number).await?;
            let of_each = |count: fn(&ItemTotals) -> u64| -> Vec<u64> {
                results.iter().map(|result| count(&result.tally)).collect()
            };
            let items = SampledCounts::new(of_each(|tally| tally.processed), of);
            let matched = SampledCounts::new(of_each(|tally| tally.matched), of);
            json!({
                "segments": results.len(),
                "of": of,
                "seed": seed,
                "confidence": sample::CONFIDENCE,
                "items": items.estimate(),
                "matched": matched.estimate(),
                "itemsPerSegment": items.skew(),
            })
        }
    };
    if let Value::Object(fields) = &mut result {
        fields.insert("sample".to_owned(), estimated);
    }
    Ok(result)
}

/// How many items each period or part has.
async fn add_parts(
    planning: &Planning<'_>,
    split: &Split,
    sorted: &SortedKeys,
    result: &mut Value,
) -> Result<(), JobError> {
    let parts: BTreeMap<String, u64> =
        sorted.bins.iter().map(|(bin, count)| (bins::name(split, *bin), *count)).collect();
    let Value::Object(fields) = result else { return Ok(()) };
    if parts.len() <= MOST_PARTS {
        fields.insert("parts".to_owned(), json!(parts));
    } else {
        let key = planning.put_output("parts.json", &parts).await?;
        fields.insert("partsObject".to_owned(), json!(format!("s3://{}/{key}", planning.objects().name())));
    }
    Ok(())
}

/// What batches that failed within what is tolerated have done all the same.
async fn failed(planning: &Planning<'_>, number: u32) -> Result<ItemTotals, JobError> {
    if planning.job.stage().is_none_or(|stage| stage.failed == 0) {
        return Ok(ItemTotals::default());
    }
    let batches = planning.batches(number).await?;
    let failed = batches.iter().filter(|batch| batch.state == BatchState::Failed);
    Ok(failed.map(|batch| ItemTotals::of(&batch.progress)).sum())
}

/// The keys that the batches of a stage have sorted, together.
async fn sorted_keys(planning: &Planning<'_>, number: u32) -> Result<SortedKeys, JobError> {
    Ok(planning.sum(number, SortedKeys::plus).await?.unwrap_or_default())
}

/// What the batches of a stage have done, together.
async fn done(planning: &Planning<'_>, number: u32) -> Result<ItemTotals, JobError> {
    let sum: Option<BatchResult> = planning.sum(number, BatchResult::plus).await?;
    Ok(sum.unwrap_or_default().tally + failed(planning, number).await?)
}
