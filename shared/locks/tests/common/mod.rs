//! A table for leases on a fresh stack, and clocks to set by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_dynamodb::item::{Item, text};
use nextbasket_locks::{Attempt, Lease, LeaseKey, LeaseRecord, LeaseRequest, Leases};
use nextbasket_testkit::{FaultProxy, TestStack};

pub const TABLE: &str = "operations";

/// How much clocks may differ, in these tests.
pub const SKEW: Duration = Duration::from_secs(2);

/// How long leases hold, where nothing else is said.
pub const LENGTH: Duration = Duration::from_secs(10);

pub async fn create_operations(client: &Client) {
    let (mut request, keys) = (client.create_table(), [("pk", KeyType::Hash), ("sk", KeyType::Range)]);
    for (name, kind) in keys {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap();
        request = request.key_schema(key).attribute_definitions(attribute);
    }
    request.table_name(TABLE).billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

/// A stack with a table for leases, and clients to come to it in several ways.
pub struct World {
    pub stack: TestStack,
    pub proxy: FaultProxy,
    pub clock: HandClock,
    pub key: LeaseKey,
}

impl World {
    pub async fn new() -> Self {
        let stack = TestStack::start().await;
        create_operations(&stack.dynamodb()).await;
        let proxy = stack.proxy().await;
        Self { stack, proxy, clock: HandClock::new(), key: LeaseKey::lock("train").unwrap() }
    }

    /// Leases by the clock that is set by hand.
    pub fn leases(&self) -> Leases {
        self.leases_by(self.clock.clock())
    }

    /// Leases by another clock.
    pub fn leases_by(&self, clock: Clock) -> Leases {
        Leases::new(self.stack.dynamodb(), TABLE.to_owned(), clock, random()).with_skew(SKEW)
    }

    /// Leases by the clock that is set by hand, through the proxy.
    pub fn faulty(&self) -> Leases {
        self.faulty_by(self.clock.clock())
    }

    pub fn faulty_by(&self, clock: Clock) -> Leases {
        Leases::new(retrying(&self.proxy.sdk_config()), TABLE.to_owned(), clock, random()).with_skew(SKEW)
    }

    /// Acquires the lock, which must be possible.
    pub async fn acquired(&self, leases: &Leases, holder: &str) -> Lease {
        held(leases.try_acquire(&self.key, &request(holder)).await.unwrap())
    }

    /// Who else has the lock.
    pub async fn busy(&self, leases: &Leases, holder: &str) -> LeaseRecord {
        busy(leases.try_acquire(&self.key, &request(holder)).await.unwrap())
    }

    pub async fn shown(&self) -> LeaseRecord {
        self.leases().show(&self.key).await.unwrap().unwrap()
    }

    /// The lease's item, all of it.
    pub async fn item(&self) -> Item {
        let get = self.stack.dynamodb().get_item().table_name(TABLE).consistent_read(true);
        get.set_key(Some(key_of(&self.key))).send().await.unwrap().item.unwrap()
    }

    pub async fn delete_item(&self) {
        let delete = self.stack.dynamodb().delete_item().table_name(TABLE);
        delete.set_key(Some(key_of(&self.key))).send().await.unwrap();
    }
}

/// A client whose retries other clients of this process do not use up.
pub fn retrying(config: &aws_config::SdkConfig) -> Client {
    let partition = RetryPartition::custom("tests").token_bucket(TokenBucket::unlimited()).build();
    Client::from_conf(aws_sdk_dynamodb::config::Builder::from(config).retry_partition(partition).build())
}

pub fn key_of(key: &LeaseKey) -> Item {
    Item::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

pub fn request(holder: &str) -> LeaseRequest {
    LeaseRequest::new(holder, LENGTH)
}

pub fn held(attempt: Attempt) -> Lease {
    match attempt {
        Attempt::Held(lease) => lease,
        Attempt::Busy(record) => panic!("busy: {record:?}"),
    }
}

pub fn busy(attempt: Attempt) -> LeaseRecord {
    match attempt {
        Attempt::Busy(record) => record,
        Attempt::Held(lease) => panic!("held: {lease:?}"),
    }
}

/// Bits that differ from draw to draw and from call to call.
pub fn random() -> Random {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Random::new(|| NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A clock that stands until it is set.
#[derive(Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000)))
    }

    pub fn clock(&self) -> Clock {
        let time = self.clone();
        Clock::new(move || time.now())
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }

    pub fn forward(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub fn back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}
