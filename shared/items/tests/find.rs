//! Items are found by query or scan, sorted or not, with no more read than is needed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
    Projection, ProjectionType, ScalarAttributeType,
};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_items::expression::{Condition, Order, Path};
use nextbasket_items::find::{Find, FindTotals, Wanted};
use nextbasket_items::table::Table;
use nextbasket_items::write::put::Put;
use nextbasket_items::write::{OnConflict, Writer, write_all};
use nextbasket_job_engine::calls::Calls;
use nextbasket_job_engine::limit::Limiter;
use nextbasket_testkit::{Fault, Seeded, TestStack};

const ITEMS: u64 = 300;
const USERS: u64 = 10;

struct World {
    stack: TestStack,
    table: Table,
    all: Vec<Item>,
}

fn element(name: &str, role: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap()
}

fn keys(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    vec![element(partition, KeyType::Hash), element(sort, KeyType::Range)]
}

impl World {
    /// Orders of a few users: a global index of the cities has all attributes, a local one of the prices only the keys.
    async fn start() -> Self {
        let stack = TestStack::start().await;
        let kinds = [
            ("user", ScalarAttributeType::S),
            ("at", ScalarAttributeType::N),
            ("city", ScalarAttributeType::S),
            ("price", ScalarAttributeType::N),
        ];
        let mut create = stack.dynamodb().create_table().table_name("orders");
        for (name, kind) in kinds {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
            create = create.attribute_definitions(attribute.build().unwrap());
        }
        let projection = |kind| Projection::builder().projection_type(kind).build();
        let global = GlobalSecondaryIndex::builder().index_name("by-city");
        let global = global.set_key_schema(Some(keys("city", "price")));
        let global = global.projection(projection(ProjectionType::All)).build().unwrap();
        let local = LocalSecondaryIndex::builder().index_name("by-price");
        let local = local.set_key_schema(Some(keys("user", "price")));
        let local = local.projection(projection(ProjectionType::KeysOnly)).build().unwrap();
        let create = create.set_key_schema(Some(keys("user", "at")));
        let create = create.global_secondary_indexes(global).local_secondary_indexes(local);
        create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
        let mut chance = Seeded(71);
        let mut order = |n: u64| {
            let mut item = Item::from([
                ("user".to_owned(), text(format!("u{}", n % USERS))),
                ("at".to_owned(), number(n)),
                ("price".to_owned(), number(chance.below(40))),
                ("note".to_owned(), text(if n.is_multiple_of(3) { "third" } else { "other" })),
            ]);
            // The index has only those.
            if n < 200 {
                item.insert("city".to_owned(), text(["Faro", "Ghent"][usize::from(n.is_multiple_of(2))]));
            }
            item
        };
        let all: Vec<Item> = (0..ITEMS).map(&mut order).collect();
        let table = Table::describe(&stack.dynamodb(), "orders").await.unwrap();
        let put = Put::new("orders", &table.keys, OnConflict::Overwrite);
        let calls = Calls::at(&stack.site());
        let put = Arc::new(Writer::Put(put));
        write_all(&calls, &Limiter::new(None), &put, all.clone()).await.unwrap();
        let table = Table::describe(&stack.dynamodb(), "orders").await.unwrap();
        Self { stack, table, all }
    }

    async fn find(&self, wanted: Wanted) -> (Vec<Item>, FindTotals, String) {
        let find = Find::new(&self.table, wanted, Timestamp::EPOCH).unwrap();
        let mut found = Vec::new();
        let calls = Calls::at(&self.stack.site());
        let take = |items: Vec<Item>| {
            found.extend(items);
            Ok(())
        };
        let totals = find.run(&calls, &Limiter::new(None), find.default_workers(), take).await.unwrap();
        (found, totals, find.source().to_owned())
    }

    fn refused(&self, wanted: Wanted) -> String {
        Find::new(&self.table, wanted, Timestamp::EPOCH).unwrap_err().to_string()
    }
}

fn wanted(condition: &str) -> Wanted {
    Wanted { condition: Some(Condition::parse(condition).unwrap()), ..Wanted::default() }
}

fn ats(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item["at"].as_n().unwrap().parse().unwrap()).collect()
}

