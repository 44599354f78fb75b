//! `import`: takes in a file of purchases or products.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::{Clock, Currency, Product, Purchase};
use nextbasket_importer::{Mapping, Options, Pattern, Summary, read_products, read_purchases};
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::purchases::Recorded;
use nextbasket_tables::{TableError, Tables};
use serde_json::json;

use crate::Failure;
use crate::cli::{self, Kind};
use crate::place::Place;
use crate::progress::Progress;

/// How many items are written at a time.
const WRITERS: usize = 32;

/// What became of the records that a file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Purchases that are new.
    pub new_purchases: u64,
    /// Purchases that were there already, with the same content.
    pub known_purchases: u64,
    /// Purchases whose id was there with other content; they are refused.
    pub differing_purchases: u64,
    /// Products that are new.
    pub new_products: u64,
    /// Products of a catalogue that were there and are now as the file says.
    pub changed_products: u64,
    /// Products that were there already and stay as they are.
    pub known_products: u64,
}

impl Written {
    fn nothing(&self) -> bool {
        self.new_purchases + self.new_products + self.changed_products == 0
    }
}

/// Imports the file into the folder.
///
/// # Errors
/// [`Failure`] if the options, the file or the folder cannot be used, or the file breaks off.
pub async fn run(options: &cli::Import) -> Result<(), Failure> {
    let settings = settings(options)?;
    let file = open(&options.file)?;
    let mut place = Place::open(&options.data.data).await?;
    let result = import(options, &settings, file, &mut place).await;
    place.close().await?;
    let (summary, written, refused_path) = result?;
    report(options, &summary, written, &refused_path)?;
    match &summary.ended_early {
        Some(why) => Err(Failure::Other(format!(
            "{} broke off: {why}; what stood before is imported, get the whole file and import it again",
            options.file.display()
        ))),
        None => Ok(()),
    }
}

fn settings(options: &cli::Import) -> Result<Options, Failure> {
    let usage = |option: &str, error: &dyn std::fmt::Display| Failure::Usage(format!("--{option}: {error}"));
    let currency = Currency::parse(&options.currency).map_err(|error| usage("currency", &error))?;
    let mut settings = Options::new(Clock::system().now(), currency);
    if let Some(map) = &options.map {
        settings.mapping = map.parse::<Mapping>().map_err(|error| usage("map", &error))?;
    }
    if let Some(pattern) = &options.time_format {
        settings.time_format = pattern.parse().map_err(|error| usage("time-format", &error))?;
    }
    if let Some(patterns) = &options.skip_products {
        settings.skip_products = Pattern::list(patterns);
    }
    Ok(settings)
}

fn named(path: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |source| Failure::File { path: path.display().to_string(), source }
}

fn open(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(named(path))?;
    if file.metadata().map_err(named(path))?.is_dir() {
        return Err(Failure::Usage(format!("{} is a folder; name a file", path.display())));
    }
    Ok(file)
}

async fn import(
    options: &cli::Import,
    settings: &Options,
    file: File,
    place: &mut Place,
) -> Result<(Summary, Written, PathBuf), Failure> {
    let refused_path = refused_path(options)?;
    let size = file.metadata().map_err(named(&options.file))?.len();
    let mut refused = BufWriter::new(File::create(&refused_path).map_err(named(&refused_path))?);
    let bar = Progress::new("Reading", size, true);
    let mut seen = |progress: nextbasket_importer::Progress| bar.set(progress.bytes_read);
    let bad = |source| Failure::Import { path: options.file.display().to_string(), source };
    let (purchases, products, summary) = match options.kind {
        Kind::Purchases => {
            let import = read_purchases(file, settings, &mut refused, &mut seen).map_err(bad)?;
            (import.purchases, import.products, import.summary)
        }
        Kind::Products => {
            let catalogue = read_products(file, settings, &mut refused, &mut seen).map_err(bad)?;
            (Vec::new(), catalogue.products, catalogue.summary)
        }
    };
    bar.finish(format!(
        "{} records, {} taken, {} refused",
        summary.records,
        summary.taken,
        summary.refused_records()
    ));
    place.bulk_loading(true)?;
    let written = match write(place.tables(), &purchases, &products, options.kind, &mut refused).await {
        Ok(written) => follow(place, &purchases, written.new_purchases).await.map(|()| written),
        Err(error) => Err(error),
    };
    place.bulk_loading(false)?;
    refused.flush().map_err(named(&refused_path))?;
    Ok((summary, written?, refused_path))
}

fn refused_path(options: &cli::Import) -> Result<PathBuf, Failure> {
    if let Some(path) = &options.refused {
        if fs::canonicalize(path)
            .is_ok_and(|path| fs::canonicalize(&options.file).is_ok_and(|file| file == path))
        {
            return Err(Failure::Usage("--refused names the file that is imported; name another".to_owned()));
        }
        return Ok(path.clone());
    }
    let folder = options.data.data.join("refused");
    fs::create_dir_all(&folder).map_err(named(&folder))?;
    let name = options.file.file_name().unwrap_or_default().to_string_lossy();
    Ok(folder.join(format!("{name}.jsonl")))
}

