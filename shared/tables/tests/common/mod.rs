//! The tables of a fresh stack, and purchases to put into them.

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

use aws_sdk_dynamodb::Client;
use nextbasket_domain::{Line, ProductId, Purchase, PurchaseId, Timestamp, UserId};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::TestStack;

pub fn tables(stack: &TestStack) -> Tables {
    tables_through(stack, stack.dynamodb())
}

pub fn tables_through(stack: &TestStack, client: Client) -> Tables {
    Tables::new(client, TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned())))
}

pub fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub fn product(id: &str) -> ProductId {
    ProductId::parse(id).unwrap()
}

pub fn purchase(user: &str, id: &str, at: i64, products: &[&str]) -> Purchase {
    Purchase {
        purchase_id: PurchaseId::parse(id).unwrap(),
        user_id: UserId::parse(user).unwrap(),
        purchased_at: Timestamp::from_millis(at).unwrap(),
        lines: products
            .iter()
            .map(|id| Line { product_id: product(id), quantity: 1, unit_price: None })
            .collect(),
        recommendation_id: None,
    }
}

/// A small generator, so that a failing case can be replayed from its seed.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
