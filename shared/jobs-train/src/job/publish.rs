//! Stages `draft`, `publish` and `switch`: the model into the table.

use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_recommender::CartTrials;
use nextbasket_recommender::intermediate::decode;
use nextbasket_tables::Tables;
use nextbasket_tables::model::{Overtaken, StoredModel};
use serde_json::json;

use super::outputs::{EvaluatedSegments, required};
use super::{batch_input, blocking, config_error, failed};
use crate::product_details::ProductDetails;
use crate::publish;

/// How many rows are written between two checkpoints.
const ROWS: usize = 256;

fn overtaken(error: Overtaken) -> WorkError {
    WorkError::Failed(error.to_string())
}

/// Takes the next version and the idle slot. A second attempt takes another version, which does no harm.
pub(super) async fn draft(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let table = tables.model().map_err(|error| config_error(&error))?;
    let draft = work.call(Consumes::Writes, || table.begin()).await?;
    Ok(Outcome::done(&draft)?)
}

pub(super) async fn rows(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let table = tables.model().map_err(|error| config_error(&error))?;
    let (part, outputs) = batch_input(work).await?;
    let (shared, catalogue) = outputs.catalogue(work).await?;
    let draft = required(outputs.draft)?;
    let products = required(shared.blocks.get(part))?.clone();
    let packed = work.site().objects.get(&required(outputs.ranked.get(part))?.model).await?;
    let details = work.site().objects.get(required(shared.details.get(part))?).await?;
    let details = ProductDetails::decode(&details).map_err(failed)?;
    let rows = publish::rows(products, &packed, &catalogue, &details).map_err(failed)?;
    let mut written = work.checkpoint::<usize>()?.unwrap_or(0);
    while let Some(some) = rows.get(written..).filter(|rest| !rest.is_empty()) {
        let some = some.get(..ROWS).unwrap_or(some);
        let put = work.call(Consumes::Writes, || table.put_rows(&draft, some.iter().cloned(), || ())).await?;
        put.map_err(overtaken)?;
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

/// Makes the model the live one.
pub(super) async fn switch(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let table = tables.model().map_err(|error| config_error(&error))?;
    let (_, outputs) = batch_input(work).await?;
    let shared = required(outputs.catalogue.as_ref())?;
    let draft = required(outputs.draft)?;
    let gate = required(outputs.gate.as_ref())?;
    let pieces = work.site().objects.get(&outputs.priors()?.model).await?;
    let carts = match &outputs.evaluated {
        Some(key) => {
            let evaluated = work.site().objects.get(key).await?;
            decode::<EvaluatedSegments>("evaluation", &evaluated).map_err(failed)?.result.carts
        }
        None => CartTrials::default(),
    };
    let pieces =
        blocking(move || publish::with_cart_weight(&decode::<Vec<&[u8]>>("priors", &pieces)?, &carts))
            .await?;
    let ranker = match outputs.learned.as_ref().and_then(|learned| learned.ranker.as_ref()) {
        Some(key) => Some(work.site().objects.get(key).await?),
        None => None,
    };
    let stored = StoredModel { priors: pieces, ranker };
    let products = shared.blocks.last().map_or(0, |block| u64::from(block.end));
    let now = work.site().clock.now();
    let began = work.job().started_at.unwrap_or(work.job().created_at);
    #[allow(clippy::cast_precision_loss, reason = "a duration in milliseconds")]
    let seconds = (now.as_millis() - began.as_millis()).max(0) as f64 / 1000.0;
    let (statistics, params) = (&shared.statistics, &shared.context.params);
    let info = publish::info(statistics, products, params, gate.metrics.as_ref(), seconds).map_err(failed)?;
    let published = work.call(Consumes::Writes, || table.publish(&draft, stored.clone(), &info, now)).await?;
    let pointer = published.map_err(overtaken)?;
    Ok(Outcome::done(&json!({
        "published": true,
        "modelVersion": pointer.version,
        "trainedAt": pointer.trained_at,
        "users": statistics.users,
        "purchases": statistics.purchases,
        "products": products,
        "damaged": outputs.damaged,
        "params": info.params,
        "metrics": gate.metrics,
        "compared": gate.comparison,
        "seconds": seconds,
    }))?)
}
