//! What a comparison of methods comes to.

use super::CUTOFFS;
use super::bootstrap::{BootstrapMean, Estimate, REPLICATES};
use super::comparison::HoldOut;
use super::learned::LearnedSummary;
use super::method_scores::{MeasureMeans, MethodScores};
use super::methods::Method;
use crate::dataset::Dataset;
use serde::Serialize;

/// All that was compared.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonReport {
    /// What was read, hidden baskets included.
    pub purchases: PurchaseSummary,
    /// Which baskets were hidden.
    pub hold_out: HoldOut,
    /// The seed that the result replays from.
    pub seed: u64,
    /// What was learned from the known purchases, and whether there is a ranker.
    pub learned: LearnedSummary,
    /// Users who had bought something before the hidden basket.
    pub returning_users: GroupReport,
    /// Users who had not.
    pub new_users: GroupReport,
    /// Hidden baskets of two or more products, each without one of them, which is to be predicted.
    pub carts: GroupReport,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseSummary {
    /// Users with a purchase.
    pub users: u64,
    /// Purchases.
    pub purchases: u64,
    /// Products of purchases, each once a purchase.
    pub lines: u64,
    /// Different products.
    pub products: u64,
    /// The time of the oldest purchase, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// The time of the newest purchase, in milliseconds since 1970.
    pub newest_ms: Option<i64>,
}

impl PurchaseSummary {
    pub(super) fn of(data: &Dataset) -> Self {
        Self {
            users: u64::from(data.user_count()),
            purchases: data.basket_count() as u64,
            lines: data.line_count() as u64,
            products: data.catalogue().len() as u64,
            oldest_ms: data.times().iter().copied().min(),
            newest_ms: data.newest_ms(),
        }
    }
}

/// Methods compared on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupReport {
    /// How many were asked.
    pub asked: u64,
    /// The products that had been sold before: those that a list can hold.
    pub products: u64,
    /// The number of samples behind the intervals.
    pub replicates: usize,
    /// The last one is the product's own, which the others are compared with.
    pub methods: Vec<MethodReport>,
}

/// A method's lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodReport {
    /// The method's name in JSON.
    pub method: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// One entry per length in [`CUTOFFS`].
    pub at: Vec<MeasuresAt>,
}

/// Lists of one length. A measure that no list has is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeasuresAt {
    /// The length.
    pub k: usize,
    /// Share of the bought products that are in the list.
    pub recall: Option<Estimate>,
    /// Σ over hits of 1/log2(place + 1), divided by the same of min(k, bought) hits in a row.
    pub ndcg: Option<Estimate>,
    /// Share of the lists with at least one hit.
    pub hit_rate: Option<Estimate>,
    /// Recall of products that the user had bought before, over users who bought such.
    pub repeat_recall: Option<Estimate>,
    /// Recall of products new to the user, over users who bought such.
    pub explore_recall: Option<Estimate>,
    /// Mean self-information of the products of a list, in bits: `-log2` of the share of the users who had bought the
    /// product (Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010).
    pub novelty: Option<Estimate>,
    /// Share of the list that the user had bought before.
    pub bought_before: Option<Estimate>,
    /// Different products in all lists.
    pub coverage: u64,
    /// The product's own method minus this one, on the same users; none for the product's own.
    pub own_advantage: Option<Advantage>,
}

/// How much better the product's own method is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advantage {
    /// In recall.
    pub recall: Option<Estimate>,
    /// In nDCG.
    pub ndcg: Option<Estimate>,
    /// In hit rate.
    pub hit_rate: Option<Estimate>,
}

impl MethodReport {
    /// The measures of lists of this length, if it is one of [`CUTOFFS`].
    pub fn at(&self, k: usize) -> Option<&MeasuresAt> {
        self.at.iter().find(|measures| measures.k == k)
    }
}

impl GroupReport {
    pub(super) fn new(asked: u64, products: u64, methods: &[Method<'_>], scores: &[MethodScores]) -> Self {
        let last = scores.len().saturating_sub(1);
        let own = scores.last();
        let reports = methods.iter().zip(scores).enumerate().map(|(number, (method, scores))| MethodReport {
            method: method.key,
            name: method.name,
            about: method.about,
            at: scores
                .at
                .iter()
                .zip(own.iter().flat_map(|own| &own.at))
                .zip(CUTOFFS)
                .map(|((means, own), k)| {
                    MeasuresAt::new(k, means, scores.coverage(k), (number < last).then_some(own))
                })
                .collect(),
        });
        Self { asked, products, replicates: REPLICATES, methods: reports.collect() }
    }
}

impl MeasuresAt {
    fn new(k: usize, means: &MeasureMeans, coverage: u64, own: Option<&MeasureMeans>) -> Self {
        let minus = |own: &BootstrapMean, other: &BootstrapMean| own.paired(other, |own, other| own - other);
        Self {
            k,
            recall: means.recall.estimate(),
            ndcg: means.ndcg.estimate(),
            hit_rate: means.hit_rate.estimate(),
            repeat_recall: means.repeat_recall.estimate(),
            explore_recall: means.explore_recall.estimate(),
            novelty: means.novelty.estimate(),
            bought_before: means.bought_before.estimate(),
            coverage,
            own_advantage: own.map(|own| Advantage {
                recall: minus(&own.recall, &means.recall),
                ndcg: minus(&own.ndcg, &means.ndcg),
                hit_rate: minus(&own.hit_rate, &means.hit_rate),
            }),
        }
    }
}
