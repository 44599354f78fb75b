//! What comes after the stages so far, and what a training would take.

use nextbasket_batch::{BatchPlan, Estimate, JobError, Next, Objects, Planning, StagePlan};
use nextbasket_tables::Tables;
use nextbasket_tables::damaged::check;
use nextbasket_tables::segment::Segment;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::course::{Course, Input, Verdict};
use super::{CATALOGUE, COUNT, DRAFT, EVALUATE, PRIORS, PUBLISH, RANK, SURVEY, SWITCH, read};
use crate::evaluate::Judged;
use crate::gate::{Compared, Live, compare};
use crate::settings::Settings;
use crate::terms::segments;

fn failed(error: &impl ToString) -> JobError {
    JobError::Failed(error.to_string())
}

pub(super) async fn next(
    tables: &Tables,
    planning: &Planning<'_>,
    settings: &Settings,
) -> Result<Next, JobError> {
    let Some(stage) = planning.job.stage() else {
        return Ok(Next::Stage(survey(tables, settings).await?));
    };
    let mut course = match stage.name.as_str() {
        SURVEY => Course::default(),
        _ => course(planning, stage.number).await?,
    };
    let plan = match stage.name.as_str() {
        SURVEY => {
            for left in results(planning, stage.number).await? {
                match left {
                    read::Left::Purchases(surveyed) => course.segments.push(surveyed),
                    read::Left::Products(labelled) => {
                        check("products", labelled.damaged, labelled.products)
                            .map_err(|error| failed(&error))?;
                        course.damaged += labelled.damaged;
                        course.labels = labelled.labels;
                    }
                }
            }
            let damaged: u64 = course.segments.iter().map(|segment| segment.damaged).sum();
            let readable: u64 = course.segments.iter().map(|segment| segment.survey.purchases).sum();
            check("purchases", damaged, readable).map_err(|error| failed(&error))?;
            course.damaged += damaged;
            if course.segments.iter().all(|segment| segment.survey.purchases == 0) {
                return Err(JobError::Failed(crate::TrainingError::NoPurchases.to_string()));
            }
            once(CATALOGUE)
        }
        CATALOGUE => {
            course.ground = results(planning, stage.number).await?.pop();
            by_segment(COUNT, &course)
        }
        COUNT => {
            course.counted = results(planning, stage.number).await?;
            once(PRIORS)
        }
        PRIORS => {
            course.known = results(planning, stage.number).await?.pop();
            by_block(RANK, &course)
        }
        RANK => {
            course.ranked = results(planning, stage.number).await?;
            if course.known.as_ref().is_some_and(|known| known.trial.is_some()) {
                by_segment(EVALUATE, &course)
            } else {
                course.verdict = Some(Verdict::default());
                once(DRAFT)
            }
        }
        EVALUATE => {
            course.verdict = Some(verdict(planning, stage.number, &course, settings).await?);
            once(DRAFT)
        }
        DRAFT => {
            course.draft = results(planning, stage.number).await?.pop();
            by_block(PUBLISH, &course)
        }
        PUBLISH => once(SWITCH),
        _ => {
            let result: Option<Value> = results(planning, stage.number).await?.pop();
            return Ok(Next::Done(result.unwrap_or_default()));
        }
    };
    let key = course_key(planning, stage.number + 1);
    let written = serde_json::to_vec(&course).map_err(|error| failed(&error))?;
    planning.objects().put(&key, written).await?;
    let batches = plan
        .batches
        .into_iter()
        .enumerate()
        .map(|(part, batch)| BatchPlan { input: json!(Input { part, course: key.clone() }), ..batch });
    Ok(Next::Stage(apply(settings, StagePlan { batches: batches.collect(), ..plan })))
}

fn apply(settings: &Settings, plan: StagePlan) -> StagePlan {
    StagePlan {
        width: settings.width,
        assign: settings.assign,
        aggregate: settings.aggregate,
        rates: settings.rates(),
        ..plan
    }
}

async fn survey(tables: &Tables, settings: &Settings) -> Result<StagePlan, JobError> {
    let size = tables.purchases().map_err(|error| failed(&error))?.size().await?;
    let of = segments(settings, size.items, size.bytes);
    let each = size.items / u64::from(of);
    let mut batches: Vec<BatchPlan> = (0..of)
        .map(|number| BatchPlan {
            weight: each,
            of: (size.items > 0).then_some(each),
            ..BatchPlan::new(json!(read::Input::Purchases(Segment { number, of })))
        })
        .collect();
    batches.push(BatchPlan { of: Some(0), ..BatchPlan::new(json!(read::Input::Products)) });
    let split = json!({ "by": "size", "table": "purchases", "segments": of });
    Ok(apply(settings, StagePlan::new(SURVEY, split, batches)))
}

