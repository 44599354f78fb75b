//! Whether a model may go live.

use std::fmt;

use nextbasket_recommender::evaluate::{BootstrapMean, Estimate, EvaluationReport, Methods};
use serde::{Deserialize, Serialize};

use crate::evaluate::ListQuality;
use crate::learn::RankerReport;

/// The length of the lists that the gate looks at.
pub(crate) const K: usize = 10;

/// With so many baskets since the live model, those are compared alone.
const MIN_BASKETS: u64 = 100;

/// How good a model is, as it is stored with it: means over held-out baskets, beside plain counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelMetrics {
    #[serde(flatten)]
    pub methods: Methods<EvaluationReport>,
    /// The score with fixed weights; none with models of earlier versions, which had no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_formula: Option<EvaluationReport>,
    /// None if none was to be learned, and with models of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerReport>,
}

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
    /// The 95 % interval of the difference, new minus live; none if the baskets are too few for one.
    #[serde(default)]
    pub difference: Option<(f64, f64)>,
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
    /// Whether there is evidence that the new model is worse by more than the gate: the whole interval of the difference
    /// lies below it. A mean of few baskets is below the live one's by chance half of the time, and a model that is
    /// refused by chance leaves a shop with an old one.
    pub fn is_worse(&self) -> bool {
        self.difference.is_some_and(|(_, high)| high < -self.gate * self.live)
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
        match self.difference {
            Some((low, high)) => write!(f, "(difference {low:.4} to {high:.4} with 95 % confidence) ")?,
            None => f.write_str("(too few baskets for a difference) ")?,
        }
        let on = match self.by {
            ComparedBy::BasketsSinceLive => format!("baskets bought since model {live_version} was trained"),
            ComparedBy::OwnHeldOut => "baskets held out now and those held out then".to_owned(),
        };
        write!(f, "on {baskets} {on}, with a gate of {:.1} %", gate * 100.0)
    }
}

