//! From a ranking to an answer: the products as they are now, filtered, until the list is full.

use std::collections::HashSet;

use nextbasket_domain::ProductId;
use nextbasket_http::{ApiError, cursor};
use nextbasket_tables::products::Place as CataloguePlace;
use serde::{Deserialize, Serialize};

use crate::State;
use crate::answer::{Answer, Item};
use crate::ask::Ask;
use crate::reason::Reason;

/// A product of a ranking.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked {
    pub id: ProductId,
    pub score: f64,
    pub reasons: Vec<Reason>,
}

/// How many cards are read at once when products of the ranking turn out not to be available.
const MOST_CARDS: usize = 100;
/// How many pages of the catalogue one answer may look through for available products.
const MOST_PAGES: usize = 20;

/// Where a list goes on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Place {
    recommendation_id: String,
    model_version: Option<u64>,
    /// How much of the ranking has been looked at.
    ranked: usize,
    /// How far the catalogue has been looked through, once the ranking is used up.
    catalogue: Option<String>,
}

/// Fills an answer to the ask.
///
/// `rank(n)` gives the best n of the ranking, fewer only if there are no more; a larger n gives the same beginning.
/// `never` holds what must not be shown whatever the source, such as the products of the cart. `list` names the
/// list, so that its cursors are good for it alone.
pub(crate) async fn fill(
    state: &State,
    ask: &Ask,
    list: &str,
    model_version: Option<u64>,
    never: &[ProductId],
    rank: impl Fn(usize) -> Vec<Ranked>,
) -> Result<Answer, ApiError> {
    let mut place = begin(state, ask, list, model_version)?;
    let mut items = Vec::with_capacity(ask.limit);
    let mut shown: HashSet<ProductId> =
        never.iter().chain(&ask.exclude).chain(&ask.pinned).cloned().collect();
    if ask.cursor.is_none() && !ask.pinned.is_empty() {
        for card in state.cards.get(&ask.pinned).await?.iter().take(ask.limit) {
            if ask.admits(card)
                && !never.contains(&card.product_id)
                && !ask.exclude.contains(&card.product_id)
            {
                items.push(Item::new(card, 0.0, vec![Reason::pinned()]));
            }
        }
    }
    let mut used_up = place.catalogue.is_some();
    let mut chunk = 0;
    while items.len() < ask.limit && !used_up {
        let missing = ask.limit - items.len();
        // Exactly what is missing first, since as a rule everything is available; then more at a time.
        chunk = if chunk == 0 { missing } else { (chunk * 2).max(missing) }.min(MOST_CARDS);
        // A cursor can be made up, with any place in it.
        let wanted = place.ranked.saturating_add(chunk);
        let best = rank(wanted);
        used_up = best.len() < wanted;
        let next = best.get(place.ranked..).unwrap_or_default();
        let ids: Vec<ProductId> =
            next.iter().map(|ranked| ranked.id.clone()).filter(|id| !shown.contains(id)).collect();
        let mut cards = state.cards.get(&ids).await?.into_iter().peekable();
        for ranked in next {
            if items.len() == ask.limit {
                used_up = false;
                break;
            }
            place.ranked += 1;
            let Some(card) = cards.next_if(|card| card.product_id == ranked.id) else { continue };
            if ask.admits(&card) && shown.insert(ranked.id.clone()) {
                items.push(Item::new(&card, ranked.score, ranked.reasons.clone()));
            }
        }
    }
    let mut more = !used_up;
    if used_up && items.len() < ask.limit {
        shown.extend(rank(usize::MAX).into_iter().map(|ranked| ranked.id));
        more = from_catalogue(state, ask, &mut place, &mut shown, &mut items).await?;
    } else if used_up {
        more = true;
    }
    let cursor = if more { Some(cursor::encode(list, &place)?) } else { None };
    Ok(Answer { recommendation_id: place.recommendation_id, model_version, items, cursor })
}

fn begin(state: &State, ask: &Ask, list: &str, model_version: Option<u64>) -> Result<Place, ApiError> {
    let Some(text) = &ask.cursor else {
        // Scenario and model can be read off the id when a purchase brings it back; nothing has to be stored.
        let version = model_version.unwrap_or(0);
        let recommendation_id = format!(
            "{}.{version}.{:016x}{:016x}",
            ask.scenario.as_str(),
            state.random.draw(),
            state.random.draw()
        );
        return Ok(Place { recommendation_id, model_version, ranked: 0, catalogue: None });
    };
    let place: Place = cursor::decode(list, text)?;
    if place.model_version != model_version {
        return Err(ApiError::expired_cursor("the model has changed since; begin the list again"));
    }
    Ok(place)
}

/// Goes on with available products that the ranking does not know; tells whether there may be more.
async fn from_catalogue(
    state: &State,
    ask: &Ask,
    place: &mut Place,
    shown: &mut HashSet<ProductId>,
    items: &mut Vec<Item>,
) -> Result<bool, ApiError> {
    // One category has an index; several are picked out of the whole catalogue.
    let category = match ask.categories.as_slice() {
        [category] => Some(category),
        _ => None,
    };
    let mut after = match place.catalogue.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(CataloguePlace::parse(text).ok_or_else(ApiError::invalid_cursor)?),
        None => None,
    };
    for _ in 0..MOST_PAGES {
        let missing = ask.limit - items.len();
        let (products, end) = state.cards.table.page(category, missing, after.as_ref()).await?;
        for product in products {
            if ask.admits(&product) && shown.insert(product.product_id.clone()) {
                items.push(Item::new(&product.into(), 0.0, vec![Reason::catalogue()]));
            }
        }
        place.catalogue = Some(end.as_ref().map_or(String::new(), |end| end.as_str().to_owned()));
        after = end;
        if after.is_none() {
            return Ok(false);
        }
        if items.len() >= ask.limit {
            return Ok(true);
        }
    }
    Ok(true)
}