/// A stage of one batch.
fn once(name: &str) -> StagePlan {
    StagePlan::new(name, json!({ "by": "size", "batches": 1 }), vec![BatchPlan::new(Value::Null)])
}

/// A stage of a batch for each segment.
fn by_segment(name: &str, course: &Course) -> StagePlan {
    let batches = course.segments.iter().map(|segment| BatchPlan {
        weight: segment.survey.pairs,
        of: (name == COUNT).then_some(segment.survey.purchases),
        ..BatchPlan::new(Value::Null)
    });
    let split = json!({ "by": "feature", "feature": "user", "segments": course.segments.len() });
    StagePlan::new(name, split, batches.collect())
}

/// A stage of a batch for each block of products.
fn by_block(name: &str, course: &Course) -> StagePlan {
    let blocks = course.ground.iter().flat_map(|ground| &ground.blocks);
    let batches: Vec<BatchPlan> = blocks
        .map(|block| {
            let products = block.len() as u64;
            BatchPlan { weight: products, of: Some(products), ..BatchPlan::new(Value::Null) }
        })
        .collect();
    let split = json!({ "by": "feature", "feature": "product", "blocks": batches.len() });
    StagePlan::new(name, split, batches)
}

/// Judges the model; one that is worse than the live one by more than the gate ends the job.
async fn verdict(
    planning: &Planning<'_>,
    stage: u32,
    course: &Course,
    settings: &Settings,
) -> Result<Verdict, JobError> {
    let merged = planning.merged(stage, |left, right| {
        let merge = |left: &[u8], right: &[u8]| -> Result<Vec<u8>, crate::StageError> {
            Ok(Judged::decode(left)?.merge(&Judged::decode(right)?)?.encode())
        };
        merge(&left, &right).map_err(|error| error.to_string())
    });
    let judged = match merged.await? {
        Some(bytes) => Judged::decode(&bytes).map_err(|error| failed(&error))?,
        None => Judged::default(),
    };
    let live = course.known.as_ref().and_then(|known| known.live.as_ref());
    let live = live.map(|live| Live { version: live.version, metrics: live.metrics.clone() });
    let compared = compare(&judged, live.as_ref(), settings.gate);
    if let Some(worse) = compared.filter(Compared::is_worse) {
        return Err(failed(&worse));
    }
    let metrics = Some(judged.methods.report()).filter(|metrics| metrics.model.users > 0);
    Ok(Verdict { metrics, compared })
}

/// What the stages have left before this one, as its batches were told.
async fn course(planning: &Planning<'_>, stage: u32) -> Result<Course, JobError> {
    let content = planning.objects().get(&course_key(planning, stage)).await?;
    serde_json::from_slice(&content).map_err(|error| failed(&error))
}

fn course_key(planning: &Planning<'_>, stage: u32) -> String {
    Objects::key(&planning.job.job_id, &format!("course-{stage:06}.json"))
}

/// What the batches of a stage have left, in their order.
async fn results<T: DeserializeOwned>(planning: &Planning<'_>, stage: u32) -> Result<Vec<T>, JobError> {
    let mut results = Vec::new();
    for batch in planning.batches(stage).await? {
        if let Some(result) = planning.result(&batch).await? {
            results.push(serde_json::from_slice(&result).map_err(|error| failed(&error))?);
        }
    }
    Ok(results)
}

/// The purchases and the products are scanned once; each product has one row.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) async fn estimate(tables: &Tables, settings: &Settings) -> Result<Estimate, JobError> {
    const SCANNED_BYTES: f64 = 8192.0;
    let size = tables.purchases().map_err(|error| failed(&error))?.size().await?;
    let estimate = Estimate {
        items: Some(size.items),
        bytes: Some(size.bytes),
        read_units: size.bytes as f64 / SCANNED_BYTES,
        notes: vec![
            "A write unit for each product that was bought comes on top, and some 400 for what is known of 20,000 \
             products."
                .to_owned(),
            "The products are read once, too, and of the live model some rows, to compare the new one with it."
                .to_owned(),
        ],
        ..Estimate::default()
    };
    Ok(estimate.at(settings.rates()))
}
