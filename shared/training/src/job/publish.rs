//! Stages `draft`, `publish` and `switch`: the model on its way into the table.

use futures::StreamExt;
use nextbasket_batch::work::Go;
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_tables::Tables;
use serde_json::json;

use super::calls::{Touches, call};
use super::count::PART;
use super::course::{DraftAt, there};
use super::read::{BASKETS, PAGE};
use super::{failed, told, unnamed};
use crate::frames;
use crate::labels::Labels;
use crate::publish;

/// How many rows are written between two checkpoints.
const ROWS: usize = 256;
/// How many objects are removed at a time.
const REMOVERS: usize = 16;

/// Takes the next version and the idle slot. A second attempt takes another version, which does no harm.
pub(super) async fn draft(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    let table = tables.model().map_err(|error| unnamed(&error))?;
    let draft = call(work, Touches::Writes, || table.begin()).await?;
    Outcome::done(&DraftAt::new(&draft))
}

/// Writes the rows of a block.
pub(super) async fn rows(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    let table = tables.model().map_err(|error| unnamed(&error))?;
    let (part, course) = told(work).await?;
    let (ground, catalogue) = course.ground(work).await?;
    let draft = there(course.draft.as_ref())?.draft()?;
    let products = there(ground.blocks.get(part))?.clone();
    let packed = work.site().objects.get(&there(course.ranked.get(part))?.model).await?;
    let labels = work.site().objects.get(there(ground.labels.get(part))?).await?;
    let labels = Labels::decode(&labels).map_err(failed)?;
    let rows = publish::rows(products, &packed, &catalogue, &labels).map_err(failed)?;
    let mut written = work.checkpoint::<usize>()?.unwrap_or(0);
    while let Some(some) = rows.get(written..).filter(|rest| !rest.is_empty()) {
        let some = some.get(..ROWS).unwrap_or(some);
        call(work, Touches::Writes, || table.put_rows(&draft, some.iter().cloned(), || ())).await?;
        written += some.len();
        let count = some.len() as u64;
        work.progress.processed += count;
        work.progress.matched += count;
        work.progress.changed += count;
        if work.save(&written).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Done(Vec::new()))
}

/// Makes the model the live one, and removes what the job has read of its users.
pub(super) async fn switch(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    let table = tables.model().map_err(|error| unnamed(&error))?;
    let (_, course) = told(work).await?;
    let ground = there(course.ground.as_ref())?;
    let draft = there(course.draft.as_ref())?.draft()?;
    let verdict = there(course.verdict.as_ref())?;
    let pieces = work.site().objects.get(&course.known()?.model).await?;
    let pieces: Vec<Vec<u8>> =
        frames::split(&pieces).map_err(failed)?.into_iter().map(<[u8]>::to_vec).collect();
    let products = ground.blocks.last().map_or(0, |block| u64::from(block.end));
    let now = work.site().clock.now();
    let began = work.job().started_at.unwrap_or(work.job().created_at);
    #[allow(clippy::cast_precision_loss, reason = "a duration in milliseconds")]
    let seconds = (now.as_millis() - began.as_millis()).max(0) as f64 / 1000.0;
    let (survey, params) = (&ground.survey, &ground.terms.params);
    let info = publish::info(survey, products, params, verdict.metrics.as_ref(), seconds).map_err(failed)?;
    let pointer = call(work, Touches::Writes, || table.publish(&draft, pieces.clone(), &info, now)).await?;
    remove_baskets(work).await;
    Outcome::done(&json!({
        "published": true,
        "modelVersion": pointer.version,
        "trainedAt": pointer.trained_at,
        "users": survey.users,
        "purchases": survey.purchases,
        "products": products,
        "damaged": course.damaged,
        "params": info.params,
        "metrics": verdict.metrics,
        "compared": verdict.compared,
        "seconds": seconds,
    }))
}

/// Removes what was read of users and counted by segment, also by attempts that were cut off. What cannot be removed
/// stays until the bucket's own rules remove it.
async fn remove_baskets(work: &Work) {
    let objects = &work.site().objects;
    let keys = match objects.list(&work.job_object("stage-")).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "what was read stays until the bucket's own rules remove it");
            return;
        }
    };
    let of_users = |key: &String| {
        let name = key.rsplit('/').next().and_then(|name| name.split_once('-')).map_or("", |(_, name)| name);
        name.starts_with(PAGE) || name.starts_with(PART) || name == BASKETS
    };
    let removals: Vec<_> = keys
        .into_iter()
        .filter(of_users)
        .map(|key| objects.client().delete_object().bucket(objects.bucket()).key(key).send())
        .collect();
    let mut removed = futures::stream::iter(removals).buffer_unordered(REMOVERS);
    while let Some(removed) = removed.next().await {
        if let Err(error) = removed {
            tracing::warn!(%error, "an object stays until the bucket's own rules remove it");
        }
    }
}
