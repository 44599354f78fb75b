//! From a ranking to an answer: the products as they are now, filtered, until the list is full.

use std::collections::HashSet;

use nextbasket_domain::{ProductId, RecommendationId};
use nextbasket_http::{ApiError, cursor, logging};
use nextbasket_tables::products::{CataloguePage, Place as CataloguePlace};
use serde::{Deserialize, Serialize};

use crate::State;
use crate::answer::{Answer, Item};
use crate::ask::Ask;
use crate::reason::Reason;

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

    /// Tells the ranking from others of the same model, if there are any: a cursor is good for its own alone.
    fn edition(&self) -> Option<i64> {
        None
    }
}

/// How many cards of a ranking one answer may read when most of them turn out not to be available.
const MOST_CARDS: usize = 300;
/// How many products of the catalogue are looked at in a call, and in how many calls.
const CATALOGUE_PAGE: usize = 100;
const MOST_PAGES: usize = 20;

/// Where a list goes on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Place {
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

/// What an answer is filled with.
struct Filling<'a> {
    state: &'a State,
    ask: &'a Ask,
    /// What is not to be shown (again).
    shown: HashSet<ProductId>,
    items: Vec<Item>,
    place: Place,
}

/// Fills an answer to the ask.
///
/// `never` holds what must not be shown whatever the source, such as the products of the cart. `list` names the list;
/// its cursors are good for it and the same ask alone.
pub(crate) async fn fill<R: Ranking>(
    state: &State,
    ask: &Ask,
    list: &str,
    model_version: Option<u64>,
    never: &[ProductId],
    ranking: &R,
) -> Result<Answer, ApiError> {
    let list = format!("{list}/{}", ask.digest(never));
    let mut filling = Filling {
        state,
        ask,
        shown: never.iter().chain(&ask.exclude).cloned().collect(),
        items: Vec::with_capacity(ask.limit),
        place: begin(state, ask, &list, model_version, ranking.edition()).await?,
    };
    filling.take_pinned().await?;
    filling.shown.extend(ask.pinned.iter().cloned());
    let mut more = filling.place.catalogue.is_none() && filling.take_ranked(ranking).await?;
    if !more {
        more = filling.take_catalogue(ranking).await?;
    }
    let cursor = if more { Some(cursor::encode(&list, &filling.place)?) } else { None };
    Ok(Answer {
        recommendation_id: filling.place.recommendation_id,
        model_version,
        items: filling.items,
        cursor,
    })
}

/// Where the answer begins. All pages of a list have the answer id of the first page: it comes back in the cursor,
/// and is replaced by a new one if it is not valid.
async fn begin(
    state: &State,
    ask: &Ask,
    list: &str,
    model_version: Option<u64>,
    edition: Option<i64>,
) -> Result<Place, ApiError> {
    let key = match state.answer_keys.find_or_draw(&state.random).await {
        Ok(key) => Some(key),
        // An answer that cannot be counted for conversions is better than no answer.
        Err(error) => {
            tracing::warn!(%error, "an answer's id proves nothing: the key of answers' ids cannot be read");
            None
        }
    };
    let (user, now) = (ask.user.as_ref(), state.clock.now());
    let new_id = || {
        let scenario = ask.scenario.as_str();
        RecommendationId::of_answer(key.as_ref(), scenario, model_version, user, now, &state.random)
    };
    let Some(text) = &ask.cursor else {
        return Ok(Place {
            recommendation_id: new_id(),
            model_version,
            edition,
            pinned: 0,
            ranked: 0,
            catalogue: None,
        });
    };
    let mut place: Place = cursor::decode(list, text)?;
    let ours = RecommendationId::parse(&place.recommendation_id)
        .is_ok_and(|id| key.as_ref().map_or(id.has_our_form(), |key| id.is_of(key, user)));
    if !ours {
        place.recommendation_id = new_id();
    }
    if place.model_version != model_version {
        return Err(ApiError::expired_cursor("the model has changed since; begin the list again"));
    }
    if place.edition != edition {
        return Err(ApiError::expired_cursor("the list was made anew since; begin it again"));
    }
    Ok(place)
}

