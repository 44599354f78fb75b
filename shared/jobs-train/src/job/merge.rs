//! Stages `catalogue` and `priors`: what is known only of all segments together.

use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_recommender::Catalogue;
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::ranker::NewestBaskets;
use nextbasket_tables::Tables;

use super::objects::objects;
use super::outputs::{CatalogueOutput, LiveModelRef, PriorsOutput, required};
use super::{batch_input, blocking, config_error, failed};
use crate::context::{TrainingContext, product_blocks};
use crate::count::CohortTotals;
use crate::current_model::{live_metrics, live_pointer};
use crate::error::StageError;
use crate::parameters::TrainParameters;
use crate::product_details::ProductDetails;
use crate::rank::pack_priors;
use crate::training_data::{PurchaseStatistics, merge_catalogues};

/// The products of all segments, and their details cut by block.
pub(super) async fn catalogue(work: &mut Work, parameters: TrainParameters) -> Result<Outcome, WorkError> {
    let (_, outputs) = batch_input(work).await?;
    let statistics = outputs.segments.iter().map(|segment| segment.statistics);
    let statistics = statistics.fold(PurchaseStatistics::default(), PurchaseStatistics::merge);
    let mut catalogue = merge_catalogues([]).map_err(failed)?;
    let keys = outputs.segments.iter().map(|segment| segment.products.as_str());
    objects(work, keys, |content| {
        catalogue =
            merge_catalogues([&catalogue, &Catalogue::decode(&content).map_err(failed)?]).map_err(failed)?;
        Ok(())
    })
    .await?;
    let newest = outputs.segments.iter().map(|segment| &segment.newest);
    let newest = newest.fold(NewestBaskets::default(), NewestBaskets::merge);
    let context = TrainingContext::new(&parameters, &statistics, &newest);
    let blocks = product_blocks(&parameters, &statistics, catalogue.len());
    let all = work.site().objects.get(&outputs.product_details).await?;
    let ranges = blocks.clone();
    let (catalogue, cut) = blocking(move || {
        let all = ProductDetails::decode(&all)?;
        let cut = ranges.into_iter().map(|block| all.of(block, &catalogue).encode());
        let cut = cut.collect::<Result<Vec<_>, StageError>>()?;
        Ok((catalogue.encode(), cut))
    })
    .await?;
    let mut details = Vec::with_capacity(cut.len());
    for (block, content) in cut.into_iter().enumerate() {
        details.push(work.put_own(&format!("details-{block:08}"), content).await?);
    }
    let products = work.put_own("catalogue", catalogue).await?;
    Outcome::done(&CatalogueOutput { statistics, context, products, blocks, details })
}

/// The totals over all users, and the priors of all products.
pub(super) async fn priors(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let (_, outputs) = batch_input(work).await?;
    let (shared, catalogue) = outputs.catalogue(work).await?;
    let mut totals: Option<CohortTotals> = None;
    objects(work, outputs.counted.iter().map(|counted| counted.totals.as_str()), |content| {
        let more = decode("totals", &content).map_err(failed)?;
        totals = Some(match totals.take() {
            Some(totals) => totals.merge(&more).map_err(failed)?,
            None => more,
        });
        Ok(())
    })
    .await?;
    let totals = required(totals)?;
    let mut details = ProductDetails::default();
    objects(work, shared.details.iter().map(String::as_str), |content| {
        details.extend(ProductDetails::decode(&content).map_err(failed)?);
        Ok(())
    })
    .await?;
    let (totals, priors) = blocking(move || {
        let priors = pack_priors(&catalogue, &totals, &shared.context, &details)?;
        Ok((encode(&totals), priors))
    })
    .await?;
    let totals = work.put_own("totals", totals).await?;
    let model = work.put_own("priors", encode(&priors.model)).await?;
    let mut trials = Vec::with_capacity(priors.trials.len());
    for (number, trial) in priors.trials.iter().enumerate() {
        trials.push(work.put_own(&format!("priors-trial-{number:02}"), encode(trial)).await?);
    }
    let table = tables.model().map_err(|error| config_error(&error))?;
    let pointer = work.call(Consumes::Reads, || live_pointer(&table)).await?;
    let stored = work.call(Consumes::Reads, || live_metrics(&table)).await?;
    let live = pointer.map(|pointer| {
        let stored = stored.filter(|stored| stored.version == pointer.version);
        LiveModelRef { pointer, metrics: stored.and_then(|stored| stored.metrics) }
    });
    Ok(Outcome::done(&PriorsOutput { totals, model, trials, live })?)
}
