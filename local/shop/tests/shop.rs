//! What the generated shop promises.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use nextbasket_domain::{Product, Purchase, Timestamp};
use nextbasket_shop::{HEROES, Shop, ShopSize, generate};

fn end() -> Timestamp {
    Timestamp::parse("2026-03-10T18:00:00Z").unwrap()
}

fn demo() -> Shop {
    generate(1, end(), ShopSize::DEMO)
}

fn holds(purchase: &Purchase, product: &str) -> bool {
    purchase.lines.iter().any(|line| line.product_id.as_str() == product)
}

fn of<'a>(shop: &'a Shop, user: &str) -> Vec<&'a Purchase> {
    shop.purchases.iter().filter(|purchase| purchase.user_id.as_str() == user).collect()
}

/// Whole days before the end on which a user bought a product, the latest first.
fn days_ago(shop: &Shop, user: &str, product: &str) -> Vec<i64> {
    let day = |at: Timestamp| at.as_millis() / 86_400_000;
    let bought = of(shop, user).into_iter().filter(|purchase| holds(purchase, product));
    let mut days: Vec<_> = bought.map(|purchase| day(end()) - day(purchase.purchased_at)).collect();
    days.reverse();
    days
}

/// Of baskets with `given`, the share with `product`, over the share of all baskets with it.
fn lift(shop: &Shop, given: &str, product: &str) -> u64 {
    let count = |test: &dyn Fn(&Purchase) -> bool| {
        u64::try_from(shop.purchases.iter().filter(|purchase| test(purchase)).count()).unwrap()
    };
    let both = count(&|purchase| holds(purchase, given) && holds(purchase, product));
    let all = u64::try_from(shop.purchases.len()).unwrap();
    both * all / (count(&|purchase| holds(purchase, given)) * count(&|purchase| holds(purchase, product)))
}

#[test]
fn the_same_seed_gives_the_same_shop_and_another_another() {
    assert_eq!(generate(1, end(), ShopSize::SMALL), generate(1, end(), ShopSize::SMALL));
    assert_ne!(generate(1, end(), ShopSize::SMALL).purchases, generate(2, end(), ShopSize::SMALL).purchases);
}

#[test]
fn heroes_do_the_same_whatever_the_seed() {
    let (one, two) = (generate(1, end(), ShopSize::SMALL), generate(2, end(), ShopSize::DEMO));
    for hero in HEROES.iter() {
        let lines = |shop: &Shop| {
            of(shop, &hero.user).into_iter().map(|p| (p.purchased_at, p.lines.clone())).collect::<Vec<_>>()
        };
        assert_eq!(lines(&one), lines(&two), "{}", hero.user);
        assert!(!lines(&one).is_empty(), "{}", hero.user);
    }
}

#[test]
fn the_shop_is_as_large_as_a_demonstration_needs() {
    let shop = demo();
    let users: HashSet<_> = shop.purchases.iter().map(|purchase| &purchase.user_id).collect();
    let lines: usize = shop.purchases.iter().map(|purchase| purchase.lines.len()).sum();
    println!(
        "{} products, {} users, {} purchases, {lines} lines",
        shop.products.len(),
        users.len(),
        shop.purchases.len()
    );
    assert!((150..=250).contains(&shop.products.len()));
    assert!((600..=1_000).contains(&users.len()));
    assert!((6_000..=10_000).contains(&shop.purchases.len()));
    let shelves: HashSet<_> = shop.products.iter().map(|product| product.categories[0].as_str()).collect();
    assert!(shelves.len() >= 12);
}

#[test]
fn everything_is_within_the_limits_and_ids_are_unique() {
    let shop = demo();
    let ids: HashSet<_> = shop.products.iter().map(|product| &product.product_id).collect();
    let names: HashSet<_> = shop.products.iter().map(|product| &product.name).collect();
    assert_eq!((ids.len(), names.len()), (shop.products.len(), shop.products.len()));
    for product in &shop.products {
        Product::check_name(&product.name).unwrap();
        Product::check_categories(&product.categories).unwrap();
        assert!(product.price.is_some_and(|price| price.amount() > 0) && product.updated_at <= end());
    }
    let orders: HashSet<_> = shop.purchases.iter().map(|purchase| &purchase.purchase_id).collect();
    assert_eq!(orders.len(), shop.purchases.len());
    for purchase in &shop.purchases {
        Purchase::check_lines(&purchase.lines).unwrap();
        assert!(purchase.purchased_at <= end());
        let products: HashSet<_> = purchase.lines.iter().map(|line| &line.product_id).collect();
        assert_eq!(products.len(), purchase.lines.len());
        assert!(products.iter().all(|product| ids.contains(product)));
        assert!(purchase.lines.iter().all(|line| line.quantity > 0));
    }
    assert!(shop.purchases.is_sorted_by_key(|purchase| purchase.purchased_at));
}

#[test]
fn what_goes_together_is_bought_together() {
    let shop = demo();
    for (given, product) in [
        ("machine-espresso-classic", "tamper-58"),
        ("machine-filter-classic", "filter-paper-4"),
        ("brewer-v60", "filter-v60-02"),
        ("matcha-whisk", "matcha-bowl"),
        ("cup-paper-100", "cup-paper-lids-100"),
        ("gift-box-espresso", "gift-wrap"),
    ] {
        let lift = lift(&shop, given, product);
        println!("{product} is bought {lift} times as often with {given}");
        assert!(lift >= 5, "{given} {product} {lift}");
    }
}

