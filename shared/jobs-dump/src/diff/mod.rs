//! The kind `diff`: which items two tables or dumps have that the other has not, and in which attributes they differ.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `versions`, `newest` | files, groups of keys | if a side is several exports: makes them one set of items |
//! | `digest` | files and segments of both sides | the digest of each of 4,096 buckets of keys |
//! | `gather` | the same | the items of those buckets whose digests differ, into the job's objects |
//! | `compare` | groups of such buckets | item by item |
//! | `write` | one | the differences into the output |
//!
//! Memory holds a group of buckets at most: some 16 MB of items, or one bucket, a 4,096th of both sides, if that is
//! more. Both sides are read twice unless they are equal.
//!
//! * `buckets`: keys to buckets, and their digests
//! * `gather`, `compare`, `write`: the stages

mod buckets;
mod compare;
mod gather;
mod write;

use std::collections::BTreeMap;

use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, StagePlan, Trust, Work,
    WorkError, kind,
};
use nextbasket_objects::Location;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::format::SourceFormat;
use crate::parts::{Part, PartOf, Side, files, filter_of, located, refuse_without_items, table};
use crate::settings::{ScanSettings, check_location, scan_parameters};
use crate::source::place::Located;
use crate::verify::estimate;
use crate::versions::{self, Gathered as GatheredVersions, NEWEST, Newest, Sides, VERSIONS};
use buckets::{Buckets, Tally};
use compare::{CompareInput, Compared, Slice};
use gather::{GatherInput, Gathered, Groups};
use write::{WriteInput, Written};

pub(crate) use buckets::key_of;
pub(crate) use compare::same_items;

const DIGEST: &str = "digest";
const GATHER: &str = "gather";
const COMPARE: &str = "compare";
const WRITE: &str = "write";
/// The object of the job with what the first planning found out.
const BEGUN: &str = "diff.json";

/// About how many bytes of items a batch of `compare` has.
const GROUP_BYTES: u64 = 16 << 20;

scan_parameters! {
    /// Lists the items and attributes in which two tables or dumps differ.
    struct DiffParameters {
        /// A table or a dump.
        left: Side,
        /// The table or dump that it is compared with.
        right: Side,
        /// The file or object that the differences are written to, as JSON Lines.
        output: Location,
        /// The attributes of the key, if neither side says them: exports of AWS do not.
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 2)))]
        keys: Option<Vec<String>>,
    }
}

#[derive(Debug, Clone)]
pub struct DiffTask {
    sides: [Side; 2],
    output: Location,
    keys: Option<Vec<String>>,
    scan: ScanSettings,
}

impl DiffTask {
    fn stage(&self, name: &str, batches: Vec<BatchPlan>) -> Next {
        let split = json!({ "by": "size", "batches": batches.len() });
        Next::Stage(self.scan.apply(StagePlan::new(name, split, batches)))
    }
}

/// What the first planning found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Begun {
    keys: Vec<String>,
    parts: Vec<Part>,
    /// Of sides that are several exports: what the stage `newest` made of them.
    #[serde(default)]
    newest: Vec<Part>,
}

impl Begun {
    fn parts(self) -> Vec<Part> {
        [self.parts, self.newest].concat()
    }
}

/// The kind `diff`.
#[derive(Debug)]
pub struct Diff;

impl Kind for Diff {
    type Task = DiffTask;

