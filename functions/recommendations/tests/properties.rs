//! Whole lists, page by page, while the shop changes between the pages, against the rules that every list keeps.
//!
//! `LISTS_CASES=5000 cargo test -p recommendations --test properties` tries more lists than usual; `LISTS_SEED=17`
//! those of one shop.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Category, Clock, Line, Product, ProductId, Purchase, Random, Timestamp, UserId};
use nextbasket_http::{AuthMode, Service};
use nextbasket_tables::popular::{Made, Popular, PopularWindow};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::jobs::train;
use nextbasket_testkit::{FaultProxy, Seeded, TestStack};
use recommendations::{State, handle};
use serde_json::{Value, json};

const CASES: u64 = 200;
/// So many lists are asked of one shop, which changes all the while.
const CASES_OF_A_SHOP: u64 = 50;
const START: i64 = 1_780_000_000_000;
const CATEGORIES: [&str; 6] = ["tea", "tea & more", "tea\u{20}", "Coffee", "kaffee-öl", "popular"];
/// Beginnings of ids that sort in unexpected places, or look like something else.
const IDS: [&str; 6] = ["p", "p ", "P", "p/", "popular", "ä+"];
const USERS: usize = 6;

/// What an answer may read: 16 units, and half a unit for each product that it shows.
fn most_units(items: usize) -> f64 {
    16.0 + 0.5 * f64::from(u32::try_from(items).unwrap())
}

struct Shop {
    seed: u64,
    random: Seeded,
    stack: TestStack,
    proxy: FaultProxy,
    tables: Tables,
    state: Arc<State>,
    now: Arc<AtomicI64>,
    /// The catalogue as it should be.
    products: BTreeMap<ProductId, Product>,
    /// What the list is about that is being asked for: it is not deleted.
    kept: Option<ProductId>,
    purchases: u64,
}

/// What a list is asked for.
#[derive(Debug, Clone, Default)]
struct Wish {
    route: &'static str,
    product: Option<ProductId>,
    user: Option<UserId>,
    basket: Vec<ProductId>,
    categories: Vec<Category>,
    exclude: Vec<ProductId>,
    pinned: Vec<ProductId>,
    boosted: Option<ProductId>,
    with_unavailable: bool,
}

impl Wish {
    /// Whether a list may show the product.
    fn fits(&self, product: &Product) -> bool {
        (product.available || self.with_unavailable)
            && (self.categories.is_empty()
                || product.categories.iter().any(|category| self.categories.contains(category)))
            && !self.exclude.contains(&product.product_id)
            && !self.basket.contains(&product.product_id)
            && self.product.as_ref() != Some(&product.product_id)
    }

    fn event(&self, limit: usize, cursor: Option<&str>) -> Value {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let mut event = json!({
            "routeKey": self.route,
            "requestContext": {
                "http": { "method": "GET" },
                "authorizer": { "iam": { "userArn": "arn:aws:iam::111122223333:user/shop" } },
            },
        });
        if self.route == "POST /recommendations" {
            let boost = self.boosted.as_ref().map(|id| json!({ "productId": id, "factor": 50 }));
            let body = json!({
                "userId": self.user, "basket": self.basket, "limit": limit, "cursor": cursor,
                "filter": {
                    "categories": self.categories, "exclude": self.exclude,
                    "available": !self.with_unavailable,
                },
                "pin": self.pinned, "boost": boost.into_iter().collect::<Vec<_>>(),
            });
            event["body"] = json!(body.to_string());
            return event;
        }
        let mut query = format!("limit={limit}");
        for id in &self.exclude {
            query += &format!("&exclude={}", encode(id.as_str()));
        }
        if let [category] = self.categories.as_slice() {
            query += &format!("&category={}", encode(category.as_str()));
        }
        if let Some(cursor) = cursor {
            query += &format!("&cursor={cursor}");
        }
        event["rawQueryString"] = json!(query);
        if let Some(user) = &self.user {
            event["pathParameters"] = json!({ "userId": user });
        }
        if let Some(product) = &self.product {
            event["pathParameters"] = json!({ "productId": product });
        }
        event
    }
}

