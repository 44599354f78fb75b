//! The live model: its priors in memory, its rows as they are asked for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use nextbasket_domain::{Clock, ProductId, Timestamp};
use nextbasket_http::ApiError;
use nextbasket_recommender::ranker::Ranker;
use nextbasket_recommender::{Priors, ProductIx, ProductRows};
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::model::{ModelTable, Pointer};
use nextbasket_tables::{Consistency, TableError};

use crate::list_options::ListOptions;
use crate::read_budget::ReadBudget;

/// How long the pointer is trusted: a new model is in use after this time.
const FRESH_MS: i64 = 1_000;
/// How many products' rows are kept.
const KEPT_ROWS: usize = 20_000;
/// What the reads of the pointer take at most: a change is confirmed by a strongly consistent one.
pub(crate) const POINTER_HALF_UNITS: usize = 3;
/// A strongly consistent read of a row takes a whole unit.
const STRONG_HALF_UNITS: usize = 2;
/// How often to look again when a model is replaced while it is read.
const ATTEMPTS: usize = 3;

/// A product's rows, and its name when the model was trained.
#[derive(Debug)]
pub(crate) struct NamedRows {
    pub name: Option<String>,
    pub rows: ProductRows,
}

/// One version of the model; as a rule the live one.
#[derive(Debug)]
pub struct LiveModel {
    pub pointer: Pointer,
    pub priors: Priors,
    /// None if the hand formula orders the products.
    pub ranker: Option<Ranker>,
    /// `None`: the product has no readable row; a strongly consistent read has confirmed that.
    rows: Mutex<HashMap<ProductIx, Option<Arc<NamedRows>>>>,
}

/// The model table, behind a cache of the live version.
#[derive(Debug)]
pub(crate) struct LiveModelCache {
    table: ModelTable,
    clock: Clock,
    seen: Mutex<Option<(Timestamp, Option<Arc<LiveModel>>)>>,
    /// Another than the live one, for answers that suppose it.
    other: Mutex<Option<Arc<LiveModel>>>,
}

/// An answer by the hand formula is better than none.
fn ranker(pointer: &Pointer, bytes: Option<&[u8]>) -> Option<Ranker> {
    Ranker::decode(bytes?)
        .inspect_err(|error| {
            tracing::error!(version = pointer.version, %error, "the model's ranker cannot be read: train again");
        })
        .ok()
}

impl LiveModelCache {
    pub(crate) fn new(table: ModelTable, clock: Clock) -> Self {
        Self { table, clock, seen: Mutex::new(None), other: Mutex::new(None) }
    }

