//! The shop's tables, and what the handlers over them keep.

use nextbasket_http::ApiError;
use nextbasket_tables::ConfigError;
use nextbasket_tables::history::HistoryTable;
use nextbasket_tables::model::ModelTable;
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::purchases::PurchasesTable;

use crate::Console;
use crate::mentions::Mentions;
use crate::statistics::Statistics;

/// What is too dear to be computed for each request.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub statistics: Statistics,
    pub mentions: Mentions,
}

impl Console {
    pub(crate) fn products(&self) -> Result<ProductsTable, ApiError> {
        named(self.tables.products())
    }

    pub(crate) fn purchases(&self) -> Result<PurchasesTable, ApiError> {
        named(self.tables.purchases())
    }

    pub(crate) fn histories(&self) -> Result<HistoryTable, ApiError> {
        named(self.tables.history())
    }

    pub(crate) fn models(&self) -> Result<ModelTable, ApiError> {
        named(self.tables.model())
    }
}

pub(crate) fn named<T>(table: Result<T, ConfigError>) -> Result<T, ApiError> {
    table.map_err(ApiError::internal)
}