fn sorted(mut ats: Vec<u64>) -> Vec<u64> {
    ats.sort_unstable();
    ats
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_finds_the_same_items_by_query_and_by_scan() {
    let world = World::start().await;
    for (condition, index, source, most) in [
        ("user = 'u3'", None, "by a query of the table", 30),
        ("user = 'u3' AND at BETWEEN 50 AND 150", None, "by a query of the table", 10),
        ("user = 'u3' AND at > 53 AND at < 103", None, "by a query of the table", 6),
        ("user = 'u3' AND (at = 3 OR note = 'third')", None, "by a query of the table", 30),
        ("user = 'u3' AND at > 100 AND at < 50", None, "by a query of the table", 30),
        ("user = 'u3' AND note = 'third'", None, "by a query of the table", 30),
        ("user = 'nobody'", None, "by a query of the table", 0),
        ("user IN ('u3', 'u4') AND price > 10", None, "by a scan of the table", 300),
        ("city = 'Faro' AND price >= 20", Some("by-city"), "by a query of index by-city", 100),
        ("city = 'Faro' AND user = 'u1'", Some("by-city"), "by a query of index by-city", 100),
        ("note = 'third'", Some("by-city"), "by a scan of index by-city", 200),
        ("user = 'u3' AND price < 20", Some("by-price"), "by a query of index by-price", 30),
    ] {
        let asked = Wanted { index: index.map(str::to_owned), ..wanted(condition) };
        let (found, totals, how) = world.find(asked).await;
        let parsed = Condition::parse(condition).unwrap();
        let of_index = |item: &&Item| index != Some("by-city") || item.contains_key("city");
        let expected: Vec<Item> = world
            .all
            .iter()
            .filter(of_index)
            .filter(|item| parsed.holds(item, Timestamp::EPOCH))
            .cloned()
            .collect();
        assert_eq!(sorted(ats(&found)), ats(&expected), "{condition}");
        assert_eq!(how, source, "{condition}");
        assert_eq!(totals.found, found.len() as u64, "{condition}");
        assert!(totals.read <= most && totals.read_units > 0.0, "{condition}: {totals:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_holds_over_all_segments_and_gives_the_first_ones() {
    let world = World::start().await;
    let order = || Some(Order::parse("price desc, note").unwrap());
    let by = order().unwrap();
    let mut expected = world.all.clone();
    expected.sort_by_cached_key(|item| by.rank(item, ["at", "user"].into_iter()));
    let (all, ..) = world.find(Wanted { order: order(), ..Wanted::default() }).await;
    assert_eq!(ats(&all), ats(&expected));
    let (first, totals, _) = world.find(Wanted { order: order(), limit: Some(7), ..Wanted::default() }).await;
    assert_eq!(ats(&first), ats(&expected[..7]));
    assert_eq!(totals.read, ITEMS, "an order needs all items");
    // The columns that are shown need not hold what is sorted by.
    let columns = Some(Path::parse_list("at").unwrap());
    let (first, ..) =
        world.find(Wanted { order: order(), limit: Some(7), columns, ..Wanted::default() }).await;
    assert_eq!(ats(&first), ats(&expected[..7]));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_ends_when_there_are_enough() {
    let world = World::start().await;
    let limit = |limit| Wanted { limit: Some(limit), ..Wanted::default() };
    let (found, totals, _) = world.find(limit(5)).await;
    assert_eq!((found.len(), totals.read), (5, 5));
    let (found, totals, _) = world.find(Wanted { limit: Some(2), ..wanted("note = 'third'") }).await;
    assert_eq!(found.len(), 2);
    assert!(totals.read <= 100, "{totals:?}");
    let (found, ..) = world.find(limit(100_000)).await;
    assert_eq!(found.len() as u64, ITEMS);
    // The newest orders of a user are read from the end.
    let newest = Wanted {
        limit: Some(3),
        order: Some(Order::parse("at desc").unwrap()),
        ..wanted("user = 'u3' AND at < 290")
    };
    let (found, totals, _) = world.find(newest).await;
    assert_eq!(ats(&found), [283, 273, 263]);
    assert_eq!(totals.read, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_and_lost_answers_leave_nothing_out() {
    let world = World::start().await;
    let proxy = world.stack.proxy().await;
    proxy.inject("Scan", 2..=3, Fault::Throttle);
    proxy.inject("Scan", 5..=5, Fault::DropAfter);
    proxy.inject("Scan", 7..=7, Fault::Truncate);
    let find = Find::new(&world.table, wanted("price >= 0"), Timestamp::EPOCH).unwrap();
    let mut found = Vec::new();
    let calls = Calls::of_client(&proxy.dynamodb(), world.stack.site().random);
    let take = |items: Vec<Item>| {
        found.extend(items);
        Ok(())
    };
    find.run(&calls, &Limiter::new(None), 4, take).await.unwrap();
    assert_eq!(sorted(ats(&found)), (0..ITEMS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_cannot_answer_is_said() {
    let world = World::start().await;
    let on = |index: &str, wanted: Wanted| Wanted { index: Some(index.to_owned()), ..wanted };
    let columns = |text: &str| Some(Path::parse_list(text).unwrap());
    let lacking = "attribute \"note\" is not projected into index \"by-price\", which has at, price, user";
    for (wanted, problem) in [
        (
            on("by-town", Wanted::default()),
            "index: index \"by-town\" not found: table \"orders\" has by-city, by-price".to_owned(),
        ),
        (on("by-price", wanted("attribute_not_exists(note)")), format!("where: {lacking}")),
        (
            on("by-price", Wanted { columns: columns("price, note.x"), ..Wanted::default() }),
            format!("columns: {lacking}"),
        ),
        (
            on("by-price", Wanted { order: Some(Order::parse("note").unwrap()), ..Wanted::default() }),
            format!("order-by: {lacking}"),
        ),
        (
            on("by-city", Wanted { consistent: true, ..Wanted::default() }),
            "consistent: not accepted for the global index \"by-city\": it is read eventually consistent"
                .to_owned(),
        ),
        (
            Wanted { limit: Some(100_001), order: Some(Order::parse("at").unwrap()), ..Wanted::default() },
            "limit: must be at most 100000 with an order: sorted items are kept in memory".to_owned(),
        ),
    ] {
        assert_eq!(world.refused(wanted), problem);
    }
    let local = on("by-price", Wanted { consistent: true, ..Wanted::default() });
    assert_eq!(world.find(local).await.0.len() as u64, ITEMS);
}
