//! The kind `train` on the engine, over real tables and objects.

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

use std::num::NonZero;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{DAY_MS, Seeded, product, purchase, shop};
use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::{ProductId, Purchase};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job, JobError, JobId, JobState, Kinds, Site};
use nextbasket_jobs_train::Train;
use nextbasket_objects::Bucket;
use nextbasket_recommender::{DatasetBuilder, Params, Priors, TrainedModel, train};
use nextbasket_tables::model::{ModelTable, RollbackError};
use nextbasket_tables::{Consistency, TableNames, Tables};
use nextbasket_testkit::{Fault, FaultProxy, TestStack};
use serde_json::{Value, json};

struct World {
    stack: TestStack,
    dynamodb: FaultProxy,
    s3: FaultProxy,
    engine: Engine,
    tables: Tables,
}

impl World {
    async fn new(purchases: &[Purchase]) -> Self {
        let stack = TestStack::start().await;
        let (dynamodb, s3) = (stack.proxy().await, stack.s3_proxy().await);
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        // What is worked on goes through the proxies; what tests look at does not.
        let objects = Bucket::new(s3.s3(), stack.bucket("JOBS_BUCKET"));
        let site = Site { dynamodb: dynamodb.dynamodb(), objects, ..stack.site() };
        let through = Tables::new(dynamodb.dynamodb(), names.clone());
        let engine = Engine::new(site, Kinds::default().with(Train(through)));
        let world = Self { tables: Tables::new(stack.dynamodb(), names), stack, dynamodb, s3, engine };
        world.record(purchases).await;
        world
    }

    async fn record(&self, purchases: &[Purchase]) {
        let table = self.tables.purchases().unwrap();
        let record = |purchase| table.record(purchase);
        let recorded = futures::stream::iter(purchases).map(record).buffer_unordered(16);
        recorded.try_collect::<Vec<_>>().await.unwrap();
    }

    async fn submit(&self, parameters: Value) -> JobId {
        self.engine.submit(None, "train", parameters).await.unwrap().job_id
    }

    async fn drive(&self, id: &JobId) -> Job {
        drive(&self.engine, id, 3, &Stop::default()).await.unwrap().unwrap()
    }

    /// Submits and waits.
    async fn train(&self, parameters: Value) -> Job {
        let id = self.submit(parameters).await;
        self.drive(&id).await
    }

    fn model(&self) -> ModelTable {
        self.tables.model().unwrap()
    }

    /// The live model's rows, by product, with their names; and its priors.
    async fn live(&self, purchases: &[Purchase]) -> PublishedModel {
        let model = self.model();
        let pointer = model.pointer().await.unwrap().unwrap();
        let mut ids: Vec<ProductId> = purchases
            .iter()
            .flat_map(|purchase| purchase.lines.iter().map(|line| line.product_id.clone()))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut rows = Vec::new();
        for row in model.rows(&pointer, &ids, Consistency::Eventual).await.unwrap().items {
            rows.push((row.product_id.to_string(), row.name, row.row));
        }
        rows.sort_unstable();
        let stored = model.priors(&pointer).await.unwrap().unwrap();
        PublishedModel { rows, priors: Priors::decode(&stored.priors).unwrap() }
    }

    /// The names of the job's objects.
    async fn objects(&self, id: &JobId) -> Vec<String> {
        let objects = Bucket::new(self.stack.s3(), self.stack.bucket("JOBS_BUCKET"));
        objects.list(&id.object_key("")).await.unwrap()
    }
}

#[derive(Debug, PartialEq)]
struct PublishedModel {
    rows: Vec<(String, Option<String>, Vec<u8>)>,
    priors: Priors,
}

