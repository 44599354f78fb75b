//! What an answer needs to know of every product, whoever asks.

mod build;
mod codec;
mod column;

pub use codec::PieceTooSmall;

use crate::catalogue::{Catalogue, ProductIx};
use crate::params::Params;
use column::PriorsColumn;
use std::sync::OnceLock;

/// Over which time popularity is counted. Each is an exponential half-life, back from the newest purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// A day.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
    /// No half-life: the share of all baskets.
    AllTime,
    /// The half-life that the score uses, [`Params::popularity_half_life_days`].
    Scoring,
}

const WINDOWS: usize = 5;

impl Window {
    const fn at(self) -> usize {
        match self {
            Self::Day => 0,
            Self::Week => 1,
            Self::Month => 2,
            Self::AllTime => 3,
            Self::Scoring => 4,
        }
    }
}

/// All products of a model with their popularity, repeat rate, first and last sale, counts and categories.
///
/// Values are quantised when the model is built, so a model just trained and the same model read back answer alike.
#[derive(Debug, Clone)]
pub struct Priors {
    parts: PriorsParts,
    /// The two columns that every candidate is scored with, ready to use.
    scoring: Vec<f32>,
    factors: Vec<f32>,
    ranked: [OnceLock<Vec<ProductIx>>; WINDOWS],
}

/// Everything that is stored of [`Priors`].
#[derive(Debug, Clone, PartialEq)]
struct PriorsParts {
    params: Params,
    now_ms: i64,
    users: u64,
    baskets: u64,
    mean_repeat_rate: f64,
    catalogue: Catalogue,
    popularity: [PriorsColumn; WINDOWS],
    factor: PriorsColumn,
    repeat_rate: PriorsColumn,
    product_baskets: Vec<u32>,
    buyers: Vec<u32>,
    /// Minutes before `now_ms`.
    first_sale: Vec<u32>,
    last_sale: Vec<u32>,
    categories: Categories,
}

/// Category names, each once, and the numbers of each product's.
#[derive(Debug, Clone, PartialEq, Default)]
struct Categories {
    names: Vec<String>,
    starts: Vec<u32>,
    codes: Vec<u32>,
}

impl PartialEq for Priors {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Priors {
    /// The parameters the model was counted with.
    pub fn params(&self) -> &Params {
        &self.parts.params
    }

    /// With another weight of what is bought together with a cart, as [`crate::CartTrials`] learns it.
    #[must_use]
    pub fn with_together_weight(mut self, weight: f64) -> Self {
        self.parts.params.together_weight = weight;
        self
    }

    /// The newest purchase the model has seen, in milliseconds: ages count back from here.
    pub fn now_ms(&self) -> i64 {
        self.parts.now_ms
    }

    /// How many users the model was counted over.
    pub fn users(&self) -> u64 {
        self.parts.users
    }

    /// How many baskets the model was counted over.
    pub fn baskets(&self) -> u64 {
        self.parts.baskets
    }

    /// How many products there are.
    pub fn len(&self) -> usize {
        self.parts.catalogue.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The products, numbered.
    pub fn catalogue(&self) -> &Catalogue {
        &self.parts.catalogue
    }

    /// The number of a product id.
    pub fn index_of(&self, id: &str) -> Option<ProductIx> {
        self.parts.catalogue.index_of(id)
    }

    /// The id of a product; empty for a number of another model.
    pub fn id(&self, product: ProductIx) -> &str {
        self.parts.catalogue.id(product)
    }

    /// Share of the window's baskets that hold the product.
    pub fn popularity(&self, product: ProductIx, window: Window) -> f64 {
        self.column(window).get(product.at())
    }

    /// All products by falling popularity; equal ones by id. Sorted at the first call for a window.
    pub fn popular(&self, window: Window) -> &[ProductIx] {
        let order = || self.column(window).order().into_iter().map(ProductIx::new).collect();
        self.ranked.get(window.at()).map_or(&[], |ranked| ranked.get_or_init(order))
    }

    /// f_i: how much more or less often than others the product is bought again.
    pub fn repurchase_factor(&self, product: ProductIx) -> f64 {
        self.parts.factor.get(product.at())
    }

    /// Share of its purchases that are followed by another within the user's next 3 baskets, shrunk.
    pub fn repeat_rate(&self, product: ProductIx) -> f64 {
        self.parts.repeat_rate.get(product.at())
    }

    /// [`Self::repeat_rate`] by its mean over purchases; 1 if nothing was ever bought again.
    pub fn relative_repeat_rate(&self, product: ProductIx) -> f64 {
        let mean = self.mean_repeat_rate();
        if mean > 0.0 { self.repeat_rate(product) / mean } else { 1.0 }
    }

    /// The mean of [`Self::repeat_rate`] over purchases.
    pub fn mean_repeat_rate(&self) -> f64 {
        self.parts.mean_repeat_rate
    }

    /// Baskets that hold the product.
    pub fn product_baskets(&self, product: ProductIx) -> u32 {
        self.parts.product_baskets.get(product.at()).copied().unwrap_or(0)
    }

    /// Users who bought the product.
    pub fn buyers(&self, product: ProductIx) -> u32 {
        self.parts.buyers.get(product.at()).copied().unwrap_or(0)
    }

    /// When the product was first sold, to the minute.
    pub fn first_sale_ms(&self, product: ProductIx) -> Option<i64> {
        self.sale_ms(&self.parts.first_sale, product)
    }

    /// When the product was last sold, to the minute.
    pub fn last_sale_ms(&self, product: ProductIx) -> Option<i64> {
        self.sale_ms(&self.parts.last_sale, product)
    }

    /// The product's categories, by name.
    pub fn categories(&self, product: ProductIx) -> impl Iterator<Item = &str> {
        self.category_codes(product).iter().filter_map(|&code| self.category_name(code))
    }

    /// The numbers of the product's categories, ascending.
    pub fn category_codes(&self, product: ProductIx) -> &[u32] {
        match self.parts.categories.starts.get(product.at()..product.at().saturating_add(2)) {
            Some(&[start, end]) => {
                self.parts.categories.codes.get(start as usize..end as usize).unwrap_or(&[])
            }
            _ => &[],
        }
    }

    /// The number of a category.
    pub fn category_code(&self, name: &str) -> Option<u32> {
        self.parts
            .categories
            .names
            .binary_search_by(|n| n.as_str().cmp(name))
            .ok()
            .map(crate::fixed_point::narrow)
    }

    fn category_name(&self, code: u32) -> Option<&str> {
        self.parts.categories.names.get(code as usize).map(String::as_str)
    }

    /// Popularity in the scoring window and f, for every product.
    pub(crate) fn scoring(&self) -> (&[f32], &[f32]) {
        (&self.scoring, &self.factors)
    }

    fn sale_ms(&self, minutes: &[u32], product: ProductIx) -> Option<i64> {
        let before = i64::from(*minutes.get(product.at())?) * MINUTE_MS;
        (self.product_baskets(product) > 0).then(|| self.parts.now_ms.saturating_sub(before))
    }

    fn column(&self, window: Window) -> &PriorsColumn {
        let [day, week, month, all_time, scoring] = &self.parts.popularity;
        match window {
            Window::Day => day,
            Window::Week => week,
            Window::Month => month,
            Window::AllTime => all_time,
            Window::Scoring => scoring,
        }
    }
}

const MINUTE_MS: i64 = 60_000;
