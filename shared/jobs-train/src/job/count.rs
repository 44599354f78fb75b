//! Stage `count`: a segment's baskets to totals, and to counts of pairs cut by block of products.

use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_recommender::Dataset;
use nextbasket_recommender::intermediate::encode;
use tokio::sync::mpsc;

use super::outputs::{CountedSegment, required};
use super::{batch_input, blocking};
use crate::count::Cohort;
use crate::error::StageError;

/// The prefix of the names of objects that hold counts.
const PART: &str = "part-";

/// The work is small: an interrupted attempt starts again.
pub(super) async fn work(work: &mut Work) -> Result<Outcome, WorkError> {
    let (part, outputs) = batch_input(work).await?;
    let segment = required(outputs.segments.get(part))?;
    let (shared, catalogue) = outputs.catalogue(work).await?;
    let baskets = work.site().objects.get(&segment.baskets).await?;
    work.progress = nextbasket_job_engine::Progress::default();
    // Two parts wait to be written while the next one is counted, and no more.
    let (send, mut parts) = mpsc::channel(2);
    let counting = tokio::spawn(blocking(move || {
        let cohort = Cohort::new(Dataset::decode(&baskets)?, &catalogue, &shared.context)?;
        let counting = cohort.counting(&shared.context)?;
        for (block, products) in shared.blocks.into_iter().enumerate() {
            if send.blocking_send((block, counting.part(products))).is_err() {
                // The batch has ended without us.
                return Ok(Vec::new());
            }
        }
        Ok::<_, StageError>(encode(&counting.totals()?))
    }));
    let counted = CountedSegment { totals: work.own_object("totals"), parts: work.own_object(PART) };
    while let Some((block, part)) = parts.recv().await {
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        work.site().objects.put(&counted.part(block), part).await?;
    }
    let totals =
        counting.await.map_err(|error| WorkError::Failed(format!("the computation panicked: {error}")))??;
    work.put_own("totals", totals).await?;
    work.progress.processed = segment.statistics.purchases;
    work.progress.matched = segment.statistics.purchases;
    Outcome::done(&counted)
}