fn at_once(purchases: &[Purchase], params: &Params) -> TrainedModel {
    let mut builder = DatasetBuilder::new();
    for purchase in purchases {
        let products = purchase.lines.iter().map(|line| line.product_id.as_str());
        let time_ms = purchase.purchased_at.as_millis();
        builder.push(purchase.user_id.as_str(), purchase.purchase_id.as_str(), time_ms, products).unwrap();
    }
    let categories =
        |id: &str| if id == "p1" { vec!["drinks".to_owned(), "hot".to_owned()] } else { Vec::new() };
    train(&builder.build().unwrap(), params, NonZero::new(2).unwrap(), &categories).unwrap()
}

fn as_stored(model: &TrainedModel) -> PublishedModel {
    let row = |rows: &nextbasket_recommender::ProductRows| {
        let id = model.priors.id(rows.product).to_owned();
        let name = (id == "p1").then(|| "Tea".to_owned());
        (id, name, rows.encode())
    };
    let mut rows: Vec<_> = model.rows.iter().map(row).collect();
    rows.sort_unstable();
    PublishedModel { rows, priors: model.priors.clone() }
}

impl PublishedModel {
    /// With the weight of carts that another one has learned.
    fn with_cart_weight_of(mut self, other: &Self) -> Self {
        self.priors = self.priors.with_together_weight(other.priors.params().together_weight);
        self
    }
}

