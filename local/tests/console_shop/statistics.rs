use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Datelike, Days, NaiveDate};
use nextbasket_domain::{Line, Purchase, Timestamp};
use nextbasket_testkit::Seeded;
use serde_json::{Value, json};

use super::common::until;
use crate::api::World;

type Purchases = BTreeMap<String, Vec<Purchase>>;

async fn counted(world: &World) -> Value {
    until(|| world.console_ok("GET", "statistics", Value::Null), |found| found["state"] == "ready").await
}

fn day(purchase: &Purchase) -> NaiveDate {
    DateTime::parse_from_rfc3339(&purchase.purchased_at.to_string()).unwrap().to_utc().date_naive()
}

fn monday(purchase: &Purchase) -> String {
    let day = day(purchase);
    (day - Days::new(day.weekday().num_days_from_monday().into())).to_string()
}

/// Purchases, quantity and revenue by week, without weeks that have none.
fn naive_weeks(purchases: &Purchases, product: Option<&str>) -> Vec<(String, u64, u64, i64)> {
    let mut weeks: BTreeMap<String, (u64, u64, i64)> = BTreeMap::new();
    for purchase in purchases.values().flatten() {
        let lines = purchase.lines.iter();
        let lines: Vec<_> =
            lines.filter(|line| product.is_none_or(|product| line.product_id.as_str() == product)).collect();
        if lines.is_empty() {
            continue;
        }
        let week = weeks.entry(monday(purchase)).or_default();
        week.0 += 1;
        for line in lines {
            week.1 += u64::from(line.quantity);
            week.2 += line.unit_price.map_or(0, |price| price.amount() * i64::from(line.quantity));
        }
    }
    weeks
        .into_iter()
        .map(|(week, (purchases, quantity, revenue))| (week, purchases, quantity, revenue))
        .collect()
}

