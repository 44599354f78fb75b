//! Items that somebody wrote by hand, or with a careless table job.

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

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{product, purchase, tables, user};
use nextbasket_domain::{Category, Product, Timestamp};
use nextbasket_tables::model::{ModelInfo, ModelRow, StoredModel};
use nextbasket_tables::popular::{Made, Popular, PopularWindow};
use nextbasket_tables::purchases::Recorded;
use nextbasket_tables::{Consistency, Damaged, TableError};
use nextbasket_testkit::TestStack;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Sets an attribute of an item, as `update … set …` does.
async fn set(stack: &TestStack, table: &str, key: &[(&str, &str)], attribute: &str, value: AttributeValue) {
    let mut update = stack.dynamodb().update_item().table_name(stack.table(table));
    for (name, part) in key {
        update = update.key(*name, text(part));
    }
    update
        .update_expression("SET #attribute = :value")
        .expression_attribute_names("#attribute", attribute)
        .expression_attribute_values(":value", value)
        .send()
        .await
        .unwrap();
}

fn keys(damaged: &[Damaged]) -> Vec<Vec<&str>> {
    damaged.iter().map(|damaged| damaged.key.values().map(String::as_str).collect()).collect()
}

/// A model without a ranker.
fn stored(priors: Vec<Vec<u8>>) -> StoredModel {
    StoredModel { priors, ranker: None }
}

#[tokio::test]
async fn a_damaged_purchase_is_skipped_and_named_by_its_key_and_the_history_is_made_of_the_others() {
    let stack = TestStack::start().await;
    let tables = tables(&stack);
    let (purchases, history) = (tables.purchases().unwrap(), tables.history().unwrap());
    for n in 0..120 {
        purchases.record(&purchase("ada", &format!("p{n:03}"), n, &[&format!("b{n}")])).await.unwrap();
    }
    let key = [("userId", "ada"), ("purchaseId", "p118")];
    set(&stack, "PURCHASES_TABLE", &key, "lines", number(5)).await;
    let refreshed = history.refresh(&user("ada"), &purchases).await.unwrap();
    assert!(refreshed.changed);
    assert_eq!(keys(&refreshed.damaged), [["p118", "ada"]]);
    assert_eq!(refreshed.damaged[0].problem, "attribute lines is missing or not a list");
    let baskets = history.baskets(&user("ada")).await.unwrap();
    assert_eq!(baskets.len(), 100, "an older one takes the damaged one's place");
    assert_eq!((baskets[1].purchased_at.as_millis(), baskets[99].purchased_at.as_millis()), (117, 19));

    let page = purchases.page(&user("ada"), 2, None).await.unwrap();
    assert_eq!((page.purchases.len(), page.damaged.len()), (1, 1));
    let next = purchases.page(&user("ada"), 2, page.end.as_ref()).await.unwrap();
    assert_eq!(next.purchases[0].purchase_id.as_str(), "p117", "a page may end with a damaged purchase");
    let again = purchases.record(&purchase("ada", "p118", 118, &["b118"])).await.unwrap();
    assert!(matches!(&again, Recorded::Damaged(damaged) if damaged == &refreshed.damaged[0]), "{again:?}");
}

fn card(id: &str, categories: &[&str]) -> Product {
    Product {
        product_id: product(id),
        name: format!("Product {id}"),
        categories: categories.iter().map(|name| Category::parse(name).unwrap()).collect(),
        price: None,
        available: true,
        attributes: BTreeMap::new(),
        updated_at: Timestamp::EPOCH,
    }
}

