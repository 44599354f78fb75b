//! Files of purchases, read as a whole.

use std::io::{Read, Write};

use nextbasket_domain::{Product, Purchase};

use crate::columns::Kind;
use crate::error::ImportError;
use crate::gatherer::{Gathered, Gatherer};
use crate::layout::Layout;
use crate::options::Options;
use crate::scanner::{End, Scanner, Step};
use crate::sightings::Sightings;
use crate::summary::{Progress, Summary};

/// The number of records between two calls of the progress hook.
const PROGRESS_RECORDS: u64 = 4_096;

/// What a file of purchases came to.
#[derive(Debug)]
pub struct Import {
    /// The purchases, oldest first; those of one time by user and id.
    pub purchases: Vec<Purchase>,
    /// The products of their lines, by id: with the newest name and price, without categories. Where no line
    /// names a product, its id is its name, which is no reason to overwrite a catalogue's.
    pub products: Vec<Product>,
    /// The counts.
    pub summary: Summary,
}

/// Reads a file of purchases. What is refused goes to `refused`, one JSON object a line; that writer should be
/// buffered. `progress` is called every few thousand records and at the end.
///
/// # Errors
/// [`ImportError`] if the file is of a form that is not read, lacks a column, or the refused records cannot be
/// written. A file that breaks off is no error: see [`Summary::ended_early`].
pub fn read_purchases(
    reader: impl Read + Send,
    options: &Options,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<Import, ImportError> {
    let (gathered, layout, mut end) = read(reader, Kind::Purchases, options, refused, progress)?;
    let mut sightings = Sightings::default();
    gathered.sightings.into_iter().for_each(|sighting| sightings.add(sighting));
    let (products, tally) = sightings.into_products();
    end.tally += tally;
    end.tally.users = u64::try_from(gathered.users.len()).unwrap_or(u64::MAX);
    let summary = Summary::of(Kind::Purchases, layout.form, end);
    Ok(Import { purchases: gathered.purchases, products, summary })
}

/// Reads a file as a whole, with all of its groups at once.
pub(crate) fn read(
    reader: impl Read + Send,
    kind: Kind,
    options: &Options,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Gathered, Layout, End), ImportError> {
    let mut scanner = Scanner::open(reader, kind, options)?;
    let layout = scanner.layout();
    let mut gatherer = Gatherer::new(&layout, kind, options)?;
    let mut records = 0_u64;
    loop {
        match scanner.step(refused)? {
            Step::Taken(entry) => gatherer.add(entry.line, entry.record, refused)?,
            Step::Refused => {}
            Step::End => break,
        }
        records += 1;
        if records.is_multiple_of(PROGRESS_RECORDS) {
            progress(scanner.progress());
        }
    }
    progress(scanner.progress());
    let mut end = scanner.finish()?;
    refused.flush().map_err(ImportError::Refused)?;
    let gathered = gatherer.finish();
    end.tally += gathered.tally.clone();
    Ok((gathered, layout, end))
}
