//! Stage `evaluate`: the trial and the live model on the held-out baskets of a segment's users.

use std::sync::Arc;

use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::{Dataset, Priors};
use nextbasket_tables::Tables;

use super::objects::objects;
use super::outputs::{StageOutputs, required};
use super::{batch_input, blocking, config_error, failed};
use crate::count::Cohort;
use crate::current_model::CurrentModel;
use crate::evaluate::{NextRows, evaluate, live_anchors, trial_anchors};

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let (part, outputs) = batch_input(work).await?;
    let segment = required(outputs.segments.get(part))?;
    let (shared, catalogue) = outputs.catalogue(work).await?;
    let baskets = work.site().objects.get(&segment.baskets).await?;
    let pieces = work.site().objects.get(required(outputs.priors()?.trial.as_ref())?).await?;
    let (context, all) = (shared.context.clone(), catalogue);
    let (cohort, trial, wanted) = blocking(move || {
        let cohort = Cohort::new(Dataset::decode(&baskets)?, &all, &context)?;
        let trial = Priors::decode(&decode::<Vec<&[u8]>>("priors", &pieces)?)?;
        let wanted = trial_anchors(&cohort, &trial);
        Ok((Arc::new(cohort), trial, wanted))
    })
    .await?;
    let mut rows = NextRows::default();
    let keys: Vec<&str> = outputs.ranked.iter().filter_map(|ranked| ranked.trial.as_deref()).collect();
    let mut blocks = shared.blocks.into_iter();
    objects(work, keys, |content| {
        rows.add_block(required(blocks.next())?, &content, &wanted).map_err(failed)
    })
    .await?;
    let live = live(work, tables, &outputs, &cohort).await?;
    let users = cohort.held().len() as u64;
    let result = blocking(move || {
        let live = live.as_ref().and_then(|(live, rows)| Some((live.priors.as_ref()?, rows)));
        Ok(encode(&evaluate(&cohort, &trial, &rows, live)))
    })
    .await?;
    work.progress.processed = users;
    work.progress.matched = users;
    Ok(Outcome::Done(result))
}

/// The model that was live at stage `priors`, with the rows that this segment's users need.
async fn live(
    work: &mut Work,
    tables: &Tables,
    outputs: &StageOutputs,
    cohort: &Cohort,
) -> Result<Option<(CurrentModel, NextRows)>, CallError> {
    let Some(live) = &outputs.priors()?.live else { return Ok(None) };
    let table = tables.model().map_err(|error| config_error(&error))?;
    let pointer = &live.pointer;
    let live = work.call(Consumes::Reads, || CurrentModel::read(&table, pointer.clone())).await?;
    let Some(priors) = &live.priors else { return Ok(None) };
    let wanted = live_anchors(cohort, priors);
    let rows = work.call(Consumes::Reads, || live.rows(&table, &wanted)).await?;
    Ok(Some((live, rows)))
}
