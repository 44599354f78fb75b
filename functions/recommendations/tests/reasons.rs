//! Reasons, recounted from the purchases by code that shares nothing with the function.
//!
//! `REASONS_SEED=17 cargo test -p recommendations --test reasons` tries the shop of one seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Clock, Line, Product, ProductId, Purchase, Random, Timestamp, UserId};
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::Site;
use nextbasket_tables::popular::{Made, Popular, PopularWindow};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::jobs::train;
use nextbasket_testkit::{Seeded, TestStack};
use recommendations::reason_texts::ReasonTexts;
use recommendations::{State, handle};
use serde_json::{Value, json};

const SHOPS: u64 = 3;
/// When the model is trained.
const TRAINED: i64 = 1_780_000_000_000;
const DAY: i64 = 86_400_000;
const PRODUCTS: usize = 14;
const USERS: usize = 9;
/// As the model counts: how many of a shopper's purchases apart those of a pair may be.
const REACH: usize = 10;
/// Buys more often than a history holds.
const OFTEN: &str = "often";
/// Buys so much at a time that a history holds the newest purchases only.
const MUCH: &str = "much";

struct Bought {
    user: String,
    at: i64,
    id: String,
    products: BTreeSet<String>,
}

/// What was counted, in the order of each user's purchases.
#[derive(Default)]
struct Counted {
    purchases: Vec<Bought>,
}

impl Counted {
    fn of(&self, user: &str) -> Vec<&Bought> {
        self.purchases.iter().filter(|bought| bought.user == user).collect()
    }

    fn others(&self, without: &str) -> BTreeSet<&str> {
        self.purchases.iter().map(|bought| bought.user.as_str()).filter(|user| *user != without).collect()
    }

    fn shoppers(&self, without: &str, did: impl Fn(&[&Bought]) -> bool) -> usize {
        self.others(without).into_iter().filter(|user| did(&self.of(user))).count()
    }

    fn next(&self, without: &str, earlier: &str, later: &str) -> usize {
        self.shoppers(without, |own| {
            own.iter().enumerate().any(|(at, bought)| {
                let after = &own[at + 1..own.len().min(at + 1 + REACH)];
                bought.products.contains(earlier)
                    && after.iter().any(|bought| bought.products.contains(later))
            })
        })
    }

    fn apart(&self, a: &str, b: &str) -> usize {
        self.shoppers("", |own| {
            let with = |product: &str| -> Vec<&str> {
                let with = own.iter().filter(|bought| bought.products.contains(product));
                with.map(|bought| bought.id.as_str()).collect()
            };
            let (a, b) = (with(a), with(b));
            a.iter().any(|first| b.iter().any(|second| first != second))
        })
    }

    fn baskets(&self, without: &str, since: i64, products: &[&str]) -> usize {
        let counted = self.purchases.iter().filter(|bought| bought.user != without && bought.at > since);
        counted.filter(|bought| products.iter().all(|product| bought.products.contains(*product))).count()
    }

    fn buyers(&self, without: &str, since: i64, product: &str) -> usize {
        self.shoppers(without, |own| {
            own.iter().any(|bought| bought.at > since && bought.products.contains(product))
        })
    }
}

struct Shop {
    random: Seeded,
    state: State,
    tables: Tables,
    /// What the model was trained with.
    counted: Counted,
    /// What the popular lists were counted of.
    listed: Counted,
    /// Each kind of reason, with whether it was sure.
    seen: BTreeMap<String, usize>,
    stack: TestStack,
}

