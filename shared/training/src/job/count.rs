//! Stage `count`: a segment's baskets to sums, and to counts cut by block of products.

use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_recommender::Dataset;
use tokio::sync::mpsc;

use super::course::{Counted, there};
use super::{blocking, put, told};
use crate::count::Cohort;
use crate::error::StageError;

/// How the names of objects begin that hold counts.
pub(super) const PART: &str = "part-";

/// Reads objects alone, and is quick: an attempt begins at the beginning.
pub(super) async fn work(work: &mut Work) -> Result<Outcome, WorkError> {
    let (part, course) = told(work).await?;
    let segment = there(course.segments.get(part))?;
    let (ground, catalogue) = course.ground(work).await?;
    let baskets = work.site().objects.get(&segment.baskets).await?;
    work.progress = nextbasket_batch::Progress::default();
    // Two parts wait to be written while the next one is counted, and no more.
    let (send, mut parts) = mpsc::channel(2);
    let counting = tokio::spawn(blocking(move || {
        let cohort = Cohort::new(Dataset::decode(&baskets)?, &catalogue, &ground.terms)?;
        let counting = cohort.counting(&ground.terms)?;
        for (block, products) in ground.blocks.into_iter().enumerate() {
            if send.blocking_send((block, counting.part(products))).is_err() {
                // The batch has ended without us.
                return Ok(Vec::new());
            }
        }
        Ok::<_, StageError>(counting.sums()?.encode())
    }));
    let counted = Counted { sums: work.own_object("sums"), parts: work.own_object(PART) };
    while let Some((block, part)) = parts.recv().await {
        if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
        work.site().objects.put(&counted.part(block), part).await?;
    }
    let sums =
        counting.await.map_err(|error| WorkError::Failed(format!("the counting crashed: {error}")))??;
    put(work, "sums", sums).await?;
    work.progress.processed = segment.survey.purchases;
    work.progress.matched = segment.survey.purchases;
    Outcome::done(&counted)
}
