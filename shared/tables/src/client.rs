//! One client for the four tables, made from the environment as the functions find it.

use std::env;
use std::fmt;

use aws_sdk_dynamodb::Client;
use nextbasket_dynamodb::config::{Patience, lambda_config};

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
    /// Its name.
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
    /// From `PRODUCTS_TABLE`.
    pub products: Option<String>,
    /// From `PURCHASES_TABLE`.
    pub purchases: Option<String>,
    /// From `HISTORY_TABLE`.
    pub history: Option<String>,
    /// From `MODEL_TABLE`.
    pub model: Option<String>,
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
        }
    }

    /// Reads the names from the environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|variable| env::var(variable).ok())
    }
}

/// The tables that a program may touch, behind one client.
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

    /// The catalogue.
    ///
    /// # Errors
    /// [`ConfigError`] if it has no name.
    pub fn products(&self) -> Result<ProductsTable, ConfigError> {
        let name = named(&self.names.products, "PRODUCTS_TABLE")?;
        Ok(ProductsTable::new(self.client.clone(), name))
    }

    /// The purchases.
    ///
    /// # Errors
    /// [`ConfigError`] if they have no name.
    pub fn purchases(&self) -> Result<PurchasesTable, ConfigError> {
        let name = named(&self.names.purchases, "PURCHASES_TABLE")?;
        Ok(PurchasesTable::new(self.client.clone(), name))
    }

    /// The histories.
    ///
    /// # Errors
    /// [`ConfigError`] if they have no name.
    pub fn history(&self) -> Result<HistoryTable, ConfigError> {
        let name = named(&self.names.history, "HISTORY_TABLE")?;
        Ok(HistoryTable::new(self.client.clone(), name))
    }

    /// The model.
    ///
    /// # Errors
    /// [`ConfigError`] if it has no name.
    pub fn model(&self) -> Result<ModelTable, ConfigError> {
        let name = named(&self.names.model, "MODEL_TABLE")?;
        Ok(ModelTable::new(self.client.clone(), name))
    }

    /// The popular lists, which are stored in the model table.
    ///
    /// # Errors
    /// [`ConfigError`] if it has no name.
    pub fn popular(&self) -> Result<PopularTable, ConfigError> {
        let name = named(&self.names.model, "MODEL_TABLE")?;
        Ok(PopularTable::new(self.client.clone(), name))
    }

    /// Access to the key of answers' ids, which is stored in the model table.
    ///
    /// # Errors
    /// [`ConfigError`] if the environment does not name the table.
    pub fn answer_keys(&self) -> Result<AnswerKeys, ConfigError> {
        let name = named(&self.names.model, "MODEL_TABLE")?;
        Ok(AnswerKeys::new(self.client.clone(), name))
    }
}

fn named(name: &Option<String>, variable: &'static str) -> Result<String, ConfigError> {
    name.clone().ok_or(ConfigError { variable })
}
