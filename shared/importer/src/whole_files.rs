//! Files read as a whole.

use std::io::{self, Read as _, Write};

use nextbasket_domain::{Product, Purchase};

use crate::assembler::{Assembled, Assembler};
use crate::columns::RecordKind;
use crate::error::ImportError;
use crate::file_layout::FileLayout;
use crate::options::ImportOptions;
use crate::product_mentions::ProductMentions;
use crate::record_scanner::{RecordScanner, ScanEnd, ScanStep};
use crate::shape::JoinedFiles;
use crate::source::ReadProgress;
use crate::summary::ImportSummary;
use crate::survey::{OpenFile, survey};
use crate::user_purchases::UserPurchases;

/// The number of records between two calls of the progress hook.
const PROGRESS_RECORDS: u64 = 4_096;

/// The result of reading a file of purchases.
#[derive(Debug)]
pub struct ImportedPurchases {
    /// The purchases, oldest first; those of one time by user and id.
    pub purchases: Vec<Purchase>,
    /// The products of their lines, by id: with the newest name and price, without categories. Where no line
    /// names a product, its id is its name, which is no reason to overwrite a catalogue's.
    pub products: Vec<Product>,
    pub summary: ImportSummary,
}

/// Reads a file of purchases. What is refused goes to `refused`, one JSON object a line; that writer should be
/// buffered. `progress` is called every few thousand records and at the end.
///
/// # Errors
/// [`ImportError`] if the file is of a form that is not read, lacks a column, or the refused records cannot be
/// written. A file that ends unexpectedly is not an error: see [`ImportSummary::ended_early`].
pub fn read_purchases(
    open: OpenFile<'_>,
    options: &ImportOptions,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(ReadProgress),
) -> Result<ImportedPurchases, ImportError> {
    read_joined_purchases(open, &JoinedFiles::default(), options, refused, progress)
}

/// Reads a file of purchases with the columns of other files; otherwise as [`read_purchases`].
///
/// # Errors
/// As [`read_purchases`].
pub fn read_joined_purchases(
    open: OpenFile<'_>,
    joined: &JoinedFiles,
    options: &ImportOptions,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(ReadProgress),
) -> Result<ImportedPurchases, ImportError> {
    let (assembled, layout, mut end) = read(open, joined, RecordKind::Purchases, options, refused, progress)?;
    let mut mentions = ProductMentions::default();
    assembled.mentions.into_iter().for_each(|mention| mentions.add(mention));
    let (products, tally) = mentions.into_products();
    end.tally += tally;
    let mut users = UserPurchases::default();
    assembled.users.into_iter().for_each(|user| users.add(user));
    end.tally += users.tally();
    let summary = ImportSummary::of(RecordKind::Purchases, layout.form, end);
    Ok(ImportedPurchases { purchases: assembled.purchases, products, summary })
}

/// The result of reading a file of products.
#[derive(Debug)]
pub struct ImportedProducts {
    /// The products, by id, dated [`ImportOptions::now`].
    pub products: Vec<Product>,
    pub summary: ImportSummary,
}

/// Reads a file of products: `product_id`, `name`, `categories` (in CSV with `|` or `;` between them; the parts of a path
/// such as `Coffee > Beans` are categories), `price`, `currency`, `available` (yes if empty; a word such as `in stock`,
/// `out of stock` or `draft`, or the number in stock), `attributes` (JSON only), or JSON lines as `PUT /products` takes
/// them and `productId`. An XML feed is such lines after [`merchant_feed_lines`](crate::merchant_feed_lines). Of two records of one product the later counts. Otherwise as
/// [`read_purchases`](crate::read_purchases), but that a catalogue's price has to be right: one that is negative
/// or no number is refused, and zero is a price.
pub fn read_products(
    open: OpenFile<'_>,
    options: &ImportOptions,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(ReadProgress),
) -> Result<ImportedProducts, ImportError> {
    let (assembled, layout, end) =
        read(open, &JoinedFiles::default(), RecordKind::Products, options, refused, progress)?;
    let summary = ImportSummary::of(RecordKind::Products, layout.form, end);
    Ok(ImportedProducts { products: assembled.products, summary })
}

/// Reads a file as a whole, with all of its groups at once.
fn read(
    open: OpenFile<'_>,
    joined: &JoinedFiles,
    kind: RecordKind,
    options: &ImportOptions,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(ReadProgress),
) -> Result<(Assembled, FileLayout, ScanEnd), ImportError> {
    let layout = survey(open, joined, kind, options)?;
    let mut reader = open().map_err(ImportError::Read)?;
    let start = layout.start();
    if layout.form.is_seekable() {
        io::copy(&mut (&mut reader).take(start.offset), &mut io::sink()).map_err(ImportError::Read)?;
    }
    let mut scanner = RecordScanner::resume(reader, kind, options, (&layout, joined), &start)?;
    let mut assembler = Assembler::new(&layout, kind, options)?;
    let mut records = 0_u64;
    loop {
        match scanner.step(refused)? {
            ScanStep::Taken(entry) => assembler.add(entry.line, entry.record, refused)?,
            ScanStep::Refused => {}
            ScanStep::End => break,
        }
        records += 1;
        if records.is_multiple_of(PROGRESS_RECORDS) {
            progress(scanner.progress());
        }
    }
    progress(scanner.progress());
    let mut end = scanner.finish()?;
    refused.flush().map_err(ImportError::Refused)?;
    let assembled = assembler.finish();
    end.tally += assembled.tally.clone();
    Ok((assembled, layout, end))
}
