//! What an answer supposes in place of what is stored.
//!
//! A process that links this crate asks so, such as a console that shows a shopper's list by two models, or what an edit
//! of a product would change. Nobody can over HTTP. The answers are made by the same code as all others, are in no metric,
//! and have ids that count no conversion.

use std::sync::Arc;

use nextbasket_domain::{Basket, Category, HISTORY_BASKETS, Product, ProductId, Timestamp, UserId};
use nextbasket_http::ApiError;
use nextbasket_http::request::MAX_LIMIT;
use nextbasket_recommender::Window;
use nextbasket_tables::history::StoredHistory;
use nextbasket_tables::products::shelf::{ShelfPage, ShelfPosition, Shelves};

use crate::State;
use crate::list_options::ListOptions;
use crate::live_model::LiveModel;
use crate::recommendation_list::RecommendationList;
use crate::related::{self, Relation};
use crate::{popular, ranking};

/// What is supposed; by default nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Supposition {
    /// The model that answers: the live one or the one before it. `None`: the live one.
    pub model: Option<u64>,
    /// What the shopper bought beside what is stored.
    pub purchases: Vec<Basket>,
    /// Products of the catalogue as they would be after an edit.
    pub products: Vec<Product>,
}

/// A list to ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum AskedList {
    /// As `POST /recommendations`.
    Shopper { user: Option<UserId>, cart: Vec<ProductId>, at: Option<Timestamp> },
    /// As `GET /products/{productId}/related`.
    Related { product: ProductId, relation: Relation },
    /// As `GET /products/popular`.
    Popular { window: Window, category: Option<Category> },
}

/// A product's place in the ranking of popular products, before products that are not available are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PopularRank {
    /// From 1.
    pub rank: usize,
    /// The number of products in the ranking.
    pub of: usize,
}

impl State {
    /// The list with at most `limit` products. `language` is the value of a header `Accept-Language`.
    ///
    /// # Errors
    /// As for the same list over HTTP; 404 `model_not_found` if the model that is supposed is not kept.
    pub async fn suppose(
        &self,
        list: &AskedList,
        limit: usize,
        supposition: Supposition,
        language: &str,
    ) -> Result<RecommendationList, ApiError> {
        let options = ListOptions {
            limit: limit.min(MAX_LIMIT),
            supposed: Some(Box::new(supposition)),
            ..ListOptions::default()
        };
        let mut answer = match list {
            AskedList::Shopper { user, cart, at } => {
                let options = ListOptions { user: user.clone(), at: *at, ..options };
                ranking::answer(self, cart, &options).await?
            }
            AskedList::Related { product, relation } => {
                related::answer(self, product, *relation, &options).await?
            }
            AskedList::Popular { window, category } => {
                let categories = category.iter().cloned().collect();
                popular::answer(self, *window, &ListOptions { categories, ..options }).await?
            }
        };
        answer.put_into_words(self.texts.preferred(language));
        Ok(answer)
    }

    /// The model of this version, or the live one; `None` before the first training.
    ///
    /// # Errors
    /// 404 `model_not_found` if no model of this version is kept.
    pub async fn model(&self, version: Option<u64>) -> Result<Option<Arc<LiveModel>>, ApiError> {
        self.models.of_version(version).await
    }

    /// Where the product is in the ranking of the window; `None` if it is not.
    ///
    /// # Errors
    /// [`ApiError`] if the model cannot be read.
    pub async fn popular_rank(
        &self,
        product: &ProductId,
        window: Window,
        category: Option<&Category>,
    ) -> Result<Option<PopularRank>, ApiError> {
        let options =
            ListOptions { categories: category.cloned().into_iter().collect(), ..Default::default() };
        let (place, of) = popular::place_of(self, window, &options, product).await?;
        Ok(place.map(|place| PopularRank { rank: place + 1, of }))
    }
}

impl Supposition {
    /// The history with what is supposed to have been bought.
    pub(crate) fn history(&self, stored: StoredHistory) -> StoredHistory {
        if self.purchases.is_empty() {
            return stored;
        }
        let StoredHistory { mut baskets, bytes, is_complete } = stored;
        baskets.splice(..0, self.purchases.iter().cloned());
        // Stable: of the same time the supposed ones are the newest.
        baskets.sort_by_key(|basket| std::cmp::Reverse(basket.purchased_at));
        let is_complete = is_complete && baskets.len() < HISTORY_BASKETS;
        baskets.truncate(HISTORY_BASKETS);
        StoredHistory { baskets, bytes, is_complete }
    }

    pub(crate) fn product(&self, id: &ProductId) -> Option<&Product> {
        self.products.iter().find(|product| product.product_id == *id)
    }

    /// The cards as they are supposed to be.
    pub(crate) fn cards(&self, mut cards: Vec<Arc<Product>>) -> Vec<Arc<Product>> {
        for card in &mut cards {
            if let Some(supposed) = self.product(&card.product_id) {
                *card = Arc::new(supposed.clone());
            }
        }
        cards
    }

    /// Puts the products where they would be on the shelves.
    pub(crate) fn rearrange(&self, shelves: &Shelves, after: &ShelfPosition, page: &mut ShelfPage) {
        for product in &self.products {
            page.products.retain(|(_, id)| *id != product.product_id);
            let Some(position) = shelves.position_of(product) else { continue };
            if position > *after && page.end.as_ref().is_none_or(|end| position <= *end) {
                let at = page.products.partition_point(|(before, _)| *before < position);
                page.products.insert(at, (position, product.product_id.clone()));
            }
        }
    }
}
