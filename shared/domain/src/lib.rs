//! What a shop's records are made of: ids, money, time, purchases and products.
//!
//! Everything here is parsed once, where it enters (an HTTP body, a file's line, a table's item), and
//! trusted after: a value of one of these types is within its limits.
//!
//! * [`id`]: [`UserId`], [`ProductId`], [`PurchaseId`], [`RecommendationId`]
//! * [`money`]: [`Money`] in minor units, [`Currency`]
//! * [`time`]: [`Timestamp`] in UTC milliseconds, [`Clock`]
//! * [`digest`](mod@digest): contents told apart in few characters
//! * [`object`]: JSON objects that are objects
//! * [`random`]: [`Random`] bits
//! * [`recommendation`]: what an answer's id says
//! * [`purchase`]: [`Purchase`], [`Line`]
//! * [`product`]: [`Product`], [`Category`]
//! * [`history`]: [`Basket`], a user's newest purchases as the recommender sees them
//!
//! It knows no table, no HTTP and no model.

pub mod digest;
pub mod history;
pub mod id;
pub mod money;
pub mod object;
pub mod product;
pub mod purchase;
pub mod random;
pub mod recommendation;
pub mod time;

pub use digest::digest;
pub use history::{Basket, HISTORY_BASKETS};
pub use id::{IdError, ProductId, PurchaseId, RecommendationId, UserId};
pub use money::{Currency, Money, MoneyError};
pub use product::{Category, Product, ProductError};
pub use purchase::{Line, Purchase, PurchaseError};
pub use random::Random;
pub use time::{Clock, Timestamp, TimestampError};
