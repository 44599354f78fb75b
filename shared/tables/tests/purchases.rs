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

use common::{purchase, tables, user};
use nextbasket_domain::{Currency, Money, PurchaseId, RecommendationId};
use nextbasket_tables::purchases::{Recorded, UserPage};
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
