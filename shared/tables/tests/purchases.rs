//! The purchases table against a real endpoint.

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

use aws_sdk_dynamodb::types::AttributeValue;
use common::{purchase, tables, user};
use nextbasket_domain::{Currency, Money, PurchaseId, RecommendationId};
use nextbasket_tables::purchases::{ChangeOutcome, OnChange, Recorded, UserPage};
use nextbasket_testkit::TestStack;

#[tokio::test]
async fn a_purchase_is_recorded_once_and_comes_back_whole() {
    let stack = TestStack::start().await;
    let purchases = tables(&stack).purchases().unwrap();
    let mut first = purchase("Käse/ö", "p 1", 1_000, &["a b", "商品"]);
    first.lines[0].unit_price = Some(Money::new(0, Currency::parse("EUR").unwrap()).unwrap());
    first.lines[1].quantity = 1_000_000;
    first.recommendation_id = Some(RecommendationId::parse("home.1.ff").unwrap());
    assert_eq!(purchases.record(&first).await.unwrap(), Recorded::New);
    let other = purchase("Käse/ö", "p 1", 2_000, &["c"]);
    assert_eq!(purchases.record(&other).await.unwrap(), Recorded::Before(Box::new(first.clone())));
    let page = purchases.page(&first.user_id, 10, None).await.unwrap();
    assert_eq!(page, UserPage { purchases: vec![first], damaged: Vec::new(), end: None });
}

#[tokio::test]
async fn pages_join_to_the_whole_list_newest_first_even_through_equal_times() {
    let stack = TestStack::start().await;
    let purchases = tables(&stack).purchases().unwrap();
    for n in 0..45 {
        purchases.record(&purchase("ada", &format!("p{n:02}"), 1_000 * (n / 7), &["a"])).await.unwrap();
    }
    for limit in [1, 7, 44, 45, 100] {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = purchases.page(&user("ada"), limit, after.as_ref()).await.unwrap();
            assert!(page.purchases.len() <= limit);
            all.extend(page.purchases);
            after = page.end;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 45, "limit {limit}");
        assert!(all.array_windows().all(|[a, b]| a.purchased_at >= b.purchased_at), "limit {limit}");
        let mut ids: Vec<_> = all.iter().map(|purchase| purchase.purchase_id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 45, "limit {limit}");
    }
}

#[tokio::test]
async fn erasing_takes_all_of_one_user_and_nothing_of_another() {
    let stack = TestStack::start().await;
    let purchases = tables(&stack).purchases().unwrap();
    for n in 0..60 {
        purchases.record(&purchase("ada", &format!("p{n}"), n, &["a"])).await.unwrap();
    }
    purchases.record(&purchase("grace", "p1", 1, &["a"])).await.unwrap();
    assert_eq!(purchases.remove_all(&user("ada")).await.unwrap(), 60);
    assert_eq!(purchases.remove_all(&user("ada")).await.unwrap(), 0);
    assert_eq!(purchases.newest(&user("ada")).await.unwrap().items, []);
    assert_eq!(purchases.newest(&user("grace")).await.unwrap().items.len(), 1);
    purchases.remove(&user("grace"), &PurchaseId::parse("p1").unwrap()).await.unwrap();
    purchases.remove(&user("grace"), &PurchaseId::parse("p1").unwrap()).await.unwrap();
    assert_eq!(purchases.newest(&user("grace")).await.unwrap().items, []);
}

