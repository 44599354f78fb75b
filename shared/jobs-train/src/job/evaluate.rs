//! Stage `evaluate`: what was hidden of a segment's users, with the candidates of the trials that have not seen it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::{Dataset, Priors};
use nextbasket_tables::Tables;

use super::objects::objects;
use super::outputs::{EvaluatedSegments, HiddenSegment, StageOutputs, required};
use super::{batch_input, blocking, config_error, failed};
use crate::count::Cohort;
use crate::current_model::CurrentModel;
use crate::error::StageError;
use crate::evaluate::{EvaluatedModel, ListRows, evaluate, live_anchors, trial_anchors};

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let (part, outputs) = batch_input(work).await?;
    let segment = required(outputs.segments.get(part))?;
    let (shared, catalogue) = outputs.catalogue(work).await?;
    let baskets = work.site().objects.get(&segment.baskets).await?;
    let context = shared.context.clone();
    let cohort = blocking(move || Ok(Cohort::new(Dataset::decode(&baskets)?, &catalogue, &context)?)).await?;
    let cohort = Arc::new(cohort);
    let live = Arc::new(live(work, tables, &outputs, &cohort).await?);
    let mut evaluated = EvaluatedSegments::default();
    let mut hidden = HiddenSegment::default();
    // One trial at a time: its priors and rows are as large as a model.
    for (number, priors) in outputs.priors()?.trials.iter().enumerate() {
        let pieces = work.site().objects.get(priors).await?;
        let users = cohort.clone();
        let (trial, wanted) = blocking(move || {
            let trial = Priors::decode(&decode::<Vec<&[u8]>>("priors", &pieces)?)?;
            let wanted = users.trials().nth(number).map(|users| trial_anchors(users, &trial));
            Ok((trial, wanted.unwrap_or_default()))
        })
        .await?;
        let rows = rows(work, &outputs, &shared.blocks, number, &wanted).await?;
        let (users, live) = (cohort.clone(), live.clone());
        let (result, baskets) = blocking(move || {
            let trial = EvaluatedModel { priors: &trial, rows: &rows, ranker: None };
            let live = live.as_ref().as_ref().and_then(|(live, rows)| live.evaluated(rows));
            let users = users.trials().nth(number).ok_or(StageError::OtherTraining)?;
            Ok(evaluate(users, trial, live))
        })
        .await?;
        hidden.baskets += baskets.len();
        hidden.candidates += baskets.iter().map(|basket| basket.hidden.candidates.len()).sum::<usize>();
        hidden.trials.push(work.put_own(&format!("hidden-{number:02}"), encode(&baskets)).await?);
        evaluated.result = evaluated.result.merge(&result).map_err(failed)?;
    }
    let baskets = hidden.baskets as u64;
    work.progress.processed = baskets;
    work.progress.matched = baskets;
    evaluated.hidden = BTreeMap::from([(part, hidden)]);
    Ok(Outcome::Done(encode(&evaluated)))
}

/// The wanted rows of a trial, of all blocks.
async fn rows(
    work: &Work,
    outputs: &StageOutputs,
    blocks: &[std::ops::Range<u32>],
    trial: usize,
    wanted: &BTreeSet<nextbasket_recommender::ProductIx>,
) -> Result<ListRows, CallError> {
    let mut rows = ListRows::default();
    let keys: Vec<&str> =
        outputs.ranked.iter().filter_map(|ranked| ranked.trials.get(trial).map(String::as_str)).collect();
    let mut blocks = blocks.iter();
    objects(work, keys, |content| {
        rows.add_block(required(blocks.next())?.clone(), &content, wanted).map_err(failed)
    })
    .await?;
    Ok(rows)
}

/// The model that was live at stage `priors`, with the rows that this segment's users need.
async fn live(
    work: &mut Work,
    tables: &Tables,
    outputs: &StageOutputs,
    cohort: &Cohort,
) -> Result<Option<(CurrentModel, ListRows)>, CallError> {
    let Some(live) = &outputs.priors()?.live else { return Ok(None) };
    let table = tables.model().map_err(|error| config_error(&error))?;
    let pointer = &live.pointer;
    let live = work.call(Consumes::Reads, || CurrentModel::read(&table, pointer.clone())).await?;
    let Some(priors) = &live.priors else { return Ok(None) };
    let wanted = live_anchors(cohort.trials(), priors);
    let rows = work.call(Consumes::Reads, || live.rows(&table, &wanted)).await?;
    Ok(Some((live, rows)))
}