fn shown_weeks(weeks: &Value) -> Vec<(String, u64, u64, i64)> {
    let weeks = weeks.as_array().unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let shown = weeks.iter().map(|week| {
        let revenue = week["revenue"]["amount"].as_i64().unwrap_or(0);
        let day = week["week"].as_str().unwrap().to_owned();
        (day, number(&week["purchases"]), number(&week["quantity"]), revenue)
    });
    shown.filter(|week| week.1 > 0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn weekly_sales_are_those_of_a_naive_count() {
    let world = World::with_shop().await;
    let purchases = world.purchases().await;
    let shop = counted(&world).await;
    assert_eq!(shop["purchases"], purchases.values().flatten().count());
    assert_eq!(shown_weeks(&shop["totals"]["weeks"]), naive_weeks(&purchases, None));
    assert!(shop["readUnits"].as_f64().unwrap() > 1.0);
    let weeks: Vec<NaiveDate> = shop["totals"]["weeks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|week| week["week"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(weeks.windows(2).all(|pair| pair[1] - pair[0] == chrono::TimeDelta::days(7)), "{weeks:?}");
    let mut products = BTreeSet::new();
    for line in purchases.values().flatten().flat_map(|purchase| &purchase.lines) {
        products.insert(line.product_id.to_string());
    }
    for product in products.iter().step_by(7) {
        let facts = world.product(product).await;
        assert_eq!(facts["statistics"]["state"], "ready");
        let naive = naive_weeks(&purchases, Some(product));
        assert_eq!(shown_weeks(&facts["statistics"]["weeks"]), naive, "{product}");
        assert_eq!(facts["statistics"]["purchases"], naive.iter().map(|week| week.1).sum::<u64>());
    }
}

/// The share of buyers who have bought the product again within some days, by the definition: each gap of a shopper with
/// `m` of them weighs `1/m`, and who bought once was observed until the newest purchase.
fn naive_share(purchases: &Purchases, product: &str, within: i64) -> f64 {
    let newest = purchases.values().flatten().map(day).max().unwrap();
    let mut spells: Vec<(i64, f64, bool)> = Vec::new();
    for purchases in purchases.values() {
        let bought =
            purchases.iter().filter(|one| one.lines.iter().any(|line| line.product_id.as_str() == product));
        let days: Vec<NaiveDate> = bought.map(day).collect::<BTreeSet<_>>().into_iter().collect();
        match days.as_slice() {
            [] => {}
            [once] => spells.push(((newest - *once).num_days(), 1.0, false)),
            days => {
                let weight = 1.0 / (days.len() - 1) as f64;
                spells.extend(days.windows(2).map(|pair| ((pair[1] - pair[0]).num_days(), weight, true)));
            }
        }
    }
    let mut not_yet = 1.0;
    for day in 1..=within {
        let lasting: f64 = spells.iter().filter(|spell| spell.0 >= day).map(|spell| spell.1).sum();
        let ended: f64 = spells.iter().filter(|spell| spell.2 && spell.0 == day).map(|spell| spell.1).sum();
        if ended > 0.0 {
            not_yet *= 1.0 - ended / lasting;
        }
    }
    1.0 - not_yet
}

/// Purchases by chance of some shoppers who buy often and many who do not.
async fn shop_by_chance(world: &World, seed: u64) {
    let mut chance = Seeded(seed);
    let purchases = world.tables().purchases().unwrap();
    let start = Timestamp::parse("2026-01-01T08:00:00Z").unwrap();
    for user in 0..40 {
        let mut hours = chance.below(2_000);
        let most = if chance.below(3) == 0 { 12 } else { 3 };
        for number in 0..=chance.below(most) {
            let mut products = BTreeSet::new();
            for _ in 0..=chance.below(3) {
                products.insert(format!("p{}", chance.below(6)));
            }
            let line = |product: &String| Line {
                product_id: product.parse().unwrap(),
                quantity: 1,
                unit_price: None,
            };
            let purchase = Purchase {
                // In another order than they were made.
                purchase_id: format!("{}-{number}", chance.below(1_000)).parse().unwrap(),
                user_id: format!("u{user}").parse().unwrap(),
                purchased_at: start.plus_millis(i64::try_from(hours).unwrap() * 3_600_000),
                lines: products.iter().map(line).collect(),
                recommendation_id: None,
            };
            purchases.record(&purchase).await.unwrap();
            hours += chance.below(400);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repurchase_curve_is_that_of_a_naive_computation() {
    let mut points = 0;
    for seed in 0..3 {
        let world = World::empty().await;
        shop_by_chance(&world, seed).await;
        let purchases = world.purchases().await;
        counted(&world).await;
        for product in ["p0", "p1", "p2", "p3", "p4", "p5"] {
            points += compare_repurchase(&world, &purchases, product).await;
        }
    }
    assert!(points > 100, "{points} points");
}

/// The number of points that were compared.
async fn compare_repurchase(world: &World, purchases: &Purchases, product: &str) -> usize {
    let repurchase = world.product(product).await["statistics"]["repurchase"].clone();
    let bought = |one: &&Purchase| one.lines.iter().any(|line| line.product_id.as_str() == product);
    let days =
        |purchases: &Vec<Purchase>| purchases.iter().filter(bought).map(day).collect::<BTreeSet<_>>().len();
    let buyers = purchases.values().filter(|purchases| days(purchases) > 0).count();
    let again = purchases.values().filter(|purchases| days(purchases) > 1).count();
    assert_eq!(
        (&repurchase["buyers"], &repurchase["againBuyers"]),
        (&json!(buyers), &json!(again)),
        "{product}"
    );
    let curve = repurchase["curve"].as_array().unwrap();
    for point in curve {
        let naive = naive_share(purchases, product, point["days"].as_i64().unwrap());
        assert!((point["share"].as_f64().unwrap() - naive).abs() < 1e-9, "{product} {point}: {naive}");
    }
    if let Some(median) = repurchase["medianDays"].as_i64() {
        assert!(naive_share(purchases, product, median) >= 0.5 - 1e-9, "{product}");
        assert!(naive_share(purchases, product, median - 1) < 0.5, "{product}");
    }
    curve.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_items_are_counted_and_keep_nothing_from_being_counted() {
    let world = World::with_shop().await;
    let machine = world.system.machine();
    let table = &machine.template().table("PurchasesTable").unwrap().name;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let all = world.purchases().await.values().flatten().count();
    aws_sdk_dynamodb::Client::new(machine.sdk_config())
        .put_item()
        .table_name(table)
        .item("userId", text("ada"))
        .item("purchaseId", text("damaged"))
        .item("purchasedAt", text("some day"))
        .send()
        .await
        .unwrap();
    let found = counted(&world).await;
    assert_eq!((&found["damaged"], &found["purchases"]), (&json!(1), &json!(all)));
}
