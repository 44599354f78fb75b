#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod expression;
pub mod fetch;
pub mod find;
pub mod index;
mod kept_answer;
pub mod key;
pub mod query;
pub mod scan;
pub mod segment;
pub mod spawned;
pub mod table;
pub mod transform;
pub mod write;
