//! DynamoDB's operations by name: from a JSON body to the database's method, and back.
//!
//! The database comes with its own server, which accepts everybody; so its methods are called here directly. What
//! that server does between the body and the methods is done here too: malformed requests are rejected with
//! DynamoDB's kinds of error, and values that nest deeper than a JSON parser allows are passed on, up to the
//! database's own limit.

mod deep;
mod malformed;

use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The stack for reading a deeply nested body, in bytes.
const DEEP_STACK: usize = 256 << 20;

/// Why an operation has no result.
pub(super) enum Refused {
    /// The body is not JSON that AWS would read.
    Unreadable,
    /// The database's error, also for invalid members of the body.
    By(DynoxideError),
}

impl From<DynoxideError> for Refused {
    fn from(error: DynoxideError) -> Self {
        Self::By(error)
    }
}

/// A request's JSON body.
enum Body<'a> {
    Text(&'a str),
    /// A body that nests deeper than the parser's own limit.
    Deep(Value),
}

impl Body<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, DynoxideError> {
        let read = match self {
            Body::Text(text) => serde_json::from_str(text),
            Body::Deep(value) => serde_json::from_value(value.clone()),
        };
        read.map_err(|error| malformed::error(&error))
    }
}

macro_rules! operations {
    ($($name:literal => $method:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$($name),*];

        fn call(database: &Database, operation: &str, body: &Body<'_>) -> Result<String, DynoxideError> {
            match operation {
                $($name => written(&database.$method(body.read()?)?),)*
                _ => Err(DynoxideError::SerializationException("UnknownOperationException".to_owned())),
            }
        }
    };
}

operations! {
    "CreateTable" => create_table,
    "DeleteTable" => delete_table,
    "DescribeTable" => describe_table,
    "ListTables" => list_tables,
    "UpdateTable" => update_table,
    "PutItem" => put_item,
    "GetItem" => get_item,
    "DeleteItem" => delete_item,
    "UpdateItem" => update_item,
    "Query" => query,
    "Scan" => scan,
    "SearchVectors" => search_vectors,
    "BatchGetItem" => batch_get_item,
    "BatchWriteItem" => batch_write_item,
    "TransactWriteItems" => transact_write_items,
    "TransactGetItems" => transact_get_items,
    "ListStreams" => list_streams,
    "DescribeStream" => describe_stream,
    "GetShardIterator" => get_shard_iterator,
    "GetRecords" => get_records,
    "UpdateTimeToLive" => update_time_to_live,
    "DescribeTimeToLive" => describe_time_to_live,
    "ExecuteStatement" => execute_statement,
    "ExecuteTransaction" => execute_transaction,
    "BatchExecuteStatement" => batch_execute_statement,
    "TagResource" => tag_resource,
    "UntagResource" => untag_resource,
    "ListTagsOfResource" => list_tags_of_resource,
}

fn written(answer: &impl serde::Serialize) -> Result<String, DynoxideError> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

pub(super) fn is_known(operation: &str) -> bool {
    NAMES.contains(&operation)
}

/// Executes the operation, blocking until it is done.
pub(super) fn run(database: &Database, operation: &str, text: &str) -> Result<String, Refused> {
    match serde_json::from_str::<Value>(text) {
        Ok(json) => checked(database, operation, &Body::Text(text), &json),
        Err(error) if error.to_string().starts_with("recursion limit exceeded") => {
            run_deep(database, operation, text)
        }
        Err(_) => Err(Refused::Unreadable),
    }
}

fn checked(database: &Database, operation: &str, body: &Body<'_>, json: &Value) -> Result<String, Refused> {
    malformed::check_types(operation, json)?;
    call(database, operation, body).map_err(|error| named(operation, error).into())
}

/// Runs it on a thread whose stack is large enough for all levels.
fn run_deep(database: &Database, operation: &str, text: &str) -> Result<String, Refused> {
    let run = || {
        let value = deep::parse(text).ok_or(Refused::Unreadable)?;
        malformed::check_types(operation, &value)?;
        call(database, operation, &Body::Deep(value)).map_err(|error| named(operation, error).into())
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, run);
        let failed = |reason: &str| DynoxideError::InternalServerError(reason.to_owned());
        let thread = thread.map_err(|error| failed(&error.to_string()))?;
        thread.join().unwrap_or_else(|_| Err(failed("a deeply nested request could not be read").into()))
    })
}

/// The error with DynamoDB's message for this operation.
fn named(operation: &str, error: DynoxideError) -> DynoxideError {
    match (operation, error) {
        ("PutItem" | "UpdateItem" | "DeleteItem", DynoxideError::EnvelopedValidation(message)) => {
            DynoxideError::ValidationException(format!("1 validation error detected: {message}"))
        }
        (_, DynoxideError::EnvelopedValidation(message)) => DynoxideError::ValidationException(message),
        ("ExecuteStatement", DynoxideError::ConditionalCheckFailedException(message, Some(item))) => {
            DynoxideError::StatementConditionalCheckFailed(message, item)
        }
        (_, error) => error,
    }
}