impl Filling<'_> {
    fn missing(&self) -> usize {
        self.ask.limit - self.items.len()
    }

    async fn take_pinned(&mut self) -> Result<(), ApiError> {
        let (before, pinned) =
            self.ask.pinned.split_at_checked(self.place.pinned).unwrap_or((&self.ask.pinned, &[]));
        self.shown.extend(before.iter().cloned());
        if pinned.is_empty() {
            return Ok(());
        }
        let cards = self.state.cards.get(pinned).await?;
        for id in pinned {
            if self.missing() == 0 {
                break;
            }
            self.place.pinned += 1;
            if let Some(card) = cards.iter().find(|card| card.product_id == *id)
                && self.ask.admits(card)
                && self.shown.insert(id.clone())
            {
                self.items.push(Item::new(card, 0.0, vec![Reason::pinned()]));
            }
        }
        Ok(())
    }

    /// Tells whether the list is full: if not, the ranking is used up, or too little of it is available to go on.
    async fn take_ranked<R: Ranking>(&mut self, ranking: &R) -> Result<bool, ApiError> {
        let mut best = ranking.best(self.place.ranked.saturating_add(self.missing()));
        let (mut read, mut extra) = (0, 0);
        while self.missing() > 0 && read < MOST_CARDS {
            // Exactly what is missing first, since as a rule everything is available; then some more each time.
            let chunk = (self.missing() + extra).min(MOST_CARDS - read);
            extra = if extra == 0 { 2 } else { extra * 2 };
            let wanted = self.place.ranked.saturating_add(chunk);
            if best.len() < wanted && read > 0 {
                best = ranking.best(self.place.ranked.saturating_add(MOST_CARDS));
            }
            let next = best.get(self.place.ranked..wanted.min(best.len())).unwrap_or_default();
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
                self.place.ranked += 1;
                let Some(card) = cards.next_if(|card| card.product_id == ranked.id) else { continue };
                if self.ask.admits(&card) && self.shown.insert(ranked.id.clone()) {
                    self.items.push(Item::new(&card, ranked.score, ranking.reasons(&ranked.why)));
                }
            }
            read += ids.len().max(1);
        }
        Ok(self.missing() == 0)
    }

    /// Goes on with products of the catalogue that the ranking has not shown; tells whether there may be more.
    async fn take_catalogue<R: Ranking>(&mut self, ranking: &R) -> Result<bool, ApiError> {
        self.shown.extend(ranking.best(self.place.ranked).into_iter().map(|ranked| ranked.id));
        // One category has an index; several are picked out of the whole catalogue.
        let category = match self.ask.categories.as_slice() {
            [category] => Some(category),
            _ => None,
        };
        let mut after = match self.place.catalogue.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => Some(CataloguePlace::parse(text).ok_or_else(ApiError::invalid_cursor)?),
            None => None,
        };
        for _ in 0..MOST_PAGES {
            let page = self.state.cards.table.page(category, CATALOGUE_PAGE, after.as_ref()).await?;
            let CataloguePage { products, damaged, end } = page;
            logging::skipped(&damaged);
            for product in products {
                if self.missing() == 0 {
                    return Ok(true);
                }
                self.place.catalogue = Some(CataloguePlace::of(&product, category).as_str().to_owned());
                if self.ask.admits(&product) && self.shown.insert(product.product_id.clone()) {
                    self.items.push(Item::new(&product.into(), 0.0, vec![Reason::catalogue()]));
                }
            }
            after = end;
            let Some(end) = &after else { return Ok(false) };
            self.place.catalogue = Some(end.as_str().to_owned());
        }
        Ok(true)
    }
}
