//! Stage `evaluate`: a segment's judged users, by the trial and by the live model.

use std::sync::Arc;

use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_recommender::{Dataset, Priors};
use nextbasket_tables::Tables;

use super::calls::{Touches, call, objects};
use super::course::{Course, there};
use super::{blocking, failed, told, unnamed};
use crate::count::Cohort;
use crate::evaluate::{NextRows, anchors, judge, live_anchors};
use crate::frames;
use crate::live::LiveModel;

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    let (part, course) = told(work).await?;
    let segment = there(course.segments.get(part))?;
    let (ground, catalogue) = course.ground(work).await?;
    let baskets = work.site().objects.get(&segment.baskets).await?;
    let pieces = work.site().objects.get(there(course.known()?.trial.as_ref())?).await?;
    let (terms, all) = (ground.terms.clone(), catalogue);
    let (cohort, trial, wanted) = blocking(move || {
        let cohort = Cohort::new(Dataset::decode(&baskets)?, &all, &terms)?;
        let trial = Priors::decode(&frames::split(&pieces)?)?;
        let wanted = anchors(&cohort, &trial);
        Ok((Arc::new(cohort), trial, wanted))
    })
    .await?;
    let mut rows = NextRows::default();
    let keys: Vec<&str> = course.ranked.iter().filter_map(|ranked| ranked.trial.as_deref()).collect();
    let mut blocks = ground.blocks.into_iter();
    objects(work, keys, |content| rows.add_block(there(blocks.next())?, &content, &wanted).map_err(failed))
        .await?;
    let live = live(work, tables, &course, &cohort).await?;
    let users = cohort.held().len() as u64;
    let judged = blocking(move || {
        let live = live.as_ref().and_then(|(live, rows)| Some((live.priors.as_ref()?, rows)));
        Ok(judge(&cohort, &trial, &rows, live).encode())
    })
    .await?;
    work.progress.processed = users;
    work.progress.matched = users;
    Ok(Outcome::Done(judged))
}

/// The model that was live when the job looked, with the rows that this segment's users want of it.
async fn live(
    work: &mut Work,
    tables: &Tables,
    course: &Course,
    cohort: &Cohort,
) -> Result<Option<(LiveModel, NextRows)>, WorkError> {
    let Some(live) = &course.known()?.live else { return Ok(None) };
    let table = tables.model().map_err(|error| unnamed(&error))?;
    let pointer = live.pointer()?;
    let live = call(work, Touches::Reads, || LiveModel::read(&table, pointer.clone())).await?;
    let Some(priors) = &live.priors else { return Ok(None) };
    let wanted = live_anchors(cohort, priors);
    let rows = call(work, Touches::Reads, || live.rows(&table, &wanted)).await?;
    Ok(Some((live, rows)))
}
