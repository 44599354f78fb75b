//! Product cards, cached for seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nextbasket_domain::{Clock, Product, ProductId, Timestamp};
use nextbasket_tables::TableError;
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::products::ProductsTable;

/// How long a card is shown without looking again: a product that is sold out is still shown for so long.
const FRESH_MS: i64 = 3_000;
/// How many cards are kept.
const MAX_CARDS: usize = 10_000;

struct CachedCard {
    at: Timestamp,
    /// `None`: the catalogue does not have this product, or its item cannot be read.
    card: Option<Arc<Product>>,
}

impl CachedCard {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.as_millis() - self.at.as_millis() < FRESH_MS
    }
}

/// What is known of a card without a read.
#[derive(Debug)]
pub(crate) struct SeenCard {
    /// Whether it may be shown without looking again.
    pub fresh: bool,
    pub card: Option<Arc<Product>>,
}

/// The catalogue, behind a cache of cards.
pub(crate) struct Cards {
    pub table: ProductsTable,
    clock: Clock,
    seen: Mutex<HashMap<ProductId, CachedCard>>,
}

impl std::fmt::Debug for Cards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cards")
    }
}

impl Cards {
    pub(crate) fn new(table: ProductsTable, clock: Clock) -> Self {
        Self { table, clock, seen: Mutex::default() }
    }

    /// What the last read of this card gave.
    pub(crate) fn seen(&self, id: &ProductId) -> Option<SeenCard> {
        let now = self.clock.now();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(id).map(|seen| SeenCard { fresh: seen.is_fresh(now), card: seen.card.clone() })
    }

    /// The cards of those of the products that the catalogue has, in the order asked for: one batch read for what
    /// is not fresh.
    pub(crate) async fn get(&self, ids: &[ProductId]) -> Result<Vec<Arc<Product>>, TableError> {
        let now = self.clock.now();
        let mut found: HashMap<ProductId, Option<Arc<Product>>> = HashMap::with_capacity(ids.len());
        let mut stale = Vec::new();
        {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for id in ids {
                match seen.get(id) {
                    Some(seen) if seen.is_fresh(now) => {
                        found.insert(id.clone(), seen.card.clone());
                    }
                    // Asked for only once, should it be named twice.
                    _ if found.insert(id.clone(), None).is_none() => stale.push(id.clone()),
                    _ => {}
                }
            }
        }
        if !stale.is_empty() {
            let cards = self.table.cards(&stale).await?;
            log_skipped(&cards.damaged);
            for card in cards.items {
                found.insert(card.product_id.clone(), Some(Arc::new(card)));
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() + stale.len() > MAX_CARDS {
                seen.clear();
            }
            for id in stale {
                let card = found.get(&id).cloned().flatten();
                seen.insert(id, CachedCard { at: now, card });
            }
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned().flatten()).collect())
    }
}
