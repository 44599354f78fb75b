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

/// The name in requests; `None` for the window of the score.
#[must_use]
pub fn name(window: Window) -> Option<&'static str> {
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
    let ranking = ranking(state, window, options).await?;
    let list = format!("popular/{window:?}");
    let version = ranking.model.as_ref().map(|model| model.pointer.version);
    let of_list = if ranking.counted.is_some() { LIST_HALF_UNITS } else { 0 };
    let mut budget = options.read_budget();
    budget.spend(POINTER_HALF_UNITS + MADE_AT_HALF_UNITS + of_list);
    fill(state, options, &list, version, &[], &ranking, budget).await
}

/// Where the product is, from 0, and the number of products, whether they are available or not.
pub(crate) async fn place_of(
    state: &State,
    window: Window,
    options: &ListOptions,
    product: &ProductId,
) -> Result<(Option<usize>, usize), ApiError> {
    Ok(ranking(state, window, options).await?.place_of(product))
}

async fn ranking<'a>(
    state: &State,
    window: Window,
    options: &'a ListOptions,
) -> Result<PopularRanking<'a>, ApiError> {
    let (model, made_at) = tokio::join!(state.models.for_answer(options), state.popular.made_at());
    let model = model?;
    let newer =
        made_at.filter(|made_at| model.as_ref().is_none_or(|model| *made_at > model.pointer.trained_at));
    let counted = match (name(window), newer) {
        (Some(name), Some(made_at)) => state.popular.list(name, made_at).await,
        _ => None,
    };
    Ok(PopularRanking { model, counted, window, now: state.clock.now(), options })
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

    /// What the list has no room for, in the model's order.
    fn rest<'a>(&'a self, model: &'a LiveModel) -> impl Iterator<Item = ProductIx> + 'a {
        let priors = &model.priors;
        let listed: HashSet<&str> = self.counted().map(|counted| counted.product_id.as_str()).collect();
        let wanted = category_codes(priors, self.options);
        let popular = priors.popular(self.window).iter().copied();
        popular
            .filter(move |&product| in_categories(priors, wanted.as_deref(), product))
            .filter(move |&product| !listed.contains(priors.id(product)))
    }

    fn place_of(&self, id: &ProductId) -> (Option<usize>, usize) {
        let wanted = self.model.as_ref().and_then(|model| model.priors.index_of(id.as_str()));
        let counted = self.counted().map(|counted| counted.product_id == *id);
        let rest =
            self.model.iter().flat_map(|model| self.rest(model)).map(|product| Some(product) == wanted);
        let (mut place, mut all) = (None, 0);
        for is_it in counted.chain(rest) {
            if is_it {
                place = Some(all);
            }
            all += 1;
        }
        (place, all)
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
        // The rest is not more popular than the list's last.
        let most = best.last().map_or(f64::INFINITY, |last| last.score);
        let rest = self.rest(model).filter_map(|product| {
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
