//! What is popular, counted without a training.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeSet;

use common::{World, purchase, result};
use nextbasket_domain::Timestamp;
use nextbasket_recommender::{Priors, Window};
use nextbasket_shop::{Shop, ShopSize};
use nextbasket_tables::Tables;
use nextbasket_tables::popular::{Made, Popular, PopularList, PopularWindow};
use nextbasket_testkit::jobs::train;
use serde_json::json;

const WINDOWS: [(&str, Window); 4] =
    [("day", Window::Day), ("week", Window::Week), ("month", Window::Month), ("all", Window::AllTime)];

/// A generated shop in the tables.
async fn shop() -> World {
    let world = World::start().await;
    let tables = world.tables();
    let end = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
    let Shop { products, purchases } = nextbasket_shop::generate(7, end, ShopSize::SMALL);
    let (catalogue, truth) = (tables.products().unwrap(), tables.purchases().unwrap());
    for product in &products {
        catalogue.put_new(product).await.unwrap();
    }
    for purchase in &purchases {
        truth.record(purchase).await.unwrap();
    }
    world
}

async fn lists(tables: &Tables) -> Vec<PopularList> {
    let popular = tables.popular().unwrap();
    let mut lists = Vec::new();
    for (window, _) in WINDOWS {
        lists.push(popular.list(window).await.unwrap().unwrap());
    }
    lists
}

