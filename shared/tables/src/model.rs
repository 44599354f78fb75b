//! The model table: two slots of neighbour rows and priors, and the pointer to the live one.
//!
//! A training takes the next version and the idle slot, writes that slot's rows, and publishes by one conditional
//! update of the pointer. A row is live if it is in the pointer's slot under the pointer's version; anything
//! else is a leftover that a later training overwrites, so nothing has to be collected. A training that was
//! overtaken by another one can neither publish nor overwrite the other's rows: each write is bound to the version.
//!
//! The pointer's item also says which version is complete in each slot. Beginning a training takes that mark from the
//! idle slot, publishing sets it, and going back asks for it; all three are conditional updates of this one item, so
//! that no model that is being overwritten can go live.

mod records;

use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::{ProductId, Timestamp};
use serde::{Deserialize, Serialize};

use nextbasket_dynamodb::bulk::Consistency;
use nextbasket_dynamodb::item::{Item, ItemReader, bytes, number, text};
use nextbasket_dynamodb::{TableClient, TableError};

use crate::damaged::Readable;

pub use records::{ModelInfo, ModelRecord, RollbackError};

const PRODUCT_ID: &str = "productId";
const SLOT: &str = "slot";
const VERSION: &str = "version";
const NAME: &str = "name";
const ROW: &str = "row";
const PRIORS: &str = "priors";
const RANKER: &str = "ranker";
const CHUNKS: &str = "chunks";
const TRAINED_AT: &str = "trainedAt";
const LATEST_VERSION: &str = "latestVersion";

/// The key of the pointer, of the priors and of the ranker. They have slots of their own (`current`, `a.priors.0`, …), so
/// a product of this id is no conflict.
const MODEL: &str = "model";
const CURRENT: &str = "current";

/// How many rows are written at a time.
const WRITERS: usize = 32;

/// How often to begin again when the live model changes at the same time.
const ATTEMPTS: usize = 8;

/// One of the two places where a model can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSlot {
    A,
    B,
}

impl fmt::Display for ModelSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ModelSlot {
    fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The attribute of the pointer's item that says which version is complete in this slot.
    fn whole(self) -> &'static str {
        match self {
            Self::A => "wholeA",
            Self::B => "wholeB",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            _ => Err("is neither a nor b"),
        }
    }

    fn priors(self, chunk: usize) -> String {
        format!("{}.priors.{chunk}", self.as_str())
    }

    fn ranker(self) -> String {
        format!("{}.ranker", self.as_str())
    }
}

/// What answers need of a model beside its rows, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredModel {
    /// In pieces that each fit into an item.
    pub priors: Vec<Vec<u8>>,
    /// None if the hand formula orders the products.
    pub ranker: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Its version: 1 for the first training, and so on.
    pub version: u64,
    pub slot: ModelSlot,
    /// How many items its priors are cut into.
    pub chunks: usize,
    pub trained_at: Timestamp,
}

/// A model being written: its version and its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The version that it will have.
    pub version: u64,
    pub slot: ModelSlot,
}

/// A product's neighbours, packed, and its name at the time of the training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    pub product_id: ProductId,
    /// Its name, to explain an answer without a further read; none if the catalogue did not know it.
    pub name: Option<String>,
    pub row: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct ModelTable {
    pub(crate) table: TableClient,
}

impl ModelTable {
    /// The live model, if there is one. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not a pointer.
    pub async fn pointer(&self) -> Result<Option<Pointer>, TableError> {
        self.read_pointer(Consistency::Eventual).await
    }

    /// The live model, if there is one. Strongly consistent.
    pub async fn latest_pointer(&self) -> Result<Option<Pointer>, TableError> {
        self.read_pointer(Consistency::Strong).await
    }

    async fn read_pointer(&self, consistency: Consistency) -> Result<Option<Pointer>, TableError> {
        match self.item(CURRENT, consistency == Consistency::Strong).await? {
            Some(item) => self.pointer_from(item),
            None => Ok(None),
        }
    }

    /// An item of the model's own.
    async fn item(&self, slot: &str, consistent: bool) -> Result<Option<Item>, TableError> {
        self.table.get(key(MODEL, slot), consistent).await
    }

    /// `None` while there are only drafts.
    fn pointer_from(&self, item: Item) -> Result<Option<Pointer>, TableError> {
        let mut reader = self.reader(CURRENT, item);
        let Some(version) = reader.optional(VERSION, ItemReader::number)? else { return Ok(None) };
        Ok(Some(Pointer {
            version,
            slot: reader.parsed(SLOT_OF_MODEL, ModelSlot::parse)?,
            chunks: reader.number(CHUNKS)?,
            trained_at: reader.parsed(TRAINED_AT, Timestamp::parse)?,
        }))
    }