#[tokio::test]
async fn a_damaged_product_is_in_no_list_and_can_be_put_again_or_removed() {
    let stack = TestStack::start().await;
    let products = tables(&stack).products().unwrap();
    let ids = ["a", "b", "c"];
    let (all, beans) = (ids.map(product), Category::parse("beans").unwrap());
    for id in ids {
        products.put(&card(id, &["coffee", "beans"])).await.unwrap();
    }
    for (attribute, value) in [("name", number(5)), ("categories", text("x")), ("available", text("yes"))] {
        set(&stack, "PRODUCTS_TABLE", &[("productId", "b")], attribute, value).await;
        let what = format!("{attribute} is damaged");
        let cards = products.cards(&all).await.unwrap();
        assert_eq!((cards.items.len(), keys(&cards.damaged)), (2, vec![vec!["b"]]), "{what}");
        for category in [None, Some(&beans)] {
            let (mut listed, mut damaged, mut after) = (Vec::new(), 0, None);
            loop {
                let page = products.page(category, 1, after.as_ref()).await.unwrap();
                listed.extend(page.products.into_iter().map(|product| product.product_id.to_string()));
                damaged += page.damaged.len();
                after = page.end;
                if after.is_none() {
                    break;
                }
            }
            listed.sort();
            assert_eq!((listed, damaged), (vec!["a".to_owned(), "c".to_owned()], 1), "{what}, {category:?}");
        }
        let scanned = products.scan(2, |_| ()).await.unwrap();
        assert_eq!(keys(&scanned), [["b"]], "{what}");
        assert!(matches!(products.get(&product("b")).await, Err(TableError::Corrupt { .. })), "{what}");
        assert!(!products.put(&card("b", &["coffee", "beans"])).await.unwrap(), "{what}");
        assert_eq!(
            products.get(&product("b")).await.unwrap(),
            Some(card("b", &["coffee", "beans"])),
            "{what}"
        );
    }
    set(&stack, "PRODUCTS_TABLE", &[("productId", "b")], "name", number(5)).await;
    products.remove(&product("b")).await.unwrap();
    let items = stack.dynamodb().scan().table_name(stack.table("PRODUCTS_TABLE")).send().await.unwrap();
    assert_eq!(items.count, 4, "the pointer is gone as well");
}

fn row(id: &str, content: u8) -> ModelRow {
    ModelRow { product_id: product(id), name: None, row: vec![content] }
}

#[tokio::test]
async fn a_training_writes_over_what_is_damaged_and_a_damaged_row_is_as_good_as_none() {
    let stack = TestStack::start().await;
    let model = tables(&stack).model().unwrap();
    let now = Timestamp::from_millis(5).unwrap();
    let info = ModelInfo::default();
    let draft = model.begin().await.unwrap();
    model.put_rows(&draft, [row("a", 1), row("b", 1)], || ()).await.unwrap().unwrap();
    let live = model.publish(&draft, stored(vec![vec![1]]), &info, now).await.unwrap().unwrap();
    set(&stack, "MODEL_TABLE", &[("productId", "b"), ("slot", "a")], "row", text("x")).await;
    let rows = model.rows(&live, &["a", "b"].map(product), Consistency::Eventual).await.unwrap();
    assert_eq!((rows.items, keys(&rows.damaged)), (vec![row("a", 1)], vec![vec!["b", "a"]]));

    let pointer = [("productId", "model"), ("slot", "current")];
    let idle = [("productId", "a"), ("slot", "b")];
    for (key, attribute, value) in [
        (&pointer, "trainedAt", number(5)),
        (&pointer, "liveSlot", number(5)),
        (&idle, "version", text("x")),
        (&idle, "version", number(4_000_000)),
        (&pointer, "version", text("x")),
    ] {
        set(&stack, "MODEL_TABLE", key, attribute, value).await;
        let draft = model.begin().await.unwrap();
        model.put_rows(&draft, [row("a", 2)], || ()).await.unwrap().unwrap();
        let published = model.publish(&draft, stored(vec![vec![2]]), &info, now).await.unwrap().unwrap();
        assert_eq!(model.pointer().await.unwrap(), Some(published), "{attribute}");
    }
}

#[tokio::test]
async fn a_damaged_popular_list_is_counted_anew() {
    let stack = TestStack::start().await;
    let popular = tables(&stack).popular().unwrap();
    let at = |millis| Timestamp::from_millis(millis).unwrap();
    let made = |millis| Made { at: at(millis), newest: at(1), purchases: 1 };
    let product_id = product("a");
    let products = vec![Popular { product_id, share: 0.5, baskets: 1, shoppers: 1, categories: Vec::new() }];
    let list = PopularWindow { purchases: 2, products };
    popular.put(&made(1), &[("week", list.clone())]).await.unwrap();
    for slot in ["week", "current"] {
        set(&stack, "MODEL_TABLE", &[("productId", "popular"), ("slot", slot)], "madeAt", number(9)).await;
    }
    popular.put(&made(2), &[("week", list)]).await.unwrap();
    assert_eq!(popular.made().await.unwrap(), Some(made(2)));
    assert_eq!(popular.list("week").await.unwrap().unwrap().made_at, at(2));
}
