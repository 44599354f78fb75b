//! Stage `rank`: the counts of a block of products, of all segments, to rows.

use nextbasket_job_engine::{Outcome, Work, WorkError};

use nextbasket_recommender::intermediate::decode;

use super::objects::objects;
use super::outputs::{RankedBlock, required};
use super::{batch_input, blocking};
use crate::rank::{block, pack};

pub(super) async fn work(work: &mut Work) -> Result<Outcome, WorkError> {
    let (part, outputs) = batch_input(work).await?;
    let shared = required(outputs.catalogue.as_ref())?;
    let products = required(shared.blocks.get(part))?.clone();
    let totals = work.site().objects.get(&outputs.priors()?.totals).await?;
    let keys: Vec<String> = outputs.counted.iter().map(|counted| counted.part(part)).collect();
    let mut parts = Vec::with_capacity(keys.len());
    objects(work, keys.iter().map(String::as_str), |content| {
        parts.push(content);
        Ok(())
    })
    .await?;
    let (context, count) = (shared.context.clone(), products.len() as u64);
    let ranked = blocking(move || block(products, &parts, &decode("totals", &totals)?, &context)).await?;
    let model = work.put_own("rows", pack(&ranked.model)).await?;
    let mut trials = Vec::with_capacity(ranked.trials.len());
    for (number, trial) in ranked.trials.iter().enumerate() {
        trials.push(work.put_own(&format!("rows-trial-{number:02}"), pack(trial)).await?);
    }
    work.progress.processed = count;
    work.progress.matched = count;
    Outcome::done(&RankedBlock { model, trials })
}
