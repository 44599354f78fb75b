use nextbasket::api_client::escape;
use serde_json::{Value, json};

use super::common::{trained, until};
use crate::api::World;

/// The list of a preview, as a shop asks for it.
async fn real(world: &World, list: &Value) -> Value {
    let text = |name: &str| escape(list[name].as_str().unwrap());
    let target = match list["kind"].as_str().unwrap() {
        "popular" => {
            let category = list["category"].as_str().map(|name| format!("&category={}", escape(name)));
            format!("/products/popular?limit=10&window={}{}", text("window"), category.unwrap_or_default())
        }
        "shopper" => format!("/users/{}/recommendations?limit=10", text("userId")),
        "related" => format!("/products/related?limit=10&productId={}", text("productId")),
        other => panic!("{other}"),
    };
    let items = world.public(&target).await["items"].take();
    let named = |item: &Value| json!({ "productId": item["productId"], "name": item["name"] });
    items.as_array().unwrap().iter().map(named).collect()
}

fn holds(list: &Value, product: &str) -> bool {
    list.as_array().unwrap().iter().any(|item| item["productId"] == product)
}

async fn preview(world: &World, product: &str, change: Value) -> Vec<Value> {
    let found = world.console_ok("POST", "preview", json!({ "productId": product, "change": change })).await;
    found["lists"].as_array().unwrap().clone()
}

/// Makes the change for real, by what a shop would send.
async fn edit(world: &World, product: &str, change: &Value) {
    let mut card = world.public(&format!("/products/{product}")).await;
    let card = card.as_object_mut().unwrap();
    card.remove("productId");
    card.remove("updatedAt");
    card.extend(change.as_object().unwrap().clone());
    let answer = world.send("PUT", &format!("/products/{product}"), json!(card).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Previews a change, makes it, and compares all lists.
async fn becomes_real(world: &World, product: &str, change: Value) -> Vec<Value> {
    let stored = world.items().await;
    let lists = preview(world, product, change.clone()).await;
    assert_eq!(world.items().await, stored, "a preview stores nothing");
    for list in &lists {
        let now = until(|| real(world, &list["list"]), |now| *now == list["before"]).await;
        assert_eq!(now, list["before"]);
    }
    edit(world, product, &change).await;
    for list in &lists {
        // Cards are a few seconds old.
        until(|| real(world, &list["list"]), |now| *now == list["after"]).await;
    }
    lists
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_what_is_sold_out_and_back_is_what_lists_become() {
    let world = trained().await;
    let popular = world.public("/products/popular?window=week&limit=3").await;
    let product = popular["items"][1]["productId"].as_str().unwrap().to_owned();
    let gone = becomes_real(&world, &product, json!({ "available": false })).await;
    let kinds = |kind: &str| gone.iter().filter(|list| list["list"]["kind"] == kind).count();
    assert!(kinds("popular") >= 4 && kinds("shopper") >= 1 && kinds("related") >= 1, "{gone:#?}");
    for list in &gone {
        assert!(!holds(&list["after"], &product), "{list:#}");
    }
    let back = becomes_real(&world, &product, json!({ "available": true })).await;
    for (list, gone) in
        back.iter().filter_map(|list| Some((list, gone.iter().find(|gone| gone["list"] == list["list"])?)))
    {
        assert_eq!((&list["before"], &list["after"]), (&gone["after"], &gone["before"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_of_other_categories_is_what_lists_become() {
    let world = trained().await;
    let popular = world.public("/products/popular?window=week&limit=1").await;
    let product = popular["items"][0]["productId"].as_str().unwrap().to_owned();
    let category = popular["items"][0]["categories"][0].as_str().unwrap().to_owned();
    let lists = becomes_real(&world, &product, json!({ "categories": ["Brand new & only here"] })).await;
    let of = |name: &str| {
        lists.iter().find(|list| list["list"]["category"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert!(!holds(&of(&category)["after"], &product), "{lists:#?}");
    assert_eq!(of("Brand new & only here")["before"], json!([]));
    assert!(holds(&of("Brand new & only here")["after"], &product));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_product_comes_onto_the_shelves_in_a_preview_as_for_real() {
    let world = trained().await;
    let new = json!({ "name": "Rare", "categories": ["Rarities"], "available": false });
    assert_eq!(world.send("PUT", "/products/rare", new.to_string()).await.status, 201);
    let lists = becomes_real(
        &world,
        "rare",
        json!({ "available": true, "price": { "amount": 500, "currency": "EUR" } }),
    )
    .await;
    let rare = lists.iter().find(|list| list["list"]["category"] == "Rarities").unwrap();
    assert_eq!(rare["after"], json!([{ "productId": "rare", "name": "Rare" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_names_what_is_wrong() {
    let world = trained().await;
    let ask = |product: &str, change: Value| json!({ "productId": product, "change": change });
    let product = "cookies-shortbread";
    for (body, status, field) in [
        (ask("nothing-of-this-name", json!({})), 404, "productId"),
        (ask(product, json!({ "categories": ["a", "a"] })), 400, "change.categories"),
        (ask(product, json!({ "price": { "amount": -1, "currency": "EUR" } })), 400, "change.price.amount"),
        (ask(product, json!({ "name": "x" })), 400, "change.name"),
        (ask(product, json!({ "available": null })), 400, "change.available"),
    ] {
        let answer = world.console("POST", "preview", body).await;
        assert_eq!((answer.status, answer.text("/field")), (status, field), "{answer:?}");
    }
    let unpriced = preview(&world, product, json!({ "price": null })).await;
    assert!(unpriced.iter().all(|list| list["before"] == list["after"] && holds(&list["after"], product)));
}
