//! The popular products: the ranking of the whole shop, without a user.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nextbasket_domain::{Clock, ProductId, Timestamp};
use nextbasket_http::ApiError;
use nextbasket_recommender::{Priors, ProductIx, Window};
use nextbasket_tables::popular::{MAX_BYTES, Popular as CountedProduct, PopularList, PopularTable};

use crate::State;
use crate::fill::{Ranked, Ranking, fill};
use crate::list_options::ListOptions;
use crate::live_model::{LiveModel, POINTER_HALF_UNITS};
use crate::own_purchases::OwnPurchases;
use crate::ranking::{category_codes, in_categories};
use crate::reason::{MIN_SUPPORT, Reason};
use crate::recommendation_list::RecommendationList;

/// The window of a request that names none.
pub(crate) const DEFAULT_WINDOW: Window = Window::Week;

/// The windows by their names in requests and in the table: a purchase of this age counts half as much as one of today
/// (`all`: as much).
const WINDOWS: [(&str, Window); 4] =
    [("day", Window::Day), ("week", Window::Week), ("month", Window::Month), ("all", Window::AllTime)];

pub(crate) fn parse_window(text: &str) -> Result<Window, &'static str> {
    let named = WINDOWS.into_iter().find(|(name, _)| *name == text);
    named.map(|(_, window)| window).ok_or("must be day, week, month or all")
}

fn name(window: Window) -> Option<&'static str> {
    WINDOWS.into_iter().find(|(_, named)| *named == window).map(|(name, _)| name)
}

/// What the reads of a list's date and of a list take at most.
const MADE_AT_HALF_UNITS: usize = 1;
const LIST_HALF_UNITS: usize = MAX_BYTES / 4_096 + 1;

/// How long it is trusted that there are no newer lists.
const FRESH_MS: i64 = 1_000;

/// The lists that are counted between two trainings, behind a cache.
#[derive(Debug)]
pub(crate) struct PopularListCache {
    table: PopularTable,
    clock: Clock,
    seen: Mutex<CachedLists>,
}

#[derive(Debug, Default)]
struct CachedLists {
    /// When the table was read, and when its newest lists were made.
    made: Option<(Timestamp, Option<Timestamp>)>,
    lists: HashMap<&'static str, Arc<PopularList>>,
}

impl PopularListCache {
    pub(crate) fn new(table: PopularTable, clock: Clock) -> Self {
        Self { table, clock, seen: Mutex::default() }
    }

    /// When the newest lists were made. An answer without them is better than none, so lists that cannot be read count as
    /// missing.
    async fn made_at(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        if let Some((at, made)) = self.lock().made
            && now.as_millis() - at.as_millis() < FRESH_MS
        {
            return made;
        }
        let made = match self.table.made().await {
            Ok(made) => made.map(|made| made.at),
            Err(error) => {
                tracing::error!(%error, "the popular lists cannot be read");
                None
            }
        };
        self.lock().made = Some((now, made));
        made
    }

