//! The template's tables and buckets in an embedded DynamoDB and S3, gone with the test.

use std::collections::BTreeMap;
use std::path::Path;

use aws_config::SdkConfig;
use nextbasket_domain::Random;
use nextbasket_job_engine::Site;
use nextbasket_machine::{Machine, MachineOptions};
use nextbasket_objects::Bucket;

use crate::FaultProxy;

/// A machine from the repository's `template.yaml`, in memory and on any free port; gone when it is dropped.
pub struct TestStack {
    machine: Machine,
    /// Tables and buckets by the variables under which functions know them.
    names: BTreeMap<String, String>,
}

impl TestStack {
    /// Starts it, with all tables and buckets made and empty.
    pub async fn start() -> Self {
        Self::start_with(&template_text()).await
    }

    /// As [`TestStack::start`], with another template.
    pub async fn start_with(template: &str) -> Self {
        let machine = Machine::start(MachineOptions::in_memory(template, "test"))
            .await
            .expect("the local machine starts");
        let template = machine.template();
        let is_name = |value: &String| {
            template.tables.iter().any(|table| table.name == *value)
                || template.buckets.iter().any(|bucket| bucket.name == *value)
        };
        let names = template
            .functions
            .iter()
            .flat_map(|function| function.environment.clone())
            .filter(|(_, value)| is_name(value))
            .collect();
        TestStack { machine, names }
    }

    /// The machine below, for its mappings and its gateway.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    #[must_use]
    pub fn into_machine(self) -> Machine {
        self.machine
    }

    #[must_use]
    pub fn sdk_config(&self) -> &SdkConfig {
        self.machine.sdk_config()
    }

    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(self.sdk_config())
    }

    #[must_use]
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        aws_sdk_dynamodbstreams::Client::new(self.sdk_config())
    }

    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(self.machine.s3_config())
    }

    #[must_use]
    pub fn s3_endpoint(&self) -> String {
        self.machine.s3().endpoint_url()
    }

    /// A proxy in front of this stack's DynamoDB.
    pub async fn proxy(&self) -> FaultProxy {
        FaultProxy::start(&self.machine.dynamodb().endpoint_url(), self.machine.key()).await
    }

    /// A proxy in front of this stack's S3.
    pub async fn s3_proxy(&self) -> FaultProxy {
        FaultProxy::start(&self.s3_endpoint(), self.machine.key()).await
    }

    /// The table that functions know by this environment variable, such as `PURCHASES_TABLE`; while no function has
    /// it, the table whose logical id is the same words, such as `PurchasesTable`.
    #[must_use]
    pub fn table(&self, variable: &str) -> &str {
        let table = || Some(&self.machine.template().table(&logical_id(variable))?.name);
        let name = self.names.get(variable).or_else(table);
        name.unwrap_or_else(|| panic!("the template has no table for {variable}"))
    }

    /// The table of locks, jobs and upload claims.
    #[must_use]
    pub fn operations(&self) -> String {
        self.table("OPERATIONS_TABLE").to_owned()
    }

    /// The bucket that functions know by this environment variable, such as `JOBS_BUCKET`, or that has this logical
    /// id, such as `JobsBucket`.
    #[must_use]
    pub fn bucket(&self, name: &str) -> String {
        let template = self.machine.template();
        let by_id = || template.bucket(name).or_else(|| template.bucket(&logical_id(name)));
        let bucket = self.names.get(name).or_else(|| Some(&by_id()?.name));
        bucket.unwrap_or_else(|| panic!("the template has no bucket for {name}")).clone()
    }

    #[must_use]
    pub fn site(&self) -> Site {
        let objects = Bucket::new(self.s3(), self.bucket("JobsBucket"));
        Site::new(self.dynamodb(), self.operations(), objects, Random::system().unwrap())
    }

    /// The environment of a function's process, by logical id or binary.
    #[must_use]
    pub fn environment(&self, function: &str) -> BTreeMap<String, String> {
        self.machine
            .environment(function)
            .unwrap_or_else(|| panic!("the template has no function {function}"))
    }
}

/// `JOBS_BUCKET` as `JobsBucket`.
fn logical_id(variable: &str) -> String {
    let word = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_uppercase() + &rest.to_lowercase(),
        None => String::new(),
    };
    variable.split('_').map(word).collect()
}

#[must_use]
pub fn template_text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
