//! What the stages of a job have left so far, for those that come after: keys of objects, and a few figures.
//!
//! The plan writes it anew before each stage, from the results of the stages before, so planning twice writes the same
//! twice.

use std::collections::BTreeMap;
use std::ops::Range;

use nextbasket_job_engine::{Work, WorkError};
use nextbasket_recommender::evaluate::Evaluation;
use nextbasket_recommender::ranker::NewestBaskets;
use nextbasket_recommender::{Catalogue, MergeError};
use nextbasket_tables::model::{Draft, Pointer};
use serde::{Deserialize, Serialize};

use super::failed;
use crate::context::TrainingContext;
use crate::evaluate::{EvaluationResult, ListQuality};
use crate::gate::{Comparison, ModelMetrics};
use crate::learn::RankerReport;
use crate::training_data::PurchaseStatistics;

/// The input of a batch of every stage but the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BatchInput {
    /// The number of its segment or block; 0 where there is only one batch.
    pub(super) part: usize,
    pub(super) outputs: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StageOutputs {
    /// Of `survey`, one for each segment of the purchases.
    pub(super) segments: Vec<SurveyedSegment>,
    /// Of `survey`: the key of the products' details.
    pub(super) product_details: String,
    /// Of `survey`: the number of damaged purchases and products that were skipped.
    pub(super) damaged: u64,
    pub(super) catalogue: Option<CatalogueOutput>,
    /// One for each segment.
    pub(super) counted: Vec<CountedSegment>,
    pub(super) priors: Option<PriorsOutput>,
    /// One for each block.
    pub(super) ranked: Vec<RankedBlock>,
    /// Of `evaluate`: the key of [`EvaluatedSegments`].
    pub(super) evaluated: Option<String>,
    pub(super) learned: Option<LearnedRanker>,
    /// The gate's decision, after `learn`.
    pub(super) gate: Option<GateOutput>,
    pub(super) draft: Option<Draft>,
}

/// A segment of the purchases, read by a batch of `survey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SurveyedSegment {
    pub(super) statistics: PurchaseStatistics,
    /// The key of its products.
    pub(super) products: String,
    /// The key of its baskets.
    pub(super) baskets: String,
    /// When its users bought their newest baskets.
    pub(super) newest: NewestBaskets,
    pub(super) damaged: u64,
}

/// The products, read by one batch of `survey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SurveyedProducts {
    /// The key of their details.
    pub(super) details: String,
    pub(super) products: u64,
    pub(super) damaged: u64,
}

/// Of stage `catalogue`: what all parts agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CatalogueOutput {
    pub(super) statistics: PurchaseStatistics,
    pub(super) context: TrainingContext,
    /// The key of all products.
    pub(super) products: String,
    /// The blocks of products that are ranked together.
    pub(super) blocks: Vec<Range<u32>>,
    /// The keys of each block's product details.
    pub(super) details: Vec<String>,
}

/// A segment, counted by a batch of `count`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CountedSegment {
    /// The key of its totals.
    pub(super) totals: String,
    /// How the keys of its counts of pairs begin; they end in the number of the block.
    pub(super) parts: String,
}

impl CountedSegment {
    pub(super) fn part(&self, block: usize) -> String {
        format!("{}{block:08}", self.parts)
    }
}

/// Of stage `priors`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PriorsOutput {
    /// The key of the totals over all users.
    pub(super) totals: String,
    /// The key of the model's priors.
    pub(super) model: String,
    /// The keys of each trial's priors.
    pub(super) trials: Vec<String>,
    /// The model that was live then, which the new one is compared with.
    pub(super) live: Option<LiveModelRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LiveModelRef {
    pub(super) pointer: Pointer,
    /// The metrics that were stored with it.
    pub(super) metrics: Option<ModelMetrics>,
}

/// A block of products, ranked by a batch of `rank`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RankedBlock {
    /// The key of the model's rows.
    pub(super) model: String,
    /// The keys of each trial's rows.
    pub(super) trials: Vec<String>,
}

/// What was hidden of a segment, by a batch of `evaluate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HiddenSegment {
    /// The keys of the baskets that were hidden from each trial.
    pub(super) trials: Vec<String>,
    /// The number of all those baskets, and of their candidates.
    pub(super) baskets: usize,
    pub(super) candidates: usize,
}

/// Of `evaluate`: of all segments, by their numbers, and how well baskets were predicted. Merge: associative,
/// commutative, exact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct EvaluatedSegments {
    pub(super) result: EvaluationResult,
    pub(super) hidden: BTreeMap<usize, HiddenSegment>,
}

impl EvaluatedSegments {
    pub(super) fn merge(mut self, other: Self) -> Result<Self, MergeError> {
        self.hidden.extend(other.hidden);
        Ok(Self { result: self.result.merge(&other.result)?, ..self })
    }
}

/// Of stage `learn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LearnedRanker {
    /// The key of the ranker; none if the hand formula stays.
    pub(super) ranker: Option<String>,
    /// The key of its evaluation, if there is one: [`RankerEvaluation`].
    pub(super) evaluation: Option<String>,
    pub(super) report: RankerReport,
}

/// How well a ranker predicts baskets that it has not seen: over all, and as the gate compares it.
pub(super) type RankerEvaluation = (Evaluation, ListQuality);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct GateOutput {
    /// None if there was no basket to evaluate the model on.
    pub(super) metrics: Option<ModelMetrics>,
    /// None if there was no model to compare it with.
    pub(super) comparison: Option<Comparison>,
}

/// What a stage needs of an earlier one.
pub(super) fn required<T>(output: Option<T>) -> Result<T, WorkError> {
    let missing = "an earlier stage's output is missing: submit the job again";
    output.ok_or_else(|| WorkError::Failed(missing.to_owned()))
}

impl StageOutputs {
    /// The output of stage `catalogue`, and the products themselves.
    pub(super) async fn catalogue(&self, work: &Work) -> Result<(CatalogueOutput, Catalogue), WorkError> {
        let output = required(self.catalogue.clone())?;
        let bytes = work.site().objects.get(&output.products).await?;
        Ok((output, Catalogue::decode(&bytes).map_err(failed)?))
    }

    pub(super) fn priors(&self) -> Result<&PriorsOutput, WorkError> {
        required(self.priors.as_ref())
    }
}