fn products(lists: &[PopularList]) -> Vec<&[Popular]> {
    lists.iter().map(|list| list.products.as_slice()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_are_those_of_a_training_and_carry_the_categories() {
    let world = shop().await;
    let tables = world.tables();
    train(world.stack.site(), &tables).await;
    let model = tables.model().unwrap();
    let pointer = model.pointer().await.unwrap().unwrap();
    let priors = Priors::decode(&model.priors(&pointer).await.unwrap().unwrap().priors).unwrap();
    let job = world.run("refresh-popular", json!({ "segments": 3 })).await;
    let result = result(&job);
    assert_eq!(result["purchases"], priors.baskets());
    assert_eq!(result["lists"]["all"], priors.len());
    let made = tables.popular().unwrap().made().await.unwrap().unwrap();
    assert_eq!((made.newest.as_millis(), made.purchases), (priors.now_ms(), priors.baskets()));
    assert!(made.at > pointer.trained_at);
    for ((name, window), list) in WINDOWS.into_iter().zip(lists(&tables).await) {
        assert_eq!(list.made_at, made.at);
        assert!(list.products.len() > 50, "{name}: {}", list.products.len());
        let mut before = f64::INFINITY;
        for popular in &list.products {
            assert!(popular.share <= before, "{name}: {popular:?}");
            before = popular.share;
            let product = priors.index_of(popular.product_id.as_str()).unwrap();
            let trained = priors.popularity(product, window);
            // Priors keep some four digits.
            assert!((popular.share / trained - 1.0).abs() < 3e-4, "{name}: {popular:?}, trained {trained}");
            let categories: Vec<&str> = popular.categories.iter().map(|c| c.as_str()).collect();
            let mut known: Vec<&str> = priors.categories(product).collect();
            known.sort_by_key(|name| categories.iter().position(|category| category == name));
            assert_eq!(categories, known, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_counts_are_those_of_the_windows_days() {
    let world = shop().await;
    let end = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
    let Shop { purchases, .. } = nextbasket_shop::generate(7, end, ShopSize::SMALL);
    result(&world.run("refresh-popular", json!({ "segments": 3 })).await);
    let newest = purchases.iter().map(|purchase| purchase.purchased_at).max().unwrap();
    for (list, days) in lists(&world.tables()).await.into_iter().zip([1, 7, 30, 100_000]) {
        let since = newest.as_millis() - days * 86_400_000;
        let window: Vec<_> =
            purchases.iter().filter(|purchase| purchase.purchased_at.as_millis() > since).collect();
        assert_eq!((list.newest, list.purchases), (newest, window.len() as u64), "{days} days");
        for popular in &list.products {
            let holds = |purchase: &&nextbasket_domain::Purchase| {
                purchase.lines.iter().any(|line| line.product_id == popular.product_id)
            };
            let baskets = window.iter().filter(|purchase| holds(purchase));
            let shoppers: BTreeSet<_> = baskets.clone().map(|purchase| &purchase.user_id).collect();
            let counts = (baskets.count(), shoppers.len());
            assert_eq!((popular.baskets as usize, popular.shoppers as usize), counts, "{days}: {popular:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_are_the_same_bits_whatever_the_split_the_order_and_the_way_of_putting_together() {
    let world = shop().await;
    let tables = world.tables();
    let mut wanted: Option<Vec<PopularList>> = None;
    for parameters in [
        json!({ "segments": 1, "width": 1 }),
        json!({ "segments": 3, "aggregate": "serial", "assign": "random" }),
        json!({ "segments": 16, "aggregate": "parallel", "assign": "balanced", "width": 4 }),
        json!({ "segments": 7, "aggregate": "parallel", "readUnits": 2000 }),
    ] {
        let job = world.run("refresh-popular", parameters.clone()).await;
        result(&job);
        let lists = lists(&tables).await;
        let wanted = wanted.get_or_insert_with(|| lists.clone());
        assert!(products(&lists) == products(wanted), "{parameters}");
        assert_eq!(
            job.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>(),
            ["read", "count", "publish"]
        );
        assert_eq!(world.objects(&job.job_id, "baskets-").await, [""; 0], "what was read is removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_is_killed_again_and_again_gives_the_same_lists() {
    let world = shop().await;
    let tables = world.tables();
    // One user whose purchases fill several pages of a segment.
    let long: Vec<String> = (0..300).map(|n| format!("{n:0250}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for n in 0..40 {
        let bought = purchase("large", &format!("b{n}"), 1_770_000_000_000 + n, &long);
        tables.purchases().unwrap().record(&bought).await.unwrap();
    }
    world.run("refresh-popular", json!({})).await;
    let wanted = lists(&tables).await;
    for seed in [1, 2, 3] {
        let parameters = json!({ "segments": 5, "width": 3 });
        let (job, kills) = world.run_with_kills("refresh-popular", parameters, seed, 120).await;
        result(&job);
        assert!(kills > 0, "seed {seed}: it was never killed");
        let lists = lists(&tables).await;
        assert!(products(&lists) == products(&wanted), "seed {seed}, {kills} kills");
        assert!(lists[0].made_at > wanted[0].made_at);
        assert_eq!(world.objects(&job.job_id, "baskets-").await, [""; 0], "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_without_purchases_gets_no_lists() {
    let world = World::start().await;
    let job = world.run("refresh-popular", json!({})).await;
    assert_eq!(result(&job)["published"], false);
    assert_eq!(world.tables().popular().unwrap().made().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_as_many_products_as_were_asked_for() {
    let world = World::start().await;
    let tables = world.tables();
    for (n, products) in [(1, ["a", "b"]), (2, ["a", "c"]), (3, ["a", "b"])] {
        let bought = purchase("ada", &format!("b{n}"), 1_700_000_000_000 + n, &products);
        tables.purchases().unwrap().record(&bought).await.unwrap();
    }
    let job = world.run("refresh-popular", json!({ "products": 2 })).await;
    assert_eq!(result(&job)["lists"]["all"], 2);
    let list = tables.popular().unwrap().list("all").await.unwrap().unwrap();
    let found: Vec<_> =
        list.products.iter().map(|popular| (popular.product_id.as_str(), popular.share)).collect();
    assert_eq!(found, [("a", 1.0), ("b", 2.0 / 3.0)]);
}

#[tokio::test]
async fn lists_that_are_newer_stay() {
    let world = World::start().await;
    let popular = world.tables().popular().unwrap();
    let made = |at: i64, purchases| Made {
        at: Timestamp::from_millis(at).unwrap(),
        newest: Timestamp::EPOCH,
        purchases,
    };
    let list = |id: &str| {
        let product_id = id.parse().unwrap();
        let products =
            vec![Popular { product_id, share: 0.5, baskets: 1, shoppers: 1, categories: Vec::new() }];
        vec![("week", PopularWindow { purchases: 2, products })]
    };
    popular.put(&made(2_000, 2), &list("new")).await.unwrap();
    popular.put(&made(1_000, 1), &list("old")).await.unwrap();
    assert_eq!(popular.made().await.unwrap().unwrap().purchases, 2);
    assert_eq!(popular.list("week").await.unwrap().unwrap().products[0].product_id.as_str(), "new");
    popular.put(&made(3_000, 3), &list("newest")).await.unwrap();
    assert_eq!(popular.list("week").await.unwrap().unwrap().products[0].product_id.as_str(), "newest");
    assert_eq!(popular.list("day").await.unwrap(), None);
}
