//! Random purchases of a shop.

use nextbasket_domain::{Line, ProductId, Purchase, PurchaseId, Timestamp, UserId};
use nextbasket_testkit::Seeded;

pub const PRODUCTS: u64 = 16;

const DAY_MS: u64 = 86_400_000;

#[must_use]
pub fn product(n: u64) -> String {
    format!("p{n:02}")
}

/// A purchase of the last 60 days.
pub fn purchase(chance: &mut Seeded, user: &str, id: &str, now_ms: i64) -> Purchase {
    let ago = i64::try_from(chance.below(60 * DAY_MS)).unwrap_or(0);
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..1 + chance.below(4) {
        let line = Line {
            product_id: ProductId::parse(&product(chance.below(PRODUCTS))).unwrap(),
            quantity: 1 + u32::try_from(chance.below(3)).unwrap_or(0),
            unit_price: None,
        };
        lines.push(line);
    }
    Purchase {
        purchase_id: PurchaseId::parse(id).unwrap(),
        user_id: UserId::parse(user).unwrap(),
        // Sometimes two have the same time.
        purchased_at: Timestamp::from_millis((now_ms - ago) / 60_000 * 60_000).unwrap(),
        lines,
        recommendation_id: None,
    }
}
