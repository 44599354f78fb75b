//! DynamoDB's own condition and update expressions, with names and values written in place.
//!
//! `status = 'old' AND size(tags) > 2` rather than `#s = :s AND size(#t) > :n` and two maps. Every name becomes a
//! placeholder, so reserved words need no care; every value becomes one, too.
//!
//! | written | is |
//! |---|---|
//! | `'text'`, `"text"` | a string; `\'`, `\"`, `\\`, `\n`, `\r`, `\t`, `\u{e9}`; a doubled quote is one quote |
//! | `5`, `-1.5`, `2e10` | a number of up to 38 digits, kept as it is written |
//! | `true`, `false`, `null` | these |
//! | `b64'aGk='` | binary |
//! | `[1, 'x']`, `{'k': 1, name: 2}` | a list, a map |
//! | `<<'a', 'b'>>`, `{'a', 'b'}` | a set of strings, numbers or binaries |
//! | `now()`, `now('ms')`, `now('iso')`, `now('date')` | the time in seconds or milliseconds since 1970, or as text |
//! | `now() - 30d` | earlier or later by `ms`, `s`, `m`, `h`, `d` or `w` |
//! | `price`, `address.city`, `lines[0].price` | an attribute |
//! | `` `unit price` `` | an attribute whose name has other characters, or is a word of the language |
//!
//! * [`condition`]: comparisons, `BETWEEN`, `IN`, `AND`, `OR`, `NOT` and DynamoDB's functions
//! * [`change`]: `SET`, `REMOVE`, `ADD` and `DELETE`, and whether doing it twice is the same as once
//! * [`evaluate`](Condition::holds): a condition on an item at hand
//! * [`key_condition`]: the part of a condition that a query asks for by key
//! * [`order`]: by which attributes items are sorted, and lists of paths
//! * [`apply`]: a change of an item at hand
//! * [`placeholders`]: what goes to DynamoDB
//! * [`partiql`]: what can be said as a statement as well

pub mod apply;
pub mod change;
pub mod condition;
pub mod constant;
mod evaluate;
pub mod key_condition;
pub mod order;
mod parser;
pub mod partiql;
pub mod path;
pub mod placeholders;
mod sum;
mod token;

pub(crate) use evaluate::equal;

pub use apply::ApplyError;
pub use change::Change;
pub use condition::Condition;
pub use key_condition::{KeyedCondition, SortKey};
pub use order::Order;
pub use path::Path;
pub use placeholders::Placeholders;
pub use token::without_constants;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {problem}")]
pub struct SyntaxError {
    /// Where, counted in characters from 1.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

impl SyntaxError {
    /// `index` counts from 0.
    fn new(index: usize, problem: impl Into<String>) -> Self {
        Self { at: index + 1, problem: problem.into() }
    }
}
