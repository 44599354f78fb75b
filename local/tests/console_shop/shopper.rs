use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::api::World;

async fn shopper(world: &World, user: &str) -> Value {
    world.console_ok("POST", "shopper", json!({ "userId": user })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_has_the_purchases_and_the_history_that_follows_from_them() {
    let world = World::with_shop().await;
    let ada = shopper(&world, "ada").await;
    let purchases = world.public("/users/ada/purchases?limit=100").await;
    assert_eq!(ada["purchases"], purchases["items"]);
    assert_eq!((&ada["matches"], &ada["erased"], &ada["damaged"]), (&json!(true), &json!(false), &json!(0)));
    let baskets = ada["history"]["baskets"].as_array().unwrap();
    assert_eq!(baskets.len(), purchases["items"].as_array().unwrap().len());
    for (basket, purchase) in baskets.iter().zip(purchases["items"].as_array().unwrap()) {
        let mut bought: Vec<&str> = purchase["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["productId"].as_str().unwrap())
            .collect();
        bought.sort_unstable();
        bought.dedup();
        assert_eq!(*basket, json!({ "purchasedAt": purchase["purchasedAt"], "products": bought }));
    }
    assert_eq!(ada["history"]["isComplete"], true);
    assert!(ada["history"]["bytes"].as_u64().unwrap() > 10);

    let nobody = shopper(&world, "nobody").await;
    let nothing = json!({
        "userId": "nobody", "erased": false, "purchases": [], "damaged": 0, "history": null, "matches": true,
    });
    assert_eq!(nobody, nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_does_not_follow_from_the_purchases_is_noticed() {
    let world = World::with_shop().await;
    let machine = world.system.machine();
    let client = aws_sdk_dynamodb::Client::new(machine.sdk_config());
    let table = &machine.template().table("HistoryTable").unwrap().name;
    let key = |user: &str| AttributeValue::S(user.to_owned());
    // The history of grace under the name of ada, and an invalid history.
    let grace = client.get_item().table_name(table).key("userId", key("grace")).send().await.unwrap();
    let mut item = grace.item.unwrap();
    item.insert("userId".to_owned(), key("ada"));
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
    client.put_item().table_name(table).item("userId", key("alan")).send().await.unwrap();

    let ada = shopper(&world, "ada").await;
    assert_eq!(ada["matches"], false);
    assert_eq!(ada["history"], shopper(&world, "grace").await["history"]);
    let alan = shopper(&world, "alan").await;
    assert_eq!((&alan["matches"], &alan["history"]), (&json!(false), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_shopper_is_called_so() {
    let world = World::with_shop().await;
    let erased = world.send("DELETE", "/users/ada", "").await;
    assert_eq!(erased.status, 202, "{erased:?}");
    let ada = shopper(&world, "ada").await;
    let nothing = json!({
        "userId": "ada", "erased": true, "purchases": [], "damaged": 0, "history": null, "matches": true,
    });
    assert_eq!(ada, nothing);
    assert_eq!(shopper(&world, "grace").await["erased"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_shoppers_are_known_to_begin_with() {
    let world = World::with_shop().await;
    let known = world.console_ok("GET", "shoppers", Value::Null).await;
    let known = known["items"].as_array().unwrap();
    assert_eq!(known.len(), 20);
    assert!(known.is_sorted_by_key(|one| std::cmp::Reverse(one["lastAt"].as_str().unwrap())));
    for one in known {
        let user = one["userId"].as_str().unwrap();
        let purchases = &shopper(&world, user).await["purchases"];
        assert_eq!(one["purchases"], purchases.as_array().unwrap().len(), "{user}");
        assert_eq!(one["lastAt"], purchases[0]["purchasedAt"], "{user}");
    }
}
