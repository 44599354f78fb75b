//! Tables of the stack and others that may be shown: their schemas, and their items page by page.
//!
//! * [`describe`]: `GET tables`
//! * [`read`]: `POST tables/{name}/items` and `…/count`
//! * [`reading`]: how a request's items are read: by a query where a key is given, by a scan otherwise
//! * [`write`]: `PUT` and `DELETE tables/{name}/item`
//! * [`item_json`]: items in bodies and answers, exact

mod describe;
mod item_json;
mod read;
mod reading;
mod write;

use axum::Router;
use axum::routing::{get, post, put};
use nextbasket_dynamodb::TableError;
use nextbasket_http::ApiError;
use nextbasket_items::table::Table;

use crate::Console;
use crate::answer::Problem;
use crate::parts::{ConsoleParts, TableScope};

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/tables", get(describe::list))
        .route("/tables/{name}/items", post(read::items))
        .route("/tables/{name}/count", post(read::count))
        .route("/tables/{name}/item", put(write::put).delete(write::delete))
}

impl ConsoleParts {
    fn is_of_stack(&self, table: &str) -> bool {
        self.names.tables.all().contains(&table)
    }

    /// Whether the page may show a table of this name.
    fn shows(&self, table: &str) -> bool {
        self.is_of_stack(table)
            || match &self.scope {
                TableScope::All => true,
                TableScope::Named(names) => names.iter().any(|name| name == table),
            }
    }

    /// Whether its items may be changed here: those of the operations table are the state of jobs and locks.
    fn is_editable(&self, table: &str) -> bool {
        self.writable && table != self.names.tables.operations
    }

    /// # Errors
    /// 404 `table_not_found` if there is no such table, or it may not be shown.
    async fn table(&self, name: &str) -> Result<Table, Problem> {
        if !self.shows(name) {
            return Err(not_found(name).into());
        }
        Ok(Table::describe(&self.dynamodb, name).await.map_err(|error| problem(name, error))?)
    }
}

fn not_found(table: &str) -> ApiError {
    let detail = format!(
        "table {table:?} not found. Behind a stack, other tables than its own are shown if the console was started with \
         --table"
    );
    ApiError::not_found("table_not_found", detail).at("name")
}

/// What DynamoDB says of a request is told to the operator: it is their table, and their permission.
fn problem(table: &str, error: TableError) -> ApiError {
    match error {
        TableError::Refused { reason, .. } if reason.starts_with("ResourceNotFoundException") => {
            not_found(table)
        }
        TableError::Refused { reason, .. } => refused(table, &reason),
        error => error.into(),
    }
}

/// 409 `table_refused`, with DynamoDB's own reason.
fn refused(table: &str, reason: &str) -> ApiError {
    ApiError::conflict("table_refused", format!("table {table}: DynamoDB refused the request: {reason}"))
}