fn id(n: usize) -> String {
    format!("p{n:02}")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn clock(millis: i64) -> Clock {
    Clock::new(move || at(millis))
}

impl Shop {
    async fn open(seed: u64) -> Self {
        let stack = TestStack::start().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        for n in 0..PRODUCTS {
            let product = Product {
                product_id: id(n).parse().unwrap(),
                name: format!("Product {n}"),
                categories: Vec::new(),
                price: None,
                available: true,
                attributes: BTreeMap::new(),
                updated_at: Timestamp::EPOCH,
            };
            tables.products().unwrap().put(&product).await.unwrap();
        }
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let now = TRAINED + 10_000;
        let state = State::new(service, &tables, clock(now), Random::new(|| 4)).unwrap();
        let mut shop = Self {
            random: Seeded(seed),
            state,
            tables,
            counted: Counted::default(),
            listed: Counted::default(),
            seen: BTreeMap::new(),
            stack,
        };
        let mut purchases = Vec::new();
        for n in 0..60 {
            let user = format!("u{}", shop.below(USERS));
            // Some at the same millisecond.
            let ago = [1, 2 * DAY, 9 * DAY, 40 * DAY][shop.below(4)] * i64::try_from(shop.below(3)).unwrap();
            purchases.push(shop.basket(&user, n, TRAINED - 1 - ago, 4));
        }
        for n in 0..130 {
            purchases.push(shop.basket(OFTEN, n, TRAINED - DAY * i64::try_from(n).unwrap() / 2 - 1, 3));
        }
        for n in 0..40 {
            let mut large = shop.basket(MUCH, n, TRAINED - DAY * i64::try_from(n).unwrap() - 1, 3);
            // Ids of a thousand bytes in each, so that a history has no room for the oldest.
            large.products.extend((0..5).map(|more| format!("large{n:02}{more}{}", "x".repeat(240))));
            purchases.push(large);
        }
        shop.record(&purchases).await;
        shop.counted.purchases = purchases;
        shop.counted.purchases.sort_by(|a, b| (&a.user, a.at, &a.id).cmp(&(&b.user, b.at, &b.id)));
        train(Site { clock: clock(TRAINED), ..shop.stack.site() }, &shop.tables).await;
        // Bought after the training, so that no count holds them.
        let mut later = Vec::new();
        for n in 0..12 {
            let user = [format!("u{}", shop.below(USERS)), OFTEN.to_owned()][shop.below(2)].clone();
            later.push(shop.basket(&user, 1_000 + n, TRAINED + 100, 4));
        }
        shop.record(&later).await;
        shop
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.random.below(n as u64)).unwrap()
    }

    fn basket(&mut self, user: &str, n: usize, at: i64, most: usize) -> Bought {
        let size = 1 + self.below(most);
        // The lower the number of a product, the more often it is bought.
        let products = (0..size).map(|_| id(self.below(PRODUCTS).min(self.below(PRODUCTS)))).collect();
        Bought { user: user.to_owned(), at, id: format!("b{n:05}"), products }
    }

    async fn record(&self, purchases: &[Bought]) {
        let table = self.tables.purchases().unwrap();
        let mut users = BTreeSet::new();
        for bought in purchases {
            let line = |product: &String| Line {
                product_id: product.parse().unwrap(),
                quantity: 1,
                unit_price: None,
            };
            let purchase = Purchase {
                purchase_id: bought.id.parse().unwrap(),
                user_id: bought.user.parse().unwrap(),
                purchased_at: at(bought.at),
                lines: bought.products.iter().map(line).collect(),
                recommendation_id: None,
            };
            table.record(&purchase).await.unwrap();
            users.insert(purchase.user_id);
        }
        for user in users {
            self.tables.history().unwrap().refresh(&user, &table).await.unwrap();
        }
    }

    async fn list_popular(&mut self) {
        self.listed.purchases = std::mem::take(&mut self.counted.purchases);
        let newest = self.listed.purchases.iter().map(|bought| bought.at).max().unwrap();
        let window = |days: i64| {
            let since = newest - days * DAY;
            let products = (0..PRODUCTS).map(|n| Popular {
                product_id: id(n).parse().unwrap(),
                share: 1.0 - f64::from(u32::try_from(n).unwrap()) / 100.0,
                baskets: u32::try_from(self.listed.baskets("", since, &[&id(n)])).unwrap(),
                shoppers: u32::try_from(self.listed.buyers("", since, &id(n))).unwrap(),
                categories: Vec::new(),
            });
            let purchases = self.listed.baskets("", since, &[]);
            PopularWindow { purchases: purchases as u64, products: products.collect() }
        };
        let made = Made { at: at(TRAINED + 5_000), newest: at(newest), purchases: 1 };
        let lists =
            [("day", window(1)), ("week", window(7)), ("month", window(30)), ("all", window(100_000))];
        self.tables.popular().unwrap().put(&made, &lists).await.unwrap();
        self.counted.purchases = std::mem::take(&mut self.listed.purchases);
    }

    /// Checks the reasons of an answer. `user`: whom it is for, or nobody.
    fn check(&mut self, what: &str, user: &str, answer: &Value) {
        for item in answer["items"].as_array().unwrap() {
            let product = item["productId"].as_str().unwrap();
            for reason in item["reasons"].as_array().unwrap() {
                let what = format!("{what}: {product}: {reason}");
                self.recount(&what, user, product, reason);
                let sure = if reason.to_string().contains("atLeast") { " at least" } else { "" };
                let kind = reason["kind"].as_str().unwrap();
                let counts = if reason.get("until").is_some() { " lately" } else { "" };
                *self.seen.entry(format!("{kind}{counts}{sure}")).or_default() += 1;
            }
        }
    }

    fn recount(&self, what: &str, user: &str, product: &str, reason: &Value) {
        let counted = &self.counted;
        let number = |field: &str| usize::try_from(reason[field].as_u64().unwrap()).unwrap();
        let text = reason["text"].as_str().unwrap();
        assert!(!text.contains('%') && !text.contains('{'), "{what}");
        let because: Vec<&Value> = reason["because"].as_array().into_iter().flatten().collect();
        let holds = |given: &Value, count: usize, told: usize| {
            let at_least = given.get("atLeast").is_some();
            // What cannot be told is the shopper's own purchase: one.
            let fits = if at_least { told <= count && count <= told + 1 } else { told == count };
            assert!(fits, "{what}: {told}, but it is {count}");
            assert!(count >= 2 && told >= 2, "{what}: from a single one");
            assert!(text.contains(&told.to_string()), "{what}");
        };
        let each = |of_all: &str, count: &dyn Fn(&str) -> usize| {
            assert!(!because.is_empty(), "{what}");
            let mut most = 0;
            for evidence in &because {
                let told = usize::try_from(evidence["count"].as_u64().unwrap()).unwrap();
                holds(evidence, count(evidence["productId"].as_str().unwrap()), told);
                assert!(text.contains(&format!("“{}”", evidence["name"].as_str().unwrap())), "{what}");
                most = most.max(told);
            }
            assert_eq!(number(of_all), most, "{what}");
        };
        match reason["kind"].as_str().unwrap() {
            "boughtNext" => each("shoppers", &|earlier| counted.next(user, earlier, product)),
            "boughtTogether" => each("baskets", &|other| counted.baskets(user, i64::MIN, &[other, product])),
            "boughtBySameShoppers" => {
                assert!(!text.contains("basket"), "{what}");
                each("shoppers", &|other| counted.apart(other, product));
            }
            "popular" if reason.get("shoppers").is_some() => {
                holds(reason, counted.buyers(user, i64::MIN, product), number("shoppers"));
            }
            "popular" => {
                let since = reason
                    .get("since")
                    .map_or(i64::MIN, |since| Timestamp::parse(since.as_str().unwrap()).unwrap().as_millis());
                holds(reason, counted.baskets(user, since, &[product]), number("baskets"));
                assert_eq!(number("purchases"), counted.baskets(user, since, &[]), "{what}");
                assert!(text.contains(&reason["purchases"].to_string()), "{what}");
                assert!(counted.buyers(user, since, product) >= 2, "{what}");
            }
            "boughtAgain" | "catalogue" => {}
            other => panic!("{what}: {other}"),
        }
    }

    async fn answer(&self, event: Value) -> Value {
        answer(&self.state, event).await.1
    }

    async fn ask_everything(&mut self, what: &str) {
        let users = (0..USERS).map(|n| format!("u{n}")).chain([OFTEN, MUCH, "nobody"].map(str::to_owned));
        for user in users {
            let event = json!({
                "routeKey": "GET /users/{userId}/recommendations",
                "pathParameters": { "userId": user }, "rawQueryString": "limit=100",
            });
            let answer = self.answer(event).await;
            self.check(&format!("{what}: {user}"), &user, &answer);
            let cart = json!([id(self.below(PRODUCTS)), id(self.below(PRODUCTS))]);
            for (of, body) in [
                (user.as_str(), json!({ "userId": user, "basket": cart, "limit": 100 })),
                ("", json!({ "basket": cart, "limit": 100 })),
            ] {
                let event = json!({ "routeKey": "POST /recommendations", "body": body.to_string() });
                let answer = self.answer(event).await;
                self.check(&format!("{what}: {of} with {cart}"), of, &answer);
            }
        }
        for kind in ["together", "similar"] {
            for n in 0..PRODUCTS {
                let event = json!({
                    "routeKey": "GET /products/{productId}/related",
                    "pathParameters": { "productId": id(n) }, "rawQueryString": format!("limit=100&kind={kind}"),
                });
                let answer = self.answer(event).await;
                self.check(&format!("{what}: {kind} {n}"), "", &answer);
                let scores: Vec<f64> = answer["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["score"].as_f64().unwrap())
                    .collect();
                assert!(scores.is_sorted_by(|a, b| a >= b), "{kind} {n}: {scores:?}");
            }
        }
        for window in ["day", "week", "month", "all"] {
            let event = json!({
                "routeKey": "GET /products/popular", "rawQueryString": format!("limit=100&window={window}"),
            });
            let answer = self.answer(event).await;
            self.check(&format!("{what}: popular {window}"), "", &answer);
        }
    }
}

/// The headers and the body of an answer.
async fn answer(state: &State, mut event: Value) -> (Value, Value) {
    event["requestContext"] = json!({
        "http": { "method": "GET" },
        "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
    });
    let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
    let answer = serde_json::to_value(handle(state, event).await.unwrap()).unwrap();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(answer["statusCode"], 200, "{body:#}");
    (answer["headers"].clone(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_count_of_a_reason_can_be_recounted_from_the_purchases_of_others() {
    let given = std::env::var("REASONS_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in given.map_or(0..SHOPS, |seed: u64| seed..seed + 1) {
        let mut shop = Shop::open(seed).await;
        let histories = shop.tables.history().unwrap();
        for user in [OFTEN, MUCH] {
            let stored = histories.stored(&user.parse().unwrap()).await.unwrap();
            assert!(!stored.is_complete && stored.baskets.len() < shop.counted.of(user).len(), "{user}");
        }
        shop.ask_everything(&format!("REASONS_SEED={seed}, before the lists")).await;
        shop.list_popular().await;
        // Another function, since this one looks for lists after a second of its clock only.
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        shop.state = State::new(service, &shop.tables, clock(TRAINED + 10_000), Random::new(|| 4)).unwrap();
        shop.ask_everything(&format!("REASONS_SEED={seed}, with lists")).await;
        for (kind, count) in shop.seen {
            *seen.entry(kind).or_default() += count;
        }
    }
    // Otherwise nothing was recounted.
    for kind in [
        "boughtAgain",
        "boughtNext",
        "boughtNext at least",
        "boughtTogether",
        "boughtBySameShoppers",
        "popular",
        "popular lately",
        "popular at least",
    ] {
        assert!(seen.get(kind).is_some_and(|count| *count >= 5), "{kind}: {seen:?}");
    }
}

/// Three shoppers bought beans and then a mug, two of them ada and grace; all three have a cart of both.
async fn three_shoppers() -> (TestStack, Tables) {
    let stack = TestStack::start().await;
    let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
    let tables = Tables::new(stack.dynamodb(), names);
    for (product, name) in [("beans", "Beans, 1 kg"), ("mug", "Mug"), ("rare", "Rare")] {
        let product = Product {
            product_id: product.parse().unwrap(),
            name: name.to_owned(),
            categories: Vec::new(),
            price: None,
            available: true,
            attributes: BTreeMap::new(),
            updated_at: Timestamp::EPOCH,
        };
        tables.products().unwrap().put(&product).await.unwrap();
    }
    let purchases = tables.purchases().unwrap();
    for user in ["ada", "grace", "hedy"] {
        let user: UserId = user.parse().unwrap();
        for (n, products) in [&["beans"][..], &["beans", "mug"], &["mug"]].into_iter().enumerate() {
            let line = |id: &&str| Line {
                product_id: id.parse::<ProductId>().unwrap(),
                quantity: 1,
                unit_price: None,
            };
            let purchase = Purchase {
                purchase_id: format!("b{n}").parse().unwrap(),
                user_id: user.clone(),
                purchased_at: at(TRAINED - 1_000 + i64::try_from(n).unwrap()),
                lines: products.iter().map(line).collect(),
                recommendation_id: None,
            };
            purchases.record(&purchase).await.unwrap();
        }
        tables.history().unwrap().refresh(&user, &purchases).await.unwrap();
    }
    train(Site { clock: clock(TRAINED), ..stack.site() }, &tables).await;
    (stack, tables)
}

fn function(tables: &Tables, texts: Option<&Path>) -> State {
    let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
    let state = State::new(service, tables, clock(TRAINED + 1_000), Random::new(|| 4)).unwrap();
    match texts {
        Some(folder) => state.with_texts(ReasonTexts::with_folder(folder).unwrap()),
        None => state,
    }
}

/// The language of an answer to ada, and all texts of the mug's reasons.
async fn texts(state: &State, accepted: Option<&str>) -> (String, Vec<String>) {
    let mut event = json!({
        "routeKey": "GET /users/{userId}/recommendations", "pathParameters": { "userId": "ada" },
    });
    if let Some(accepted) = accepted {
        event["headers"] = json!({ "accept-language": accepted });
    }
    let (headers, body) = answer(state, event).await;
    assert_eq!(headers["vary"], "Accept-Language");
    let mug = body["items"].as_array().unwrap().iter().find(|item| item["productId"] == "mug").unwrap();
    let texts = mug["reasons"].as_array().unwrap().iter();
    let texts = texts.map(|reason| reason["text"].as_str().unwrap().to_owned()).collect();
    (headers["content-language"].as_str().unwrap().to_owned(), texts)
}

#[tokio::test]
async fn reasons_come_in_the_language_that_the_request_accepts() {
    let (_stack, tables) = three_shoppers().await;
    let state = function(&tables, None);
    let english = "Bought by 2 other shoppers after “Beans, 1 kg”";
    let german = "Von 2 anderen Kunden nach „Beans, 1 kg“ gekauft";
    for (accepted, language, text) in [
        (None, "en", english),
        (Some("de"), "de", german),
        (Some("de-AT,de;q=0.9,en;q=0.8"), "de", german),
        (Some("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5"), "en", english),
        (Some("ja"), "en", english),
        (Some("*;q=0.1, en;q=0"), "de", german),
        (Some("\"';;q=x"), "en", english),
    ] {
        let (answered, texts) = texts(&state, accepted).await;
        assert_eq!(answered, language, "{accepted:?}");
        assert!(texts.iter().any(|given| given == text), "{accepted:?}: {texts:?}");
    }
}

#[tokio::test]
async fn a_shops_own_texts_replace_a_language_and_leave_the_others() {
    let (_stack, tables) = three_shoppers().await;
    let folder = tempfile::tempdir().unwrap();
    let own = include_str!("../texts/de.ftl")
        .replace("bought-next = Von { shoppers }", "bought-next = Eben von { shoppers }");
    std::fs::write(folder.path().join("de.ftl"), own).unwrap();
    let state = function(&tables, Some(folder.path()));
    let (language, german) = texts(&state, Some("de")).await;
    assert_eq!(language, "de");
    assert!(
        german.iter().any(|text| text == "Eben von 2 anderen Kunden nach „Beans, 1 kg“ gekauft"),
        "{german:?}"
    );
    let (language, english) = texts(&state, Some("en")).await;
    assert_eq!(language, "en");
    assert!(english.iter().any(|text| text.starts_with("Bought by 2 other shoppers")), "{english:?}");
}

#[tokio::test]
async fn two_shoppers_are_not_enough_when_one_of_them_asks() {
    let (stack, tables) = three_shoppers().await;
    let hedy: UserId = "hedy".parse().unwrap();
    let purchases = tables.purchases().unwrap();
    for n in 0..3 {
        purchases.remove(&hedy, &format!("b{n}").parse().unwrap()).await.unwrap();
    }
    tables.history().unwrap().refresh(&hedy, &purchases).await.unwrap();
    train(Site { clock: clock(TRAINED), ..stack.site() }, &tables).await;
    let state = function(&tables, None);
    let (_, body) = answer(
        &state,
        json!({ "routeKey": "GET /users/{userId}/recommendations", "pathParameters": { "userId": "ada" } }),
    )
    .await;
    for item in body["items"].as_array().unwrap() {
        for reason in item["reasons"].as_array().unwrap() {
            assert!(["boughtAgain", "catalogue"].contains(&reason["kind"].as_str().unwrap()), "{item:#}");
        }
    }
    // Grace is one of two for a visitor, and so is ada.
    let body = json!({ "basket": ["beans"] }).to_string();
    let (_, body) = answer(&state, json!({ "routeKey": "POST /recommendations", "body": body })).await;
    let reasons = body["items"][0]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["text"] == "In 2 baskets with “Beans, 1 kg”"), "{body:#}");
}
