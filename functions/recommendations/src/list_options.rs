//! What a request asks for, parsed.

use nextbasket_domain::recommendation::MAX_SCENARIO_BYTES;
use nextbasket_domain::{Category, Product, ProductId, Timestamp, UserId, digest, object};
use nextbasket_http::request::Limit;
use nextbasket_http::{ApiError, Query};
use nextbasket_tables::products::shelf::Shelves;
use serde::Deserialize;

use crate::read_budget::ReadBudget;
use crate::supposition::Supposition;

/// The maximum number of products in a list of a request.
const MAX_NAMED: usize = 100;
/// More pinned products or categories could not be looked up within an answer's read units.
const MAX_PINNED: usize = 10;
const MAX_CATEGORIES: usize = 10;
const MAX_BOOSTS: usize = 50;

/// Where the answer is shown: 1 to 32 letters, digits, `-` or `_`. It becomes part of the recommendation's id, so
/// that a purchase can be counted for it. A caller chooses it, so it is not a dimension of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scenario(String);

impl Default for Scenario {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Scenario {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=MAX_SCENARIO_BYTES).contains(&text.len()) && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 32 letters, digits, - or _")
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Raises or lowers the score of what it matches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Boost {
    pub target: BoostTarget,
    /// What the score is multiplied with.
    pub factor: f64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BoostTarget {
    Product(ProductId),
    Category(Category),
}

/// How to rank, filter and cut an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ListOptions {
    /// The user whom the answer is for, if any: purchases of other users do not count for its id.
    pub user: Option<UserId>,
    pub limit: usize,
    /// A product must be in one of these; any will do if there are none.
    pub categories: Vec<Category>,
    pub exclude: Vec<ProductId>,
    pub with_unavailable: bool,
    pub boosts: Vec<Boost>,
    pub pinned: Vec<ProductId>,
    pub scenario: Scenario,
    pub cursor: Option<String>,
    /// The time that the answer is for; now by default.
    pub at: Option<Timestamp>,
    /// `None` for all that comes over HTTP.
    pub supposed: Option<Box<Supposition>>,
}

impl ListOptions {
    pub(crate) fn of_query(query: &Query) -> Result<Self, ApiError> {
        let exclude = query.all("exclude", ProductId::parse)?;
        at_most("exclude", exclude.len(), MAX_NAMED)?;
        Ok(Self {
            limit: query.limit()?,
            categories: query.get("category", Category::parse)?.into_iter().collect(),
            exclude,
            scenario: query.get("scenario", Scenario::parse)?.unwrap_or_default(),
            cursor: query.text("cursor").map(str::to_owned),
            at: query.get("at", Timestamp::parse)?,
            ..Self::default()
        })
    }

    /// A digest of what the list depends on beside its name: filters, boosts, pins and the cart.
    pub(crate) fn digest(&self, cart: &[ProductId]) -> String {
        let Self { categories, exclude, with_unavailable, boosts, pinned, at, .. } = self;
        digest(format!("{:?}", (categories, exclude, with_unavailable, boosts, pinned, at, cart)), 8)
    }

    /// Where the products are that the list may hold.
    pub(crate) fn shelves(&self) -> Shelves {
        Shelves::new(&self.categories, self.with_unavailable)
    }

    pub(crate) fn read_budget(&self) -> ReadBudget {
        ReadBudget::new(self.pinned.len(), &self.shelves())
    }

    /// Whether the product, as it is now, may be shown.
    pub(crate) fn admits(&self, product: &Product) -> bool {
        (product.available || self.with_unavailable)
            && (self.categories.is_empty()
                || product.categories.iter().any(|category| self.categories.contains(category)))
    }
}

fn at_most(field: &str, given: usize, limit: usize) -> Result<(), ApiError> {
    if given <= limit {
        Ok(())
    } else {
        Err(ApiError::invalid(field, format!("must be at most {limit}, not {given}")))
    }
}

/// The body of `POST /recommendations`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CartBody {
    pub user_id: Option<UserId>,
    #[serde(default)]
    basket: Vec<ProductId>,
    #[serde(default)]
    limit: Limit,
    /// With those of the filter; by the name that the other calls have for it.
    #[serde(default)]
    exclude: Vec<ProductId>,
    #[serde(default, deserialize_with = "object::one")]
    filter: FilterBody,
    #[serde(default, deserialize_with = "object::many")]
    boost: Vec<BoostBody>,
    #[serde(default)]
    pin: Vec<ProductId>,
    scenario: Option<String>,
    cursor: Option<String>,
    at: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FilterBody {
    #[serde(default)]
    categories: Vec<Category>,
    /// Only available products (the default), or unavailable ones too.
    available: Option<bool>,
    #[serde(default)]
    exclude: Vec<ProductId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BoostBody {
    #[serde(default, deserialize_with = "object::given")]
    product_id: Option<ProductId>,
    #[serde(default, deserialize_with = "object::given")]
    category: Option<Category>,
    factor: f64,
}

impl CartBody {
    pub(crate) fn into_options(self) -> Result<(Vec<ProductId>, ListOptions), ApiError> {
        at_most("basket", self.basket.len(), MAX_NAMED)?;
        at_most("filter.categories", self.filter.categories.len(), MAX_CATEGORIES)?;
        at_most("filter.exclude", self.filter.exclude.len(), MAX_NAMED)?;
        let mut exclude = self.exclude;
        exclude.extend(self.filter.exclude);
        at_most("exclude", exclude.len(), MAX_NAMED)?;
        at_most("boost", self.boost.len(), MAX_BOOSTS)?;
        at_most("pin", self.pin.len(), MAX_PINNED)?;
        let mut boosts = Vec::with_capacity(self.boost.len());
        for (index, boost) in self.boost.into_iter().enumerate() {
            let target = match (boost.product_id, boost.category) {
                (Some(product), None) => BoostTarget::Product(product),
                (None, Some(category)) => BoostTarget::Category(category),
                _ => {
                    return Err(ApiError::invalid(
                        format!("boost[{index}]"),
                        "must have either productId or category",
                    ));
                }
            };
            if !(0.0..=100.0).contains(&boost.factor) {
                return Err(ApiError::invalid(format!("boost[{index}].factor"), "must be from 0 to 100"));
            }
            boosts.push(Boost { target, factor: boost.factor });
        }
        let scenario = self.scenario.as_deref().map(Scenario::parse).transpose();
        let options = ListOptions {
            user: self.user_id,
            limit: self.limit.0,
            categories: self.filter.categories,
            exclude,
            with_unavailable: self.filter.available == Some(false),
            boosts,
            pinned: self.pin,
            scenario: scenario.map_err(|error| ApiError::invalid("scenario", error))?.unwrap_or_default(),
            cursor: self.cursor,
            at: self.at,
            supposed: None,
        };
        Ok((self.basket, options))
    }
}