    /// The priors and the ranker of the live model; `None` if it was replaced meanwhile.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not of the expected form.
    pub async fn priors(&self, pointer: &Pointer) -> Result<Option<StoredModel>, TableError> {
        let chunks = (0..pointer.chunks).map(|chunk| self.part(pointer, pointer.slot.priors(chunk), PRIORS));
        let chunks = futures::future::try_join_all(chunks);
        let ranker = self.part(pointer, pointer.slot.ranker(), RANKER);
        let (chunks, ranker) = futures::future::try_join(chunks, ranker).await?;
        let priors = chunks.into_iter().collect::<Option<Vec<_>>>();
        // Models without a ranker have an empty one; those of earlier versions of the program have no item for it.
        let ranker = ranker.filter(|ranker| !ranker.is_empty());
        Ok(priors.map(|priors| StoredModel { priors, ranker }))
    }

    /// What to report if the priors are no priors.
    #[must_use]
    pub fn unreadable(&self, pointer: &Pointer, problem: &dyn fmt::Display) -> TableError {
        let problem = format!("of version {}: {problem}", pointer.version);
        self.reader(&pointer.slot.priors(0), Item::new()).corrupt(PRIORS, problem)
    }

    /// A part of the live model; none if another model stands in its place.
    async fn part(
        &self,
        pointer: &Pointer,
        slot: String,
        attribute: &'static str,
    ) -> Result<Option<Vec<u8>>, TableError> {
        let Some(item) = self.item(&slot, true).await? else { return Ok(None) };
        let mut reader = self.reader(&slot, item);
        let live = reader.number::<u64>(VERSION)? == pointer.version;
        if live { reader.bytes(attribute).map(Some) } else { Ok(None) }
    }

    /// The live rows of these products, in no order; products without a row are omitted. A strongly consistent read
    /// finds rows that an eventually consistent one may miss: rows are written before the pointer is.
    pub async fn rows(
        &self,
        pointer: &Pointer,
        ids: &[ProductId],
        consistency: Consistency,
    ) -> Result<Readable<ModelRow>, TableError> {
        let keys = ids.iter().map(|id| key(id.as_str(), pointer.slot.as_str())).collect();
        let items = self.table.read_batch(keys, consistency).await?;
        let rows = Readable::of(&self.table, &[PRODUCT_ID, SLOT], Some(items), |item| {
            let mut reader = self.table.reader("row", item);
            let product_id = reader.parsed(PRODUCT_ID, ProductId::parse)?;
            if reader.number::<u64>(VERSION)? != pointer.version {
                return Ok(None);
            }
            let name = reader.optional(NAME, ItemReader::text)?;
            Ok(Some(ModelRow { product_id, name, row: reader.bytes(ROW)? }))
        });
        Ok(Readable { items: rows.items.into_iter().flatten().collect(), damaged: rows.damaged })
    }

    /// Begins a model: takes the next version and the idle slot. Trainings that began before it are overtaken, and the
    /// model that stood in the slot cannot go live again.
    pub async fn begin(&self) -> Result<Draft, TableError> {
        for _ in 0..ATTEMPTS {
            // If the pointer is damaged, all of it is rewritten when the model is published.
            let live = self.item(CURRENT, true).await?.and_then(|mut item| item.remove(SLOT_OF_MODEL));
            let slot_of = |live: &AttributeValue| ModelSlot::parse(live.as_s().ok()?).ok();
            let slot = live.as_ref().and_then(slot_of).map_or(ModelSlot::A, ModelSlot::other);
            let update = self
                .table
                .update(key(MODEL, CURRENT))
                .update_expression(format!("ADD {LATEST_VERSION} :one REMOVE {}", slot.whole()))
                .expression_attribute_values(":one", number(1))
                .return_values(ReturnValue::AllNew);
            let update = match &live {
                Some(live) => update
                    .condition_expression(format!("{SLOT_OF_MODEL} = :live"))
                    .expression_attribute_values(":live", live.clone()),
                None => update.condition_expression(format!("attribute_not_exists({SLOT_OF_MODEL})")),
            };
            // A retry after a lost response skips a version, which does no harm.
            if let Some(output) = self.table.write_if(update.send().await)? {
                let item = output.attributes.unwrap_or_default();
                let mut reader = self.reader(CURRENT, item);
                return Ok(Draft { version: reader.number(LATEST_VERSION)?, slot });
            }
        }
        Err(self.contended())
    }

    /// Writes rows of the draft, unless another training wrote one of them since; `written` is called after each.
    pub async fn put_rows(
        &self,
        draft: &Draft,
        rows: impl IntoIterator<Item = ModelRow>,
        written: impl Fn(),
    ) -> Result<Result<(), Overtaken>, TableError> {
        let written = &written;
        let mut puts = futures::stream::iter(rows)
            .map(|row| async move {
                let mut item = key(row.product_id.as_str(), draft.slot.as_str());
                item.insert(ROW.to_owned(), bytes(row.row));
                if let Some(name) = row.name {
                    item.insert(NAME.to_owned(), text(name));
                }
                let put = self.put_draft(draft, item).await?;
                written();
                Ok::<_, TableError>(put)
            })
            .buffer_unordered(WRITERS);
        while let Some(put) = puts.try_next().await? {
            if put.is_err() {
                return Ok(put);
            }
        }
        Ok(Ok(()))
    }

