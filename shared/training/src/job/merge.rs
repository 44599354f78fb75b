//! Stages `catalogue` and `priors`: what is known only of all segments together.

use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_recommender::Catalogue;
use nextbasket_tables::Tables;

use super::calls::{Touches, call, objects};
use super::course::{Ground, KnownAt, LiveAt};
use super::{blocking, failed, put, told, unnamed};
use crate::count::Sums;
use crate::error::StageError;
use crate::frames;
use crate::labels::Labels;
use crate::live::{live, pointer};
use crate::rank::known;
use crate::settings::Settings;
use crate::survey::{Survey, union};
use crate::terms::{Terms, blocks};

/// The products of all segments, and their labels cut by block.
pub(super) async fn catalogue(work: &mut Work, settings: Settings) -> Result<Outcome, WorkError> {
    let (_, course) = told(work).await?;
    let survey = course.segments.iter().fold(Survey::default(), |sum, segment| sum.merge(segment.survey));
    let mut catalogue = union([]).map_err(failed)?;
    let keys = course.segments.iter().map(|segment| segment.products.as_str());
    objects(work, keys, |content| {
        catalogue = union([&catalogue, &Catalogue::decode(&content).map_err(failed)?]).map_err(failed)?;
        Ok(())
    })
    .await?;
    let labels = work.site().objects.get(&course.labels).await?;
    let (catalogue, blocks, labels) = blocking(move || {
        let labels = Labels::decode(&labels)?;
        let blocks = blocks(&settings, &survey, catalogue.len());
        let cut: Vec<Vec<u8>> = blocks
            .iter()
            .map(|block| labels.of(block.clone(), &catalogue).encode())
            .collect::<Result<_, StageError>>()?;
        Ok((catalogue.encode(), blocks, (cut, Terms::new(&settings, &survey))))
    })
    .await?;
    let (labels, terms) = labels;
    let mut cut = Vec::with_capacity(labels.len());
    for (block, labels) in labels.into_iter().enumerate() {
        cut.push(put(work, &format!("labels-{block:08}"), labels).await?);
    }
    let catalogue = put(work, "catalogue", catalogue).await?;
    Outcome::done(&Ground { survey, terms, catalogue, blocks, labels: cut })
}

/// The sums over all users, and what they say of all products.
pub(super) async fn priors(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    let (_, course) = told(work).await?;
    let (ground, catalogue) = course.ground(work).await?;
    let mut sums: Option<Sums> = None;
    objects(work, course.counted.iter().map(|counted| counted.sums.as_str()), |content| {
        let more = Sums::decode(&content).map_err(failed)?;
        sums = Some(match sums.take() {
            Some(sums) => sums.merge(&more).map_err(failed)?,
            None => more,
        });
        Ok(())
    })
    .await?;
    let sums = super::course::there(sums)?;
    let mut labels = Labels::default();
    objects(work, ground.labels.iter().map(String::as_str), |content| {
        labels.extend(Labels::decode(&content).map_err(failed)?);
        Ok(())
    })
    .await?;
    let (sums, known) = blocking(move || {
        let known = known(&catalogue, &sums, &ground.terms, &labels)?;
        Ok((sums.encode(), known))
    })
    .await?;
    let sums = put(work, "sums", sums).await?;
    let model = put(work, "priors", frames::join(known.model)).await?;
    let trial = match known.trial {
        Some(trial) => Some(put(work, "priors-trial", frames::join(trial)).await?),
        None => None,
    };
    let table = tables.model().map_err(|error| unnamed(&error))?;
    let pointer = call(work, Touches::Reads, || pointer(&table)).await?;
    let kept = call(work, Touches::Reads, || live(&table)).await?;
    let live = pointer.map(|pointer| {
        let metrics = kept.filter(|kept| kept.version == pointer.version).and_then(|kept| kept.metrics);
        LiveAt::new(&pointer, metrics)
    });
    Outcome::done(&KnownAt { sums, model, trial, live })
}