    fn name(&self) -> &'static str {
        "diff"
    }

    fn writes_tables(&self) -> bool {
        false
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<DiffTask, Refusal> {
        let parameters: DiffParameters = kind::parameters(parameters)?;
        let scan = parameters.scan();
        parameters.left.check("left.", trust)?;
        parameters.right.check("right.", trust)?;
        check_location("output", &parameters.output, trust)?;
        if parameters.keys.as_ref().is_some_and(|keys| keys.is_empty() || keys.len() > 2) {
            return Err(Refusal::parameter("keys", "must name the one or two attributes of the key"));
        }
        Ok(DiffTask {
            sides: [parameters.left, parameters.right],
            output: parameters.output,
            keys: parameters.keys,
            scan: scan.checked()?,
        })
    }

    async fn estimate(&self, site: &Site, task: &DiffTask) -> Result<Estimate, JobError> {
        let sides: Vec<&Side> = task.sides.iter().collect();
        let mut estimate = estimate(site, &sides, task.scan, 2.0).await?;
        estimate.notes.push("Half of the read units if both sides are equal.".to_owned());
        Ok(estimate)
    }

    async fn plan(&self, planning: &Planning<'_>, task: &DiffTask) -> Result<Next, JobError> {
        let Some(last) = planning.job.stage() else {
            let (begun, batches, versions) = Box::pin(begin(planning, task)).await?;
            planning.put_json(BEGUN, &begun).await?;
            return Ok(match versions.is_empty() {
                true => task.stage(DIGEST, batches),
                false => task.stage(VERSIONS, versions),
            });
        };
        match last.name.as_str() {
            VERSIONS => {
                let gathered: Vec<GatheredVersions> = planning.results(last.number).await?;
                Ok(task.stage(NEWEST, versions::newest(&gathered, true)))
            }
            NEWEST => {
                let mut begun: Begun = planning.read_json(BEGUN).await?;
                let part = |(n, newest): (usize, Newest)| {
                    let (side, format) = (newest.side, SourceFormat::DynamodbJson);
                    Part {
                        side,
                        of: PartOf::File { file: newest.file(n), format, source: 0, changes: false },
                    }
                };
                let newest: Vec<Newest> = planning.results(last.number).await?;
                begun.newest = newest.into_iter().enumerate().map(part).collect();
                planning.put_json(BEGUN, &begun).await?;
                Ok(task.stage(DIGEST, begun.parts().iter().map(Part::batch).collect()))
            }
            DIGEST => {
                let buckets = merged(planning).await?;
                let groups = buckets.groups(GROUP_BYTES);
                if groups.is_empty() {
                    return write_stage(planning, task, Vec::new()).await;
                }
                let key = planning.put_json("groups.json", &Groups(groups)).await?;
                let begun: Begun = planning.read_json(BEGUN).await?;
                let batch = |part: Part| BatchPlan::new(json!(GatherInput { part, groups: key.clone() }));
                Ok(task.stage(GATHER, begun.parts().into_iter().map(batch).collect()))
            }
            GATHER => {
                let mut groups: BTreeMap<u32, Vec<Slice>> = BTreeMap::new();
                for gathered in planning.results::<Gathered>(last.number).await? {
                    for (group, slice) in gathered.slices() {
                        groups.entry(group).or_default().push(slice);
                    }
                }
                let batch = |slices: Vec<Slice>| BatchPlan {
                    weight: slices.iter().map(|slice| slice.lines.length).sum(),
                    ..BatchPlan::new(json!(CompareInput { slices }))
                };
                Ok(task.stage(COMPARE, groups.into_values().map(batch).collect()))
            }
            COMPARE => write_stage(planning, task, planning.results(last.number).await?).await,
            _ => done(planning, task, last.number).await,
        }
    }

    async fn work(&self, work: &mut Work, task: DiffTask) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        let begun: Begun = work.read_json(&work.job_object(BEGUN)).await?;
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(VERSIONS) => Box::pin(versions::work_versions(work, &files)).await,
            Some(NEWEST) => Box::pin(versions::work_newest(work, &files)).await,
            Some(DIGEST) => {
                buckets::work(work, &files, &begun.keys, task.scan).await.or_else(CallError::outcome)
            }
            Some(GATHER) => {
                gather::work(work, &files, &begun.keys, task.scan).await.or_else(CallError::outcome)
            }
            Some(COMPARE) => compare::work(work, &files, &begun.keys).await,
            _ => write::work(work, &files, &task.output).await,
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Diff {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<DiffParameters>()
    }
}

