//! From a ranking to an answer: the products as they are now, filtered, until the list is full.

use std::collections::HashSet;

use nextbasket_domain::{ProductId, RecommendationId};
use nextbasket_http::{ApiError, cursor};
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::products::{CataloguePage, CataloguePosition};
use serde::{Deserialize, Serialize};

use crate::State;
use crate::list_options::ListOptions;
use crate::reason::Reason;
use crate::recommendation_list::{RecommendationList, RecommendedItem};

/// A product of a ranking. `why` becomes reasons only if it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked<W> {
    pub id: ProductId,
    pub score: f64,
    pub why: W,
}

/// How a list is ranked and explained.
pub(crate) trait Ranking {
    /// What a reason is made of.
    type Why;

    /// The best `n`, fewer only if there are no more; a larger `n` gives the same beginning.
    fn best(&self, n: usize) -> Vec<Ranked<Self::Why>>;

    /// Why the product is where it is, the strongest reason first.
    fn reasons(&self, why: &Self::Why) -> Vec<Reason>;

    /// Distinguishes the ranking from others of the same model, if there are any: a cursor is valid for its own only.
    fn edition(&self) -> Option<i64> {
        None
    }
}

/// How many cards of a ranking one answer may read when most of them turn out not to be available.
const MAX_CARDS: usize = 300;
/// How many products of the catalogue are looked at in a call, and in how many calls.
const CATALOGUE_PAGE: usize = 100;
const MAX_PAGES: usize = 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListPosition {
    recommendation_id: String,
    model_version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edition: Option<i64>,
    /// How many of the pinned products have been looked at.
    pinned: usize,
    /// How much of the ranking has been looked at.
    ranked: usize,
    /// How far the catalogue has been looked through, once the ranking is used up; empty at its beginning.
    catalogue: Option<String>,
}

/// An answer that is being filled.
struct AnswerBuilder<'a> {
    state: &'a State,
    options: &'a ListOptions,
    /// What is not to be shown (again).
    shown: HashSet<ProductId>,
    items: Vec<RecommendedItem>,
    position: ListPosition,
}

/// Fills an answer.
///
/// `never` holds what must not be shown whatever the source, such as the products of the cart. `list` names the list;
/// its cursors are valid for it with the same options only.
pub(crate) async fn fill<R: Ranking>(
    state: &State,
    options: &ListOptions,
    list: &str,
    model_version: Option<u64>,
    never: &[ProductId],
    ranking: &R,
) -> Result<RecommendationList, ApiError> {
    let list = format!("{list}/{}", options.digest(never));
    let mut builder = AnswerBuilder {
        state,
        options,
        shown: never.iter().chain(&options.exclude).cloned().collect(),
        items: Vec::with_capacity(options.limit),
        position: start_position(state, options, &list, model_version, ranking.edition()).await?,
    };
    builder.take_pinned().await?;
    builder.shown.extend(options.pinned.iter().cloned());
    let mut more = builder.position.catalogue.is_none() && builder.take_ranked(ranking).await?;
    if !more {
        more = builder.take_catalogue(ranking).await?;
    }
    let cursor = if more { Some(cursor::encode(&list, &builder.position)?) } else { None };
    Ok(RecommendationList {
        recommendation_id: builder.position.recommendation_id,
        model_version,
        items: builder.items,
        cursor,
    })
}

/// Where the answer starts. All pages of a list have the answer id of the first page: it comes back in the cursor,
/// and is replaced by a new one if it is not valid.
async fn start_position(
    state: &State,
    options: &ListOptions,
    list: &str,
    model_version: Option<u64>,
    edition: Option<i64>,
) -> Result<ListPosition, ApiError> {
    let key = match state.answer_keys.find_or_draw(&state.random).await {
        Ok(key) => Some(key),
        // An answer that cannot be counted for conversions is better than no answer.
        Err(error) => {
            tracing::warn!(%error, "conversions of this answer are not counted: the key of answers' ids cannot be read");
            None
        }
    };
    let (user, now) = (options.user.as_ref(), state.clock.now());
    let new_id = || {
        let scenario = options.scenario.as_str();
        RecommendationId::of_answer(key.as_ref(), scenario, model_version, user, now, &state.random)
    };
    let Some(text) = &options.cursor else {
        return Ok(ListPosition {
            recommendation_id: new_id(),
            model_version,
            edition,
            pinned: 0,
            ranked: 0,
            catalogue: None,
        });
    };
    let mut position: ListPosition = cursor::decode(list, text)?;
    let ours = RecommendationId::parse(&position.recommendation_id)
        .is_ok_and(|id| key.as_ref().map_or(id.has_our_form(), |key| id.is_of(key, user)));
    if !ours {
        position.recommendation_id = new_id();
    }
    if position.model_version != model_version {
        return Err(ApiError::expired_cursor("the model has changed since; start the list again"));
    }
    if position.edition != edition {
        return Err(ApiError::expired_cursor("the list was rebuilt since; start it again"));
    }
    Ok(position)
}

