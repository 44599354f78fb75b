#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod records;
mod scanner;

pub use records::{ReadError, Record, Records, escaped_fields, fields};
pub use scanner::{CsvError, LineEnds, Scanner, TextPosition};
