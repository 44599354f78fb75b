//! Purchase and product files (CSV, JSON Lines; gzip or not) to parsed records and refusals by line.
//!
//! [`read_purchases`] and [`read_products`] take a reader and give back what the file holds in the domain's
//! types. What a file is made of is seen from its content, never from its name: gzip or plain, a CSV with
//! commas, semicolons, tabs or bars, or one JSON object a line.
//!
//! * `options`: [`Options`]: whose time it is, currency, [`Mapping`] of columns, [`TimeFormat`], products to skip
//! * `columns`, `mapping`, `names`: which column of a file is which [`Column`], and what to suggest if one is missing
//! * `source`, `foreign`, `lines`, `records`, `delimited`, `row`: bytes to lines to records to cells
//! * `price`, `value`: texts to money, quantities, times and ids
//! * `baskets`: lines to purchases; `found`: products seen in purchases
//! * `reading`, `purchases`, `products`: the loop over records and the two readers
//! * `refusal`, `summary`, `error`: what was refused and why, what the file came to, why nothing came
//!
//! # Guarantees
//! * Every record is either taken or refused: `taken + refused = records`. A refused one is written, with its
//!   line in the file, a [`Reason`], the column, a sentence and its text, to the writer that the caller gives.
//! * No bytes make it panic, and no line, record or unclosed quote makes it hold more than a few megabytes
//!   beside the records themselves.
//! * The same file and options give the same result, in the same order: purchases by time, oldest first.
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
//! It keeps the whole file's purchases in memory (some 80 bytes a line), knows no table and writes nothing but
//! refusals. It reads UTF-8 only, no spreadsheets, no JSON arrays.

mod baskets;
mod columns;
mod delimited;
mod error;
mod foreign;
mod found;
mod lines;
mod mapping;
mod names;
mod options;
mod price;
mod products;
mod purchases;
mod reading;
mod records;
mod refusal;
mod row;
mod source;
mod summary;
mod value;

pub use columns::{Column, Kind};
pub use error::ImportError;
pub use mapping::{Mapping, MappingError};
pub use options::{Options, Pattern, TimeFormat, TimeFormatError};
pub use products::{Catalogue, read_products};
pub use purchases::{Import, read_purchases};
pub use refusal::{MAX_REFUSED_BYTES, Reason};
pub use summary::{CodeCount, FileForm, Prices, Progress, Summary};
