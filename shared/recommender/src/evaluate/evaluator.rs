//! The model beside the plain counts, evaluated on the same baskets.

use super::{Evaluation, EvaluationReport, LONGEST, global_personal_top, global_top, personal_top};
use crate::catalogue::ProductIx;
use crate::counts::MergeError;
use crate::priors::Priors;
use crate::ranker::Ranker;
use crate::row::NeighbourRow;
use crate::score::{ANCHORS, Anchor, History, ScoreRequest, Scorer, ScratchBuffers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The same of the model and of each count that it has to beat; in JSON `model`, `gTopFreq`, `pTopFreq`,
/// `gpTopFreq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Methods<T> {
    /// The model.
    pub model: T,
    /// [`global_top`].
    pub g_top_freq: T,
    /// [`personal_top`].
    pub p_top_freq: T,
    /// [`global_personal_top`].
    pub gp_top_freq: T,
}

impl<T> Methods<T> {
    /// Borrows each.
    pub fn as_ref(&self) -> Methods<&T> {
        Methods {
            model: &self.model,
            g_top_freq: &self.g_top_freq,
            p_top_freq: &self.p_top_freq,
            gp_top_freq: &self.gp_top_freq,
        }
    }

    /// Something else of each, in the order of the fields.
    pub fn each<U>(self, mut make: impl FnMut(T) -> U) -> Methods<U> {
        Methods {
            model: make(self.model),
            g_top_freq: make(self.g_top_freq),
            p_top_freq: make(self.p_top_freq),
            gp_top_freq: make(self.gp_top_freq),
        }
    }
}

impl Methods<Evaluation> {
    /// Adds other users, whose products have the same numbers.
    pub fn merge(self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self {
            model: self.model.merge(&other.model)?,
            g_top_freq: self.g_top_freq.merge(&other.g_top_freq)?,
            p_top_freq: self.p_top_freq.merge(&other.p_top_freq)?,
            gp_top_freq: self.gp_top_freq.merge(&other.gp_top_freq)?,
        })
    }

    /// The means of each.
    pub fn report(&self) -> Methods<EvaluationReport> {
        self.as_ref().each(Evaluation::report)
    }
}

/// Makes the lists that are evaluated: as long as the longest of [`super::CUTOFFS`], and as an answer makes them, with
/// [`ANCHORS`] anchors and no cart.
#[derive(Debug)]
pub struct ListEvaluator<'m> {
    priors: &'m Priors,
    scorer: Scorer<'m>,
    scratch: ScratchBuffers,
}

impl<'m> ListEvaluator<'m> {
    /// Evaluates the model of these priors.
    pub fn new(priors: &'m Priors) -> Self {
        Self { priors, scorer: Scorer::new(priors), scratch: ScratchBuffers::new() }
    }

    /// Makes the lists of a model with a ranker.
    #[must_use]
    pub fn with_ranker(self, ranker: Option<&'m Ranker>) -> Self {
        Self { scorer: self.scorer.with_ranker(ranker), ..self }
    }

    /// The products whose rows [`ListEvaluator::list`] wants for this history.
    pub fn anchors(&mut self, history: &History) -> Vec<Anchor> {
        self.scorer.anchors(&mut self.scratch, history, ANCHORS)
    }