#[test]
fn regulars_buy_again_in_their_rhythm() {
    let shop = demo();
    let mut times: HashMap<_, Vec<i64>> = HashMap::new();
    for purchase in shop.purchases.iter().filter(|purchase| holds(purchase, "coffee-espresso-1kg")) {
        times.entry(&purchase.user_id).or_default().push(purchase.purchased_at.as_millis() / 86_400_000);
    }
    let mut gaps: Vec<_> = times.values().flat_map(|days| days.array_windows().map(|[a, b]| b - a)).collect();
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    assert!(gaps.len() > 200 && (12..=22).contains(&median), "{} gaps, median {median}", gaps.len());
}

#[test]
fn seasons_and_a_long_tail_can_be_seen() {
    let shop = demo();
    let mut months: BTreeMap<(&str, String), u32> = BTreeMap::new();
    let mut sold: HashMap<&str, u32> = HashMap::new();
    for purchase in &shop.purchases {
        for line in &purchase.lines {
            let month = purchase.purchased_at.to_string()[5..7].to_owned();
            *months.entry((line.product_id.as_str(), month)).or_default() += 1;
            *sold.entry(line.product_id.as_str()).or_default() += 1;
        }
    }
    let in_month =
        |product, month: &str| months.get(&(product, month.to_owned())).copied().unwrap_or_default();
    assert!(in_month("syrup-gingerbread", "12") > 5 * in_month("syrup-gingerbread", "06").max(1));
    assert!(in_month("iced-coffee-can-12", "07") > 5 * in_month("iced-coffee-can-12", "01").max(1));

    let mut counts: Vec<_> = sold.values().copied().collect();
    counts.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
    let total: u32 = counts.iter().sum();
    let top: u32 = counts.iter().take(20).sum();
    assert!(top * 2 > total && counts.iter().filter(|count| **count < 20).count() > 30, "{counts:?}");

    let never: Vec<_> = shop.products.iter().filter(|p| !sold.contains_key(p.product_id.as_str())).collect();
    assert!((3..20).contains(&never.len()), "{never:?}");
    assert!(
        shop.products
            .iter()
            .any(|product| !product.available && sold.contains_key(product.product_id.as_str()))
    );
}

#[test]
fn half_of_the_visitors_come_once() {
    let shop = demo();
    let mut visits: HashMap<_, u32> = HashMap::new();
    for purchase in &shop.purchases {
        *visits.entry(&purchase.user_id).or_default() += 1;
    }
    let once = visits.values().filter(|visits| **visits == 1).count();
    assert!(once * 100 / visits.len() >= 18, "{once} of {}", visits.len());
}

#[test]
fn heroes_have_the_purchases_of_their_stories() {
    let shop = demo();
    let is = |user, product, days: &[i64]| {
        let bought = days_ago(&shop, user, product);
        assert_eq!(bought.get(..days.len()), Some(days), "{user} {product} {bought:?}");
    };
    is("ada", "coffee-espresso-1kg", &[13, 27, 41]);
    is("ada", "descaler", &[97, 181, 265, 349]);
    is("grace", "coffee-filter-colombia-500g", &[17, 35, 53]);
    is("grace", "filter-paper-4", &[53, 89, 125]);
    is("linus", "brewer-v60", &[28]);
    assert!(days_ago(&shop, "linus", "filter-v60-02").is_empty());
    assert_eq!((of(&shop, "alan").len(), of(&shop, "ken").len()), (1, 1));
    assert!(of(&shop, "barbara").iter().any(|purchase| holds(purchase, "iced-coffee-can-12")));
    let december = |purchase: &&Purchase| &purchase.purchased_at.to_string()[5..7] == "12";
    assert!(of(&shop, "edsger").iter().all(december) && of(&shop, "edsger").len() >= 2);
    // Fewer baskets than things bought: what is due on one day is bought at once.
    assert_eq!(of(&shop, "ada").iter().filter(|purchase| purchase.lines.len() > 1).count(), 19);
}

#[test]
fn heroes_have_purchases_whenever_the_year_ends() {
    for month in 1..=12 {
        let end = Timestamp::parse(&format!("2026-{month:02}-01T00:00:00Z")).unwrap();
        let shop = generate(1, end, ShopSize { shoppers: 0, days: ShopSize::DEMO.days });
        for hero in HEROES.iter() {
            assert!(!of(&shop, &hero.user).is_empty(), "{} in month {month}", hero.user);
        }
    }
}

#[test]
fn any_seed_end_and_size_will_do() {
    for (seed, end, size) in [
        (0, Timestamp::EPOCH, ShopSize { shoppers: 0, days: 0 }),
        (u64::MAX, Timestamp::EPOCH, ShopSize::SMALL),
        (7, Timestamp::parse("9999-12-31T23:59:59Z").unwrap(), ShopSize { shoppers: 5, days: 1 }),
    ] {
        let shop = generate(seed, end, size);
        assert!(shop.purchases.iter().all(|purchase| purchase.purchased_at <= end));
        assert!(!shop.products.is_empty());
    }
}

#[test]
fn it_is_generated_before_anybody_notices() {
    let start = Instant::now();
    let shop = demo();
    let took = start.elapsed();
    println!("{} purchases in {took:?}", shop.purchases.len());
    // Half a second is what it may take; a busy machine is given some more.
    assert!(took < Duration::from_secs(3), "{took:?}");
}
