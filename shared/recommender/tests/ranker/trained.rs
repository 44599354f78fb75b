//! A shop's model and ranker, and what they answer.

use crate::shop::{DAY, Random, Shop};
use nextbasket_recommender::ranker::binned::BinnedExamples;
use nextbasket_recommender::ranker::boosting::BoostSettings;
use nextbasket_recommender::ranker::conditional_logit::LinearWeights;
use nextbasket_recommender::ranker::examples::Examples;
use nextbasket_recommender::ranker::forest::Forest;
use nextbasket_recommender::ranker::{
    FEATURES, Folds, HiddenBasket, HiddenBaskets, Learned, NewestBaskets, Ranker, TimeFeatures,
    hidden_baskets,
};
use nextbasket_recommender::{
    ANCHORS, Dataset, History, Params, ProductIx, Recommendation, ScoreRequest, Scorer, ScratchBuffers,
    TrainedModel, train,
};
use std::num::NonZero;
use std::sync::LazyLock;

pub(crate) fn threads(number: usize) -> NonZero<usize> {
    NonZero::new(number).unwrap()
}

/// The baskets that a shop's ranker is learned from, in the order of their keys.
pub(crate) fn hidden(data: &Dataset, workers: usize) -> Vec<HiddenBasket> {
    let folds = Folds::new(&NewestBaskets::of(data), 2_000);
    hidden_baskets(data, &Params::default(), folds, threads(workers)).unwrap()
}

pub(crate) fn all(baskets: impl IntoIterator<Item = HiddenBasket>) -> HiddenBaskets {
    let mut all = HiddenBaskets::default();
    baskets.into_iter().for_each(|basket| all.push(basket).unwrap());
    all
}

pub(crate) struct Trained {
    pub(crate) data: Dataset,
    pub(crate) model: TrainedModel,
    pub(crate) hidden: HiddenBaskets,
    pub(crate) learned: Learned,
}

impl Trained {
    pub(crate) fn of(data: Dataset) -> Self {
        let model = train(&data, &Params::default(), threads(2), &|_| Vec::new()).unwrap();
        let hidden = all(hidden(&data, 2));
        let learned = hidden.learn(1, threads(2)).unwrap().unwrap();
        Self { data, model, hidden, learned }
    }

    pub(crate) fn ask<'t>(&'t self, ranker: Option<&'t Ranker>) -> Asked<'t> {
        Asked { model: &self.model, ranker, at_ms: self.model.priors.now_ms(), cart: &[], limit: 10 }
    }

    /// A user's products by name, newest basket first, with the days since they were bought.
    pub(crate) fn history(&self, baskets: &[(i64, &[&str])]) -> History {
        let now = self.model.priors.now_ms();
        assert!(
            baskets.iter().flat_map(|basket| basket.1).all(|id| self.model.priors.index_of(id).is_some())
        );
        History::new(
            &self.model.priors,
            baskets.iter().map(|(days, ids)| (now - days * DAY, ids.iter().copied())),
        )
    }
}

/// A shop whose users buy staples, promotions, and machines once.
pub(crate) static SHOP: LazyLock<Trained> =
    LazyLock::new(|| Trained::of(Shop { staples: 7, ..Shop::new(160) }.data()));

#[derive(Clone, Copy)]
pub(crate) struct Asked<'t> {
    pub(crate) model: &'t TrainedModel,
    pub(crate) ranker: Option<&'t Ranker>,
    pub(crate) at_ms: i64,
    pub(crate) cart: &'t [ProductIx],
    pub(crate) limit: usize,
}

impl<'t> Asked<'t> {
    pub(crate) fn days_later(self, days: i64) -> Self {
        Self { at_ms: self.at_ms + days * DAY, ..self }
    }

    pub(crate) fn answer(self, scratch: &mut ScratchBuffers, history: &History) -> Vec<Recommendation> {
        let scorer = Scorer::new(&self.model.priors).with_ranker(self.ranker);
        let anchors = scorer.anchors(scratch, history, ANCHORS);
        let rows = |product: ProductIx| self.model.rows.get(product.get() as usize);
        let request = ScoreRequest {
            history,
            anchors: &anchors,
            next_row: &|product| rows(product).map(|rows| &rows.next),
            cart: self.cart,
            together_row: &|product| rows(product).map(|rows| &rows.together),
            exclude: &[],
            filter: None,
            at_ms: self.at_ms,
            limit: self.limit,
        };
        scorer.score(scratch, &request)
    }

    pub(crate) fn names(self, history: &History) -> Vec<&'t str> {
        let answer = self.answer(&mut ScratchBuffers::new(), history);
        answer.iter().map(|item| self.model.priors.id(item.product)).collect()
    }
}

/// Of the products that were bought, the share that is on a list.
pub(crate) fn recall<T: PartialEq>(list: &[T], bought: &[T]) -> f64 {
    list.iter().filter(|product| bought.contains(product)).count() as f64 / bought.len().max(1) as f64
}

/// 120 trees of 16 leaves, of noise.
pub(crate) static FOREST: LazyLock<Forest> = LazyLock::new(|| {
    let mut examples = Examples::new(FEATURES.len());
    let mut random = Random(5);
    for _ in 0..150 {
        let values: Vec<f32> = (0..60 * FEATURES.len())
            .map(|_| f32::from(u16::try_from(random.below(60_000)).unwrap()) / 6_000.0 - 8.0)
            .collect();
        let labels: Vec<bool> = (0..60).map(|_| random.chance(5)).collect();
        examples.push(&values, &labels, 60, 0).unwrap();
    }
    let start = vec![0.0; examples.rows()];
    let binned = BinnedExamples::new(&examples, start, threads(2)).unwrap();
    binned.boost(&examples.all(), &BoostSettings::default(), threads(2)).forest
});

/// A ranker of noise: weights of a seed, and the first of [`FOREST`]'s trees.
pub(crate) fn any_ranker(seed: u64, trees: usize, time: TimeFeatures) -> Ranker {
    let mut random = Random(seed);
    let mut weight = || f64::from(u32::try_from(random.below(2_000)).unwrap()) / 1_000.0 - 1.0;
    let weights = FEATURES.iter().map(|_| weight()).collect();
    let mut forest = FOREST.clone();
    forest.truncate(trees);
    Ranker::new(time, LinearWeights::new(weights), forest)
}
