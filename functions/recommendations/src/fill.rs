//! From a ranking to an answer: the products as they are now, filtered, until the list is full.
//!
//! A list has a head of up to [`MAX_SHOWN`] products, and a tail. Each page of the head takes the best products of the
//! ranking as it is now that no page has shown yet: the cursor carries hashes of those. So a purchase, a sale or a new
//! model between two pages changes what comes next, and nothing comes twice or is left out. The tail holds everything
//! else in the order of the [shelves](nextbasket_tables::products::shelf), which none of these changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nextbasket_domain::{Product, ProductId, RecommendationId};
use nextbasket_http::{ApiError, cursor};
use nextbasket_tables::TableError;
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::products::shelf::{ShelfPage, ShelfPosition, Shelves};
use serde::{Deserialize, Serialize};

use crate::State;
use crate::cards::SeenCard;
use crate::list_options::ListOptions;
use crate::read_budget::ReadBudget;
use crate::reason::Reason;
use crate::recommendation_list::{RecommendationList, RecommendedItem};
use crate::shown::{MAX_SHOWN, Shown};

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

    /// Why the product is where it is, the strongest reason first; nothing if no reason has enough support.
    fn reasons(&self, why: &Self::Why) -> Vec<Reason>;
}

/// How far a list has been shown.
#[derive(Debug, Serialize, Deserialize)]
struct ListPosition {
    recommendation_id: String,
    /// How many of the pinned products have been looked at.
    pinned: usize,
    /// The products of the head that were shown.
    shown: Shown,
    /// Where the tail continues, once the head is over.
    tail: Option<ShelfPosition>,
}

