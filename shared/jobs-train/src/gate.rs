//! Whether a model may go live.

use std::fmt;

use nextbasket_recommender::evaluate::{Evaluation, EvaluationReport, Methods};
use serde::{Deserialize, Serialize};

use crate::evaluate::EvaluationResult;

/// The length of the lists that the gate looks at.
const K: usize = 10;

/// Fewer baskets say too little about which model is better.
const MIN_BASKETS: u64 = 100;

/// How good a model is, as it is stored with it: means over held-out baskets, beside plain counts.
pub type ModelMetrics = Methods<EvaluationReport>;

#[derive(Debug, Clone, PartialEq)]
pub struct LiveMetrics {
    pub version: u64,
    /// None if it was not evaluated.
    pub metrics: Option<ModelMetrics>,
}

/// Two models' nDCG@10.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub new: f64,
    pub live: f64,
    pub live_version: u64,
    pub by: ComparedBy,
    /// The number of baskets that the new model was evaluated on.
    pub baskets: u64,
    /// The fraction by which the new one may be worse.
    pub gate: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ComparedBy {
    /// The same for both: those that are newer than all that the live model has seen.
    BasketsSinceLive,
    /// For each model those held out of its own training.
    OwnHeldOut,
}

impl Comparison {
    /// Whether the new model is worse by more than the gate.
    pub fn is_worse(&self) -> bool {
        self.new < self.live * (1.0 - self.gate)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { new, live, live_version, baskets, gate, .. } = self;
        let (word, stays) = if self.is_worse() { ("is worse", ", which stays") } else { ("is no worse", "") };
        write!(
            f,
            "the new model {word} than model {live_version}{stays}: nDCG@{K} {new:.4} against {live:.4} "
        )?;
        let on = match self.by {
            ComparedBy::BasketsSinceLive => format!("baskets bought since model {live_version} was trained"),
            ComparedBy::OwnHeldOut => "baskets held out now and those held out then".to_owned(),
        };
        write!(f, "on {baskets} {on}, with a gate of {:.1} %", gate * 100.0)
    }
}

/// Compares a new model with the live one. `None` if there is nothing to compare with: the first model always passes,
/// and so does one that follows a model that was not evaluated.
///
/// The question is whether the shop would be worse off with the new model than with the live one. Two simple figures do
/// not answer it:
///
/// - The live model's own figure, stored by its training, is of other baskets. If shoppers become harder to predict,
///   every new model looks worse, and none would ever pass again.
/// - The live model on the baskets held out now is evaluated on baskets that it was trained on, so it looks better than
///   it is.
///
/// So both are evaluated on the held-out baskets that are newer than all that the live model has seen. Neither was
/// trained on those, and they are what the live model has to serve. The new model's trial knows other shoppers'
/// purchases of the same days, which the live model does not; that favours the new model a little, as it does in
/// production. If fewer than 100 such baskets were held out, that comparison says nothing, but then the baskets held out
/// now are almost those held out then, and the stored figure is fair.
pub fn compare(evaluation: &EvaluationResult, live: Option<&LiveMetrics>, gate: f64) -> Option<Comparison> {
    let live = live?;
    let ndcg = |report: &EvaluationReport| report.at(K).map_or(0.0, |quality| quality.ndcg);
    let compared = |new: &Evaluation, live_ndcg, by| Comparison {
        new: ndcg(&new.report()),
        live: live_ndcg,
        live_version: live.version,
        by,
        baskets: new.users(),
        gate,
    };
    if evaluation.live.users() >= MIN_BASKETS {
        return Some(compared(
            &evaluation.new,
            ndcg(&evaluation.live.report()),
            ComparedBy::BasketsSinceLive,
        ));
    }
    let metrics = live.metrics.as_ref()?;
    Some(compared(&evaluation.methods.model, ndcg(&metrics.model), ComparedBy::OwnHeldOut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_recommender::ProductIx;

    /// So many users, whose one product stands at this place of their lists.
    fn evaluation(users: u32, place: u32) -> Evaluation {
        let mut evaluation = Evaluation::new();
        for _ in 0..users {
            let list: Vec<ProductIx> = (1..=20).map(ProductIx::new).collect();
            evaluation.add(&list, &[ProductIx::new(place)].into(), |_| true);
        }
        evaluation
    }

    fn judged(model: Evaluation) -> EvaluationResult {
        EvaluationResult { methods: Methods { model, ..Methods::default() }, ..EvaluationResult::default() }
    }

    fn live(model: &Evaluation) -> LiveMetrics {
        let metrics = Methods { model: model.report(), ..Methods::<Evaluation>::default().report() };
        LiveMetrics { version: 7, metrics: Some(metrics) }
    }

    #[test]
    fn the_first_model_and_the_one_after_an_unjudged_one_have_nothing_to_be_compared_with() {
        assert_eq!(compare(&judged(evaluation(9, 9)), None, 0.05), None);
        let unjudged = LiveMetrics { version: 1, metrics: None };
        assert_eq!(compare(&judged(evaluation(9, 9)), Some(&unjudged), 0.05), None);
    }

    #[test]
    fn without_new_baskets_each_is_judged_by_those_held_out_of_its_own_training() {
        let compared = compare(&judged(evaluation(9, 2)), Some(&live(&evaluation(9, 1))), 0.05).unwrap();
        assert!(compared.is_worse());
        assert_eq!(
            compared.to_string(),
            "the new model is worse than model 7, which stays: nDCG@10 0.6309 against 1.0000 on 9 baskets held out \
             now and those held out then, with a gate of 5.0 %"
        );
        let compared = compare(&judged(evaluation(9, 2)), Some(&live(&evaluation(5, 2))), 0.0).unwrap();
        assert!(!compared.is_worse(), "as good is not worse");
    }

    #[test]
    fn with_enough_new_baskets_both_are_judged_by_them_alone() {
        let mut since = judged(evaluation(500, 3));
        (since.new, since.live) = (evaluation(100, 2), evaluation(100, 2));
        let compared = compare(&since, Some(&live(&evaluation(500, 1))), 0.0).unwrap();
        assert_eq!(
            (compared.by, compared.is_worse(), compared.baskets),
            (ComparedBy::BasketsSinceLive, false, 100)
        );
        (since.new, since.live) = (evaluation(99, 2), evaluation(99, 2));
        let compared = compare(&since, Some(&live(&evaluation(500, 1))), 0.0).unwrap();
        assert_eq!((compared.by, compared.is_worse(), compared.baskets), (ComparedBy::OwnHeldOut, true, 500));
    }

    #[test]
    fn a_model_that_is_worse_by_less_than_the_gate_is_not_worse() {
        let judged = judged(evaluation(9, 2));
        let with = |gate| compare(&judged, Some(&live(&evaluation(9, 1))), gate).unwrap().is_worse();
        assert!(with(0.36) && !with(0.38));
    }
}
