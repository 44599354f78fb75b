//! Stage `learn`: the hidden baskets of all segments to a ranker.

use std::thread::available_parallelism;

use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_recommender::intermediate::{decode, encode};

use super::objects::objects;
use super::outputs::{EvaluatedSegments, LearnedRanker, RankerEvaluation, required};
use super::{batch_input, blocking, failed};
use crate::count::trials;
use crate::evaluate::EvaluatedBasket;
use crate::learn::LearnInput;

pub(super) async fn work(work: &mut Work) -> Result<Outcome, WorkError> {
    let (_, outputs) = batch_input(work).await?;
    let shared = required(outputs.catalogue.as_ref())?;
    let evaluated = work.site().objects.get(required(outputs.evaluated.as_ref())?).await?;
    let hidden = decode::<EvaluatedSegments>("evaluation", &evaluated).map_err(failed)?.hidden;
    let mut input = LearnInput::default();
    let sum = |of: fn(&super::outputs::HiddenSegment) -> usize| hidden.values().map(of).sum::<usize>();
    let (baskets, candidates) = (sum(|segment| segment.baskets), sum(|segment| segment.candidates));
    input.reserve(baskets, candidates);
    for trial in 0..trials(shared.context.folds) {
        let keys: Vec<&str> =
            hidden.values().filter_map(|segment| segment.trials.get(trial)).map(String::as_str).collect();
        let mut baskets: Vec<EvaluatedBasket> = Vec::new();
        objects(work, keys, |content| {
            baskets.extend(decode::<Vec<EvaluatedBasket>>("hidden baskets", &content).map_err(failed)?);
            Ok(())
        })
        .await?;
        input.push_trial(baskets).map_err(failed)?;
    }
    let learned =
        blocking(move || input.learn(available_parallelism().unwrap_or(std::num::NonZero::<usize>::MIN)))
            .await?;
    let mut output = LearnedRanker { ranker: None, evaluation: None, report: learned.report };
    if let Some(kept) = learned.kept {
        output.ranker = Some(work.put_own("ranker", kept.ranker.encode()).await?);
        let evaluation: RankerEvaluation = (kept.model, kept.quality);
        output.evaluation = Some(work.put_own("ranker-evaluation", encode(&evaluation)).await?);
    }
    work.progress.processed = baskets as u64;
    work.progress.matched = baskets as u64;
    Outcome::done(&output)
}