#[tokio::test]
async fn a_purchase_with_other_content_is_kept_replaced_or_gets_the_lines_that_it_lacks() {
    let stack = TestStack::start().await;
    let purchases = tables(&stack).purchases().unwrap();
    let mut stored = purchase("ada", "p1", 1_000, &["a", "b"]);
    stored.recommendation_id = Some(RecommendationId::parse("home.1.ff").unwrap());
    let record = async |new: &_, on_change| purchases.record_or_change(new, on_change).await.unwrap();
    let now = async || purchases.page(&user("ada"), 10, None).await.unwrap().purchases;
    assert_eq!(record(&stored, OnChange::Add).await, ChangeOutcome::New);
    for on_change in [OnChange::Keep, OnChange::Replace, OnChange::Add] {
        assert_eq!(record(&stored, on_change).await, ChangeOutcome::Same);
    }

    // The order has grown, and its time is that of its newest line now.
    let mut grown = purchase("ada", "p1", 2_000, &["a", "b", "c"]);
    assert_eq!(record(&grown, OnChange::Keep).await, ChangeOutcome::Differs);
    assert_eq!(now().await, [stored.clone()]);
    assert_eq!(record(&grown, OnChange::Add).await, ChangeOutcome::Changed { differs: false });
    assert_eq!(record(&grown, OnChange::Add).await, ChangeOutcome::Same);
    stored.lines.push(grown.lines[2].clone());
    assert_eq!(now().await, [stored.clone()]);

    // A line that differs stays, and is reported.
    grown.lines[0].quantity = 5;
    grown.lines.push(purchase("ada", "p1", 0, &["d"]).lines[0].clone());
    assert_eq!(record(&grown, OnChange::Add).await, ChangeOutcome::Changed { differs: true });
    assert_eq!(record(&grown, OnChange::Add).await, ChangeOutcome::Differs);
    stored.lines.push(grown.lines[3].clone());
    assert_eq!(now().await, [stored]);

    // Attributes of others stay when it is replaced; those that the new content lacks go.
    let set = stack.dynamodb().update_item().table_name(stack.table("PURCHASES_TABLE"));
    let set = set
        .key("userId", AttributeValue::S("ada".to_owned()))
        .key("purchaseId", AttributeValue::S("p1".to_owned()));
    let noted = set.update_expression("SET note = :note");
    noted.expression_attribute_values(":note", AttributeValue::S("x".to_owned())).send().await.unwrap();
    assert_eq!(record(&grown, OnChange::Replace).await, ChangeOutcome::Changed { differs: false });
    assert_eq!(record(&grown, OnChange::Replace).await, ChangeOutcome::Same);
    assert_eq!(now().await, [grown]);
    let items = stack.dynamodb().scan().table_name(stack.table("PURCHASES_TABLE")).send().await.unwrap();
    assert_eq!(items.items()[0]["note"], AttributeValue::S("x".to_owned()));
    assert!(!items.items()[0].contains_key("recommendationId"));
}

#[tokio::test]
async fn lines_that_many_add_at_the_same_time_are_all_there() {
    let stack = TestStack::start().await;
    let purchases = tables(&stack).purchases().unwrap();
    purchases.record(&purchase("ada", "p1", 1_000, &["first"])).await.unwrap();
    let adds = (0..6).map(|n| {
        let purchases = purchases.clone();
        async move {
            let more = purchase("ada", "p1", 1_000, &["first", &format!("more-{n}")]);
            purchases.record_or_change(&more, OnChange::Add).await.unwrap()
        }
    });
    let outcomes = futures::future::join_all(adds).await;
    assert!(
        outcomes.iter().all(|outcome| *outcome == ChangeOutcome::Changed { differs: false }),
        "{outcomes:?}"
    );
    let stored = purchases.page(&user("ada"), 10, None).await.unwrap().purchases.remove(0);
    let mut products: Vec<_> = stored.lines.iter().map(|line| line.product_id.as_str().to_owned()).collect();
    products.sort_unstable();
    assert_eq!(products, ["first", "more-0", "more-1", "more-2", "more-3", "more-4", "more-5"]);
}

#[tokio::test]
async fn a_purchase_that_would_become_too_long_stays_and_a_damaged_one_is_only_replaced() {
    let stack = TestStack::start().await;
    let purchases = tables(&stack).purchases().unwrap();
    let products: Vec<String> = (0..1_001).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = products.iter().map(String::as_str).collect();
    purchases.record(&purchase("ada", "p1", 1_000, &names[..999])).await.unwrap();
    let longer = purchase("ada", "p1", 1_000, &names[998..]);
    let full = purchases.record_or_change(&longer, OnChange::Add).await.unwrap();
    assert!(matches!(full, ChangeOutcome::Full(_)), "{full:?}");

    let damage = stack.dynamodb().put_item().table_name(stack.table("PURCHASES_TABLE"));
    let texts = [("userId", "eve"), ("purchaseId", "p1"), ("purchasedAt", "never")];
    let item = texts.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    damage.set_item(Some(item.into())).send().await.unwrap();
    let whole = purchase("eve", "p1", 1_000, &["a"]);
    for on_change in [OnChange::Keep, OnChange::Add] {
        let outcome = purchases.record_or_change(&whole, on_change).await.unwrap();
        assert!(matches!(outcome, ChangeOutcome::Damaged(_)), "{on_change:?}: {outcome:?}");
    }
    let replaced = purchases.record_or_change(&whole, OnChange::Replace).await.unwrap();
    assert_eq!(replaced, ChangeOutcome::Changed { differs: false });
    assert_eq!(purchases.page(&user("eve"), 10, None).await.unwrap().purchases, [whole]);
}