    /// The live model; `None` before the first training.
    pub(crate) async fn live(&self) -> Result<Option<Arc<LiveModel>>, ApiError> {
        let now = self.clock.now();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = match seen {
            Some((at, model)) if now.as_millis() - at.as_millis() < FRESH_MS => return Ok(model),
            Some((_, model)) => model,
            None => None,
        };
        let model = self.read(known).await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, model.clone()));
        Ok(model)
    }

    /// The model that the answer is to be made of.
    pub(crate) async fn for_answer(&self, options: &ListOptions) -> Result<Option<Arc<LiveModel>>, ApiError> {
        self.of_version(options.supposed.as_ref().and_then(|supposed| supposed.model)).await
    }

    /// The model of this version, live or kept beside it; without one, the live one.
    pub(crate) async fn of_version(&self, version: Option<u64>) -> Result<Option<Arc<LiveModel>>, ApiError> {
        let live = self.live().await?;
        let Some(version) = version else { return Ok(live) };
        if let Some(live) = live.filter(|live| live.pointer.version == version) {
            return Ok(Some(live));
        }
        let not_kept = || {
            let detail =
                format!("model {version} not found: only the live model and the one before it are kept");
            ApiError::not_found("model_not_found", detail).at("model")
        };
        // Asked each time, since a training may begin to overwrite it.
        let pointer = self.table.kept(version).await?.ok_or_else(not_kept)?;
        let known = self.other.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.pointer == pointer) {
            return Ok(Some(known));
        }
        let model = self.load(pointer).await?.ok_or_else(not_kept)?;
        *self.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(model.clone());
        Ok(Some(model))
    }

    /// If the model cannot be read (it is damaged, or of another version of the program), the one before stays in
    /// use, if there is one: an answer without a model is better than no answer.
    async fn read(&self, known: Option<Arc<LiveModel>>) -> Result<Option<Arc<LiveModel>>, ApiError> {
        match self.read_live(known.clone()).await {
            Err(error @ TableError::Corrupt { .. }) => {
                tracing::error!(%error, "the model is damaged: train again");
                Ok(known)
            }
            model => Ok(model?),
        }
    }

    async fn read_live(&self, known: Option<Arc<LiveModel>>) -> Result<Option<Arc<LiveModel>>, TableError> {
        let known_pointer = known.as_ref().map(|known| &known.pointer);
        for _ in 0..ATTEMPTS {
            // An eventually consistent read may return an earlier pointer, or none: a change counts only once a
            // strongly consistent read confirms it.
            if known.is_some() && self.table.pointer().await?.as_ref() == known_pointer {
                return Ok(known);
            }
            let Some(pointer) = self.table.latest_pointer().await? else { return Ok(None) };
            if Some(&pointer) == known_pointer {
                return Ok(known);
            }
            if let Some(model) = self.load(pointer).await? {
                return Ok(Some(model));
            }
        }
        tracing::warn!("the model was replaced during each of several reads");
        Ok(known)
    }

    /// The model that the pointer names, without rows yet; `None` if it was replaced meanwhile.
    async fn load(&self, pointer: Pointer) -> Result<Option<Arc<LiveModel>>, TableError> {
        let Some(stored) = self.table.priors(&pointer).await? else { return Ok(None) };
        let priors =
            Priors::decode(&stored.priors).map_err(|error| self.table.unreadable(&pointer, &error))?;
        let ranker = ranker(&pointer, stored.ranker.as_deref());
        Ok(Some(Arc::new(LiveModel { pointer, priors, ranker, rows: Mutex::default() })))
    }

    /// The rows of those of the products that have one: one batch read for what is not in memory, of the first ones
    /// only if the budget does not allow for all.
    pub(crate) async fn rows(
        &self,
        model: &LiveModel,
        products: &[ProductIx],
        budget: &mut ReadBudget,
    ) -> Result<HashMap<ProductIx, Arc<NamedRows>>, ApiError> {
        let mut found = HashMap::with_capacity(products.len());
        let mut missing = Vec::new();
        {
            let kept = model.rows.lock().unwrap_or_else(PoisonError::into_inner);
            for &product in products {
                match kept.get(&product) {
                    Some(Some(row)) => {
                        found.insert(product, row.clone());
                    }
                    Some(None) => {}
                    None => missing.push(product),
                }
            }
        }
        missing.truncate(budget.left());
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(found);
        }
        let ids: Vec<ProductId> =
            missing.iter().filter_map(|&product| ProductId::parse(model.priors.id(product)).ok()).collect();
        let mut unread: HashSet<&ProductId> = ids.iter().collect();
        let mut confirmed = Vec::new();
        for consistency in [Consistency::Eventual, Consistency::Strong] {
            // Nearly every product of the model has a row. A row that the first read missed, on a replica that lags
            // behind the training, would otherwise be missing until the next training.
            let half_units = if consistency == Consistency::Strong { STRONG_HALF_UNITS } else { 1 };
            let asked: Vec<ProductId> =
                unread.iter().take(budget.left() / half_units).map(|id| (*id).clone()).collect();
            if asked.is_empty() {
                break;
            }
            budget.spend(asked.len() * half_units);
            let rows = self.table.rows(&model.pointer, &asked, consistency).await?;
            if consistency == Consistency::Strong {
                confirmed.extend(asked);
                log_skipped(&rows.damaged);
            }
            for row in rows.items {
                unread.remove(&row.product_id);
                match (ProductRows::decode(&row.row), model.priors.index_of(row.product_id.as_str())) {
                    (Ok(rows), Some(product)) => {
                        found.insert(product, Arc::new(NamedRows { name: row.name, rows }));
                    }
                    (Err(error), _) => {
                        tracing::error!(%error, "a row of the model cannot be read: train again");
                    }
                    (Ok(_), None) => {}
                }
            }
        }
        let mut kept = model.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + missing.len() > KEPT_ROWS {
            kept.clear();
        }
        for product in missing {
            let row = found.get(&product).cloned();
            // For those that the budget did not allow to confirm the next answer looks again.
            if row.is_some() || confirmed.iter().any(|id| id.as_str() == model.priors.id(product)) {
                kept.insert(product, row);
            }
        }
        Ok(found)
    }
}