impl AnswerBuilder<'_> {
    fn missing(&self) -> usize {
        self.options.limit - self.items.len()
    }

    async fn take_pinned(&mut self) -> Result<(), ApiError> {
        let (before, pinned) =
            self.options.pinned.split_at_checked(self.position.pinned).unwrap_or((&self.options.pinned, &[]));
        self.shown.extend(before.iter().cloned());
        if pinned.is_empty() {
            return Ok(());
        }
        let cards = self.state.cards.get(pinned).await?;
        for id in pinned {
            if self.missing() == 0 {
                break;
            }
            self.position.pinned += 1;
            if let Some(card) = cards.iter().find(|card| card.product_id == *id)
                && self.options.admits(card)
                && self.shown.insert(id.clone())
            {
                self.items.push(RecommendedItem::new(card, 0.0, vec![Reason::pinned()]));
            }
        }
        Ok(())
    }

    /// Returns whether the list is full: if not, the ranking is used up, or too little of it is available to continue.
    async fn take_ranked<R: Ranking>(&mut self, ranking: &R) -> Result<bool, ApiError> {
        let mut best = ranking.best(self.position.ranked.saturating_add(self.missing()));
        let (mut read, mut extra) = (0, 0);
        while self.missing() > 0 && read < MAX_CARDS {
            // Exactly what is missing first, since as a rule everything is available; then some more each time.
            let chunk = (self.missing() + extra).min(MAX_CARDS - read);
            extra = if extra == 0 { 2 } else { extra * 2 };
            let wanted = self.position.ranked.saturating_add(chunk);
            if best.len() < wanted && read > 0 {
                best = ranking.best(self.position.ranked.saturating_add(MAX_CARDS));
            }
            let next = best.get(self.position.ranked..wanted.min(best.len())).unwrap_or_default();
            if next.is_empty() {
                return Ok(false);
            }
            let ids: Vec<ProductId> =
                next.iter().map(|ranked| ranked.id.clone()).filter(|id| !self.shown.contains(id)).collect();
            let mut cards = self.state.cards.get(&ids).await?.into_iter().peekable();
            for ranked in next {
                if self.missing() == 0 {
                    break;
                }
                self.position.ranked += 1;
                let Some(card) = cards.next_if(|card| card.product_id == ranked.id) else { continue };
                if self.options.admits(&card) && self.shown.insert(ranked.id.clone()) {
                    self.items.push(RecommendedItem::new(&card, ranked.score, ranking.reasons(&ranked.why)));
                }
            }
            read += ids.len().max(1);
        }
        Ok(self.missing() == 0)
    }

    /// Continues with products of the catalogue that the ranking has not shown; returns whether there may be more.
    async fn take_catalogue<R: Ranking>(&mut self, ranking: &R) -> Result<bool, ApiError> {
        self.shown.extend(ranking.best(self.position.ranked).into_iter().map(|ranked| ranked.id));
        // One category has an index; several are picked out of the whole catalogue.
        let category = match self.options.categories.as_slice() {
            [category] => Some(category),
            _ => None,
        };
        let mut after = match self.position.catalogue.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(CataloguePosition::parse(text).ok_or_else(ApiError::invalid_cursor)?),
            None => None,
        };
        for _ in 0..MAX_PAGES {
            let page = self.state.cards.table.page(category, CATALOGUE_PAGE, after.as_ref()).await?;
            let CataloguePage { products, damaged, end } = page;
            log_skipped(&damaged);
            for product in products {
                if self.missing() == 0 {
                    return Ok(true);
                }
                self.position.catalogue = Some(CataloguePosition::of(&product, category).as_str().to_owned());
                if self.options.admits(&product) && self.shown.insert(product.product_id.clone()) {
                    self.items.push(RecommendedItem::new(&product.into(), 0.0, vec![Reason::catalogue()]));
                }
            }
            after = end;
            let Some(end) = &after else { return Ok(false) };
            self.position.catalogue = Some(end.as_str().to_owned());
        }
        Ok(true)
    }
}
