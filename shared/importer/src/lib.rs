//! Purchase and product files (CSV, JSON Lines; gzip or not) to parsed records and refusals by line.
//!
//! [`read_purchases`] and [`read_products`] take a reader and return the file's content in the domain's types. For
//! files of any size, a [`RecordScanner`] reads records one after the other, from any [`FilePosition`] between two of
//! them, and says which belong together; an [`Assembler`] combines those that belong together; [`ProductMentions`]
//! adds up what the lines say about products. The form of a file is detected from its content, never from its name:
//! gzip or plain, a CSV with commas, semicolons, tabs or bars, or one JSON object per line.
//!
//! * `options`: [`ImportOptions`]: whose time it is, currency, [`Mapping`] of columns, [`TimeFormat`], products to skip
//! * `columns`, `mapping`, `column_names`: which column of a file is which [`FileColumn`], and what to suggest if one is
//!   missing
//! * `source`, `unsupported`, `line_reader`, `record_reader`, `csv_record`, `row`: bytes to lines to records to cells
//! * `price`, `value`: texts to money, quantities, times and ids
//! * `record_parser`, `product_record`: the content of a record on its own; `group_hash`: which records belong together
//! * `record_scanner`, `file_layout`: records one after the other, and positions from which reading can resume
//! * `assembler`, `baskets`: lines to purchases; `product_mentions`: products seen in purchases
//! * `whole_files`: files in one call
//! * `refusal`, `tally`, `summary`, `error`: what was rejected and why, the counts of the file, why it could not be
//!   read
//!
//! # Guarantees
//! * Every record is either taken or refused: `taken + refused = records`. A refused one is written, with its
//!   line in the file, a [`RefusalReason`], the column, a sentence and its text, to the writer that the caller gives.
//! * No bytes make it panic, and no line, record or unclosed quote makes it hold more than a few megabytes
//!   beside the records themselves.
//! * The same file and options give the same result, in the same order: purchases by time, oldest first. Read in
//!   parts, from position to position and group by group, a file gives the same result as when it is read as a whole.
//! * A file that breaks off (a gzip cut short, a disk that fails) gives what stood before the break, and
//!   [`ImportSummary::ended_early`] says why. A last line that may be incomplete is refused.
//!
//! # What makes a purchase of lines
//! * Lines of one user and one basket are one purchase, wherever they are in the file. Its time is the
//!   earliest of its lines'. Without a basket id, what a user bought at one point in time is one purchase, and
//!   the time is its id.
//! * The same product twice in a basket at the same unit price is one line with both quantities; at another
//!   price it is a line of its own.
//! * A JSON line with `lines`, as in `POST /purchases`, is a purchase of its own. The same again is refused as
//!   [`RefusalReason::RepeatedPurchase`], the same id with other content as [`RefusalReason::ConflictingPurchase`].
//!
//! # What is no purchase
//! The first rule that a line breaks is the one that it is refused for, in this order: form (UTF-8, number of
//! fields, JSON), user, product, products to skip, time, quantity, price, basket.
//! * No user: [`RefusalReason::MissingUser`]. A CSV cell of `NULL`, `null`, `NaN`, `nan`, `None` or `\N` is empty.
//! * A negative quantity: [`RefusalReason::Cancellation`]. It is not taken off an earlier purchase: that somebody
//!   wanted the product stays true. A quantity of zero, a fraction or no number: [`RefusalReason::BadQuantity`]. None
//!   at all: one.
//! * A negative price: [`RefusalReason::NegativePrice`]: an adjustment of the books.
//! * A time before 1970, or more than a day after [`ImportOptions::now`].
//!
//! Whether a code such as `POST` or `BANK CHARGES` is a product, only the shop knows. It is taken, and
//! [`ImportSummary::service_like`] names such codes (no digit in a file whose codes nearly all have one), for
//! [`ImportOptions::skip_products`].
//!
//! # Prices
//! A price is decimal text in major units, read digit by digit. `11,062.06`, `11.062,06`, `2,55` and `38970.00`
//! are understood; a single comma before exactly three digits separates thousands. More decimals than the
//! currency has are rounded half up. A price never costs a purchase: an empty one, zero (no price was kept) or
//! one that is not a number leaves the line without a price, counted in [`ImportTally::prices`].
//!
//! # What it does not
//! [`read_purchases`] keeps the whole file's purchases in memory (some 80 bytes a line); a [`RecordScanner`] keeps one
//! record, an [`Assembler`] the records that were added to it. The crate knows no table and writes nothing but
//! refusals. It reads UTF-8 only, no spreadsheets, no JSON arrays.

mod assembler;
mod baskets;
mod column_names;
mod columns;
mod csv_record;
mod error;
mod file_layout;
mod group_hash;
mod line_reader;
mod mapping;
mod options;
mod price;
mod product_mentions;
mod product_record;
mod record_parser;
mod record_reader;
mod record_scanner;
mod refusal;
mod row;
mod source;
mod summary;
mod tally;
mod unsupported;
mod value;
mod whole_files;

pub use assembler::{Assembled, Assembler};
pub use columns::{FileColumn, RecordKind};
pub use error::ImportError;
pub use file_layout::{FileForm, FileLayout, FilePosition};
pub use group_hash::group_hash;
pub use mapping::{Mapping, MappingError};
pub use options::{ImportOptions, Pattern, TimeFormat, TimeFormatError};
pub use product_mentions::{ProductMention, ProductMentions};
pub use record_scanner::{RecordScanner, ScanEnd, ScanStep, ScannedRecord};
pub use refusal::{MAX_REFUSED_BYTES, RefusalReason};
pub use source::ReadProgress;
pub use summary::ImportSummary;
pub use tally::{CodeCount, ImportTally, Prices};
pub use whole_files::{ImportedProducts, ImportedPurchases, read_products, read_purchases};