/// An answer that is being filled.
struct AnswerBuilder<'a> {
    state: &'a State,
    options: &'a ListOptions,
    budget: ReadBudget,
    shelves: Shelves,
    /// What is not to be shown at all.
    never: HashSet<&'a ProductId>,
    items: Vec<RecommendedItem>,
    position: ListPosition,
    /// Whether nothing follows.
    end: bool,
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
    budget: ReadBudget,
) -> Result<RecommendationList, ApiError> {
    let list = format!("{list}/{}", options.digest(never));
    let shelves = options.shelves();
    let mut builder = AnswerBuilder {
        state,
        options,
        budget,
        never: never.iter().chain(&options.exclude).collect(),
        items: Vec::with_capacity(options.limit),
        position: start_position(state, options, &list, model_version, &shelves).await?,
        shelves,
        end: false,
    };
    if builder.position.tail.is_none() {
        builder.take_pinned().await?;
        builder.take_ranked(ranking).await?;
        builder.take_from_shelves(ranking).await?;
        if builder.position.shown.len() >= MAX_SHOWN {
            builder.position.tail = Some(ShelfPosition::default());
        }
    }
    if !builder.end && builder.position.tail.is_some() {
        builder.take_tail().await?;
    }
    let cursor = if builder.end { None } else { Some(cursor::encode(&list, &builder.position)?) };
    Ok(RecommendationList {
        recommendation_id: builder.position.recommendation_id,
        model_version,
        as_of: None,
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
    shelves: &Shelves,
) -> Result<ListPosition, ApiError> {
    let key = match options.supposed {
        // An id that no key has signed counts no conversion.
        Some(_) => None,
        None => state.answer_keys.find_or_draw(&state.random).await.map(Some).unwrap_or_else(|error| {
            // An answer that cannot be counted for conversions is better than no answer.
            tracing::warn!(%error, "conversions of this answer are not counted: the key of answers' ids cannot be read");
            None
        }),
    };
    let (user, now) = (options.user.as_ref(), state.clock.now());
    let new_id = || {
        let scenario = options.scenario.as_str();
        RecommendationId::of_answer(key.as_ref(), scenario, model_version, user, now, &state.random)
    };
    let Some(text) = &options.cursor else {
        return Ok(ListPosition {
            recommendation_id: new_id(),
            pinned: 0,
            shown: Shown::default(),
            tail: None,
        });
    };
    let mut position: ListPosition = cursor::decode(list, text)?;
    let fits = position.tail.as_ref().is_none_or(|tail| shelves.hold(tail));
    if position.shown.len() > MAX_SHOWN || !fits {
        return Err(ApiError::invalid_cursor());
    }
    let ours = RecommendationId::parse(&position.recommendation_id)
        .is_ok_and(|id| key.as_ref().map_or(id.has_our_form(), |key| id.is_of(key, user)));
    if !ours {
        position.recommendation_id = new_id();
    }
    Ok(position)
}

impl AnswerBuilder<'_> {
    fn missing(&self) -> usize {
        self.options.limit - self.items.len()
    }

    /// How many more products the head may take on this page.
    fn missing_of_head(&self) -> usize {
        self.missing().min(MAX_SHOWN.saturating_sub(self.position.shown.len()))
    }

    /// How many of the products that come first may be out.
    fn most_out(&self) -> usize {
        self.never.len() + self.position.shown.len()
    }

    async fn cards(&self, ids: &[ProductId]) -> Result<Vec<Arc<Product>>, TableError> {
        let cards = self.state.cards.get(ids).await?;
        Ok(match &self.options.supposed {
            Some(supposed) => supposed.cards(cards),
            None => cards,
        })
    }

    /// What is known of the card without a read.
    fn seen(&self, id: &ProductId) -> Option<SeenCard> {
        let supposed = self.options.supposed.as_ref().and_then(|supposed| supposed.product(id));
        match supposed {
            Some(card) => Some(SeenCard { fresh: true, card: Some(Arc::new(card.clone())) }),
            None => self.state.cards.seen(id),
        }
    }

    /// Whether the product may not be shown, or was shown already.
    fn is_out(&self, id: &ProductId) -> bool {
        self.never.contains(id) || self.position.shown.contains(id)
    }

    /// What stands on the shelves after a place and is not out; `None` if the shelves may not be read on. An answer that shows nothing yet looks until it finds something.
    async fn next_on_shelves(
        &mut self,
        after: &ShelfPosition,
        wanted: usize,
    ) -> Result<Option<ShelfPage>, ApiError> {
        if !self.items.is_empty() && !self.budget.allows_queries(self.shelves.queries_at(after)) {
            return Ok(None);
        }
        let limit = wanted + self.most_out().min(MAX_SHOWN);
        let mut page = self.state.cards.table.shelf_page(&self.shelves, after, limit).await?;
        log_skipped(&page.damaged);
        self.budget.spend_on_shelves(page.half_units);
        if let Some(supposed) = &self.options.supposed {
            supposed.rearrange(&self.shelves, after, &mut page);
        }
        page.products.retain(|(_, id)| !self.is_out(id));
        Ok(Some(page))
    }

    async fn take_pinned(&mut self) -> Result<(), ApiError> {
        let pinned = self.options.pinned.get(self.position.pinned..).unwrap_or_default();
        if pinned.is_empty() {
            return Ok(());
        }
        let cards = self.cards(pinned).await?;
        for id in pinned {
            if self.missing_of_head() == 0 {
                break;
            }
            self.position.pinned += 1;
            if !self.is_out(id)
                && let Some(card) = cards.iter().find(|card| card.product_id == *id)
                && self.options.admits(card)
                && self.position.shown.insert(id)
            {
                self.items.push(RecommendedItem::new(card, 0.0, vec![Reason::pinned()]));
            }
        }
        Ok(())
    }

    /// Takes the best products of the ranking until the page is full, the ranking is used up, or too many of them
    /// turned out not to be available.
    async fn take_ranked<R: Ranking>(&mut self, ranking: &R) -> Result<(), ApiError> {
        if self.missing_of_head() == 0 {
            return Ok(());
        }
        let mut asked = self.most_out().saturating_add(self.missing_of_head());
        let mut best = ranking.best(asked);
        // What was not available a while ago is looked at again, but leaves room for what was never looked at.
        let mut doubts = self.budget.left() / 2;
        let (mut place, mut wasted) = (0, 0);
        while self.missing_of_head() > 0 && self.budget.left() > 0 {
            // As many as were of no use the last time are added, since some of these may be so, too.
            let wanted = (self.missing_of_head() + wasted).min(self.budget.left());
            let mut chosen = Vec::with_capacity(wanted);
            while chosen.len() < wanted {
                if place == best.len() {
                    if best.len() < asked {
                        break;
                    }
                    asked = asked.saturating_mul(4);
                    best = ranking.best(asked);
                }
                let Some(next) = best.get(place) else { break };
                place += 1;
                if self.is_out(&next.id) {
                    continue;
                }
                if let Some(seen) = self.seen(&next.id)
                    && !seen.card.is_some_and(|card| self.options.admits(&card))
                {
                    if seen.fresh || doubts == 0 {
                        continue;
                    }
                    doubts -= 1;
                }
                chosen.push(place - 1);
            }
            if chosen.is_empty() {
                return Ok(());
            }
            let chosen: Vec<_> = chosen.into_iter().filter_map(|place| best.get(place)).collect();
            wasted = self.show_ranked(ranking, &chosen).await?;
            self.budget.spend(wasted);
        }
        Ok(())
    }

    /// Shows those of the products that are available, as far as there is room; tells how many it did not show.
    async fn show_ranked<R: Ranking>(
        &mut self,
        ranking: &R,
        chosen: &[&Ranked<R::Why>],
    ) -> Result<usize, ApiError> {
        let ids: Vec<ProductId> = chosen.iter().map(|ranked| ranked.id.clone()).collect();
        let mut cards = self.cards(&ids).await?.into_iter().peekable();
        let mut shown = 0;
        for ranked in chosen {
            let Some(card) = cards.next_if(|card| card.product_id == ranked.id) else { continue };
            if self.missing_of_head() > 0
                && self.options.admits(&card)
                && self.position.shown.insert(&ranked.id)
            {
                self.items.push(RecommendedItem::new(&card, ranked.score, ranking.reasons(&ranked.why)));
                shown += 1;
            }
        }
        Ok(chosen.len() - shown)
    }

    /// Fills the head with what the shelves hold, in the order of the ranking as far as it knows the products.
    async fn take_from_shelves<R: Ranking>(&mut self, ranking: &R) -> Result<(), ApiError> {
        let mut after = ShelfPosition::default();
        let mut places: Option<HashMap<ProductId, usize>> = None;
        let mut ranked = Vec::new();
        while self.missing_of_head() > 0 {
            let Some(page) = self.next_on_shelves(&after, self.missing_of_head()).await? else {
                return Ok(());
            };
            let mut ids: Vec<ProductId> = page.products.into_iter().map(|(_, id)| id).collect();
            if !ids.is_empty() {
                let places = places.get_or_insert_with(|| {
                    ranked = ranking.best(usize::MAX);
                    ranked.iter().enumerate().map(|(place, ranked)| (ranked.id.clone(), place)).collect()
                });
                // Stable: what the ranking does not know stays in the order of the shelves.
                ids.sort_by_key(|id| places.get(id).copied().unwrap_or(usize::MAX));
            }
            let mut rest = ids.as_slice();
            while let Some((chunk, others)) = rest.split_at_checked(self.missing_of_head().min(rest.len()))
                && !chunk.is_empty()
            {
                rest = others;
                let before = self.items.len();
                for card in self.cards(chunk).await? {
                    if self.options.admits(&card) && self.position.shown.insert(&card.product_id) {
                        let known =
                            places.as_ref().and_then(|places| ranked.get(*places.get(&card.product_id)?));
                        let (score, reasons) = match known {
                            Some(known) => (known.score, ranking.reasons(&known.why)),
                            None => (0.0, vec![Reason::catalogue()]),
                        };
                        self.items.push(RecommendedItem::new(&card, score, reasons));
                    }
                }
                self.budget.spend(chunk.len() - (self.items.len() - before));
            }
            match page.end {
                Some(end) => after = end,
                None => {
                    self.end = rest.is_empty();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Continues with the shelves in their order, without what the head has shown.
    async fn take_tail(&mut self) -> Result<(), ApiError> {
        while self.missing() > 0 {
            let after = self.position.tail.clone().unwrap_or_default();
            let Some(page) = self.next_on_shelves(&after, self.missing()).await? else {
                return Ok(());
            };
            let mut rest = page.products.as_slice();
            while let Some((chunk, others)) = rest.split_at_checked(self.missing().min(rest.len()))
                && let Some((place, _)) = chunk.last()
            {
                rest = others;
                self.position.tail = Some(place.clone());
                let ids: Vec<ProductId> = chunk.iter().map(|(_, id)| id.clone()).collect();
                let before = self.items.len();
                for card in self.cards(&ids).await? {
                    if self.options.admits(&card) {
                        self.items.push(RecommendedItem::new(&card, 0.0, vec![Reason::catalogue()]));
                    }
                }
                self.budget.spend(ids.len() - (self.items.len() - before));
            }
            if rest.is_empty() {
                match page.end {
                    Some(end) => self.position.tail = Some(end),
                    None => {
                        self.end = true;
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}
