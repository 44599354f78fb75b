//! Lines from anywhere in a file to purchases.

use std::collections::hash_map::{Entry, HashMap};

use nextbasket_domain::purchase::{MAX_LINES, MAX_PURCHASE_ID_BYTES};
use nextbasket_domain::{Line, Purchase, PurchaseId, RecommendationId, Timestamp, UserId};

use crate::columns::FileColumn;
use crate::refusal::{RecordFault, RefusalReason};

struct OpenBasket {
    purchase: Purchase,
    /// Bytes of its lines' product ids.
    id_bytes: usize,
    /// Whether the file gave it as one record, so that lines are not added.
    whole: bool,
}

/// A line on its way into a purchase.
pub(crate) struct LooseLine {
    pub(crate) user_id: UserId,
    pub(crate) purchase_id: PurchaseId,
    pub(crate) at: Timestamp,
    pub(crate) line: Line,
    pub(crate) recommendation_id: Option<RecommendationId>,
}

#[derive(Default)]
pub(crate) struct Baskets {
    places: HashMap<(UserId, PurchaseId), usize>,
    baskets: Vec<OpenBasket>,
}

impl Baskets {
    /// Adds a line; whether it went into one that was there.
    pub(crate) fn add_line(&mut self, loose: LooseLine) -> Result<bool, RecordFault> {
        let LooseLine { user_id, purchase_id, at, line, recommendation_id } = loose;
        let id_bytes = line.product_id.as_str().len();
        let place = match self.places.entry((user_id, purchase_id)) {
            Entry::Vacant(entry) => {
                let (user_id, purchase_id) = entry.key().clone();
                entry.insert(self.baskets.len());
                let purchase =
                    Purchase { purchase_id, user_id, purchased_at: at, lines: vec![line], recommendation_id };
                self.baskets.push(OpenBasket { purchase, id_bytes, whole: false });
                return Ok(false);
            }
            Entry::Occupied(entry) => *entry.get(),
        };
        let Some(basket) = self.baskets.get_mut(place) else { return Ok(false) };
        if basket.whole {
            return Err(conflict());
        }
        let same =
            |other: &&mut Line| other.product_id == line.product_id && other.unit_price == line.unit_price;
        let merged = match basket.purchase.lines.iter_mut().find(same) {
            Some(other) => {
                let sum = i64::from(other.quantity) + i64::from(line.quantity);
                other.quantity = Line::quantity(sum).map_err(|error| {
                    let message = format!("the sum of this product's quantities in the purchase {error}");
                    RecordFault::of_cell(RefusalReason::BadQuantity, FileColumn::Quantity, message)
                })?;
                true
            }
            None => {
                let full = basket.purchase.lines.len() >= MAX_LINES;
                if full || basket.id_bytes + id_bytes > MAX_PURCHASE_ID_BYTES {
                    let message = format!(
                        "a purchase can have at most {MAX_LINES} lines and {MAX_PURCHASE_ID_BYTES} bytes of product ids"
                    );
                    return Err(RecordFault::of_record(RefusalReason::PurchaseFull, message));
                }
                basket.id_bytes += id_bytes;
                basket.purchase.lines.push(line);
                false
            }
        };
        basket.purchase.purchased_at = basket.purchase.purchased_at.min(at);
        if basket.purchase.recommendation_id.is_none() {
            basket.purchase.recommendation_id = recommendation_id;
        }
        Ok(merged)
    }

    pub(crate) fn add_purchase(&mut self, purchase: Purchase) -> Result<(), RecordFault> {
        match self.places.entry((purchase.user_id.clone(), purchase.purchase_id.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(self.baskets.len());
                self.baskets.push(OpenBasket { purchase, id_bytes: 0, whole: true });
                Ok(())
            }
            Entry::Occupied(entry) => match self.baskets.get(*entry.get()) {
                Some(basket) if basket.purchase == purchase => {
                    let message = "this purchase appears earlier in the file, with the same content";
                    Err(RecordFault::of_record(RefusalReason::RepeatedPurchase, message))
                }
                _ => Err(conflict()),
            },
        }
    }

    /// The purchases, oldest first; those of one time by user and id.
    pub(crate) fn into_purchases(self) -> Vec<Purchase> {
        drop(self.places);
        let shrunk = |mut basket: OpenBasket| {
            basket.purchase.lines.shrink_to_fit();
            basket.purchase
        };
        let mut purchases: Vec<_> = self.baskets.into_iter().map(shrunk).collect();
        purchases.sort_unstable_by(|a, b| {
            (a.purchased_at, &a.user_id, &a.purchase_id).cmp(&(b.purchased_at, &b.user_id, &b.purchase_id))
        });
        purchases
    }
}

fn conflict() -> RecordFault {
    let message = "a purchase with this user and id appears earlier in the file, with other content";
    RecordFault::of_cell(RefusalReason::ConflictingPurchase, FileColumn::BasketId, message)
}
