//! Lists that are asked for more than there is, or meet more than anybody expected: the table of docs/LISTS.md.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod api;

use std::collections::BTreeSet;

use api::{Answer, World};
use nextbasket_domain::{Line, Purchase, Timestamp, UserId};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;
/// The first purchase.
const START: i64 = 1_700_000_000_000;

/// A text as a part of a path or a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body.as_ref().unwrap()["items"].as_array().unwrap();
    items.iter().map(|item| item["productId"].as_str().unwrap().to_owned()).collect()
}

async fn put(world: &World, id: &str, body: Value) {
    let answer = world.send("PUT", &format!("/products?productId={}", encoded(id)), body.to_string()).await;
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

/// A world whose catalogue holds these products, available and without a category.
async fn catalogue(products: &[&str]) -> World {
    let world = World::empty().await;
    for id in products {
        put(&world, id, json!({ "name": id, "available": true })).await;
    }
    world
}

async fn cart(world: &World, body: Value) -> Answer {
    world.send("POST", "/recommendations", body.to_string()).await
}

/// A whole list.
async fn pages(world: &World, target: &str) -> Vec<String> {
    let (mut all, mut next) = (Vec::new(), target.to_owned());
    loop {
        let page = world.send("GET", &next, "").await;
        all.extend(ids(&page));
        match page.text("/cursor") {
            "" => return all,
            cursor => next = format!("{target}&cursor={cursor}"),
        }
    }
}

/// Records a purchase of a user, and does not wait for the history.
async fn buy(world: &World, user: &str, number: i64, products: &[String]) {
    let line = |id: &String| Line { product_id: id.parse().unwrap(), quantity: 1, unit_price: None };
    let purchase = Purchase {
        purchase_id: format!("o{number}").parse().unwrap(),
        user_id: UserId::parse(user).unwrap(),
        purchased_at: Timestamp::from_millis(START + number * DAY / 4).unwrap(),
        lines: products.iter().map(line).collect(),
        recommendation_id: None,
    };
    world.tables().purchases().unwrap().record(&purchase).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_small_catalogue_has() {
    let world = catalogue(&["a", "b", "c"]).await;
    let answer =
        cart(&world, json!({ "limit": 100, "pin": ["c", "c"], "filter": { "exclude": ["b"] } })).await;
    assert_eq!(ids(&answer), ["c", "a"]);
    assert_eq!(answer.text("/cursor"), "");
    let excluded = cart(&world, json!({ "pin": ["b"], "filter": { "exclude": ["b"] } })).await;
    assert_eq!(ids(&excluded).into_iter().collect::<BTreeSet<_>>(), ["a", "c"].map(str::to_owned).into());
    let nothing = cart(&world, json!({ "filter": { "categories": ["none"] } })).await;
    assert_eq!(ids(&nothing), [""; 0]);
    assert_eq!(nothing.text("/cursor"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn products_with_names_that_mean_something_else() {
    let names = ["popular", "related", "a+b", "a b", "case", "Case", "case "];
    let world = catalogue(&names).await;
    let popular = world.send("GET", "/products/popular", "").await;
    assert_eq!(ids(&popular).into_iter().collect::<BTreeSet<_>>(), names.map(str::to_owned).into());
    let name = |answer: Answer| answer.text("/name").to_owned();
    for id in names {
        let target = format!("/products?productId={}", encoded(id));
        assert_eq!(name(world.send("GET", &target, "").await), id);
        let related = world.send("GET", &format!("/products/related?productId={}", encoded(id)), "").await;
        let related: BTreeSet<String> = ids(&related).into_iter().collect();
        assert_eq!((related.len(), related.contains(id)), (names.len() - 1, false), "{id}");
    }
    assert_eq!(name(world.send("GET", "/products/a+b", "").await), "a+b");
    assert_eq!(name(world.send("GET", "/products?productId=a%2Bb", "").await), "a+b");
    assert_eq!(name(world.send("GET", "/products?productId=a+b", "").await), "a b");
    let excluded: BTreeSet<String> =
        pages(&world, "/users/ada/recommendations?limit=2&exclude=case%20&exclude=a%2Bb")
            .await
            .into_iter()
            .collect();
    assert_eq!(excluded, ["popular", "related", "a b", "case", "Case"].map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn shoppers_and_products_beyond_all_measure() {
    let names: Vec<String> = (0..130).map(|n| format!("p{n:03}")).collect();
    let world = catalogue(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // p000 is in 99 of 100 baskets.
    for n in 0..200 {
        let most = (n % 100 != 7).then(|| names[0].clone());
        let other = names[1 + usize::try_from(n).unwrap() % 20].clone();
        let basket: Vec<String> = most.into_iter().chain([other]).collect();
        buy(&world, &format!("u{}", n % 40), n, &basket).await;
    }
    for n in 0..1_000 {
        buy(&world, "often", n, &[names[usize::try_from(n).unwrap() % 7 + 30].clone()]).await;
    }
    buy(&world, "robot", 1, &names).await;
    world.system.drain(|_| ()).await.unwrap();
    world.train().await;

    assert_eq!(ids(&world.send("GET", "/users/often/recommendations?limit=10", "").await).len(), 10);
    assert_eq!(pages_of_purchases(&world, "often").await, 1_000);
    let robot = pages(&world, "/users/robot/recommendations?limit=40").await;
    assert_eq!(robot.len(), names.len());
    assert_eq!(robot.into_iter().collect::<BTreeSet<_>>(), names.iter().cloned().collect());

    let popular = world.send("GET", "/products/popular?window=all", "").await;
    let together = world.send("GET", "/products/p000/related?limit=30", "").await;
    assert!(ids(&popular).contains(&names[0]));
    let body = together.body.as_ref().unwrap();
    let neighbours: Vec<&Value> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["reasons"][0]["kind"] == "boughtTogether")
        .collect();
    assert!(!neighbours.is_empty(), "{body:#}");
    for item in neighbours {
        let number: usize = item["productId"].as_str().unwrap()[1..].parse().unwrap();
        let with_both = (0..200).filter(|n| n % 100 != 7 && 1 + n % 20 == number).count();
        // The robot's basket holds every pair once.
        assert_eq!(item["reasons"][0]["because"][0]["count"], with_both + 1, "{item:#}");
    }

    for id in &names {
        let available = id.as_str() >= "p126";
        put(&world, id, json!({ "name": id, "available": available })).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    for target in [
        "/users/often/recommendations?limit=3",
        "/products/popular?limit=3",
        "/products/p000/related?limit=3",
    ] {
        let left = pages(&world, target).await;
        assert_eq!((left.len(), left.iter().collect::<BTreeSet<_>>().len()), (4, 4), "{target}: {left:?}");
        assert!(left.iter().all(|id| id.as_str() >= "p126"), "{target}: {left:?}");
    }
}

async fn pages_of_purchases(world: &World, user: &str) -> usize {
    let target = format!("/users/{user}/purchases?limit=100");
    let (mut all, mut next) = (0, target.clone());
    loop {
        let page = world.send("GET", &next, "").await;
        all += page.body.as_ref().unwrap()["items"].as_array().unwrap().len();
        match page.text("/cursor") {
            "" => return all,
            cursor => next = format!("{target}&cursor={cursor}"),
        }
    }
}
