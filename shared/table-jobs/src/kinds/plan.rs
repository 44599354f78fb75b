//! The stages of a job.
//!
//! A split by size has one stage, of the kind's name, with a batch for each segment. A split by time or by feature has
//! the stage `split` before it, and a batch for each bin; `count` needs no more than the first of the two. A job that
//! follows a table has a stage `follow` for each further pass.

use std::collections::BTreeMap;
use std::time::Duration;

use nextbasket_batch::store::BatchState;
use nextbasket_batch::{Assign, BatchPlan, JobError, Next, Objects, Planning, Site, StagePlan};
use nextbasket_domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::target::{check_keys, client, described};
use super::{What, estimate};
use crate::bins::{self, Sorted};
use crate::fill::Maker;
use crate::input::{Input, Left, Part};
use crate::parameters::{Parameters, Split};
use crate::scan::Segment;
use crate::table::Table;
use crate::tally::Tally;

/// A segment for so many bytes, by default.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The fewest and the most segments, by default.
const FEWEST: u64 = 8;
const MOST: u64 = 1000;
/// So many periods or parts stand in a result; more of them stand in an object.
const MOST_PARTS: usize = 1000;
/// The stage that sorts keys into bins, and the ones that look for what is new.
const SPLIT: &str = "split";
const FOLLOW: &str = "follow";

pub(super) async fn plan(
    what: What,
    planning: &Planning<'_>,
    parameters: &Parameters,
) -> Result<Next, JobError> {
    let Some(last) = planning.job.stage() else {
        return first(what, planning, parameters).await;
    };
    if last.name == SPLIT {
        return bins_stage(what, planning, parameters, last.number).await;
    }
    match parameters.follow {
        None => Ok(Next::Done(result(what, planning, parameters, last.number).await?)),
        // The wait that was asked for is over if the job still has its time.
        Some(follow) if planning.job.waits_until.is_none() => Ok(Next::Wait(follow.interval())),
        Some(follow) => follow_stage(planning, parameters, last.number, follow.interval()).await,
    }
}

/// Refuses what no item of the table would take, and to change the table in which jobs stand.
pub(super) fn check_table(
    what: What,
    site: &Site,
    parameters: &Parameters,
    table: &Table,
) -> Result<(), JobError> {
    let changed = match &parameters.to {
        Some(to) if to.region.is_none() && to.endpoint.is_none() => &to.table,
        Some(_) => "",
        None => &parameters.table,
    };
    if what.changes() && changed == site.operations {
        return Err(JobError::Failed(format!(
            "table {changed} holds the jobs themselves: no job may change it"
        )));
    }
    if let Some(change) = parameters.change()?
        && let Some(name) = table.keys.names().find(|name| change.attributes().contains(name))
    {
        let problem = format!("parameters.set: {name} is an attribute of the key, which cannot be changed");
        return Err(JobError::Failed(problem));
    }
    if what == What::Fill && parameters.partitions.is_some() && table.keys.sort.is_none() {
        let problem =
            "parameters.partitions: the table has no sort key: each item has a partition of its own";
        return Err(JobError::Failed(problem.to_owned()));
    }
    Ok(())
}

