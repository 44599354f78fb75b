//! What the stages of a job have left so far, for those that come after: keys of objects, and a few figures.
//!
//! A plan writes it down anew before each stage, out of what the stages before have left, so that planning twice
//! writes the same twice.

use std::ops::Range;

use nextbasket_batch::{Work, WorkError};
use nextbasket_domain::Timestamp;
use nextbasket_recommender::Catalogue;
use nextbasket_tables::model::{Draft, Pointer, Slot};
use serde::{Deserialize, Serialize};

use super::failed;
use crate::gate::{Compared, Metrics};
use crate::survey::Survey;
use crate::terms::Terms;

/// What a batch is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    /// Which segment or which block it is about; 0 where there is only one batch.
    pub(super) part: usize,
    /// The key of the [`Course`].
    pub(super) course: String,
}

/// What the stages have left so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Course {
    /// By stage `survey`, one for each segment of the purchases,
    pub(super) segments: Vec<Surveyed>,
    /// and the object with the products' labels.
    pub(super) labels: String,
    /// The number of damaged purchases and products that it has skipped.
    pub(super) damaged: u64,
    /// By stage `catalogue`.
    pub(super) ground: Option<Ground>,
    /// By stage `count`, one for each segment.
    pub(super) counted: Vec<Counted>,
    /// By stage `priors`.
    pub(super) known: Option<KnownAt>,
    /// By stage `rank`, one for each block.
    pub(super) ranked: Vec<RankedAt>,
    /// By stage `evaluate`.
    pub(super) verdict: Option<Verdict>,
    /// By stage `draft`.
    pub(super) draft: Option<DraftAt>,
}

/// A segment of the purchases, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Surveyed {
    pub(super) survey: Survey,
    /// The object with its products.
    pub(super) products: String,
    /// The object with its baskets.
    pub(super) baskets: String,
    /// The number of damaged purchases that were skipped.
    #[serde(default)]
    pub(super) damaged: u64,
}

/// The products that were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Labelled {
    /// The key of the object with the labels.
    pub(super) labels: String,
    /// The number of products that have labels.
    pub(super) products: u64,
    /// The number of damaged products that were skipped.
    pub(super) damaged: u64,
}

/// What all parts agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ground {
    pub(super) survey: Survey,
    pub(super) terms: Terms,
    /// The object with all products.
    pub(super) catalogue: String,
    /// The blocks that they are ranked in.
    pub(super) blocks: Vec<Range<u32>>,
    /// The objects with each block's labels.
    pub(super) labels: Vec<String>,
}

/// A segment, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// The object with its sums.
    pub(super) sums: String,
    /// How the keys of its parts begin; they end in the number of the block.
    pub(super) parts: String,
}

impl Counted {
    /// The key of the part of a block.
    pub(super) fn part(&self, block: usize) -> String {
        format!("{}{block:08}", self.parts)
    }
}

/// What is known of all products.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KnownAt {
    /// The object with the sums over all users.
    pub(super) sums: String,
    /// The object with the model's priors.
    pub(super) model: String,
    /// The object with the trial's, if users are judged.
    pub(super) trial: Option<String>,
    /// The model that was live then, which the new one is compared with.
    pub(super) live: Option<LiveAt>,
}

/// The live model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LiveAt {
    pub(super) version: u64,
    slot: String,
    chunks: usize,
    trained_at: Timestamp,
    /// What was kept with it.
    pub(super) metrics: Option<Metrics>,
}

impl LiveAt {
    pub(super) fn new(pointer: &Pointer, metrics: Option<Metrics>) -> Self {
        Self {
            version: pointer.version,
            slot: pointer.slot.to_string(),
            chunks: pointer.chunks,
            trained_at: pointer.trained_at,
            metrics,
        }
    }

    pub(super) fn pointer(&self) -> Result<Pointer, WorkError> {
        Ok(Pointer {
            version: self.version,
            slot: slot(&self.slot)?,
            chunks: self.chunks,
            trained_at: self.trained_at,
        })
    }
}

/// A block, ranked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RankedAt {
    /// The object with the model's rows.
    pub(super) model: String,
    /// The object with the trial's, if users are judged.
    pub(super) trial: Option<String>,
}

/// How good the model is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// If there was a basket to judge it by.
    pub(super) metrics: Option<Metrics>,
    /// If there was a model to compare it with.
    pub(super) compared: Option<Compared>,
}

/// A model being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DraftAt {
    version: u64,
    slot: String,
}

impl DraftAt {
    pub(super) fn new(draft: &Draft) -> Self {
        Self { version: draft.version, slot: draft.slot.to_string() }
    }

    pub(super) fn draft(&self) -> Result<Draft, WorkError> {
        Ok(Draft { version: self.version, slot: slot(&self.slot)? })
    }
}

fn slot(text: &str) -> Result<Slot, WorkError> {
    text.parse().map_err(|problem| WorkError::Failed(format!("slot {text} {problem}")))
}

/// What a stage needs of those before it.
pub(super) fn there<T>(left: Option<T>) -> Result<T, WorkError> {
    left.ok_or_else(|| WorkError::Failed("what a stage before has left is missing".to_owned()))
}

impl Course {
    /// What all parts agree on, and all products.
    pub(super) async fn ground(&self, work: &Work) -> Result<(Ground, Catalogue), WorkError> {
        let ground = there(self.ground.clone())?;
        let bytes = work.site().objects.get(&ground.catalogue).await?;
        Ok((ground, Catalogue::decode(&bytes).map_err(failed)?))
    }

    /// What is known of all products.
    pub(super) fn known(&self) -> Result<&KnownAt, WorkError> {
        there(self.known.as_ref())
    }
}
