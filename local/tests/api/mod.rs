//! What the tests of the HTTP API share: a system with a shop in it, asked as its clients do.

#![allow(dead_code, reason = "each test of the API uses its part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nextbasket::local_deployment::{DeploymentOptions, LocalDeployment};
use nextbasket_domain::Timestamp;
use nextbasket_shop::ShopSize;
use nextbasket_tables::Tables;
use serde_json::Value;

/// What a client sees of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// `None`: there is none.
    pub(crate) body: Option<Value>,
}

impl Answer {
    /// The body's text under a pointer such as `/code`; nothing if there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.as_ref().and_then(|body| body.pointer(pointer)?.as_str()).unwrap_or_default()
    }

    /// The cursor of a page that has one.
    pub(crate) fn cursor(&self) -> String {
        assert_ne!(self.text("/cursor"), "", "{self:?}");
        self.text("/cursor").to_owned()
    }
}

/// A whole system in memory.
pub(crate) struct World {
    pub(crate) system: LocalDeployment,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl World {
    /// With empty tables.
    pub(crate) async fn empty() -> Self {
        let system = LocalDeployment::start(DeploymentOptions::on_any_port(None)).await.unwrap();
        Self { system, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// With a small shop's products and purchases; nothing is trained yet.
    pub(crate) async fn with_shop() -> Self {
        let world = Self::empty().await;
        let end = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
        let shop = nextbasket_shop::generate(7, end, ShopSize { shoppers: 20, days: 200 });
        let (products, purchases) = (world.tables().products().unwrap(), world.tables().purchases().unwrap());
        for product in &shop.products {
            products.put_new(product).await.unwrap();
        }
        for purchase in &shop.purchases {
            purchases.record(purchase).await.unwrap();
        }
        world.system.drain(|_| ()).await.unwrap();
        world
    }

    pub(crate) fn tables(&self) -> &Tables {
        self.system.tables()
    }

    /// Trains a model and makes it the live one.
    pub(crate) async fn train(&self) {
        let site = nextbasket::local_deployment::job_site(self.system.machine()).unwrap();
        nextbasket_testkit::jobs::train(site, self.tables()).await;
    }

    /// Sends a request; the target is a path with a query, percent-encoded.
    pub(crate) async fn send(&self, method: &str, target: &str, body: impl Into<Bytes>) -> Answer {
        self.send_with(method, target, &[("content-type", "application/json")], body).await
    }

    /// Sends a request with these headers.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("http://{}{target}", self.system.address()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(body.into())).unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: (!bytes.is_empty()).then(|| serde_json::from_slice(&bytes).unwrap()),
        }
    }

    /// Every item of every table, as text.
    pub(crate) async fn items(&self) -> BTreeSet<String> {
        let machine = self.system.machine();
        let client = DynamoDb::new(machine.sdk_config());
        let mut items = BTreeSet::new();
        for table in &machine.template().tables {
            let mut pages = client.scan().table_name(&table.name).into_paginator().send();
            while let Some(page) = pages.next().await {
                for item in page.unwrap().items.unwrap_or_default() {
                    items.insert(format!("{} {}", table.name, text(&AttributeValue::M(item))));
                }
            }
        }
        items
    }
}

/// The value with its maps in order.
fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(map) => {
            let sorted: BTreeMap<_, _> = map.iter().map(|(name, value)| (name, text(value))).collect();
            format!("{sorted:?}")
        }
        AttributeValue::L(list) => format!("{:?}", list.iter().map(text).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}