impl Shop {
    async fn open(seed: u64) -> Self {
        let stack = TestStack::start().await;
        let proxy = stack.proxy().await;
        let tables = tables(&stack, stack.dynamodb());
        let now = Arc::new(AtomicI64::new(START));
        let state = function(&stack, &proxy, &now);
        let mut shop = Self {
            seed,
            random: Seeded(seed),
            stack,
            proxy,
            tables,
            state,
            now,
            products: BTreeMap::new(),
            kept: None,
            purchases: 0,
        };
        for _ in 0..[3, 40, 150][shop.below(3)] {
            shop.put_new_product().await;
        }
        for _ in 0..shop.below(60) {
            shop.purchase().await;
        }
        if shop.below(4) > 0 {
            shop.train().await;
        }
        shop.pass().await;
        shop
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.random.below(n as u64)).unwrap()
    }

    fn any_product(&mut self) -> Option<ProductId> {
        let place = self.below(self.products.len().max(1));
        self.products.keys().nth(place).cloned()
    }

    fn some_products(&mut self, most: usize) -> Vec<ProductId> {
        (0..self.below(most + 1)).filter_map(|_| self.any_product()).collect()
    }

    fn some_categories(&mut self, most: usize) -> Vec<Category> {
        let mut names: Vec<&str> = (0..self.below(most + 1)).map(|_| CATEGORIES[self.below(6)]).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| Category::parse(name).unwrap()).collect()
    }

    async fn put(&mut self, product: Product) {
        self.tables.products().unwrap().put(&product).await.unwrap();
        self.products.insert(product.product_id.clone(), product);
    }

    async fn put_new_product(&mut self) {
        let id = format!("{}{}", IDS[self.below(6)], self.below(1_000));
        let categories = self.some_categories(3);
        let product = Product {
            product_id: ProductId::parse(&id).unwrap(),
            name: id,
            categories,
            price: None,
            available: self.below(4) > 0,
            attributes: BTreeMap::new(),
            updated_at: Timestamp::EPOCH,
        };
        if !self.products.contains_key(&product.product_id) {
            self.put(product).await;
        }
    }

    async fn sell_out(&mut self, one_in: usize, available: bool) {
        let products: Vec<Product> = self.products.values().cloned().collect();
        for product in products {
            if product.available != available && self.below(one_in) == 0 {
                self.put(Product { available, ..product }).await;
            }
        }
    }

    async fn purchase(&mut self) {
        let user: UserId = format!("u{}", self.below(USERS)).parse().unwrap();
        let mut products = self.some_products(4);
        // Sold, and in the model, but never in the catalogue.
        products.push(ProductId::parse(&format!("gone{}", self.below(30))).unwrap());
        products.sort();
        products.dedup();
        self.purchases += 1;
        let purchase = Purchase {
            purchase_id: format!("b{}", self.purchases).parse().unwrap(),
            user_id: user.clone(),
            purchased_at: Timestamp::from_millis(self.now.load(Ordering::Relaxed) - 1_000).unwrap(),
            lines: products
                .into_iter()
                .map(|product_id| Line { product_id, quantity: 1, unit_price: None })
                .collect(),
            recommendation_id: None,
        };
        let purchases = self.tables.purchases().unwrap();
        purchases.record(&purchase).await.unwrap();
        self.tables.history().unwrap().refresh(&user, &purchases).await.unwrap();
    }

    async fn train(&mut self) {
        if self.purchases > 0 {
            let now = self.now.clone();
            let clock = Clock::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed)).unwrap());
            train(nextbasket_job_engine::Site { clock, ..self.stack.site() }, &self.tables).await;
        }
    }

    async fn count_popular(&mut self) {
        let at = Timestamp::from_millis(self.now.load(Ordering::Relaxed)).unwrap();
        let made = Made { at, newest: at, purchases: 1 };
        let mut products = self.some_products(30);
        products.sort();
        products.dedup();
        let popular = |product_id: ProductId| {
            let categories = self.products.get(&product_id).map(|known| known.categories.clone());
            Popular {
                product_id,
                share: 0.1,
                baskets: 2,
                shoppers: 2,
                categories: categories.unwrap_or_default(),
            }
        };
        let products = products.into_iter().map(popular).collect();
        let list = PopularWindow { purchases: 9, products };
        self.tables.popular().unwrap().put(&made, &[("week", list)]).await.unwrap();
    }

    /// Something that happens between two pages.
    async fn happen(&mut self) {
        match self.below(40) {
            0..9 => self.purchase().await,
            9..15 => self.sell_out(10, false).await,
            15..20 => self.sell_out(10, true).await,
            20 => self.sell_out(1, false).await,
            21 => self.sell_out(1, true).await,
            22..26 => {
                if let Some(id) = self.any_product()
                    && self.kept.as_ref() != Some(&id)
                {
                    self.tables.products().unwrap().remove(&id).await.unwrap();
                    self.products.remove(&id);
                }
            }
            26..30 => self.put_new_product().await,
            30 => self.train().await,
            31..34 => self.count_popular().await,
            34..37 => self.state = function(&self.stack, &self.proxy, &self.now),
            _ => {}
        }
        self.pass().await;
    }

    /// Cards, the model and the lists are looked at again after some seconds. Reading a model is not part of an answer.
    async fn pass(&mut self) {
        self.now.fetch_add(5_000, Ordering::Relaxed);
        self.state.warm_up().await;
        self.now.fetch_add(1_500, Ordering::Relaxed);
    }

    fn wish(&mut self) -> Wish {
        let user = format!("u{}", self.below(USERS)).parse().unwrap();
        let exclude = self.some_products(5);
        let one_category = |mut categories: Vec<Category>| {
            categories.truncate(1);
            categories
        };
        match self.below(6) {
            0 => Wish {
                route: "GET /users/{userId}/recommendations",
                user: Some(user),
                categories: one_category(self.some_categories(1)),
                exclude,
                ..Wish::default()
            },
            1 => Wish {
                route: "GET /products/popular",
                categories: one_category(self.some_categories(1)),
                exclude,
                ..Wish::default()
            },
            2 if !self.products.is_empty() => Wish {
                route: "GET /products/{productId}/related",
                product: self.any_product(),
                categories: one_category(self.some_categories(1)),
                exclude,
                ..Wish::default()
            },
            _ => Wish {
                route: "POST /recommendations",
                user: (self.below(2) == 0).then_some(user),
                basket: self.some_products(4),
                categories: self.some_categories(6),
                exclude,
                pinned: self.some_products(10),
                boosted: self.any_product().filter(|_| self.seed.is_multiple_of(2)),
                with_unavailable: self.below(4) == 0,
                ..Wish::default()
            },
        }
    }

    /// Asks for a page; checks what holds for each.
    async fn page(
        &mut self,
        wish: &Wish,
        limit: usize,
        cursor: Option<&str>,
    ) -> (Vec<ProductId>, Option<String>) {
        let _before = self.proxy.take_capacity();
        let event =
            LambdaEvent::new(serde_json::from_value(wish.event(limit, cursor)).unwrap(), Context::default());
        let answer = serde_json::to_value(handle(&self.state, event).await.unwrap()).unwrap();
        let capacity = self.proxy.take_capacity();
        let units = capacity.read();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(answer["statusCode"], 200, "{body:#}");
        let items = body["items"].as_array().unwrap();
        let ids: Vec<ProductId> =
            items.iter().map(|item| item["productId"].as_str().unwrap().parse().unwrap()).collect();
        let next = body.get("cursor").map(|cursor| cursor.as_str().unwrap().to_owned());
        assert!(ids.len() <= limit, "{} of {limit}", ids.len());
        assert!(items.iter().all(|item| !item["reasons"].as_array().unwrap().is_empty()), "{body:#}");
        assert!(!ids.is_empty() || next.is_none(), "an empty page in the middle");
        assert!(next.as_ref().is_none_or(|cursor| cursor.len() <= 1_500), "{next:?}");
        assert!(
            units <= most_units(ids.len()),
            "{units} read units for {} products: {capacity:?}",
            ids.len()
        );
        for id in &ids {
            let product = self.products.get(id).unwrap_or_else(|| panic!("{id} was deleted"));
            assert!(wish.fits(product), "{product:?} does not fit");
        }
        (ids, next)
    }

    /// Asks for a list to its end.
    async fn list(&mut self, case: u64) {
        let wish = self.wish();
        self.kept = wish.product.clone();
        let what = format!("LISTS_SEED={} case {case}: {wish:?}", self.seed);
        let told = what.clone();
        let _told = scopeguard(move || println!("{told}"));
        let limit = [1, 3, 10, 10, 40, 100][self.below(6)];
        // They fit from the beginning to the end, so they have to come.
        let mut steady: BTreeSet<ProductId> = self
            .products
            .values()
            .filter(|product| wish.fits(product))
            .map(|p| p.product_id.clone())
            .collect();
        let calm = self.below(3) == 0;
        let (mut all, mut cursor, mut first) = (Vec::new(), None, true);
        loop {
            let (ids, next) = self.page(&wish, limit, cursor.as_deref()).await;
            if first {
                self.pins_come_first(&wish, &ids, limit);
                first = false;
            }
            all.extend(ids);
            cursor = next;
            if cursor.is_none() {
                break;
            }
            assert!(all.len() <= 2_000, "the list does not end");
            if !calm && self.below(2) == 0 {
                self.happen().await;
                let fits = |id: &ProductId| self.products.get(id).is_some_and(|product| wish.fits(product));
                steady.retain(|id| fits(id));
            }
        }
        let distinct: BTreeSet<ProductId> = all.iter().cloned().collect();
        assert_eq!(distinct.len(), all.len(), "a product came twice: {all:?}");
        let skipped: Vec<_> = steady.difference(&distinct).collect();
        assert!(skipped.is_empty(), "{skipped:?} never came");
        if calm {
            assert_eq!(distinct, steady);
        }
        self.happen().await;
    }

    fn pins_come_first(&self, wish: &Wish, ids: &[ProductId], limit: usize) {
        let mut pins: Vec<ProductId> = Vec::new();
        for pin in &wish.pinned {
            if !pins.contains(pin) && self.products.get(pin).is_some_and(|product| wish.fits(product)) {
                pins.push(pin.clone());
            }
        }
        pins.truncate(limit);
        assert_eq!(ids[..pins.len()], pins, "pins");
    }
}