    /// The window's list as it was made then or later.
    async fn list(&self, window: &'static str, made_at: Timestamp) -> Option<Arc<PopularList>> {
        let known = self.lock().lists.get(window).cloned();
        if let Some(known) = known.filter(|known| known.made_at >= made_at) {
            return Some(known);
        }
        match self.table.list(window).await {
            Ok(list) => {
                let list = Arc::new(list?);
                self.lock().lists.insert(window, list.clone());
                Some(list)
            }
            Err(error) => {
                tracing::error!(%error, window, "a popular list cannot be read: refresh it again");
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, CachedLists> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers with the most popular products of the window: by the list that was counted since the last training, if
/// there is one, and then by the model.
pub(crate) async fn answer(
    state: &State,
    window: Window,
    options: &ListOptions,
) -> Result<RecommendationList, ApiError> {
    let (model, made_at) = tokio::join!(state.models.live(), state.popular.made_at());
    let model = model?;
    let newer =
        made_at.filter(|made_at| model.as_ref().is_none_or(|model| *made_at > model.pointer.trained_at));
    let counted = match (name(window), newer) {
        (Some(name), Some(made_at)) => state.popular.list(name, made_at).await,
        _ => None,
    };
    let list = format!("popular/{window:?}");
    let version = model.as_ref().map(|model| model.pointer.version);
    let now = state.clock.now();
    let mut budget = options.read_budget();
    budget
        .spend(POINTER_HALF_UNITS + MADE_AT_HALF_UNITS + if counted.is_some() { LIST_HALF_UNITS } else { 0 });
    let ranking = PopularRanking { model, counted, window, now, options };
    fill(state, options, &list, version, &[], &ranking, budget).await
}

struct PopularRanking<'a> {
    /// `None` before the first training.
    model: Option<Arc<LiveModel>>,
    /// `None` unless it is newer than the model.
    counted: Option<Arc<PopularList>>,
    window: Window,
    now: Timestamp,
    options: &'a ListOptions,
}

/// Why a product is in the list.
struct PopularWhy {
    /// `None` if the model does not know it.
    product: Option<ProductIx>,
    /// How many purchases of the window hold it; `None` if it is not in the list that was counted since the training, or
    /// there by one shopper.
    listed: Option<u32>,
}

impl PopularRanking<'_> {
    /// The products of the list that are in a wanted category.
    fn counted(&self) -> impl Iterator<Item = &CountedProduct> {
        let wanted = &self.options.categories;
        let fits = move |counted: &&CountedProduct| {
            wanted.is_empty() || counted.categories.iter().any(|category| wanted.contains(category))
        };
        self.counted.iter().flat_map(|list| &list.products).filter(fits)
    }
}

impl Ranking for PopularRanking<'_> {
    type Why = PopularWhy;

    fn best(&self, n: usize) -> Vec<Ranked<PopularWhy>> {
        let of_list = |counted: &CountedProduct| Ranked {
            id: counted.product_id.clone(),
            score: counted.share,
            why: PopularWhy {
                product: self
                    .model
                    .as_ref()
                    .and_then(|model| model.priors.index_of(counted.product_id.as_str())),
                listed: (counted.shoppers >= MIN_SUPPORT).then_some(counted.baskets),
            },
        };
        let mut best: Vec<Ranked<PopularWhy>> = self.counted().take(n).map(of_list).collect();
        let Some(model) = self.model.as_ref().filter(|_| best.len() < n) else { return best };
        // What the list has no room for follows in the model's order, and is not more popular than the list's last.
        let listed: HashSet<&str> = self.counted().map(|counted| counted.product_id.as_str()).collect();
        let most = best.last().map_or(f64::INFINITY, |last| last.score);
        let wanted = category_codes(&model.priors, self.options);
        let popular = model.priors.popular(self.window).iter().copied();
        let rest = popular
            .filter(|&product| in_categories(&model.priors, wanted.as_deref(), product))
            .filter(|&product| !listed.contains(model.priors.id(product)))
            .filter_map(|product| {
                let id = ProductId::parse(model.priors.id(product)).ok()?;
                let score = model.priors.popularity(product, self.window).min(most);
                Some(Ranked { id, score, why: PopularWhy { product: Some(product), listed: None } })
            });
        let missing = n - best.len();
        best.extend(rest.take(missing));
        best
    }

    /// By the purchases of the window; a model, or a window with too few, has those of all time.
    fn reasons(&self, why: &PopularWhy) -> Vec<Reason> {
        let lately = || {
            let (baskets, list) = why.listed.zip(self.counted.as_ref())?;
            Reason::popular_lately(baskets, list.purchases, self.window, list.newest, self.now)
        };
        let ever = || reason(&self.model.as_ref()?.priors, why.product?);
        lately().or_else(ever).into_iter().collect()
    }
}

/// That the product was bought by many, whoever asks.
pub(crate) fn reason(priors: &Priors, product: ProductIx) -> Option<Reason> {
    OwnPurchases::default().popular(priors, product)
}
