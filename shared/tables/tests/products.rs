//! The products table against a real endpoint.

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

mod common;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use common::{Seeded, product, tables};
use nextbasket_domain::{Category, Currency, Money, Product, Timestamp};
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::products::shelf::{ShelfPosition, Shelves};
use nextbasket_testkit::TestStack;

fn card(id: &str, categories: &[&str]) -> Product {
    Product {
        product_id: product(id),
        name: format!("Product {id}"),
        categories: categories.iter().map(|name| Category::parse(name).unwrap()).collect(),
        price: Some(Money::new(1_299, Currency::parse("EUR").unwrap()).unwrap()),
        available: true,
        attributes: BTreeMap::from([("colour".to_owned(), "red".to_owned())]),
        updated_at: Timestamp::from_millis(1_700_000_000_000).unwrap(),
    }
}

async fn listed(products: &ProductsTable, category: Option<&str>, limit: usize) -> Vec<String> {
    let category = category.map(|name| Category::parse(name).unwrap());
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = products.page(category.as_ref(), limit, after.as_ref()).await.unwrap();
        ids.extend(page.products.into_iter().map(|product| product.product_id.to_string()));
        after = page.end;
        if after.is_none() {
            return ids;
        }
    }
}

#[tokio::test]
async fn a_product_is_listed_under_each_of_its_categories_and_nowhere_else() {
    let stack = TestStack::start().await;
    let products = tables(&stack).products().unwrap();
    assert!(products.put(&card("a", &["coffee", "beans", "new"])).await.unwrap());
    assert!(products.put(&card("b", &["beans"])).await.unwrap());
    assert!(products.put(&card("c", &[])).await.unwrap());
    for limit in [1, 2, 100] {
        assert_eq!(listed(&products, Some("beans"), limit).await, ["a", "b"], "limit {limit}");
        let all: BTreeSet<_> = listed(&products, None, limit).await.into_iter().collect();
        assert_eq!(all, BTreeSet::from(["a", "b", "c"].map(str::to_owned)), "limit {limit}");
    }
    assert!(!products.put(&card("a", &["tea", "coffee"])).await.unwrap());
    assert_eq!(listed(&products, Some("beans"), 10).await, ["b"]);
    assert_eq!(listed(&products, Some("new"), 10).await, [""; 0]);
    assert_eq!(listed(&products, Some("coffee"), 10).await, ["a"]);
    assert_eq!(listed(&products, Some("tea"), 10).await, ["a"]);
    assert_eq!(products.get(&product("a")).await.unwrap(), Some(card("a", &["tea", "coffee"])));
    products.remove(&product("a")).await.unwrap();
    products.remove(&product("a")).await.unwrap();
    assert_eq!(listed(&products, Some("coffee"), 10).await, [""; 0]);
    assert_eq!(products.get(&product("a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_product_does_not_replace_what_the_shop_wrote() {
    let stack = TestStack::start().await;
    let products = tables(&stack).products().unwrap();
    assert!(products.put_new(&card("a", &["x", "y"])).await.unwrap());
    assert!(!products.put_new(&card("a", &["z", "w"])).await.unwrap());
    assert!(!products.put_new(&card("a", &[])).await.unwrap());
    assert_eq!(products.get(&product("a")).await.unwrap(), Some(card("a", &["x", "y"])));
    assert_eq!(listed(&products, Some("w"), 10).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_changes_leave_the_listing_as_the_product_says() {
    const CATEGORIES: [&str; 4] = ["p", "q", "r", "s"];
    for seed in 0..6_u64 {
        let stack = TestStack::start().await;
        let products = tables(&stack).products().unwrap();
        let workers = (0..3_u64).map(|worker| {
            let products = products.clone();
            tokio::spawn(async move {
                let mut random = Seeded(seed * 10 + worker);
                for _ in 0..6 {
                    let chosen: Vec<_> = CATEGORIES.into_iter().filter(|_| random.below(2) == 0).collect();
                    // Giving up after many lost races is allowed; leaving half a change is not.
                    let _ = if random.below(4) == 0 {
                        products.remove(&product("a")).await
                    } else {
                        products.put(&card("a", &chosen)).await.map(|_| ())
                    };
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let now = products.get(&product("a")).await.unwrap();
        for category in CATEGORIES {
            let is_in =
                now.as_ref().is_some_and(|card| card.categories.iter().any(|c| c.as_str() == category));
            let expected: &[&str] = if is_in { &["a"] } else { &[] };
            assert_eq!(listed(&products, Some(category), 10).await, expected, "seed {seed}, {category}");
        }
        // Nothing but the product and its pointers is left.
        let items = stack.dynamodb().scan().table_name(stack.table("PRODUCTS_TABLE")).send().await.unwrap();
        let expected = now.map_or(0, |card| card.categories.len().max(1));
        assert_eq!(items.count, expected as i32, "seed {seed}");
    }
}

/// The products on the shelves of these categories, or of all, read with this limit.
async fn on_shelves(
    products: &ProductsTable,
    names: &[&str],
    with_unavailable: bool,
    limit: usize,
) -> Vec<String> {
    let categories: Vec<_> = names.iter().map(|name| Category::parse(name).unwrap()).collect();
    let shelves = Shelves::new(&categories, with_unavailable);
    let (mut ids, mut after) = (Vec::new(), ShelfPosition::default());
    loop {
        let page = products.shelf_page(&shelves, &after, limit).await.unwrap();
        ids.extend(page.products.into_iter().map(|(_, id)| id.to_string()));
        let Some(end) = page.end else { return ids };
        assert!(shelves.hold(&end) && end > after, "{after:?} {end:?}");
        after = end;
    }
}

#[tokio::test]
async fn shelves_hold_each_product_once_in_an_order_that_availability_does_not_change() {
    const CATEGORIES: [&str; 4] = ["a", "a b", "a!", "ö"];
    let mut random = Seeded(7);
    let stack = TestStack::start().await;
    let products = tables(&stack).products().unwrap();
    let mut cards = Vec::new();
    for n in 0..90 {
        let chosen: Vec<_> = CATEGORIES.into_iter().filter(|_| random.below(2) == 0).collect();
        // Ids that begin with others, also with those of which a pointer's key is made.
        let id = format!("{}{}", ["p", "p ", "p!", "ä/"][n % 4], n / 8);
        let id = if n % 8 < 4 { id } else { format!("{id} {n}") };
        let card = Product { available: random.below(3) > 0, ..card(&id, &chosen) };
        products.put(&card).await.unwrap();
        cards.push(card);
    }
    for round in 0..2 {
        for (names, with_unavailable) in [
            (&[][..], false),
            (&[], true),
            (&["a"], false),
            (&["a b", "ö"], false),
            (&["a", "a b", "a!", "ö", "none"], true),
        ] {
            let fits = |card: &&Product| {
                (card.available || with_unavailable)
                    && (names.is_empty() || card.categories.iter().any(|c| names.contains(&c.as_str())))
            };
            let expected: BTreeSet<_> =
                cards.iter().filter(fits).map(|card| card.product_id.to_string()).collect();
            for limit in [1, 7, 100] {
                let ids = on_shelves(&products, names, with_unavailable, limit).await;
                assert_eq!(
                    ids.len(),
                    expected.len(),
                    "{round} {names:?} {with_unavailable} {limit}: {ids:?}"
                );
                assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), expected);
                if !names.is_empty() {
                    assert!(ids.is_sorted());
                }
            }
        }
        let all = on_shelves(&products, &[], true, 7).await;
        for card in &mut cards {
            card.available = !card.available;
            products.put(card).await.unwrap();
        }
        assert_eq!(on_shelves(&products, &[], true, 7).await, all, "round {round}");
    }
}

#[tokio::test]
async fn a_scan_puts_products_of_a_version_without_shelves_on_theirs() {
    let stack = TestStack::start().await;
    let products = tables(&stack).products().unwrap();
    products.put(&card("a", &["x", "y"])).await.unwrap();
    products.put(&card("b", &[])).await.unwrap();
    for key in ["a", "a\u{1}y", "b"] {
        let update = stack.dynamodb().update_item().table_name(stack.table("PRODUCTS_TABLE"));
        let update = update.key("productId", AttributeValue::S(key.to_owned()));
        update.update_expression("REMOVE shelf, shelfKey").send().await.unwrap();
    }
    assert_eq!(on_shelves(&products, &[], true, 10).await, [""; 0]);
    assert_eq!(products.scan(2, |_| ()).await.unwrap(), []);
    assert_eq!(on_shelves(&products, &["y"], false, 10).await, ["a"]);
    assert_eq!(on_shelves(&products, &[], false, 10).await.len(), 2);
    // A change of a product that is on no shelf puts its pointers on theirs, too.
    let update = stack.dynamodb().update_item().table_name(stack.table("PRODUCTS_TABLE"));
    let update = update.key("productId", AttributeValue::S("a".to_owned()));
    update.update_expression("REMOVE shelf, shelfKey").send().await.unwrap();
    products.put(&Product { available: false, ..card("a", &["x", "y"]) }).await.unwrap();
    assert_eq!(on_shelves(&products, &["y"], false, 10).await, [""; 0]);
    assert_eq!(on_shelves(&products, &["y"], true, 10).await, ["a"]);
}
