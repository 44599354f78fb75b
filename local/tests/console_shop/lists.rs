use nextbasket_domain::{RecommendationId, UserId};
use serde_json::{Value, json};

use super::common::{ids, trained, without_id};
use crate::api::World;

/// The last day of the shop.
const LAST_DAY: &str = "2026-06-01T09:00:00.000Z";

async fn public_list(world: &World, body: &Value) -> Value {
    let answer = world.send("POST", "/recommendations", body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    without_id(answer.body.unwrap())
}

async fn list(world: &World, body: Value) -> Value {
    without_id(world.console_ok("POST", "lists", body).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_what_if_purchase_changes_the_list_as_a_real_one_and_is_stored_nowhere() {
    let world = trained().await;
    let ask = json!({ "userId": "ken", "basket": [], "limit": 20 });
    let before = list(&world, ask.clone()).await;
    assert_eq!(before, public_list(&world, &ask).await);
    let stored = world.items().await;
    let supposed = json!({
        "userId": "ken",
        "basket": [],
        "limit": 20,
        "purchases": [{ "purchasedAt": LAST_DAY, "products": ["tea-earl-grey-250g", "cookies-shortbread"] }],
    });
    let with_purchase = list(&world, supposed.clone()).await;
    assert_ne!(ids(&with_purchase["items"]), ids(&before["items"]));
    assert_eq!(list(&world, ask.clone()).await, before, "what was supposed is forgotten");
    assert_eq!(world.items().await, stored);

    world.buy("ken", "tea", LAST_DAY, &["tea-earl-grey-250g", "cookies-shortbread"]).await;
    assert_eq!(public_list(&world, &ask).await, with_purchase);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_models_side_by_side_differ_as_their_versions_do() {
    let world = trained().await;
    let ask = json!({ "userId": "linus", "basket": ["tea-earl-grey-250g"], "limit": 10 });
    let by_first = public_list(&world, &ask).await;
    // What goes with tea changes in the eyes of the second model; the history of linus does not.
    for n in 0..12 {
        let products = ["tea-earl-grey-250g", "brewer-v60", "gift-wrap"];
        world.buy(&format!("new-{n}"), "first", LAST_DAY, &products).await;
    }
    world.train().await;
    let by_second =
        super::common::until(|| public_list(&world, &ask), |answer| answer["modelVersion"] == 2).await;
    assert_ne!(ids(&by_first["items"]), ids(&by_second["items"]));

    let by = |version: u64| {
        let mut ask = ask.clone();
        ask["model"] = json!(version);
        list(&world, ask)
    };
    assert_eq!((by(1).await, by(2).await), (by_first, by_second));
    let mut ask = ask.clone();
    ask["model"] = json!(3);
    let unknown = world.console("POST", "lists", ask).await;
    assert_eq!(
        (unknown.status, unknown.text("/code"), unknown.text("/field")),
        (404, "model_not_found", "model")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_the_console_counts_no_conversion() {
    let world = trained().await;
    let ask = json!({ "userId": "ada", "basket": [], "limit": 3 });
    let public = world.send("POST", "/recommendations", ask.to_string()).await.body.unwrap();
    let shown = world.console_ok("POST", "lists", ask).await;
    let random = nextbasket_domain::Random::new(|| 1);
    let key = world.tables().answer_keys().unwrap().find_or_draw(&random).await.unwrap();
    let counts = |answer: &Value| {
        let id = RecommendationId::parse(answer["recommendationId"].as_str().unwrap()).unwrap();
        id.is_of(&key, Some(&UserId::parse("ada").unwrap()))
    };
    assert_eq!((counts(&public), counts(&shown)), (true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_speaks_the_language_of_the_page_and_names_the_field_that_is_wrong() {
    let world = trained().await;
    let ask = json!({ "userId": "ada", "basket": [], "limit": 1 });
    let text = |answer: &Value| answer["items"][0]["reasons"][0]["text"].as_str().unwrap().to_owned();
    let english = text(&world.console_ok("POST", "lists", ask.clone()).await);
    let link = world.system.console_link();
    let headers =
        [("x-nextbasket-session", link.split_once("#session=").unwrap().1), ("accept-language", "de")];
    let german = world.send_with("POST", "/console/api/lists", &headers, ask.to_string()).await;
    assert_ne!(text(&german.body.unwrap()), english);

    let purchase = |products: Value| json!([{ "purchasedAt": LAST_DAY, "products": products }]);
    for (body, field) in [
        (json!({ "basket": vec!["p"; 101] }), "basket"),
        (json!({ "limit": 0 }), "limit"),
        (json!({ "purchases": purchase(json!([])) }), "purchases[0].products"),
        (json!({ "purchases": purchase(json!(["a", "\n"])) }), "purchases[0].products[1]"),
        (
            json!({ "purchases": [{ "purchasedAt": "yesterday", "products": ["a"] }] }),
            "purchases[0].purchasedAt",
        ),
        (json!({ "userId": "" }), "userId"),
        (json!({ "user": "ada" }), "user"),
    ] {
        let answer = world.console("POST", "lists", body).await;
        assert_eq!((answer.status, answer.text("/field")), (400, field), "{answer:?}");
    }
}
