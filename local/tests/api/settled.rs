//! A system with little in it, and bodies that it takes.

#![allow(dead_code, reason = "each test of the API uses its part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::World;

pub(crate) const POST: &str = "POST /purchases";
pub(crate) const PUT: &str = "PUT /products/descaler";
pub(crate) const ASK: &str = "POST /recommendations";

pub(crate) fn purchase() -> Value {
    json!({
        "purchaseId": "p1",
        "userId": "ada",
        "purchasedAt": "2026-05-31T08:15:28Z",
        "lines": [
            { "productId": "descaler", "quantity": 1, "unitPrice": { "amount": 790, "currency": "EUR" } },
            { "productId": "coffee-espresso-1kg", "quantity": 2 },
        ],
        "recommendationId": "r1",
    })
}

pub(crate) fn product() -> Value {
    json!({
        "name": "Descaler", "categories": ["Care", "Coffee"], "price": { "amount": 790, "currency": "EUR" },
        "available": true, "attributes": { "volume": "250 ml" },
    })
}

pub(crate) fn basket() -> Value {
    json!({
        "userId": "ada", "basket": ["descaler"], "limit": 5,
        "filter": { "categories": ["Coffee"], "available": true, "exclude": ["milk"] },
        "boost": [{ "category": "Coffee", "factor": 1.5 }, { "productId": "milk", "factor": 0 }],
        "pin": ["coffee-espresso-1kg"], "scenario": "cart",
    })
}

/// The body with the value under the pointer in place of what is there.
pub(crate) fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
    body
}

/// A system with little in it, all of it settled.
pub(crate) async fn settled() -> World {
    let world = World::empty().await;
    for n in 0..4 {
        let stored = world.send("PUT", &format!("/products/descaler{n}"), product().to_string()).await;
        assert_eq!(stored.status, 201);
        for user in ["ada", "grace"] {
            let body = with(with(purchase(), "/purchaseId", json!(format!("o{n}"))), "/userId", json!(user));
            assert_eq!(world.send("POST", "/purchases", body.to_string()).await.status, 201);
        }
    }
    for body in [with(purchase(), "/lines/0/quantity", json!(9)), purchase()] {
        let id = if body == purchase() { "kept" } else { "taken" };
        let body = with(body, "/purchaseId", json!(id));
        assert_eq!(world.send("POST", "/purchases", body.to_string()).await.status, 201);
    }
    assert_eq!(world.send("PUT", "/products/descaler", product().to_string()).await.status, 201);
    // The first answer draws the key of the answers' ids.
    assert_eq!(world.send("GET", "/users/ada/recommendations", "").await.status, 200);
    world.system.drain(|_| ()).await.unwrap();
    world
}

pub(crate) async fn unchanged(world: &World, before: &BTreeSet<String>) {
    world.system.drain(|_| ()).await.unwrap();
    assert_same(&world.items().await, before, "in the end");
}

pub(crate) fn assert_same(after: &BTreeSet<String>, before: &BTreeSet<String>, of: &str) {
    let changed: Vec<_> = after.symmetric_difference(before).collect();
    assert!(changed.is_empty(), "{of}: {changed:#?}");
}
