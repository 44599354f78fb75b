//! One client for the shop's tables and the operations table, made from the environment as the functions find it.

use std::env;
use std::fmt;

use aws_sdk_dynamodb::Client;
use nextbasket_dynamodb::TableClient;
use nextbasket_dynamodb::config::{Patience, lambda_config};
use nextbasket_erasure::ErasedUsers;

use crate::answer_key::AnswerKeys;
use crate::history::HistoryTable;
use crate::model::ModelTable;
use crate::popular::PopularTable;
use crate::products::ProductsTable;
use crate::purchases::PurchasesTable;

/// An environment variable that a function needs and did not find.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable} is not set")]
pub struct ConfigError {
    pub variable: &'static str,
}

/// As `Display`: it is what a `main` prints that ends with this error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The names of the tables. A function that has no business with a table has no name for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableNames {
    pub products: Option<String>,
    pub purchases: Option<String>,
    pub history: Option<String>,
    pub model: Option<String>,
    /// Where erased users are remembered.
    pub operations: Option<String>,
}

impl TableNames {
    /// Reads the names with `lookup`, which is [`from_env`](Self::from_env)'s or a test's.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let named = |variable: &str| lookup(variable).filter(|name| !name.is_empty());
        Self {
            products: named("PRODUCTS_TABLE"),
            purchases: named("PURCHASES_TABLE"),
            history: named("HISTORY_TABLE"),
            model: named("MODEL_TABLE"),
            operations: named("OPERATIONS_TABLE"),
        }
    }

    /// Reads the names from the environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|variable| env::var(variable).ok())
    }
}

/// The tables that a program may touch, behind one client. Asking for one that has no name is a [`ConfigError`].
#[derive(Debug, Clone)]
pub struct Tables {
    client: Client,
    names: TableNames,
}

impl Tables {
    /// The tables of these names, reached through this client.
    #[must_use]
    pub fn new(client: Client, names: TableNames) -> Self {
        Self { client, names }
    }

    /// The tables that the environment names, in the region, with the credentials and at the endpoint that it
    /// gives (`AWS_ENDPOINT_URL_DYNAMODB` for a local one).
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(
            Client::new(&lambda_config("AWS_ENDPOINT_URL_DYNAMODB", Patience::ANSWER)),
            TableNames::from_env(),
        )
    }

    pub(crate) fn names(&self) -> &TableNames {
        &self.names
    }

    pub fn products(&self) -> Result<ProductsTable, ConfigError> {
        Ok(ProductsTable { table: self.named(&self.names.products, "PRODUCTS_TABLE")? })
    }

    pub fn purchases(&self) -> Result<PurchasesTable, ConfigError> {
        Ok(PurchasesTable { table: self.named(&self.names.purchases, "PURCHASES_TABLE")? })
    }

    pub fn history(&self) -> Result<HistoryTable, ConfigError> {
        Ok(HistoryTable { table: self.named(&self.names.history, "HISTORY_TABLE")? })
    }

    pub fn model(&self) -> Result<ModelTable, ConfigError> {
        Ok(ModelTable { table: self.model_table()? })
    }

    /// The popular lists, which are stored in the model table.
    pub fn popular(&self) -> Result<PopularTable, ConfigError> {
        Ok(PopularTable { table: self.model_table()? })
    }

    /// Access to the key of answers' ids, which is stored in the model table.
    pub fn answer_keys(&self) -> Result<AnswerKeys, ConfigError> {
        Ok(AnswerKeys::new(self.model_table()?))
    }

    /// The erased users, which are remembered in the operations table.
    pub fn erased_users(&self) -> Result<ErasedUsers, ConfigError> {
        let named = self.named(&self.names.operations, "OPERATIONS_TABLE")?;
        Ok(ErasedUsers::new(self.client.clone(), named.name()))
    }

    fn model_table(&self) -> Result<TableClient, ConfigError> {
        self.named(&self.names.model, "MODEL_TABLE")
    }

    fn named(&self, name: &Option<String>, variable: &'static str) -> Result<TableClient, ConfigError> {
        let name = name.clone().ok_or(ConfigError { variable })?;
        Ok(TableClient::new(self.client.clone(), name))
    }
}
