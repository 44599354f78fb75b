//! The tables: every key, expression and attribute name, and the only crate that talks to the shop's tables.
//!
//! * [`Tables`]: the four tables behind one client, named by the environment
//! * [`products`]: the catalogue, by id and by category
//! * [`purchases`]: the truth, one item a purchase, newest first by the local index
//! * [`history`]: each user's newest baskets, folded from the purchases
//! * [`model`]: two slots of neighbour rows and priors, and the pointer to the live one
//! * [`popular`]: what is popular now, counted between two trainings
//! * [`segment`]: a table read in parts, page by page
//! * [`capacity`]: what the calls of one piece of work consumed
//!
//! It guarantees that writing the same twice is the same as writing it once, that reads of more than a page are
//! whole, and that an item that is not of the expected form is an error that names its table, key and attribute,
//! never a silent default. It knows no HTTP and no model: rows and priors are bytes here.

pub mod client;
pub mod history;
mod history_codec;
pub mod model;
pub mod popular;
pub mod products;
pub mod purchases;
pub mod segment;

pub use client::{ConfigError, TableNames, Tables};
pub use nextbasket_dynamodb::{TableError, capacity};
