//! The next stage, and the estimate.

use nextbasket_job_engine::{BatchPlan, Estimate, JobError, Next, Planning, StagePlan};
use nextbasket_recommender::DecodeError;
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_tables::Tables;
use nextbasket_tables::damaged::check;
use nextbasket_tables::segment::Segment;
use serde_json::{Value, json};

use super::outputs::{BatchInput, EvaluatedSegments, GateOutput, RankerEvaluation, StageOutputs};
use super::survey::{SurveyInput, SurveyOutput};
use super::{CATALOGUE, COUNT, DRAFT, EVALUATE, LEARN, PRIORS, PUBLISH, RANK, SURVEY, SWITCH};
use crate::context::segment_count;
use crate::evaluate::EvaluationResult;
use crate::gate::{Comparison, LiveMetrics, ModelMetrics, compare};
use crate::parameters::TrainParameters;

fn failed(error: &impl ToString) -> JobError {
    JobError::Failed(error.to_string())
}

pub(super) async fn next(
    tables: &Tables,
    planning: &Planning<'_>,
    parameters: &TrainParameters,
) -> Result<Next, JobError> {
    let Some(stage) = planning.job.stage() else {
        return Ok(Next::Stage(survey(tables, parameters).await?));
    };
    let mut outputs = match stage.name.as_str() {
        SURVEY => StageOutputs::default(),
        // What the batches of this stage have read.
        _ => planning.read_json(&outputs_name(stage.number)).await?,
    };
    let plan = match stage.name.as_str() {
        SURVEY => {
            for result in planning.results(stage.number).await? {
                match result {
                    SurveyOutput::Purchases(segment) => outputs.segments.push(segment),
                    SurveyOutput::Products(products) => {
                        check("products", products.damaged, products.products)
                            .map_err(|error| failed(&error))?;
                        outputs.damaged += products.damaged;
                        outputs.product_details = products.details;
                    }
                }
            }
            let damaged: u64 = outputs.segments.iter().map(|segment| segment.damaged).sum();
            let readable: u64 = outputs.segments.iter().map(|segment| segment.statistics.purchases).sum();
            check("purchases", damaged, readable).map_err(|error| failed(&error))?;
            outputs.damaged += damaged;
            if outputs.segments.iter().all(|segment| segment.statistics.purchases == 0) {
                return Err(JobError::Failed(crate::NoPurchases.to_string()));
            }
            StagePlan::single(CATALOGUE, Value::Null)
        }
        CATALOGUE => {
            outputs.catalogue = planning.results(stage.number).await?.pop();
            by_segment(COUNT, &outputs)
        }
        COUNT => {
            outputs.counted = planning.results(stage.number).await?;
            StagePlan::single(PRIORS, Value::Null)
        }
        PRIORS => {
            outputs.priors = planning.results(stage.number).await?.pop();
            by_block(RANK, &outputs)
        }
        RANK => {
            outputs.ranked = planning.results(stage.number).await?;
            if outputs.priors.as_ref().is_some_and(|priors| !priors.trials.is_empty()) {
                by_segment(EVALUATE, &outputs)
            } else {
                outputs.gate = Some(GateOutput::default());
                StagePlan::single(DRAFT, Value::Null)
            }
        }
        EVALUATE => {
            outputs.evaluated = Some(evaluated(planning, stage.number).await?);
            if parameters.ranker {
                StagePlan::single(LEARN, Value::Null)
            } else {
                outputs.gate = Some(gate(planning, &outputs, parameters).await?);
                StagePlan::single(DRAFT, Value::Null)
            }
        }
        LEARN => {
            outputs.learned = planning.results(stage.number).await?.pop();
            outputs.gate = Some(gate(planning, &outputs, parameters).await?);
            StagePlan::single(DRAFT, Value::Null)
        }
        DRAFT => {
            outputs.draft = planning.results(stage.number).await?.pop();
            by_block(PUBLISH, &outputs)
        }
        PUBLISH => StagePlan::single(SWITCH, Value::Null),
        _ => {
            let result: Option<Value> = planning.results(stage.number).await?.pop();
            return Ok(Next::Done(result.unwrap_or_default()));
        }
    };
    let key = planning.put_json(&outputs_name(stage.number + 1), &outputs).await?;
    let batches = plan
        .batches
        .into_iter()
        .enumerate()
        .map(|(part, batch)| BatchPlan { input: json!(BatchInput { part, outputs: key.clone() }), ..batch });
    Ok(Next::Stage(apply(parameters, StagePlan { batches: batches.collect(), ..plan })))
}

fn apply(parameters: &TrainParameters, plan: StagePlan) -> StagePlan {
    StagePlan {
        width: parameters.width,
        assign: parameters.assign,
        aggregate: parameters.aggregate,
        rates: parameters.rates(),
        ..plan
    }
}