/// Compares a new model with the live one. `None` if there is nothing to compare: the first model always passes, and so
/// does one that follows a model that was not evaluated, or one for which no basket could be held out.
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
/// production. The interval of the difference is that of a paired bootstrap over the users
/// ([`nextbasket_recommender::evaluate::BootstrapMean`]).
///
/// If those baskets are fewer than 100, and fewer than half of all that were held out, they say little, but then most of
/// the baskets held out now are those held out then, and the stored figure is fair. Which user contributed what to it is
/// not known, so the two figures count as independent, which makes the interval wider than it had to be.
pub fn compare(
    new: &ListQuality,
    since: &BootstrapMean,
    live: Option<&LiveMetrics>,
    gate: f64,
) -> Option<Comparison> {
    let live = live?;
    let ListQuality { all: own, since_live: new } = new;
    let compared = |new: f64, live_ndcg: f64, difference, by, baskets| Comparison {
        new,
        live: live_ndcg,
        difference,
        live_version: live.version,
        by,
        baskets,
        gate,
    };
    if since.users() > 0 && (since.users() >= MIN_BASKETS || 2 * since.users() >= own.users()) {
        let difference = new.paired(since, |new, live| new - live)?.interval;
        let (new, live) = (new.estimate()?.mean, since.estimate()?.mean);
        return Some(compared(new, live, difference, ComparedBy::BasketsSinceLive, since.users()));
    }
    let metrics = live.metrics.as_ref()?;
    let (users, ndcg) = (metrics.methods.model.users, metrics.methods.model.at(K)?.ndcg);
    let Estimate { mean, interval } = own.estimate()?;
    // Of two independent means of a kind, one over n and one over m users, the difference varies √(1 + n/m) times as
    // much as the first.
    let wider = (1.0 + own.users() as f64 / users.max(1) as f64).sqrt();
    let spread = |end: f64| mean - ndcg + (end - mean) * wider;
    let difference = interval.map(|(low, high)| (spread(low), spread(high)));
    Some(compared(mean, ndcg, difference, ComparedBy::OwnHeldOut, own.users()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_recommender::ProductIx;
    use nextbasket_recommender::evaluate::{Evaluation, ResampleWeights};

    /// The nDCG@10 of users whose one product stands at this place of their lists.
    fn gain(place: u32) -> f64 {
        1.0 / f64::from(place + 1).log2()
    }

    /// So many users with their nDCG@10.
    fn mean(users: impl IntoIterator<Item = f64>) -> BootstrapMean {
        let (mut mean, mut weights) = (BootstrapMean::new(), ResampleWeights::new());
        for (user, ndcg) in (0..).zip(users) {
            weights.draw(0, user);
            mean.add(ndcg, &weights);
        }
        mean
    }

    fn same(users: usize, place: u32) -> BootstrapMean {
        mean(std::iter::repeat_n(gain(place), users))
    }

    /// What is compared.
    #[derive(Default)]
    struct Judged {
        own: BootstrapMean,
        new: BootstrapMean,
        live: BootstrapMean,
    }

    fn judged(own: BootstrapMean) -> Judged {
        Judged { own, ..Judged::default() }
    }

    fn compare(judged: &Judged, live: Option<&LiveMetrics>, gate: f64) -> Option<Comparison> {
        let quality = ListQuality { all: judged.own.clone(), since_live: judged.new.clone() };
        super::compare(&quality, &judged.live, live, gate)
    }

    /// A live model of whose users each had the one product at this place.
    fn live(users: u32, place: u32) -> LiveMetrics {
        let mut evaluation = Evaluation::new();
        for _ in 0..users {
            let list: Vec<ProductIx> = (1..=20).map(ProductIx::new).collect();
            evaluation.add(&list, &[ProductIx::new(place)].into(), |_| true);
        }
        let methods = Methods { model: evaluation.report(), ..Methods::<Evaluation>::default().report() };
        let metrics = ModelMetrics { methods, hand_formula: None, ranker: None };
        LiveMetrics { version: 7, metrics: Some(metrics) }
    }

    #[test]
    fn the_first_model_and_the_one_after_an_unjudged_one_have_nothing_to_be_compared_with() {
        assert_eq!(compare(&judged(same(30, 9)), None, 0.05), None);
        let unjudged = LiveMetrics { version: 1, metrics: None };
        assert_eq!(compare(&judged(same(30, 9)), Some(&unjudged), 0.05), None);
    }

    #[test]
    fn a_shop_that_has_no_repeat_customer_left_has_nothing_to_compare() {
        assert_eq!(compare(&Judged::default(), Some(&live(1, 1)), 0.05), None);
    }

    #[test]
    fn without_new_baskets_each_is_judged_by_those_held_out_of_its_own_training() {
        let compared = compare(&judged(same(30, 2)), Some(&live(30, 1)), 0.05).unwrap();
        assert!(compared.is_worse());
        assert_eq!(
            compared.to_string(),
            "the new model is worse than model 7, which stays: nDCG@10 0.6309 against 1.0000 (difference -0.3691 to \
             -0.3691 with 95 % confidence) on 30 baskets held out now and those held out then, with a gate of 5.0 %"
        );
        let compared = compare(&judged(same(30, 2)), Some(&live(5, 2)), 0.0).unwrap();
        assert!(!compared.is_worse(), "as good is not worse");
    }

    #[test]
    fn with_enough_new_baskets_both_are_judged_by_them_alone() {
        let mut since = judged(same(500, 3));
        (since.new, since.live) = (same(100, 2), same(100, 2));
        let live = live(500, 1);
        let compared = compare(&since, Some(&live), 0.0).unwrap();
        assert_eq!(
            (compared.by, compared.is_worse(), compared.baskets),
            (ComparedBy::BasketsSinceLive, false, 100)
        );
        (since.new, since.live) = (same(99, 2), same(99, 2));
        let compared = compare(&since, Some(&live), 0.0).unwrap();
        assert_eq!((compared.by, compared.is_worse(), compared.baskets), (ComparedBy::OwnHeldOut, true, 500));
        since.own = same(198, 3);
        let compared = compare(&since, Some(&live), 0.0).unwrap();
        assert_eq!(compared.by, ComparedBy::BasketsSinceLive, "half of all baskets are new");
    }

    #[test]
    fn a_difference_that_may_be_chance_is_no_evidence() {
        // Of 40 users, 6 are predicted worse than before and 4 better: a tenth less on the whole.
        let before = |user: u32| if user < 20 { gain(3) } else { 0.0 };
        let now = |user: u32| match user {
            0..6 => 0.0,
            20..24 => gain(3),
            user => before(user),
        };
        let with = |share: u32| {
            let users = 40 * share;
            let mut result = judged(mean((0..users).map(|user| now(user / share))));
            result.live = mean((0..users).map(|user| before(user / share)));
            result.new = result.own.clone();
            compare(&result, Some(&live(40, 3)), 0.05).unwrap()
        };
        let few = with(1);
        assert!(few.new < few.live * 0.95 && !few.is_worse(), "{few}");
        // The same of fifty times as many users is none.
        assert!(with(50).is_worse(), "{}", with(50));
        // And of fewer than ten nothing is.
        let mut two = judged(same(2, 10));
        (two.new, two.live) = (same(2, 10), same(2, 1));
        let two = compare(&two, Some(&live(2, 1)), 0.05).unwrap();
        assert!(!two.is_worse() && two.to_string().contains("too few baskets"), "{two}");
    }

    #[test]
    fn a_model_that_is_worse_by_less_than_the_gate_is_not_worse() {
        let judged = judged(same(30, 2));
        let with = |gate| compare(&judged, Some(&live(30, 1)), gate).unwrap().is_worse();
        assert!(with(0.36) && !with(0.38));
    }
}
