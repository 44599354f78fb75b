//! Lines from anywhere in a file to purchases.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

use nextbasket_domain::purchase::{MAX_LINES, MAX_PURCHASE_ID_BYTES};
use nextbasket_domain::{Line, Purchase, PurchaseId, RecommendationId, Timestamp, UserId};

use crate::columns::FileColumn;
use crate::refusal::{RecordFault, RefusalReason};
use crate::samples::SamplePurchase;

struct OpenBasket {
    purchase: Purchase,
    /// The names of its lines' products.
    names: Vec<Option<Arc<str>>>,
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
    /// All names of products, so that equal ones share their text.
    names: HashSet<Arc<str>>,
}

impl Baskets {
    /// Adds a line, which may name its product; whether it went into one that was there.
    pub(crate) fn add_line(&mut self, loose: LooseLine, name: Option<&str>) -> Result<bool, RecordFault> {
        let name = self.shared_name(name);
        let LooseLine { user_id, purchase_id, at, line, recommendation_id } = loose;
        let id_bytes = line.product_id.as_str().len();
        let place = match self.places.entry((user_id, purchase_id)) {
            Entry::Vacant(entry) => {
                let (user_id, purchase_id) = entry.key().clone();
                entry.insert(self.baskets.len());
                let purchase =
                    Purchase { purchase_id, user_id, purchased_at: at, lines: vec![line], recommendation_id };
                self.baskets.push(OpenBasket { purchase, names: vec![name], id_bytes, whole: false });
                return Ok(false);
            }
            Entry::Occupied(entry) => *entry.get(),
        };
        let Some(basket) = self.baskets.get_mut(place) else { return Ok(false) };
        if basket.whole {
            return Err(conflict());
        }
        let same = |other: &Line| other.product_id == line.product_id && other.unit_price == line.unit_price;
        let merged = match basket
            .purchase
            .lines
            .iter_mut()
            .zip(&mut basket.names)
            .find(|(other, _)| same(other))
        {
            Some((other, named)) => {
                let sum = i64::from(other.quantity) + i64::from(line.quantity);
                other.quantity = Line::quantity(sum).map_err(|error| {
                    let message = format!("the sum of this product's quantities in the purchase {error}");
                    RecordFault::of_cell(RefusalReason::BadQuantity, FileColumn::Quantity, message)
                })?;
                if named.is_none() {
                    *named = name;
                }
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
                basket.names.push(name);
                false
            }
        };
        basket.purchase.purchased_at = basket.purchase.purchased_at.min(at);
        if basket.purchase.recommendation_id.is_none() {
            basket.purchase.recommendation_id = recommendation_id;
        }
        Ok(merged)
    }

    /// The name, as one text that all lines with it share.
    fn shared_name(&mut self, name: Option<&str>) -> Option<Arc<str>> {
        let name = name?;
        if let Some(known) = self.names.get(name) {
            return Some(Arc::clone(known));
        }
        let shared: Arc<str> = name.into();
        self.names.insert(Arc::clone(&shared));
        Some(shared)
    }

    /// Adds a whole purchase, with the names of its lines' products.
    pub(crate) fn add_purchase(
        &mut self,
        purchase: Purchase,
        names: &[Option<&str>],
    ) -> Result<(), RecordFault> {
        let names = names.iter().map(|name| self.shared_name(*name)).collect();
        match self.places.entry((purchase.user_id.clone(), purchase.purchase_id.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(self.baskets.len());
                self.baskets.push(OpenBasket { purchase, names, id_bytes: 0, whole: true });
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

    /// The purchases, oldest first, those of one time by user and id; and the first of them for people.
    pub(crate) fn into_purchases(mut self) -> (Vec<Purchase>, Vec<SamplePurchase>) {
        drop(self.places);
        self.baskets.sort_unstable_by(|a, b| {
            let (a, b) = (&a.purchase, &b.purchase);
            (a.purchased_at, &a.user_id, &a.purchase_id).cmp(&(b.purchased_at, &b.user_id, &b.purchase_id))
        });
        let named = self.baskets.iter().map(|basket| (&basket.purchase, basket.names.as_slice()));
        let samples = SamplePurchase::first(named);
        let shrunk = |mut basket: OpenBasket| {
            basket.purchase.lines.shrink_to_fit();
            basket.purchase
        };
        (self.baskets.into_iter().map(shrunk).collect(), samples)
    }
}

fn conflict() -> RecordFault {
    let message = "a purchase with this user and id appears earlier in the file, with other content";
    RecordFault::of_cell(RefusalReason::ConflictingPurchase, FileColumn::BasketId, message)
}