async fn first(what: What, planning: &Planning<'_>, parameters: &Parameters) -> Result<Next, JobError> {
    let site = planning.site;
    if parameters.dry_run {
        let estimate = estimate::estimate(what, site, parameters).await?;
        return Ok(Next::Done(json!({ "dryRun": true, "estimate": estimate })));
    }
    let table = described(&site.dynamodb, &parameters.table).await?;
    check_table(what, site, parameters, &table)?;
    if let Some(to) = &parameters.to {
        check_keys(&table, &described(&client(site, to), &to.table).await?)?;
    }
    if what == What::Fill {
        return Ok(Next::Stage(fill_stage(planning, parameters, &table)));
    }
    let of = segments(parameters.segments, table.bytes, table.items);
    let counts = what == What::Count;
    let (name, split) = match parameters.binned() {
        None => (what.name(), json!({ "by": "size", "segments": of })),
        Some(split) if counts => (what.name(), in_plan(split, "segments", of)),
        Some(split) => (SPLIT, in_plan(split, "segments", of)),
    };
    let likely = table.items.checked_div(u64::from(of)).filter(|items| *items > 0);
    let batch = |number: u32| {
        let segment = Segment { number, of };
        let part = if parameters.binned().is_some() { Part::Split(segment) } else { Part::Segment(segment) };
        BatchPlan { of: likely, weight: 1, ..BatchPlan::new(input(planning.job.created_at, &table, part)) }
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

/// As many as asked for, or one for each 64 MB.
#[must_use]
pub fn segments(asked: Option<u32>, bytes: u64, items: u64) -> u32 {
    // A table of no items may be one that DynamoDB has not counted yet.
    let most = if items == 0 { FEWEST } else { items };
    let by_size = bytes.div_ceil(SEGMENT_BYTES).clamp(FEWEST, MOST).min(most);
    asked.unwrap_or_else(|| u32::try_from(by_size).unwrap_or(1))
}

fn input(now: Timestamp, table: &Table, part: Part) -> Value {
    let mean_bytes = table.bytes.checked_div(table.items).unwrap_or(0);
    json!(Input { now, keys: table.keys.clone(), mean_bytes, part, seen: Vec::new() })
}

fn stage(name: &str, split: Value, parameters: &Parameters, batches: Vec<BatchPlan>) -> StagePlan {
    StagePlan {
        assign: parameters.assign.unwrap_or(Assign::Balanced),
        width: parameters.width(),
        aggregate: parameters.aggregate,
        tolerated: parameters.tolerated,
        rates: parameters.rates(),
        ..StagePlan::new(name, split, batches)
    }
}

fn fill_stage(planning: &Planning<'_>, parameters: &Parameters, table: &Table) -> StagePlan {
    let count = parameters.count.unwrap_or(0);
    let bytes = count.saturating_mul(Maker::new(parameters, &table.keys).item_bytes());
    let of = u64::from(segments(parameters.segments, bytes, count)).min(count).max(1);
    let begin = |number: u64| {
        let begin = u128::from(count) * u128::from(number) / u128::from(of);
        u64::try_from(begin).unwrap_or(count)
    };
    let batch = |number: u64| {
        let (from, to) = (begin(number), begin(number + 1));
        let input = input(planning.job.created_at, table, Part::Items { from, to });
        BatchPlan { of: Some(to - from), weight: to - from, ..BatchPlan::new(input) }
    };
    let split = json!({ "by": "size", "ranges": of, "items": count });
    stage(What::Fill.name(), split, parameters, (0..of).map(batch).collect())
}

/// A batch for each bin that has items.
async fn bins_stage(
    what: What,
    planning: &Planning<'_>,
    parameters: &Parameters,
    number: u32,
) -> Result<Next, JobError> {
    let split = parameters.split.clone().unwrap_or(Split::Size);
    let sorted: Sorted = merged(planning, number, Sorted::plus).await?;
    let table = described(&planning.site.dynamodb, &parameters.table).await?;
    let list = Objects::key(&planning.job.job_id, "bins.json");
    bins::list(planning.objects(), &list, &sorted.runs).await?;
    let batch = |(bin, count): (&i64, &u64)| {
        let part = Part::Bin { bin: *bin, name: bins::name(&split, *bin), runs: list.clone() };
        // The oldest first; what says no time last.
        let priority = if *bin == bins::UNDATED { i64::MIN } else { -bin };
        let input = input(planning.job.created_at, &table, part);
        BatchPlan { input, weight: *count, priority, of: Some(*count) }
    };
    let batches: Vec<BatchPlan> = sorted.bins.iter().map(batch).collect();
    let of = batches.len();
    Ok(Next::Stage(stage(what.name(), in_plan(&split, "batches", of), parameters, batches)))
}

/// The next pass: each segment with those that met the condition in the last one.
async fn follow_stage(
    planning: &Planning<'_>,
    parameters: &Parameters,
    number: u32,
    interval: Duration,
) -> Result<Next, JobError> {
    let table = described(&planning.site.dynamodb, &parameters.table).await?;
    let mut batches = Vec::new();
    let records = planning.batches(number).await?;
    let of = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let now = planning.clock().now();
    for record in records {
        let left: Left = match planning.result(&record).await? {
            Some(result) => parsed(&result).map_err(JobError::Failed)?,
            None => Left::default(),
        };
        let mean_bytes = table.bytes.checked_div(table.items).unwrap_or(0);
        let part = Part::Segment(Segment { number: record.batch, of });
        let input = json!(Input { now, keys: table.keys.clone(), mean_bytes, part, seen: left.seen });
        batches.push(BatchPlan { of: Some(left.tally.processed), weight: 1, ..BatchPlan::new(input) });
    }
    let split = json!({ "by": "size", "segments": of, "everySeconds": interval.as_secs_f64() });
    Ok(Next::Stage(StagePlan { supersedes: true, ..stage(FOLLOW, split, parameters, batches) }))
}

async fn result(
    what: What,
    planning: &Planning<'_>,
    parameters: &Parameters,
    number: u32,
) -> Result<Value, JobError> {
    let started = planning.job.started_at.unwrap_or(planning.job.created_at);
    let millis = planning.clock().now().as_millis() - started.as_millis();
    let seconds = millis as f64 / 1000.0;
    let failed = failed(planning, number).await?;
    let Some(split) = parameters.binned() else {
        let left: Left = merged(planning, number, Left::plus).await?;
        return Ok(left.tally.plus(failed).result(what.changes(), seconds));
    };
    if what == What::Count {
        let sorted: Sorted = merged(planning, number, Sorted::plus).await?;
        let mut result = sorted.tally.plus(failed).result(false, seconds);
        add_parts(planning, split, &sorted, &mut result).await?;
        return Ok(result);
    }
    // The first stage has looked at the items, this one at those that met the condition.
    let sorted: Sorted = merged(planning, number.saturating_sub(1), Sorted::plus).await?;
    let left: Left = merged(planning, number, Left::plus).await?;
    let here = left.tally.plus(failed);
    let there = sorted.tally;
    let tally = Tally { processed: there.processed, matched: there.matched, ..there.plus(here) };
    Ok(tally.result(what.changes(), seconds))
}

/// How many items each period or part has.
async fn add_parts(
    planning: &Planning<'_>,
    split: &Split,
    sorted: &Sorted,
    result: &mut Value,
) -> Result<(), JobError> {
    let parts: BTreeMap<String, u64> =
        sorted.bins.iter().map(|(bin, count)| (bins::name(split, *bin), *count)).collect();
    let Value::Object(fields) = result else { return Ok(()) };
    if parts.len() <= MOST_PARTS {
        fields.insert("parts".to_owned(), json!(parts));
    } else {
        let key = Objects::key(&planning.job.job_id, "parts.json");
        let content = serde_json::to_vec(&parts).map_err(|error| JobError::Failed(error.to_string()))?;
        planning.objects().put(&key, content).await?;
        fields.insert("partsObject".to_owned(), json!(format!("s3://{}/{key}", planning.objects().bucket())));
    }
    Ok(())
}

/// What batches that failed within what is tolerated have done all the same.
async fn failed(planning: &Planning<'_>, number: u32) -> Result<Tally, JobError> {
    if planning.job.stage().is_none_or(|stage| stage.failed == 0) {
        return Ok(Tally::default());
    }
    let batches = planning.batches(number).await?;
    let failed = batches.iter().filter(|batch| batch.state == BatchState::Failed);
    Ok(failed.fold(Tally::default(), |sum, batch| sum.plus(Tally::of(&batch.progress))))
}

/// The results of a stage's batches, put together.
async fn merged<T>(planning: &Planning<'_>, number: u32, plus: fn(T, T) -> T) -> Result<T, JobError>
where
    T: Serialize + DeserializeOwned + Default + 'static,
{
    let merge = move |left: Vec<u8>, right: Vec<u8>| {
        let sum = plus(parsed(&left)?, parsed(&right)?);
        serde_json::to_vec(&sum).map_err(|error| error.to_string())
    };
    match planning.merged(number, merge).await? {
        Some(sum) => parsed(&sum).map_err(JobError::Failed),
        None => Ok(T::default()),
    }
}

fn parsed<T: DeserializeOwned>(result: &[u8]) -> Result<T, String> {
    serde_json::from_slice(result).map_err(|error| format!("a batch's result: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_segment_for_each_64_megabytes_and_an_item_for_each_segment() {
        assert_eq!(segments(None, 0, 0), 8);
        assert_eq!(segments(None, 100, 3), 3);
        assert_eq!(segments(None, 64 << 24, 1_000_000), 16);
        assert_eq!(segments(None, 1 << 50, 1_000_000), 1000);
        assert_eq!(segments(Some(40), 0, 3), 40);
    }
}
