//! What is known of the models in the two slots, and the way back to the one before.

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, ItemReader, number, text};

use super::{ATTEMPTS, CHUNKS, CURRENT, MODEL, ModelSlot, ModelTable, Pointer, TRAINED_AT, VERSION, key};

const USERS: &str = "users";
const PURCHASES: &str = "purchases";
const PRODUCTS: &str = "products";
const PARAMS: &str = "params";
const METRICS: &str = "metrics";
const SECONDS: &str = "seconds";

/// What a training says of its model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelInfo {
    pub users: u64,
    pub purchases: u64,
    pub products: u64,
    /// A digest of the parameters: equal ones were counted and are scored alike.
    pub params: String,
    /// Its metrics as JSON; none if it was not evaluated.
    pub metrics: Option<String>,
    /// How long the training took.
    pub seconds: f64,
}

/// A complete model in its slot.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecord {
    pub version: u64,
    /// Whether answers are made from it.
    pub live: bool,
    pub trained_at: Timestamp,
    /// What its training said; none of a model from before such things were kept.
    pub info: Option<ModelInfo>,
}

/// Why a model is not made the live one.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There is no model of this version any more, or there never was: only the live one and the one before it are
    /// kept.
    #[error("model {version} not found: only the live model and the one before it are kept")]
    NoSuchModel { version: u64 },
    /// A training is writing, or wrote in part, another model into its slot.
    #[error("model {version} cannot be made live: a training is overwriting it")]
    Overwritten { version: u64 },
    #[error(transparent)]
    Table(#[from] TableError),
}

impl ModelTable {
    /// The models that are complete in their slots, the live one first. Strongly consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not of the expected form.
    pub async fn models(&self) -> Result<Vec<ModelRecord>, TableError> {
        let Some(current) = self.item(CURRENT, true).await? else { return Ok(Vec::new()) };
        let Some(live) = self.pointer_from(current.clone())? else { return Ok(Vec::new()) };
        let record = self.record(live.slot).await?.filter(|(kept, _)| kept.version == live.version);
        let mut models = vec![ModelRecord {
            version: live.version,
            live: true,
            trained_at: live.trained_at,
            info: record.map(|(_, info)| info),
        }];
        let other = live.slot.other();
        if let Some((kept, info)) = self.record(other).await?
            && self.whole(&current, other)? == Some(kept.version)
        {
            models.push(ModelRecord {
                version: kept.version,
                live: false,
                trained_at: kept.trained_at,
                info: Some(info),
            });
        }
        Ok(models)
    }

    /// Makes a model that is kept the live one again. The next training then writes over the one that was live until
    /// now. If it is live already nothing changes.
    ///
    /// # Errors
    /// [`RollbackError`] if it is not kept, or not whole.
    pub async fn make_current(&self, version: u64) -> Result<Pointer, RollbackError> {
        for _ in 0..ATTEMPTS {
            let current = self.item(CURRENT, true).await?.unwrap_or_default();
            match self.pointer_from(current.clone())? {
                None => return Err(RollbackError::NoSuchModel { version }),
                Some(live) if live.version == version => return Ok(live),
                Some(_) => {}
            }
            let Some(kept) = self.recorded(version).await? else {
                return Err(RollbackError::NoSuchModel { version });
            };
            if self.whole(&current, kept.slot)? != Some(version) {
                return Err(RollbackError::Overwritten { version });
            }
            if self.point_to(&kept, "", &format!("{} = :version", kept.slot.whole())).await? {
                return Ok(kept);
            }
        }
        Err(self.contended().into())
    }

    /// Where the model of this version is, live or not, if it is complete. Strongly consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not of the expected form.
    pub async fn kept(&self, version: u64) -> Result<Option<Pointer>, TableError> {
        let Some(current) = self.item(CURRENT, true).await? else { return Ok(None) };
        let live = self.pointer_from(current.clone())?.filter(|live| live.version == version);
        if live.is_some() {
            return Ok(live);
        }
        let Some(kept) = self.recorded(version).await? else { return Ok(None) };
        let complete = self.whole(&current, kept.slot)? == Some(version);
        Ok(complete.then_some(kept))
    }

    /// The model of this version that was last published in its slot.
    async fn recorded(&self, version: u64) -> Result<Option<Pointer>, TableError> {
        for slot in [ModelSlot::A, ModelSlot::B] {
            let record = self.record(slot).await?.map(|(record, _)| record);
            if let Some(record) = record.filter(|record| record.version == version) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The version that is complete in a slot, according to the pointer's item.
    fn whole(&self, current: &Item, slot: ModelSlot) -> Result<Option<u64>, TableError> {
        self.reader(CURRENT, current.clone()).optional(slot.whole(), ItemReader::number)
    }

    /// What was last published in a slot.
    async fn record(&self, slot: ModelSlot) -> Result<Option<(Pointer, ModelInfo)>, TableError> {
        let name = record_slot(slot);
        let Some(item) = self.item(&name, true).await? else { return Ok(None) };
        let mut reader = self.reader(&name, item);
        let pointer = Pointer {
            version: reader.number(VERSION)?,
            slot,
            chunks: reader.number(CHUNKS)?,
            trained_at: reader.parsed(TRAINED_AT, Timestamp::parse)?,
        };
        let info = ModelInfo {
            users: reader.number(USERS)?,
            purchases: reader.number(PURCHASES)?,
            products: reader.number(PRODUCTS)?,
            params: reader.text(PARAMS)?,
            metrics: reader.optional(METRICS, ItemReader::text)?,
            seconds: reader.number(SECONDS)?,
        };
        Ok(Some((pointer, info)))
    }
}

pub(super) fn to_item(pointer: &Pointer, info: &ModelInfo) -> Item {
    let mut item = key(MODEL, &record_slot(pointer.slot));
    let mut set = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    set(CHUNKS, number(pointer.chunks));
    set(TRAINED_AT, text(pointer.trained_at.to_string()));
    set(USERS, number(info.users));
    set(PURCHASES, number(info.purchases));
    set(PRODUCTS, number(info.products));
    set(PARAMS, text(&info.params));
    if let Some(metrics) = &info.metrics {
        set(METRICS, text(metrics));
    }
    set(SECONDS, number(info.seconds));
    item
}

fn record_slot(slot: ModelSlot) -> String {
    format!("{slot}.model")
}