async fn survey(tables: &Tables, parameters: &TrainParameters) -> Result<StagePlan, JobError> {
    let size = tables.purchases().map_err(|error| failed(&error))?.size().await?;
    let of = segment_count(parameters, size.items, size.bytes);
    let mut batches = BatchPlan::for_parts(of, size.items, size.items, |number| {
        json!(SurveyInput::Purchases(Segment { number, of }))
    });
    batches.push(BatchPlan { of: Some(0), ..BatchPlan::new(json!(SurveyInput::Products)) });
    let split = json!({ "by": "size", "table": "purchases", "segments": of });
    Ok(apply(parameters, StagePlan::new(SURVEY, split, batches)))
}

/// A stage of a batch for each segment.
fn by_segment(name: &str, outputs: &StageOutputs) -> StagePlan {
    let batches = outputs.segments.iter().map(|segment| BatchPlan {
        weight: segment.statistics.pairs,
        of: (name == COUNT).then_some(segment.statistics.purchases),
        ..BatchPlan::new(Value::Null)
    });
    let split = json!({ "by": "feature", "feature": "user", "segments": outputs.segments.len() });
    StagePlan::new(name, split, batches.collect())
}

/// A stage of a batch for each block of products.
fn by_block(name: &str, outputs: &StageOutputs) -> StagePlan {
    let blocks = outputs.catalogue.iter().flat_map(|catalogue| &catalogue.blocks);
    let batches: Vec<BatchPlan> = blocks
        .map(|block| {
            let products = block.len() as u64;
            BatchPlan { weight: products, of: Some(products), ..BatchPlan::new(Value::Null) }
        })
        .collect();
    let split = json!({ "by": "feature", "feature": "product", "blocks": batches.len() });
    StagePlan::new(name, split, batches)
}

/// Merges what the segments' batches have left into one object; its key.
async fn evaluated(planning: &Planning<'_>, stage: u32) -> Result<String, JobError> {
    let merged = planning.merged(stage, |left, right| {
        let merge = |left: &[u8], right: &[u8]| -> Result<Vec<u8>, crate::StageError> {
            Ok(encode(&segments(left)?.merge(segments(right)?)?))
        };
        merge(&left, &right).map_err(|error| error.to_string())
    });
    let merged = merged.await?.unwrap_or_else(|| encode(&EvaluatedSegments::default()));
    let key = planning.job.job_id.object_key("evaluated");
    planning.objects().put(&key, merged).await?;
    Ok(key)
}

/// A model that is worse than the live one by more than the gate ends the job.
async fn gate(
    planning: &Planning<'_>,
    outputs: &StageOutputs,
    parameters: &TrainParameters,
) -> Result<GateOutput, JobError> {
    let missing = || failed(&"an earlier stage's output is missing: submit the job again");
    let evaluated = planning.objects().get(outputs.evaluated.as_ref().ok_or_else(missing)?).await?;
    let EvaluationResult { mut methods, hand, live: by_live, .. } =
        segments(&evaluated).map_err(|error| failed(&error))?.result;
    let hand_formula = methods.model.report();
    let mut quality = hand;
    let ranker = outputs.learned.as_ref();
    if let Some(key) = ranker.and_then(|ranker| ranker.evaluation.as_ref()) {
        let bytes = planning.objects().get(key).await?;
        let evaluation = decode::<RankerEvaluation>("evaluation of the ranker", &bytes);
        (methods.model, quality) = evaluation.map_err(|error| failed(&error))?;
    }
    let live = outputs.priors.as_ref().and_then(|priors| priors.live.as_ref());
    let live = live.map(|live| LiveMetrics { version: live.pointer.version, metrics: live.metrics.clone() });
    let comparison = compare(&quality, &by_live, live.as_ref(), parameters.gate);
    if let Some(worse) = comparison.filter(Comparison::is_worse) {
        return Err(failed(&worse));
    }
    let metrics = ModelMetrics {
        methods: methods.report(),
        hand_formula: Some(hand_formula),
        ranker: ranker.map(|ranker| ranker.report.clone()),
    };
    Ok(GateOutput { metrics: Some(metrics).filter(|metrics| metrics.methods.model.users > 0), comparison })
}

fn segments(bytes: &[u8]) -> Result<EvaluatedSegments, DecodeError> {
    decode("evaluation", bytes)
}

/// The object with the outputs of the stages before this one.
fn outputs_name(stage: u32) -> String {
    format!("outputs-{stage:06}.json")
}

/// The purchases and the products are scanned once; each product has one row.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) async fn estimate(tables: &Tables, parameters: &TrainParameters) -> Result<Estimate, JobError> {
    const SCANNED_BYTES: f64 = 8192.0;
    let size = tables.purchases().map_err(|error| failed(&error))?.size().await?;
    let estimate = Estimate {
        items: Some(size.items),
        bytes: Some(size.bytes),
        read_units: size.bytes as f64 / SCANNED_BYTES,
        notes: vec![
            "In addition, one write unit for each product that was bought, and about 400 for the priors of 20,000 \
             products."
                .to_owned(),
            "The products are also read once, and some rows of the live model, to compare the new one with it."
                .to_owned(),
        ],
        ..Estimate::default()
    };
    Ok(estimate.at(parameters.rates()))
}
