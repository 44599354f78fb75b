//! The template's tables in an embedded DynamoDB in memory.

use std::collections::BTreeMap;
use std::path::Path;

use aws_config::SdkConfig;
use nextbasket_machine::{Machine, Options};

use crate::FaultProxy;

/// A machine from the repository's `template.yaml`, in memory and on any free port; gone when it is dropped.
pub struct TestStack {
    machine: Machine,
    tables: BTreeMap<String, String>,
}

impl TestStack {
    /// Starts it, with all tables made and empty.
    pub async fn start() -> Self {
        Self::start_with(&template_text()).await
    }

    /// As [`TestStack::start`], with another template.
    pub async fn start_with(template: &str) -> Self {
        let machine =
            Machine::start(Options::in_memory(template, "test")).await.expect("the local machine starts");
        let tables = machine
            .template()
            .functions
            .iter()
            .flat_map(|function| function.environment.clone())
            .filter(|(_, value)| machine.template().tables.iter().any(|table| table.name == *value))
            .collect();
        TestStack { machine, tables }
    }

    /// The machine below, for its mappings and its gateway.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine itself.
    #[must_use]
    pub fn into_machine(self) -> Machine {
        self.machine
    }

    /// Configuration for SDK clients.
    #[must_use]
    pub fn sdk_config(&self) -> &SdkConfig {
        self.machine.sdk_config()
    }

    /// A client of the tables.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(self.sdk_config())
    }

    /// A client of the tables' streams.
    #[must_use]
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        aws_sdk_dynamodbstreams::Client::new(self.sdk_config())
    }

    /// A proxy in front of this stack's DynamoDB.
    pub async fn proxy(&self) -> FaultProxy {
        FaultProxy::start(&self.machine.dynamodb().endpoint_url()).await
    }

    /// The table that functions know by this environment variable, such as `PURCHASES_TABLE`.
    #[must_use]
    pub fn table(&self, variable: &str) -> &str {
        self.tables.get(variable).unwrap_or_else(|| panic!("no function of the template has {variable}"))
    }

    /// The environment of a function's process, by logical id or binary.
    #[must_use]
    pub fn environment(&self, function: &str) -> BTreeMap<String, String> {
        self.machine
            .environment(function)
            .unwrap_or_else(|| panic!("the template has no function {function}"))
    }
}

/// The text of the repository's `template.yaml`.
#[must_use]
pub fn template_text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
