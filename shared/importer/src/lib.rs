//! Purchase and product files (CSV, JSON Lines; gzip or not) to parsed records and refusals by line.
//!
//! [`read_purchases`] and [`read_products`] take a reader and return the file's content in the domain's types. For
//! files of any size, a [`Scanner`] reads records one after the other, from any [`Position`] between two of them, and
//! says which belong together; a [`Gatherer`] combines those that belong together; [`Sightings`] adds up what
//! gatherers found out about products. The form of a file is detected from its content, never from its name: gzip or
//! plain, a CSV with commas, semicolons, tabs or bars, or one JSON object per line.
//!
//! * `options`: [`Options`]: whose time it is, currency, [`Mapping`] of columns, [`TimeFormat`], products to skip
//! * `columns`, `mapping`, `names`: which column of a file is which [`Column`], and what to suggest if one is missing
//! * `source`, `foreign`, `lines`, `records`, `delimited`, `row`: bytes to lines to records to cells
//! * `price`, `value`: texts to money, quantities, times and ids
//! * `parse`: what a record says on its own; `group`: which records belong together
//! * `scanner`, `layout`: records one after the other, and positions from which reading can resume
//! * `gatherer`, `baskets`: lines to purchases; `sightings`: products seen in purchases
//! * `purchases`, `products`: whole files
//! * `refusal`, `tally`, `summary`, `error`: what was rejected and why, the counts of the file, why it could not be
//!   read
//!
//! # Guarantees
//! * Every record is either taken or refused: `taken + refused = records`. A refused one is written, with its
//!   line in the file, a [`Reason`], the column, a sentence and its text, to the writer that the caller gives.
//! * No bytes make it panic, and no line, record or unclosed quote makes it hold more than a few megabytes
//!   beside the records themselves.
//! * The same file and options give the same result, in the same order: purchases by time, oldest first. Read in
//!   parts, from position to position and group by group, a file gives the same result as when it is read as a whole.
//! * A file that breaks off (a gzip cut short, a disk that fails) gives what stood before the break, and
//!   [`Summary::ended_early`] says why. A last line that may be incomplete is refused.
//!
//! # What makes a purchase of lines
//! * Lines of one user and one basket are one purchase, wherever they stand in the file. Its time is the
//!   earliest of its lines'. Without a basket id, what a user bought at one point in time is one purchase, and
//!   the time is its id.
//! * The same product twice in a basket at the same unit price is one line with both quantities; at another
//!   price it is a line of its own.
//! * A JSON line with `lines`, as in `POST /purchases`, is a purchase of its own. The same again is refused as
//!   [`Reason::RepeatedPurchase`], the same id with other content as [`Reason::ConflictingPurchase`].
//!
//! # What is no purchase
//! The first rule that a line breaks is the one that it is refused for, in this order: form (UTF-8, number of
//! fields, JSON), user, product, products to skip, time, quantity, price, basket.
//! * No user: [`Reason::MissingUser`]. A CSV cell of `NULL`, `null`, `NaN`, `nan`, `None` or `\N` is empty.
//! * A negative quantity: [`Reason::Cancellation`]. It is not taken off an earlier purchase: that somebody
//!   wanted the product stays true. A quantity of zero, a fraction or no number: [`Reason::BadQuantity`]. None
//!   at all: one.
//! * A negative price: [`Reason::NegativePrice`]: an adjustment of the books.
//! * A time before 1970, or more than a day after [`Options::now`].
//!
//! Whether a code such as `POST` or `BANK CHARGES` is a product, only the shop knows. It is taken, and
//! [`Summary::service_like`] names such codes (no digit in a file whose codes nearly all have one), for
//! [`Options::skip_products`].
//!
//! # Prices
//! A price is decimal text in major units, read digit by digit. `11,062.06`, `11.062,06`, `2,55` and `38970.00`
//! are understood; a single comma before exactly three digits separates thousands. More decimals than the
//! currency has are rounded half up. A price never costs a purchase: an empty one, zero (no price was kept) or
//! one that is no number leaves the line without a price, counted in [`Summary::prices`].
//!
//! # What it does not
//! [`read_purchases`] keeps the whole file's purchases in memory (some 80 bytes a line); a [`Scanner`] keeps one
//! record, a [`Gatherer`] the records that were added to it. The crate knows no table and writes nothing but
//! refusals. It reads UTF-8 only, no spreadsheets, no JSON arrays.

mod baskets;
mod columns;
mod delimited;
mod error;
mod foreign;
mod gatherer;
mod group;
mod layout;
mod lines;
mod mapping;
mod names;
mod options;
mod parse;
mod price;
mod products;
mod purchases;
mod records;
mod refusal;
mod row;
mod scanner;
mod sightings;
mod source;
mod summary;
mod tally;
mod value;

pub use columns::{Column, Kind};
pub use error::ImportError;
pub use gatherer::{Gathered, Gatherer};
pub use group::group;
pub use layout::{Layout, Position};
pub use mapping::{Mapping, MappingError};
pub use options::{Options, Pattern, TimeFormat, TimeFormatError};
pub use products::{Catalogue, read_products};
pub use purchases::{Import, read_purchases};
pub use refusal::{MAX_REFUSED_BYTES, Reason};
pub use scanner::{End, Entry, Scanner, Step};
pub use sightings::{Sighting, Sightings};
pub use summary::{CodeCount, FileForm, Prices, Progress, Summary};
pub use tally::Tally;
