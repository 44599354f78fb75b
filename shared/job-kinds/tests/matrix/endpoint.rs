//! The endpoint that is tested.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use nextbasket_domain::Random;
use nextbasket_dynamodb::Number;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job, JobError, JobState, Site, Vouching};
use nextbasket_objects::Bucket;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::TestStack;
use serde_json::{Value, json};

use crate::changes::ChangeCase;
use crate::conditions::ConditionCase;

pub(crate) type Item = HashMap<String, AttributeValue>;

const WORKERS: u32 = 4;

pub(crate) struct Endpoint {
    stack: Option<TestStack>,
    engine: Engine,
    dynamodb: aws_sdk_dynamodb::Client,
    tables: AtomicU32,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let named = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let (stack, site) = match (named("NEXTBASKET_TEST_DYNAMODB"), named("NEXTBASKET_TEST_S3")) {
            (Some(dynamodb), Some(s3)) => (None, elsewhere(&dynamodb, &s3).await),
            _ => {
                let stack = TestStack::start().await;
                let site = stack.site();
                (Some(stack), site)
            }
        };
        let dynamodb = site.dynamodb.clone();
        let tables = Tables::new(dynamodb.clone(), TableNames::default());
        let kinds = nextbasket_job_kinds::kinds(&tables, None);
        let engine = Engine::new(site, kinds).vouching(Vouching::all());
        Self { stack, engine, dynamodb, tables: AtomicU32::new(0) }
    }

    pub(crate) fn is_elsewhere(&self) -> bool {
        self.stack.is_none()
    }

    /// A new table with the keys `pk`, a string, and `n`, a number.
    pub(crate) async fn table(&self, name: &str) -> String {
        let number = self.tables.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{number}-{:08x}", self.engine.site().random.draw() & 0xffff_ffff);
        let kinds = [("pk", ScalarAttributeType::S), ("n", ScalarAttributeType::N)];
        create_table(&self.dynamodb, &name, kinds).await;
        name
    }

    pub(crate) async fn drop_table(&self, name: &str) {
        self.dynamodb.delete_table().table_name(name).send().await.unwrap();
    }

    /// Whether the endpoint takes the item.
    pub(crate) async fn put(&self, table: &str, item: Item) -> bool {
        let put = self.dynamodb.put_item().table_name(table).set_item(Some(item)).send().await;
        match put {
            Ok(_) => true,
            Err(error) if error.code() == Some("ValidationException") => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// All items by their keys, each as JSON that is the same for equal items.
    pub(crate) async fn all(&self, table: &str) -> BTreeMap<String, Value> {
        let scan = self.dynamodb.scan().table_name(table).consistent_read(true);
        let mut pages = scan.into_paginator().items().send();
        let mut all = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = item.unwrap();
            let key = json!([json_of(&item["pk"]), json_of(&item["n"])]).to_string();
            all.insert(key, json_of(&AttributeValue::M(item)));
        }
        all
    }

    pub(crate) async fn assert_same(&self, expected: &BTreeMap<String, Value>, table: &str, what: &str) {
        let found = self.all(table).await;
        for (key, item) in expected {
            let other = found.get(key).unwrap_or_else(|| panic!("{what}: {key} is missing"));
            assert_eq!(item, other, "{what}: {key}");
        }
        assert_eq!(found.len(), expected.len(), "{what}: there are more");
    }

    pub(crate) async fn run(&self, kind: &str, parameters: Value) -> Result<Job, JobError> {
        let job = self.engine.submit(None, kind, parameters).await?;
        Ok(drive(&self.engine, &job.job_id, WORKERS, &Stop::default()).await?.unwrap())
    }

    pub(crate) async fn succeed(&self, kind: &str, parameters: Value) -> Job {
        let job =
            self.run(kind, parameters.clone()).await.unwrap_or_else(|error| panic!("{parameters}: {error}"));
        assert_eq!(job.state, JobState::Succeeded, "{parameters}: {:?}", job.failure);
        job
    }

    /// How many items the endpoint itself finds.
    pub(crate) async fn matching(&self, table: &str, case: &ConditionCase) -> Result<u64, String> {
        let scan = self.dynamodb.scan().table_name(table).filter_expression(&case.raw);
        let scan = scan.set_expression_attribute_names(some(case.names.clone()));
        let scan = scan.set_expression_attribute_values(some(case.values.clone()));
        let mut pages = scan.into_paginator().send();
        let mut found = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| error.into_service_error().to_string())?;
            found += u64::try_from(page.count()).unwrap();
        }
        Ok(found)
    }

    /// Updates each item by a call of its own; tells how many were refused.
    pub(crate) async fn update_each(&self, table: &str, case: &ChangeCase) -> Result<u64, String> {
        let mut refused = 0;
        for item in self.dynamodb.scan().table_name(table).send().await.unwrap().items.unwrap() {
            let update = self.dynamodb.update_item().table_name(table).update_expression(&case.raw);
            let update = update.key("pk", item["pk"].clone()).key("n", item["n"].clone());
            let update = update.set_expression_attribute_names(some(case.names.clone()));
            let sent = update.set_expression_attribute_values(some(case.values.clone())).send().await;
            match sent {
                Ok(_) => {}
                Err(error) if error.code() == Some("ValidationException") => refused += 1,
                Err(error) => return Err(format!("{}: {error}", case.raw)),
            }
        }
        Ok(refused)
    }
}

