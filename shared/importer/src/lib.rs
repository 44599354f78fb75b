//! Purchase and product files to parsed records and refusals by line.
//!
//! A file is read twice. [`survey`] reads it to its end and decides how it is read: how its bytes become text, what its
//! columns mean, whether `1.000` is one or a thousand and `03/04/2026` in March or in April. What all of the file does not
//! decide is refused with the name of its column. With the resulting [`FileLayout`] a [`RecordScanner`] reads records one
//! after the other, from any [`FilePosition`] between two of them, and says which belong together; an [`Assembler`]
//! combines those that belong together; [`ProductMentions`] adds up what the lines say about products. [`read_purchases`]
//! and [`read_products`] do all of it for a file that fits into memory.
//!
//! The form of a file is detected from its content, never from its name: gzip, zip or plain; a sheet of an Excel workbook,
//! a Parquet file (with the feature `parquet`), an XML product feed, JSON Lines or a JSON array, or a CSV in any encoding
//! and dialect.
//!
//! * `options`: [`ImportOptions`]: what a person says about the file
//! * `survey`: the first pass: `recognition` from the columns' names, `evidence` from the values
//! * `profile`: the exports that are known, as data in the folder `profiles`; `rules`: how the rows of one file are read
//! * `columns`, `mapping`, `column_names`: which column of a file is which [`FileColumn`], and what to suggest if one is
//!   missing
//! * `source`: files to text: gzip, zip, sheets of workbooks, Parquet files, encodings; `merchant_feed`: XML product feeds
//!   to JSON Lines
//! * `dialect`: the delimiter of a CSV file, how it writes quotes, where its table begins
//! * `unsupported`, `line_reader`, `record_reader`, `csv_record`, `exact_json`, `row`: text to records to cells
//! * `shape`: rows of an export to rows of our own columns: cells that are filled down, lines in one cell, joined files
//! * `number_format`, `price`, `time_format`, `value`, `availability`: texts to numbers, money, times and ids
//! * `record_parser`, `product_record`: the content of a record on its own; `group_hash`: which records belong together
//! * `record_scanner`, `file_layout`: records one after the other, and positions from which reading can resume
//! * `assembler`, `baskets`: lines to purchases; `product_mentions`: products seen in purchases
//! * `whole_files`: files in one call
//! * `refusal`, `tally`, `summary`, `error`: what was rejected and why, the counts of the file, why it could not be
//!   read; `samples`, `user_purchases`, `warning`: what of it a person checks; `text`: numbers for people
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
//! fields, JSON), rows to skip, user, product, products to skip, time, quantity, price, basket.
//! * A row that a rule skips: [`RefusalReason::SkippedRow`]: a view, a cancelled order, what `only` and `skip` say.
//! * No user: [`RefusalReason::MissingUser`]. A CSV cell of `NULL`, `null`, `NaN`, `nan`, `None` or `\N` is empty.
//! * A negative quantity: [`RefusalReason::Cancellation`]. It is not taken off an earlier purchase: that somebody
//!   wanted the product stays true. A quantity of zero or no number: [`RefusalReason::BadQuantity`]. None at all: one. A
//!   fraction is a weight: the line is one piece at the price of the line.
//! * An id that a program has rounded, such as `4.00638E+12`: [`RefusalReason::ImpreciseId`].
//! * A negative price: [`RefusalReason::NegativePrice`]: an adjustment of the books.
//! * A time before 1970, or more than a day after [`ImportOptions::now`].
//!
//! Whether a code such as `POST` or `BANK CHARGES` is a product, only the shop knows. It is taken, and
//! [`ImportSummary::service_like`] names such codes (no digit in a file whose codes nearly all have one), for
//! [`ImportOptions::skip_products`].
//!
//! # Prices
//! A price is decimal text in major units, read digit by digit, with its currency if it names one: `11,062.06`,
//! `11.062,06`, `1'234.50`, `$8.00`, `12,90 €`. One sign before exactly three digits is what the other numbers of the file
//! show. More decimals than the currency has are rounded half up. A price never costs a purchase: an empty one, zero (no price was kept) or
//! one that is not a number leaves the line without a price, counted in [`ImportTally::prices`].
//!
//! # What it does not
//! [`read_purchases`] keeps the whole file's purchases in memory (some 80 bytes a line); a [`RecordScanner`] keeps one
//! record, an [`Assembler`] the records that were added to it. The crate knows no table and writes nothing but
//! refusals.

mod assembler;
mod availability;
mod baskets;
mod column_names;
mod columns;
mod csv_record;
mod dialect;
mod error;
mod exact_json;
mod file_layout;
mod group_hash;
mod line_reader;
mod mapping;
mod merchant_feed;
mod number_format;
mod options;
mod price;
mod product_mentions;
mod product_record;
mod profile;
mod record_parser;
mod record_reader;
mod record_scanner;
mod refusal;
mod row;
mod rules;
mod samples;
mod shape;
mod source;
mod summary;
mod survey;
mod tally;
mod text;
mod time_format;
mod unsupported;
mod user_purchases;
mod value;
mod warning;
mod whole_files;

pub use assembler::{Assembled, Assembler};
pub use columns::{FileColumn, RecordKind};
pub use dialect::{Dialect, LineEnd, Quoting};
pub use error::ImportError;
pub use file_layout::{FileForm, FileLayout, FilePosition};
pub use group_hash::group_hash;
pub use mapping::{Mapping, MappingError};
pub use merchant_feed::{is_merchant_feed, merchant_feed_lines};
pub use number_format::DecimalSign;
pub use options::{ImportOptions, Pattern};
pub use product_mentions::{ProductMention, ProductMentions};
pub use profile::{Profile, ProfileChoice, ProfileError};
pub use record_scanner::{RecordScanner, ScanEnd, ScanStep, ScannedRecord};
pub use refusal::{MAX_REFUSED_BYTES, RefusalReason};
pub use samples::{SampleLine, SamplePurchase};
pub use shape::{FileOpener, FileRole, JoinedFiles};
pub use source::{Container, EncodingError, ReadProgress, SourceForm, TextEncoding, detect as detect_source};
pub use summary::ImportSummary;
pub use survey::{OpenFile, survey};
pub use tally::{CodeCount, ImportTally, Prices};
pub use time_format::{DateOrder, TimeFormat, TimeFormatError, TimezoneError, parse_timezone};
pub use user_purchases::{UserCount, UserPurchases};
pub use warning::ImportWarning;
pub use whole_files::{
    ImportedProducts, ImportedPurchases, read_joined_purchases, read_products, read_purchases,
};