/// Runs when the test panics.
fn scopeguard(tell: impl Fn()) -> impl Drop {
    struct Guard<F: Fn()>(F);
    impl<F: Fn()> Drop for Guard<F> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                (self.0)();
            }
        }
    }
    Guard(tell)
}

fn tables(stack: &TestStack, client: aws_sdk_dynamodb::Client) -> Tables {
    Tables::new(client, TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned())))
}

/// A function that has read nothing yet.
fn function(stack: &TestStack, proxy: &FaultProxy, now: &Arc<AtomicI64>) -> Arc<State> {
    let now = now.clone();
    let clock = Clock::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed)).unwrap());
    let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
    Arc::new(State::new(service, &tables(stack, proxy.dynamodb()), clock, Random::new(|| 4)).unwrap())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_product_once_whatever_happens_between_them() {
    let shops = number("LISTS_CASES").unwrap_or(CASES).div_ceil(CASES_OF_A_SHOP);
    let seeds = number("LISTS_SEED").map_or(0..shops, |seed| seed..seed + 1);
    let mut lists = 0;
    for seed in seeds {
        let mut shop = Shop::open(seed).await;
        for case in 0..CASES_OF_A_SHOP {
            shop.list(case).await;
            lists += 1;
        }
    }
    println!("{lists} lists");
}
