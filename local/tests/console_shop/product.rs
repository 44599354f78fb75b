use std::collections::BTreeSet;

use nextbasket_domain::Purchase;
use serde_json::{Value, json};

use super::common::{ids, trained};
use crate::api::World;

/// As the model counts: how many of a shopper's purchases apart those of a pair may be.
const REACH: usize = 10;

fn codes(facts: &Value) -> Vec<&str> {
    facts["whyNot"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

fn has(purchase: &Purchase, product: &str) -> bool {
    purchase.lines.iter().any(|line| line.product_id.as_str() == product)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_appears_in_other_products_rows_with_counts_that_can_be_recounted() {
    let world = trained().await;
    let purchases = world.purchases().await;
    let mut seen = BTreeSet::new();
    for product in ["coffee-filter-colombia-500g", "filter-paper-4", "cookies-shortbread", "gift-wrap"] {
        let facts = world.product(product).await;
        let mentions = facts["appearsIn"].as_array().unwrap();
        for mention in mentions {
            let other = mention["productId"].as_str().unwrap();
            let list = mention["list"].as_str().unwrap();
            let counted = match list {
                "together" => {
                    let both = |purchase: &&Purchase| has(purchase, product) && has(purchase, other);
                    purchases.values().flatten().filter(both).count()
                }
                "next" => {
                    let follows = |purchases: &&Vec<Purchase>| {
                        (0..purchases.len()).any(|at| {
                            let later = purchases.iter().skip(at + 1).take(REACH);
                            has(&purchases[at], other) && later.into_iter().any(|later| has(later, product))
                        })
                    };
                    purchases.values().filter(follows).count()
                }
                "similar" => {
                    let both = |purchases: &&Vec<Purchase>| {
                        purchases.iter().any(|one| has(one, product))
                            && purchases.iter().any(|one| has(one, other))
                    };
                    purchases.values().filter(both).count()
                }
                other => panic!("{other}"),
            };
            assert_eq!(mention["count"], counted, "{product} in {list} of {other}");
            seen.insert(list.to_owned());
            let rank = usize::try_from(mention["rank"].as_u64().unwrap()).unwrap();
            if list != "next" && rank <= 5 {
                let related =
                    world.public(&format!("/products/related?productId={other}&kind={list}&limit=50")).await;
                let at = ids(&related["items"]).iter().position(|id| id == product);
                // Others before it may be sold out.
                assert!(
                    at.is_none_or(|at| at < rank),
                    "{product} is {at:?} in {list} of {other}, not {rank}"
                );
                assert_eq!(
                    at.is_some(),
                    facts["card"]["available"] == true,
                    "{product} in {list} of {other}"
                );
            }
        }
        assert_eq!(facts["inModel"], true);
        let with = purchases.values().flatten().filter(|purchase| has(purchase, product)).count();
        let buyers =
            purchases.values().filter(|purchases| purchases.iter().any(|one| has(one, product))).count();
        assert_eq!((&facts["model"]["baskets"], &facts["model"]["users"]), (&json!(with), &json!(buyers)));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["next", "similar", "together"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranks_are_those_of_the_popular_lists() {
    let world = trained().await;
    let shown = world.public("/products/popular?window=month&limit=40").await;
    let mut before = 0;
    for id in ids(&shown["items"]) {
        let facts = world.product(&id).await;
        let places = facts["popular"].as_array().unwrap();
        let place = |category: &Value| {
            places.iter().find(|place| place["window"] == "month" && place["category"] == *category).unwrap()
        };
        let rank = place(&Value::Null)["rank"].as_u64().unwrap();
        assert!(rank > before, "{id} is {rank} after {before}");
        before = rank;
        let category = &facts["card"]["categories"][0];
        let of_category = place(category);
        assert!(of_category["rank"].as_u64().unwrap() <= rank, "{of_category}");
        assert!(of_category["of"].as_u64() < place(&Value::Null)["of"].as_u64());
        assert_eq!(places.len(), 4 * (1 + facts["card"]["categories"].as_array().unwrap().len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_product_is_not_recommended_is_said() {
    let world = World::with_shop().await;
    assert!(codes(&world.product("cookies-shortbread").await).contains(&"no_model"));
    world.train().await;
    let purchases = world.purchases().await;
    let buyers = |id: &str| {
        purchases.values().filter(|purchases| purchases.iter().any(|purchase| has(purchase, id))).count()
    };
    let available = world.public("/products/popular?window=all&limit=40").await;
    let id = ids(&available["items"]).into_iter().max_by_key(|id| buyers(id)).unwrap();
    let id = id.as_str();
    let model = super::common::until(|| world.product(id), |facts| facts["inModel"] == true).await;
    assert_eq!(codes(&model), [""; 0]);

    let mut card = model["card"].clone();
    let card = card.as_object_mut().unwrap();
    for field in ["productId", "updatedAt"] {
        card.remove(field);
    }
    card.insert("available".to_owned(), json!(false));
    let sold_out = world.send("PUT", &format!("/products/{id}"), json!(card).to_string()).await;
    assert!(sold_out.status < 300, "{sold_out:?}");
    assert_eq!(codes(&world.product(id).await), ["unavailable"]);

    let unknown = world.product("nothing-of-this-name").await;
    assert_eq!((codes(&unknown), unknown.get("card")), (vec!["unknown_product"], None));

    let new = json!({ "name": "New", "categories": ["tea"], "available": true });
    assert_eq!(world.send("PUT", "/products/new-tea", new.to_string()).await.status, 201);
    let new = world.product("new-tea").await;
    assert_eq!((codes(&new), &new["inModel"]), (vec!["not_in_model"], &json!(false)));
    assert_eq!(new["whyNot"][0]["values"]["version"], 1);

    let bare = json!({ "name": "Bare", "available": true });
    assert_eq!(world.send("PUT", "/products/bare", bare.to_string()).await.status, 201);
    assert_eq!(codes(&world.product("bare").await), ["not_in_model", "no_category"]);

    card.insert("available".to_owned(), json!(true));
    card.insert("categories".to_owned(), json!(["<b>new</b>"]));
    world.send("PUT", &format!("/products/{id}"), json!(card).to_string()).await;
    let moved = world.product(id).await;
    assert_eq!(codes(&moved), ["new_category"]);
    assert_eq!(moved["whyNot"][0]["values"]["categories"], "<b>new</b>");

    world.send("DELETE", &format!("/products/{id}"), "").await;
    assert_eq!(codes(&world.product(id).await), ["not_in_catalogue"]);
}