/// Many large purchases: several pages of a table.
fn large_shop(seed: u64) -> Vec<Purchase> {
    let mut random = Seeded(seed);
    let mut purchases = Vec::new();
    for user in 0..120 {
        for basket in 0..4 {
            let products: Vec<String> =
                (0..120).map(|_| format!("a product with a long id {:04}", random.below(300))).collect();
            let day = random.below(100) as i64;
            purchases.push(purchase(&format!("u{user}"), &format!("{basket}"), day * DAY_MS, &products));
        }
    }
    purchases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_leaves_the_model_that_training_at_once_makes_and_says_how_good_it_is() {
    let purchases = shop(3, 150, 60);
    let world = World::new(&purchases).await;
    let products = world.tables.products().unwrap();
    products.put(&product("p1", "Tea", &["drinks", "hot"])).await.unwrap();
    products.put(&product("never bought", "Shelf warmer", &["food"])).await.unwrap();
    let expected = at_once(&purchases, &Params::default());
    for (version, parameters) in [
        json!({}),
        json!({ "segments": 1, "productBlocks": 1, "width": 1 }),
        json!({ "segments": 7, "productBlocks": 8, "width": 3, "assign": "random", "aggregate": "serial" }),
    ]
    .into_iter()
    .enumerate()
    {
        let id = world.submit(parameters.clone()).await;
        let job = world.drive(&id).await;
        assert_eq!((job.state, job.failure), (JobState::Succeeded, None), "{parameters}");
        let live = world.live(&purchases).await;
        assert!(live == as_stored(&expected).with_cart_weight_of(&live), "{parameters}");
        let result = job.result.unwrap();
        assert_eq!(result["modelVersion"], version + 1);
        assert_eq!(result["users"], expected.priors.users());
        assert_eq!(result["purchases"], expected.priors.baskets());
        assert_eq!(result["products"], expected.rows.len());
        assert_eq!(result["metrics"]["gpTopFreq"]["at"][2]["k"], 20);
        assert!(result["metrics"]["model"]["at"][1]["ndcg"].as_f64().unwrap() > 0.1, "{result:#}");
        // The same users judged by the same baskets, whatever the split.
        let models = world.model().models().await.unwrap();
        let info = models[0].info.clone().unwrap();
        let kept: Value = serde_json::from_str(&info.metrics.unwrap()).unwrap();
        assert_eq!(kept, result["metrics"]);
        if let Some(before) = models.get(1) {
            let before = before.info.as_ref().unwrap();
            assert_eq!(before.metrics, models[0].info.as_ref().unwrap().metrics, "{parameters}");
            assert_eq!(result["compared"]["by"], "ownHeldOut");
        }
        assert_eq!(world.objects(&id).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_of_the_same_purchases_makes_the_same_model_and_the_same_report() {
    let purchases = shop(5, 100, 40);
    let world = World::new(&purchases).await;
    world.tables.products().unwrap().put(&product("p1", "Tea", &["drinks", "hot"])).await.unwrap();
    let first = world.train(json!({})).await.result.unwrap();
    let live = world.live(&purchases).await;
    let at_once = as_stored(&at_once(&purchases, &Params::default()));
    assert!(live == at_once.with_cart_weight_of(&live));
    assert_eq!(first["compared"], Value::Null);
    let second = world.train(json!({})).await.result.unwrap();
    assert!(world.live(&purchases).await == live);
    assert_eq!(second["metrics"], first["metrics"]);
    let third = world.train(json!({})).await.result.unwrap();
    assert_eq!(third["modelVersion"], 3);
    let compared = &third["compared"];
    assert_eq!((&compared["liveVersion"], &compared["new"]), (&json!(2), &compared["live"]), "{compared}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_is_worse_than_the_live_one_is_not_published_unless_the_gate_is_open() {
    let purchases = shop(7, 150, 60);
    let world = World::new(&purchases).await;
    assert_eq!(world.train(json!({ "ranker": false })).await.state, JobState::Succeeded);
    let live = world.live(&purchases).await;
    // What sells best, whoever asks.
    let poor = json!({ "popularityWeight": 1000, "personalDecay": 0.01, "nextWeight": 0 });
    let job = world.train(json!({ "params": poor, "ranker": false })).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.starts_with("the new model is worse than model 1, which stays: nDCG@10 0."), "{failure}");
    assert!(failure.ends_with("with a gate of 5.0 %"), "{failure}");
    assert_eq!(world.live(&purchases).await, live);
    let models = world.model().models().await.unwrap();
    assert_eq!(models.iter().map(|model| (model.version, model.live)).collect::<Vec<_>>(), [(1, true)]);

    let job = world.train(json!({ "params": poor, "ranker": false, "gate": 1 })).await;
    assert_eq!(job.result.unwrap()["modelVersion"], 2);
    // One call, and the model before answers again.
    assert_eq!(world.model().make_current(1).await.unwrap().version, 1);
    assert_eq!(world.live(&purchases).await, live);
    let job = world.train(json!({ "params": poor, "evaluate": false })).await;
    let result = job.result.unwrap();
    assert_eq!((&result["modelVersion"], &result["metrics"]), (&json!(3), &Value::Null));
    assert!(matches!(world.model().make_current(2).await, Err(RollbackError::NoSuchModel { version: 2 })));
    assert_eq!(world.model().make_current(1).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_whose_only_repeat_customer_was_erased_still_trains() {
    let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    let mut purchases = vec![
        purchase("ada", "1", DAY_MS, &ids(&["tea", "jam"])),
        purchase("ada", "2", 2 * DAY_MS, &ids(&["tea"])),
        purchase("ada", "3", 3 * DAY_MS, &ids(&["tea"])),
    ];
    for user in 0..12 {
        purchases.push(purchase(&format!("once {user}"), "1", DAY_MS, &ids(&["jam", "oil"])));
    }
    let world = World::new(&purchases).await;
    let first = world.train(json!({})).await.result.unwrap();
    assert_eq!(first["metrics"]["model"]["users"], 1, "{first}");
    world.tables.purchases().unwrap().remove_all(&purchases[0].user_id).await.unwrap();
    for version in 2..4 {
        let job = world.train(json!({})).await;
        let result = job.result.unwrap_or_else(|| panic!("{:?}", job.failure));
        assert_eq!((&result["modelVersion"], &result["compared"]), (&json!(version), &Value::Null));
        assert_eq!(result["users"], 12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_model_is_judged_by_what_was_bought_since() {
    let purchases = shop(9, 400, 60);
    let old: Vec<Purchase> =
        purchases.iter().filter(|p| p.purchased_at.as_millis() < 150 * DAY_MS).cloned().collect();
    let world = World::new(&old).await;
    assert_eq!(world.train(json!({})).await.state, JobState::Succeeded);
    world.record(&purchases).await;
    let job = world.train(json!({})).await;
    assert_eq!(job.failure, None);
    let compared = &job.result.unwrap()["compared"];
    assert_eq!((&compared["by"], &compared["liveVersion"]), (&json!("basketsSinceLive"), &json!(1)));
    assert!(compared["baskets"].as_u64().unwrap() >= 100, "{compared}");
    assert!(compared["live"].as_f64().unwrap() > 0.1, "the live model's rows were read: {compared}");
    let [low, high] = [0, 1].map(|end| compared["difference"][end].as_f64().unwrap());
    let difference = compared["new"].as_f64().unwrap() - compared["live"].as_f64().unwrap();
    assert!(low < difference && difference < high, "{compared}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_stopped_again_and_again_leaves_the_same_model() {
    let purchases = large_shop(1);
    let world = World::new(&purchases).await;
    let id = world.submit(json!({ "segments": 2, "productBlocks": 3 })).await;
    let mut stops = 0;
    let job = loop {
        let stop = Stop::default();
        // Longer and longer, so that a machine of any speed gets through the longest batch after some dozens of stops.
        let life = Duration::from_millis(40).mul_f64(1.125_f64.powi(stops));
        let stopping = async {
            tokio::time::sleep(life).await;
            stop.stop();
        };
        let (ended, ()) = tokio::join!(drive(&world.engine, &id, 2, &stop), stopping);
        if let Some(job) = ended.unwrap() {
            break job;
        }
        stops += 1;
        assert!(stops < 80, "it never ends");
    };
    assert_eq!((job.state, job.failure), (JobState::Succeeded, None));
    assert!(stops > 3, "it was stopped {stops} times");
    let live = world.live(&purchases).await;
    let at_once = as_stored(&at_once(&purchases, &Params::default()));
    assert!(live == at_once.with_cart_weight_of(&live));
    let read = job.stages.iter().find(|stage| stage.name == "survey").unwrap().progress;
    assert_eq!(read.processed, purchases.len() as u64, "each purchase was counted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_the_way_to_tables_and_objects_do_not_show_in_the_model() {
    let purchases = shop(11, 100, 40);
    let world = World::new(&purchases).await;
    for (operation, calls, fault) in [
        ("Scan", 2..=4, Fault::Throttle),
        ("Scan", 6..=6, Fault::Truncate),
        ("PutItem", 3..=5, Fault::ServerError),
        ("PutItem", 9..=9, Fault::DropAfter),
        ("UpdateItem", 10..=10, Fault::DropAfter),
        ("UpdateItem", 30..=31, Fault::DropBefore),
    ] {
        world.dynamodb.inject(operation, calls, fault);
    }
    for (operation, calls, fault) in [
        ("PUT", 3..=3, Fault::DropAfter),
        ("PUT", 5..=6, Fault::ServerError),
        ("GET", 4..=5, Fault::ServerError),
        ("PUT part-", 2..=3, Fault::Throttle),
    ] {
        world.s3.inject(operation, calls, fault);
    }
    let job = world.train(json!({ "segments": 3, "productBlocks": 4 })).await;
    assert_eq!((job.state, job.failure), (JobState::Succeeded, None));
    let mut expected = as_stored(&at_once(&purchases, &Params::default()));
    let live = world.live(&purchases).await;
    // Nobody put the products into the catalogue here.
    let model = at_once(&purchases, &Params::default());
    expected.rows.iter_mut().for_each(|(_, name, _)| *name = None);
    assert_eq!(live.rows, expected.rows);
    assert_eq!((live.priors.users(), live.priors.len()), (model.priors.users(), model.priors.len()));
}

#[tokio::test]
async fn without_purchases_there_is_nothing_to_train_on() {
    let world = World::new(&[]).await;
    let job = world.train(json!({})).await;
    assert_eq!(job.failure.as_deref(), Some("there are no purchases to train on"));
    assert_eq!(world.model().models().await.unwrap(), []);
}

#[tokio::test]
async fn parameters_are_refused_by_name_before_anything_is_read() {
    let world = World::new(&[]).await;
    for (parameters, field) in [
        (json!({ "params": { "gapDecay": 2 } }), "parameters.params.gapDecay"),
        (json!({ "gate": -1 }), "parameters.gate"),
        (json!({ "segments": 0 }), "parameters.segments"),
        (json!({ "width": 0 }), "parameters.width"),
        (json!({ "readUnits": 0 }), "parameters.readUnits"),
        (json!({ "blocks": 3 }), "parameters.blocks"),
        (json!({ "evaluate": "yes" }), "parameters.evaluate"),
    ] {
        match world.engine.submit(None, "train", parameters.clone()).await {
            Err(JobError::Refused(refusal)) => assert_eq!(refusal.field, field, "{refusal}"),
            other => panic!("{parameters}: {other:?}"),
        }
    }
    assert_eq!(world.dynamodb.calls("*"), 0);
}

/// Damages an item like `update … set lines = 5`.
async fn damage(world: &World, table: &str, key: &[(&str, &str)], attribute: &str) {
    let mut update = world.stack.dynamodb().update_item().table_name(world.stack.table(table));
    for (name, value) in key {
        update = update.key(*name, AttributeValue::S((*value).to_owned()));
    }
    let update = update.update_expression("SET #it = :five").expression_attribute_names("#it", attribute);
    update.expression_attribute_values(":five", AttributeValue::N("5".to_owned())).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_purchase_a_damaged_product_and_a_damaged_live_model_are_skipped_and_more_end_the_job() {
    let purchases = shop(3, 60, 20);
    assert!(purchases.len() > 150, "{}", purchases.len());
    let world = World::new(&purchases).await;
    let catalogue = world.tables.products().unwrap();
    catalogue.put(&product("p1", "Tea", &["drinks"])).await.unwrap();
    catalogue.put(&product("p2", "Milk", &[])).await.unwrap();
    assert_eq!(world.train(json!({})).await.state, JobState::Succeeded);

    let lost = &purchases[0];
    let key = [("userId", lost.user_id.as_str()), ("purchaseId", lost.purchase_id.as_str())];
    damage(&world, "PURCHASES_TABLE", &key, "lines").await;
    damage(&world, "PRODUCTS_TABLE", &[("productId", "p2")], "name").await;
    damage(&world, "MODEL_TABLE", &[("productId", "model"), ("slot", "current")], "trainedAt").await;
    let job = world.train(json!({})).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    let trained = job.result.as_ref().unwrap();
    assert_eq!(
        (&trained["purchases"], &trained["damaged"]),
        (&json!(purchases.len() - 1), &json!(2)),
        "{trained}"
    );
    let objects = Bucket::new(world.stack.s3(), world.stack.bucket("JOBS_BUCKET"));
    let mut refused = String::new();
    for name in world.engine.refused(&job.job_id).await.unwrap() {
        refused += std::str::from_utf8(&objects.get(&name).await.unwrap()).unwrap();
    }
    for name in [lost.user_id.as_str(), lost.purchase_id.as_str(), "p2"] {
        assert!(refused.contains(&format!("{name:?}")), "{name} in {refused}");
    }

    for lost in &purchases[1..=purchases.len() / 50] {
        let key = [("userId", lost.user_id.as_str()), ("purchaseId", lost.purchase_id.as_str())];
        damage(&world, "PURCHASES_TABLE", &key, "lines").await;
    }
    let live = world.model().pointer().await.unwrap();
    let job = world.train(json!({})).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.contains("items are damaged, more than 1 %"), "{failure}");
    assert_eq!(world.model().pointer().await.unwrap(), live, "the live model stays");
}