/// The parts of both sides and the names of the key's attributes, the parts as batches, and the batches that have to come
/// first, of sides that are several exports.
async fn begin(
    planning: &Planning<'_>,
    task: &DiffTask,
) -> Result<(Begun, Vec<BatchPlan>, Vec<BatchPlan>), JobError> {
    let (mut batches, mut known) = (Vec::new(), task.keys.clone());
    let mut sides: Vec<(u8, Located)> = Vec::new();
    let other = task.sides.iter().find_map(|side| match side {
        Side::Table(table) => Some(table.table.as_str()),
        Side::Dump(_) => None,
    });
    for (number, side) in (0_u8..).zip(&task.sides) {
        if let Side::Dump(side) = side {
            let found = located(planning, &side.dump, other).await?;
            refuse_without_items(&found)?;
            let problems: Vec<&str> = found.problems().map(String::as_str).collect();
            if !problems.is_empty() {
                return Err(JobError::Failed(format!("{}: {}", side.dump, problems.join("; "))));
            }
            let records = found.sources.iter().filter_map(|source| source.record.as_ref());
            known = known.or_else(|| records.map(|record| record.keys.clone()).next());
            sides.push((number, found));
        }
    }
    // A dump of some items is compared with those items of a table.
    let filter = sides.iter().find_map(|(_, located)| match located.sources.as_slice() {
        [only] => filter_of(only),
        _ => None,
    });
    for (number, side) in (0_u8..).zip(&task.sides) {
        if let Side::Table(side) = side {
            let (more, keys) = table(planning, number, side, task.scan, filter).await?;
            batches.extend(more);
            match &known {
                Some(known) if *known != keys => {
                    let (ours, theirs) = (keys.join(" and "), known.join(" and "));
                    let problem = format!(
                        "the key of table {} is {ours}, but that of the other side is {theirs}",
                        side.table
                    );
                    return Err(JobError::Failed(problem));
                }
                _ => known = Some(keys),
            }
        }
    }
    let Some(keys) = known else {
        let problem = "the key is unknown: neither side contains it. Give its attributes as keys.";
        return Err(JobError::Failed(problem.to_owned()));
    };
    let mut first = Vec::new();
    for (side, located) in &sides {
        match located.sources.as_slice() {
            [only] => batches.extend(files(*side, 0, only)),
            sources => first.extend(versions::versions(&Sides {
                side: *side,
                sources,
                only_changes: false,
                keys: &keys,
                rejects: false,
            })),
        }
    }
    let parts = batches.iter().map(|batch| serde_json::from_value(batch.input.clone()));
    let parts = parts.collect::<Result<_, _>>()?;
    Ok((Begun { keys, parts, newest: Vec::new() }, batches, first))
}

/// The number of the stage `digest`, which others may have come before.
fn digest_stage(planning: &Planning<'_>) -> u32 {
    let stages = &planning.job.stages;
    stages.iter().find(|stage| stage.name == DIGEST).map_or(0, |stage| stage.number)
}

async fn merged(planning: &Planning<'_>) -> Result<Buckets, JobError> {
    let merge = |left: Vec<u8>, right: Vec<u8>| {
        let mut sum = Buckets::decode(&left)?;
        sum.add(&Buckets::decode(&right)?);
        Ok(sum.encode())
    };
    let merged = planning.merged(digest_stage(planning), merge).await?.unwrap_or_default();
    Buckets::decode(&merged).map_err(JobError::Failed)
}

async fn write_stage(
    planning: &Planning<'_>,
    task: &DiffTask,
    compared: Vec<Compared>,
) -> Result<Next, JobError> {
    let compared = planning.put_json("compared.json", &compared).await?;
    Ok(task.stage(WRITE, vec![BatchPlan::new(json!(WriteInput { compared }))]))
}

async fn done(planning: &Planning<'_>, task: &DiffTask, write: u32) -> Result<Next, JobError> {
    let Some(written) = planning.results::<Written>(write).await?.into_iter().next() else {
        return Err(JobError::Failed("nothing was written".to_owned()));
    };
    let buckets = merged(planning).await?;
    let Tally { only_left, only_right, differing, twice } = written.tally;
    Ok(Next::Done(json!({
        "equal": only_left + only_right + differing + twice == 0,
        "left": buckets.total(0),
        "right": buckets.total(1),
        "onlyLeft": only_left,
        "onlyRight": only_right,
        "differing": differing,
        "twice": twice,
        "output": task.output,
    })))
}