    /// Writes the priors and the ranker of the draft and its description, and makes it the live model, unless another training began
    /// since. Doing so again is the same as doing it once.
    pub async fn publish(
        &self,
        draft: &Draft,
        model: StoredModel,
        info: &ModelInfo,
        now: Timestamp,
    ) -> Result<Result<Pointer, Overtaken>, TableError> {
        let pointer =
            Pointer { version: draft.version, slot: draft.slot, chunks: model.priors.len(), trained_at: now };
        let chunks = model.priors.into_iter().enumerate();
        let priors = chunks.map(|(chunk, priors)| (draft.slot.priors(chunk), PRIORS, priors));
        let ranker = (draft.slot.ranker(), RANKER, model.ranker.unwrap_or_default());
        for (slot, attribute, content) in priors.chain([ranker]) {
            let mut item = key(MODEL, &slot);
            item.insert(attribute.to_owned(), bytes(content));
            if let Err(overtaken) = self.put_draft(draft, item).await? {
                return Ok(Err(overtaken));
            }
        }
        if let Err(overtaken) = self.put_draft(draft, records::to_item(&pointer, info)).await? {
            return Ok(Err(overtaken));
        }
        let whole = pointer.slot.whole();
        // What is whole was published before: then this is the same call once more, unless a rollback came between.
        let condition = format!(
            "{LATEST_VERSION} = :version AND (attribute_not_exists({whole}) OR {VERSION} = :version)"
        );
        let published = self.point_to(&pointer, &format!(", {whole} = :version"), &condition).await?;
        Ok(if published { Ok(pointer) } else { Err(Overtaken { version: draft.version }) })
    }

    /// Makes a model the live one if the condition holds; `false` if it does not.
    async fn point_to(&self, pointer: &Pointer, also: &str, condition: &str) -> Result<bool, TableError> {
        let update = self
            .table
            .update(key(MODEL, CURRENT))
            .update_expression(format!(
                "SET {VERSION} = :version, {SLOT_OF_MODEL} = :slot, {CHUNKS} = :chunks, {TRAINED_AT} = :at{also}"
            ))
            .condition_expression(condition)
            .expression_attribute_values(":version", number(pointer.version))
            .expression_attribute_values(":slot", text(pointer.slot.as_str()))
            .expression_attribute_values(":chunks", number(pointer.chunks))
            .expression_attribute_values(":at", text(pointer.trained_at.to_string()));
        Ok(self.table.write_if(update.send().await)?.is_some())
    }

    async fn put_draft(&self, draft: &Draft, mut item: Item) -> Result<Result<(), Overtaken>, TableError> {
        item.insert(VERSION.to_owned(), number(draft.version));
        let mut damaged = None;
        for _ in 0..ATTEMPTS {
            let Some(mut found) = self.put_over(draft, item.clone(), damaged).await? else {
                return Ok(Ok(()));
            };
            // An item with a later version belongs to another training, unless no later training has begun.
            let latest = self.item(CURRENT, true).await?.and_then(|mut item| item.remove(LATEST_VERSION));
            if latest != Some(number(draft.version)) {
                return Ok(Err(Overtaken { version: draft.version }));
            }
            damaged = found.remove(VERSION);
        }
        Err(self.contended())
    }

    /// Puts the item over one of an earlier version, or over the damaged one of exactly this version. Returns the item
    /// that is there if it is neither.
    async fn put_over(
        &self,
        draft: &Draft,
        item: Item,
        damaged: Option<AttributeValue>,
    ) -> Result<Option<Item>, TableError> {
        let put = self.table.put(item);
        let put = match damaged {
            None => put
                .condition_expression("attribute_not_exists(version) OR version <= :version")
                .expression_attribute_values(":version", number(draft.version)),
            Some(damaged) => put
                .condition_expression("version = :damaged")
                .expression_attribute_values(":damaged", damaged),
        };
        self.table.put_or_find(put).await
    }

    fn reader(&self, slot: &str, item: Item) -> ItemReader<'_> {
        self.table.reader(format!("{MODEL}/{slot}"), item)
    }

    fn contended(&self) -> TableError {
        self.table.contended(format!("{MODEL}/{CURRENT}"), ATTEMPTS)
    }
}

/// Another training began after this one, which may not write any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("model version {version} was overtaken by another training")]
pub struct Overtaken {
    /// The version that may not be written any more.
    pub version: u64,
}

/// The pointer's slot has a name of its own, since `slot` is the table's sort key.
const SLOT_OF_MODEL: &str = "liveSlot";

/// A key of the table; the popular lists and the key of answers' ids have partitions of their own.
pub(crate) fn key(product: &str, slot: &str) -> Item {
    Item::from([(PRODUCT_ID.to_owned(), text(product)), (SLOT.to_owned(), text(slot))])
}