    /// The model's list.
    pub fn list<'r>(
        &mut self,
        history: &History,
        anchors: &[Anchor],
        next_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
    ) -> Vec<ProductIx> {
        self.cart_list(history, anchors, next_row, &[], |_| None)
    }

    /// The model's list, asked for at a time in milliseconds since 1970.
    pub fn list_at<'r>(
        &mut self,
        at_ms: i64,
        history: &History,
        anchors: &[Anchor],
        next_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
        together_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
    ) -> Vec<ProductIx> {
        self.answer(at_ms, history, anchors, next_row, &[], together_row)
    }

    /// The model's list for a cart, whose products are not in it.
    pub fn cart_list<'r>(
        &mut self,
        history: &History,
        anchors: &[Anchor],
        next_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
        cart: &[ProductIx],
        together_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
    ) -> Vec<ProductIx> {
        self.answer(self.priors.now_ms(), history, anchors, next_row, cart, together_row)
    }

    fn answer<'r>(
        &mut self,
        at_ms: i64,
        history: &History,
        anchors: &[Anchor],
        next_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
        cart: &[ProductIx],
        together_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
    ) -> Vec<ProductIx> {
        let request = ScoreRequest {
            history,
            anchors,
            next_row: &|product| next_row(product),
            cart,
            together_row: &|product| together_row(product),
            exclude: &[],
            filter: None,
            at_ms,
            limit: LONGEST,
        };
        let answer = self.scorer.score(&mut self.scratch, &request);
        answer.into_iter().map(|recommendation| recommendation.product).collect()
    }

    /// Evaluates the model's list and the plain counts' by what was bought after the history; answers the model's.
    pub fn evaluate<'r>(
        &mut self,
        into: &mut Methods<Evaluation>,
        history: &History,
        bought: &BTreeSet<ProductIx>,
        next_row: impl Fn(ProductIx) -> Option<&'r NeighbourRow>,
    ) -> Vec<ProductIx> {
        let anchors = self.anchors(history);
        let known: BTreeSet<ProductIx> = history.products().collect();
        let lists = Methods {
            model: self.list(history, &anchors, next_row),
            g_top_freq: global_top(self.priors, LONGEST),
            p_top_freq: personal_top(history, LONGEST),
            gp_top_freq: global_personal_top(self.priors, history, LONGEST),
        };
        let add = |evaluation: &mut Evaluation, list: &[ProductIx]| {
            evaluation.add(list, bought, |product| known.contains(&product));
        };
        add(&mut into.model, &lists.model);
        add(&mut into.g_top_freq, &lists.g_top_freq);
        add(&mut into.p_top_freq, &lists.p_top_freq);
        add(&mut into.gp_top_freq, &lists.gp_top_freq);
        lists.model
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intermediate::{decode, encode};
    use crate::{Dataset, DatasetBuilder, Params, train};
    use proptest::prelude::*;
    use std::num::NonZero;

    fn shop() -> Dataset {
        let mut builder = DatasetBuilder::new();
        for user in 0..12u32 {
            for basket in 0..4 {
                let products = [format!("p{}", user % 3), format!("p{}", 3 + (user + basket) % 5)];
                let products = products.iter().map(String::as_str);
                builder.push(&user.to_string(), &basket.to_string(), i64::from(basket), products).unwrap();
            }
        }
        builder.build().unwrap()
    }

    /// Held-out baskets of these users, judged by a model of the baskets before them.
    fn judged(users: &[u32]) -> Methods<Evaluation> {
        let (before, held) = shop().hold_out_newest(2, |_| true);
        let model = train(&before, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let mut evaluator = ListEvaluator::new(&model.priors);
        let mut methods = Methods::default();
        for held in held.iter().filter(|held| users.contains(&held.user)) {
            let history = History::of_user(&before, held.user, 100);
            let bought = Dataset::typed(&held.products).collect();
            evaluator.evaluate(&mut methods, &history, &bought, |product| {
                model.rows.get(product.at()).map(|rows| &rows.next)
            });
        }
        methods
    }

    #[test]
    fn users_judged_apart_and_merged_in_any_order_come_to_the_same_bits() {
        let whole = judged(&(0..12).collect::<Vec<_>>());
        let parts =
            [vec![7, 1], vec![0, 2, 3, 11], vec![], vec![4, 5, 6, 8, 9, 10]].map(|part| judged(&part));
        let merged = |order: [usize; 4]| {
            let merge = |sum: Methods<Evaluation>, &part: &usize| sum.merge(&parts[part]).unwrap();
            order.iter().fold(Methods::default(), merge)
        };
        assert_eq!(merged([0, 1, 2, 3]), whole);
        let bytes = encode(&whole);
        assert_eq!(encode(&merged([3, 1, 0, 2])), bytes);
        assert_eq!(decode("evaluations", &bytes), Ok(whole.clone()));
        let report = whole.report();
        assert_eq!((report.model.users, report.model.coverage), (12, 8));
        assert!(report.model.at(5).unwrap().repeat_recall > 0.9, "{report:#?}");
        assert!(report.g_top_freq.at(5).unwrap().recall < report.model.at(5).unwrap().recall);
    }

    #[test]
    fn json_names_the_methods_as_the_literature_does() {
        let json = serde_json::to_value(judged(&[1]).report()).unwrap();
        assert_eq!(json["gpTopFreq"]["at"][1]["k"], 10);
        assert!(json["model"]["at"][0]["hitRate"].is_number(), "{json}");
    }

    proptest! {
        #[test]
        fn corrupt_evaluations_are_an_error_or_another_one_but_no_panic(at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&judged(&[0, 5]));
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = decode::<Methods<Evaluation>>("evaluations", &bytes);
        }
    }
}
