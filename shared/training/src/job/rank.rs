//! Stage `rank`: the counts of a block of products, of all segments, to rows.

use nextbasket_batch::{Outcome, Work, WorkError};

use super::calls::objects;
use super::course::{RankedAt, there};
use super::{blocking, put, told};
use crate::count::Sums;
use crate::rank::{block, pack};

pub(super) async fn work(work: &mut Work) -> Result<Outcome, WorkError> {
    let (part, course) = told(work).await?;
    let ground = there(course.ground.as_ref())?;
    let products = there(ground.blocks.get(part))?.clone();
    let sums = work.site().objects.get(&course.known()?.sums).await?;
    let keys: Vec<String> = course.counted.iter().map(|counted| counted.part(part)).collect();
    let mut parts = Vec::with_capacity(keys.len());
    objects(work, keys.iter().map(String::as_str), |content| {
        parts.push(content);
        Ok(())
    })
    .await?;
    let (terms, count) = (ground.terms.clone(), products.len() as u64);
    let ranked = blocking(move || block(products, &parts, &Sums::decode(&sums)?, &terms)).await?;
    let model = put(work, "rows", pack(&ranked.model)).await?;
    let trial = match ranked.trial {
        Some(trial) => Some(put(work, "rows-trial", pack(&trial)).await?),
        None => None,
    };
    work.progress.processed = count;
    work.progress.matched = count;
    Outcome::done(&RankedAt { model, trial })
}