enum Put {
    New,
    Changed,
    Known,
}

/// Writes the product unless the catalogue has it just so, but for the time of the change.
async fn put_if_other(table: &ProductsTable, product: &Product) -> Result<Put, TableError> {
    if let Some(before) = table.get(&product.product_id).await?
        && (Product { updated_at: before.updated_at, ..product.clone() }) == before
    {
        return Ok(Put::Known);
    }
    Ok(if table.put(product).await? { Put::New } else { Put::Changed })
}

/// Writes products, then purchases, many at a time.
///
/// # Errors
/// [`Failure`] at the first item that the table does not take.
pub async fn write(
    tables: &Tables,
    purchases: &[Purchase],
    products: &[Product],
    kind: Kind,
    refused: &mut dyn Write,
) -> Result<Written, Failure> {
    let mut written = Written::default();
    let table = tables.products()?;
    let bar = Progress::new("Writing products", products.len() as u64, false);
    let results = futures::stream::iter(products).map(async |product| match kind {
        // A catalogue says how a product is now; a purchase only that it was there.
        Kind::Products => put_if_other(&table, product).await,
        Kind::Purchases => Ok(if table.put_new(product).await? { Put::New } else { Put::Known }),
    });
    let mut results = results.buffer_unordered(WRITERS);
    while let Some(put) = results.try_next().await? {
        let count = match put {
            Put::New => &mut written.new_products,
            Put::Changed => &mut written.changed_products,
            Put::Known => &mut written.known_products,
        };
        *count += 1;
        bar.inc();
    }
    drop(results);
    bar.finish(format!(
        "{} new, {} changed, {} known",
        written.new_products, written.changed_products, written.known_products
    ));
    if purchases.is_empty() {
        return Ok(written);
    }
    let table = tables.purchases()?;
    let bar = Progress::new("Writing purchases", purchases.len() as u64, false);
    let results = futures::stream::iter(purchases).map(async |purchase| {
        let recorded = table.record(purchase).await?;
        Ok::<_, TableError>((purchase, recorded))
    });
    let mut results = results.buffer_unordered(WRITERS);
    while let Some((purchase, recorded)) = results.try_next().await? {
        match recorded {
            Recorded::New => written.new_purchases += 1,
            Recorded::Before(before) if *before == *purchase => written.known_purchases += 1,
            Recorded::Before(_) => {
                written.differing_purchases += 1;
                let line = json!({
                    "reason": "purchase_differs",
                    "text": "the table has a purchase of this user and id with other content",
                    "raw": purchase,
                });
                writeln!(refused, "{line}").map_err(Failure::other)?;
            }
        }
        bar.inc();
    }
    bar.finish(format!("{} new, {} known", written.new_purchases, written.known_purchases));
    Ok(written)
}

/// Waits until the histories know the purchases, of which so many are new.
async fn follow(place: &mut Place, purchases: &[Purchase], new: u64) -> Result<(), Failure> {
    if new == 0 {
        return Ok(());
    }
    let mut users: Vec<_> = purchases.iter().map(|purchase| &purchase.user_id).collect();
    users.sort_unstable();
    users.dedup();
    let bar = Progress::new("Updating histories", new, false);
    if let Place::Attached { tables, .. } = place {
        // The server's own consumer does the same at the same time; the later of the two finds nothing to change.
        bar.set_total(users.len() as u64);
        let (history, table) = (tables.history()?, tables.purchases()?);
        let refreshed = futures::stream::iter(&users).map(async |user| history.refresh(user, &table).await);
        let mut refreshed = refreshed.buffer_unordered(WRITERS);
        while refreshed.try_next().await?.is_some() {
            bar.inc();
        }
    }
    place.catch_up(|delivered| bar.set(delivered)).await?;
    bar.finish(format!("{} users", users.len()));
    Ok(())
}

fn report(options: &cli::Import, summary: &Summary, written: Written, refused: &Path) -> Result<(), Failure> {
    let any_refused = summary.refused_records() > 0 || written.differing_purchases > 0;
    if options.json {
        let report = json!({
            "file": summary,
            "written": written,
            "refusedFile": any_refused.then(|| refused.display().to_string()),
        });
        println!("{}", serde_json::to_string_pretty(&report).map_err(Failure::other)?);
        return Ok(());
    }
    println!("{summary}");
    if written.nothing() {
        println!("Nothing changed: everything in {} was there already.", options.file.display());
    } else {
        println!(
            "Now there: {} new purchases ({} were there already), {} new and {} changed products ({} were there already).",
            written.new_purchases,
            written.known_purchases,
            written.new_products,
            written.changed_products,
            written.known_products
        );
    }
    if written.differing_purchases > 0 {
        println!(
            "{} purchases differ from what is stored under their ids and were left out.",
            written.differing_purchases
        );
    }
    if any_refused {
        println!("Refused lines, with reasons: {}", refused.display());
    }
    Ok(())
}
