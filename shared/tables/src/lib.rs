//! The tables: every key, expression and attribute name, and the only crate that talks to the shop's tables.
//!
//! * [`Tables`]: the four tables behind one client, named by the environment
//! * [`products`]: the catalogue, by id and by category
//! * [`purchases`]: the truth, one item a purchase, newest first by the local index
//! * [`history`]: each user's newest baskets, folded from the purchases
//! * [`history_codec`]: those baskets in few bytes
//! * [`model`]: two slots of neighbour rows and priors, and the pointer to the live one
//! * [`popular`]: what is popular now, counted between two trainings
//! * [`answer_key`]: the key that authenticates the ids of answers
//! * [`segment`]: a table read in parts, page by page
//! * [`damaged`]: items that do not have the expected form
//! * [`capacity`]: what the calls of one piece of work consumed
//!
//! It guarantees that writing the same twice is the same as writing it once, that reads of more than a page are
//! whole, and that an item that does not have the expected form is never silently replaced by a default: a read of
//! that item alone gets an error that names its table, key and attribute; a read of many items gets the others and
//! the keys of the damaged ones. Every call fails with a [`TableError`] if DynamoDB does not answer or does not take it;
//! where a call can fail for another reason as well, it says so. The crate knows no HTTP and no model: rows and priors are bytes here.

pub mod answer_key;
pub mod client;
pub mod damaged;
pub mod erased_items;
pub mod history;
pub mod history_codec;
pub mod model;
pub mod popular;
pub mod products;
pub mod purchases;
mod refresh;
pub mod segment;

pub use client::{ConfigError, TableNames, Tables};
pub use damaged::{Damaged, Readable};
pub use nextbasket_dynamodb::bulk::Consistency;
pub use nextbasket_dynamodb::{TableError, capacity};