fn some<T>(map: HashMap<String, T>) -> Option<HashMap<String, T>> {
    (!map.is_empty()).then_some(map)
}

/// The site of an endpoint of its own, with a new operations table and bucket.
async fn elsewhere(dynamodb: &str, s3: &str) -> Site {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "local".to_owned());
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "environment",
    );
    let region = Region::new("eu-central-1");
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest());
    let config = config.region(region.clone()).credentials_provider(credentials.clone());
    let config = config.http_client(http.clone()).endpoint_url(dynamodb);
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(config.build());
    let config = aws_sdk_s3::Config::builder().behavior_version(BehaviorVersion::latest());
    let config = config.region(region).credentials_provider(credentials);
    let config = config.http_client(http).endpoint_url(s3).force_path_style(true);
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    let random = Random::system().unwrap();
    let name = format!("matrix-{:08x}", random.draw() & 0xffff_ffff);
    let kinds = [("pk", ScalarAttributeType::S), ("sk", ScalarAttributeType::S)];
    create_table(&dynamodb, &name, kinds).await;
    let here = aws_sdk_s3::types::BucketLocationConstraint::EuCentral1;
    let here = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(here).build();
    s3.create_bucket().bucket(&name).create_bucket_configuration(here).send().await.unwrap();
    Site::new(dynamodb, name.clone(), Bucket::new(s3, name), random)
}

async fn create_table(
    dynamodb: &aws_sdk_dynamodb::Client,
    name: &str,
    [partition, sort]: [(&str, ScalarAttributeType); 2],
) {
    let mut table = dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for ((name, kind), role) in [(partition, KeyType::Hash), (sort, KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
        let attribute =
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
        table = table.key_schema(key).attribute_definitions(attribute);
    }
    table.send().await.unwrap();
}

/// Endpoints write the same number in several ways.
fn canonical(number: &str) -> String {
    let mut canonical = Vec::new();
    Number::parse(number).unwrap().write_canonical(&mut canonical);
    format!("{canonical:?}")
}

fn json_of(value: &AttributeValue) -> Value {
    let sorted = |mut values: Vec<String>| {
        values.sort_unstable();
        values
    };
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": canonical(number) }),
        AttributeValue::B(bytes) => json!({ "B": bytes.as_ref() }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": sorted(texts.clone()) }),
        AttributeValue::Ns(numbers) => {
            json!({ "NS": sorted(numbers.iter().map(|number| canonical(number)).collect()) })
        }
        AttributeValue::Bs(all) => {
            json!({ "BS": sorted(all.iter().map(|bytes| format!("{:?}", bytes.as_ref())).collect()) })
        }
        AttributeValue::L(values) => json!({ "L": values.iter().map(json_of).collect::<Vec<_>>() }),
        AttributeValue::M(map) => {
            let map: BTreeMap<&String, Value> =
                map.iter().map(|(name, value)| (name, json_of(value))).collect();
            json!({ "M": map })
        }
        other => panic!("{other:?}"),
    }
}
