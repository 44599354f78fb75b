//! What every crate that talks to DynamoDB shares.
//!
//! * [`item`]: values to attributes and back, with errors that name the table, the key and the attribute
//! * [`number`]: DynamoDB's numbers by their value
//! * [`error`]: [`TableError`], which knows the table and what may be done
//! * [`capacity`]: what the calls of one piece of work consumed
//! * [`bulk`]: calls of many items, until all are taken or all are read
//! * [`table_client`]: [`TableClient`], the requests of one table
//! * [`request`]: a single item read
//! * [`segment`]: [`Segment`], a part of a table
//! * [`transaction`]: why a transaction was not made, item by item
//! * [`config`]: how a function's clients are set up
//!
//! It knows no table of the shop's: keys, expressions and attribute names stand in the crates that own them.

pub mod bulk;
pub mod capacity;
pub mod config;
pub mod error;
pub mod item;
pub mod number;
pub mod request;
pub mod segment;
pub mod table_client;
pub mod transaction;

pub use error::{ServiceError, TableError};
pub use number::Number;
pub use segment::Segment;
pub use table_client::TableClient;
pub use transaction::TransactionError;
