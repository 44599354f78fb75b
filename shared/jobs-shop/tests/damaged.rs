//! Jobs that read items which a careless table job has damaged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{World, purchase, result};
use nextbasket_domain::UserId;
use nextbasket_job_engine::{Job, JobState};
use serde_json::{Value, json};

const USERS: i64 = 60;
const EACH: i64 = 4;

async fn shop() -> World {
    let world = World::start().await;
    let purchases = world.tables().purchases().unwrap();
    for user in 0..USERS {
        for n in 0..EACH {
            let id = format!("b{n}");
            purchases.record(&purchase(&format!("u{user}"), &id, 1_000 * n, &["beans", &id])).await.unwrap();
        }
    }
    world
}

impl World {
    /// Damages a purchase like `update purchases set lines = 5`.
    async fn damage(&self, user: i64, purchase: &str) {
        let text = |value: String| AttributeValue::S(value);
        let update = self.stack.dynamodb().update_item().table_name(self.stack.table("PURCHASES_TABLE"));
        let update =
            update.key("userId", text(format!("u{user}"))).key("purchaseId", text(purchase.to_owned()));
        let update =
            update.update_expression("SET #lines = :five").expression_attribute_names("#lines", "lines");
        update.expression_attribute_values(":five", AttributeValue::N("5".to_owned())).send().await.unwrap();
    }

    /// The items that the job's refused files list.
    async fn named(&self, job: &Job) -> Vec<Value> {
        let mut lines = self.refused(&job.job_id).await;
        for line in &lines {
            assert_eq!(line["reason"], "attribute lines is missing or not a list", "{line}");
        }
        lines.sort_by_key(Value::to_string);
        lines.into_iter().map(|mut line| line["refused"]["key"].take()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_purchase_is_skipped_and_named_by_its_key() {
    let world = shop().await;
    world.damage(7, "b3").await;
    let key = json!({ "userId": "u7", "purchaseId": "b3" });
    let job = world.run("rebuild-history", json!({ "segments": 3 })).await;
    assert_eq!((&result(&job)["users"], &result(&job)["damaged"]), (&json!(USERS), &json!(1)));
    assert_eq!(world.named(&job).await, std::slice::from_ref(&key));
    let history = world.tables().history().unwrap();
    let baskets = history.baskets(&UserId::parse("u7").unwrap()).await.unwrap();
    assert_eq!(baskets.len(), 3, "folded without it");
    let one = world.run("rebuild-history", json!({ "user": "u7" })).await;
    assert_eq!((&result(&one)["changed"], world.named(&one).await), (&json!(0), vec![key.clone()]));

    let popular = world.run("refresh-popular", json!({ "segments": 3 })).await;
    assert_eq!(result(&popular)["purchases"], USERS * EACH - 1);
    assert_eq!(world.named(&popular).await, [key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_in_a_hundred_end_the_job_with_a_sentence() {
    let world = shop().await;
    for (user, purchase) in [(7, "b3"), (8, "b0"), (9, "b1")] {
        world.damage(user, purchase).await;
    }
    for kind in ["rebuild-history", "refresh-popular"] {
        let job = world.run(kind, json!({ "segments": 3 })).await;
        assert_eq!(job.state, JobState::Failed, "{kind}: {:?}", job.result);
        let failure = job.failure.clone().unwrap();
        assert!(failure.starts_with("purchases: 3 of 240 items are damaged, more than 1 %"), "{failure}");
        assert_eq!(world.named(&job).await.len(), 3, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_skips_what_is_damaged_in_the_tables_and_says_so() {
    let world = shop().await;
    world.damage(7, "b3").await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let damaged = world.stack.dynamodb().put_item().table_name(world.stack.table("PRODUCTS_TABLE"));
    damaged
        .item("productId", text("beans"))
        .item("name", AttributeValue::N("5".into()))
        .send()
        .await
        .unwrap();
    let lines = [("u7", "b3"), ("u7", "new"), ("u8", "new")].map(|(user, id)| {
        let product = json!({ "productId": "beans", "quantity": 1 });
        let time = "2026-05-17T09:30:00Z";
        json!({ "userId": user, "purchaseId": id, "purchasedAt": time, "lines": [product] }).to_string()
    });
    let source = world.object("orders.jsonl", lines.join("\n")).await;
    let parameters = json!({ "source": source, "kind": "purchases", "histories": true });
    let job = world.run("import", parameters).await;
    let imported = result(&job);
    let refused = world.refused(&job.job_id).await;
    assert_eq!(imported["written"]["newPurchases"], 2, "{imported:#}\n{refused:#?}");
    assert_eq!(imported["written"]["differingPurchases"], 1, "{imported:#}\n{refused:#?}");
    assert!(refused.iter().any(|line| line["reason"] == "purchase_damaged"), "{refused:#?}");
    let history = world.tables().history().unwrap();
    let baskets = history.baskets(&UserId::parse("u7").unwrap()).await.unwrap();
    assert_eq!(baskets.len(), 4, "three that can be read, and the new one");

    let product = json!({ "productId": "beans", "name": "Beans" }).to_string();
    let source = world.object("products.jsonl", product).await;
    result(&world.run("import", json!({ "source": source, "kind": "products" })).await);
    let put = world.tables().products().unwrap().get(&"beans".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(put.name, "Beans");
}
