//! A generated shop, and randomness that can be replayed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]

use nextbasket_domain::{Category, Line, Product, ProductId, Purchase, PurchaseId, Timestamp, UserId};

pub const DAY_MS: i64 = 86_400_000;

/// A small generator, so that a failing case can be replayed from its seed.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

pub fn purchase(user: &str, id: &str, time_ms: i64, products: &[String]) -> Purchase {
    Purchase {
        purchase_id: PurchaseId::parse(id).unwrap(),
        user_id: UserId::parse(user).unwrap(),
        purchased_at: Timestamp::from_millis(time_ms).unwrap(),
        lines: products
            .iter()
            .map(|id| Line { product_id: ProductId::parse(id).unwrap(), quantity: 1, unit_price: None })
            .collect(),
        recommendation_id: None,
    }
}

/// Shoppers with a few staples each, who buy now and then something else; product numbers are bought the more the
/// smaller they are. Purchases lie within 200 days; times repeat. The newest is that of a shopper who bought once.
pub fn shop(seed: u64, users: u64, products: u64) -> Vec<Purchase> {
    let mut random = Seeded(seed);
    let mut purchases = Vec::new();
    for user in 0..users {
        let staples: Vec<u64> = (0..4).map(|_| random.below(products)).collect();
        for basket in 0..1 + random.below(7) {
            let mut bought = Vec::new();
            for _ in 0..1 + random.below(5) {
                let product = match random.below(3) {
                    0 => random.below(products) * random.below(products) / products,
                    _ => staples[random.below(4) as usize],
                };
                bought.push(format!("p{product}"));
            }
            let day = random.below(200) as i64;
            purchases.push(purchase(&format!("user {user}"), &format!("{basket}"), day * DAY_MS, &bought));
        }
    }
    purchases.push(purchase("once", "1", 200 * DAY_MS, &["p0".to_owned()]));
    purchases
}

pub fn product(id: &str, name: &str, categories: &[&str]) -> Product {
    Product {
        product_id: ProductId::parse(id).unwrap(),
        name: name.to_owned(),
        categories: categories.iter().map(|name| Category::parse(name).unwrap()).collect(),
        price: None,
        available: true,
        attributes: std::collections::BTreeMap::new(),
        updated_at: Timestamp::EPOCH,
    }
}
