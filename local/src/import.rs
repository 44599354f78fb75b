//! `import`: takes in a file of purchases or products, as a job.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nextbasket_shop_jobs::import::refusals::flat;
use nextbasket_shop_jobs::import::write::Written;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::{self, Kind};
use crate::jobs::run::{Ended, RunOptions, as_option, run_at};
use crate::place::Place;
use crate::progress::Progress;
use crate::target::Reached;

/// What the job came to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    read: Vec<Read>,
    written: Written,
    broken_off: Vec<BrokenOff>,
}

/// A file.
#[derive(Debug, Deserialize)]
struct Read {
    /// The importer's counts.
    summary: Value,
    /// The same for people.
    text: String,
}

#[derive(Debug, Deserialize)]
struct BrokenOff {
    why: String,
}

/// Imports the file.
///
/// # Errors
/// [`Failure`] if the options, the file or the target cannot be used, or the file breaks off.
pub async fn run(options: &cli::Import) -> Result<(), Failure> {
    let path = readable(&options.file)?;
    let mut reached = options.target.reach().await?;
    let result = import(options, &path, &mut reached).await;
    reached.close().await?;
    let Some(ended) = result? else { return Ok(()) };
    let imported: Imported = ended.result_as()?;
    report(options, &imported, ended.refused.as_deref())?;
    match imported.broken_off.first() {
        Some(BrokenOff { why }) => Err(Failure::Other(format!(
            "{} broke off: {why}; what stood before is imported, get the whole file and import it again",
            options.file.display()
        ))),
        None => Ok(()),
    }
}

fn named(path: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |source| Failure::File { path: path.display().to_string(), source }
}

/// Where the file is, whatever folder one is in.
fn readable(path: &Path) -> Result<PathBuf, Failure> {
    let file = File::open(path).map_err(named(path))?;
    if file.metadata().map_err(named(path))?.is_dir() {
        return Err(Failure::Usage(format!("{} is a folder; name a file", path.display())));
    }
    std::path::absolute(path).map_err(named(path))
}

async fn import(options: &cli::Import, path: &Path, reached: &mut Reached) -> Result<Option<Ended>, Failure> {
    let attached = matches!(reached.place(), Some(Place::Attached { .. }));
    let refused = refused_path(options, reached.folder())?;
    let how = RunOptions {
        json: options.json,
        refused: Some(refused),
        refused_line: flat,
        dry_run: options.dry_run,
        ..RunOptions::default()
    };
    bulk_loading(reached, true)?;
    let ended = match run_at(reached, "import", parameters(options, path, attached), &how).await {
        Ok(Some(ended)) => whole(ended, options, path).and_then(|ended| {
            let imported: Imported = ended.result_as()?;
            Ok(Some((ended, imported.written.new_purchases)))
        }),
        Ok(None) => Ok(None),
        Err(failure) => Err(as_option(failure, &[])),
    };
    let result = match ended {
        Ok(Some((ended, new))) => follow(reached, new).await.map(|()| Some(ended)),
        Ok(None) => Ok(None),
        Err(failure) => Err(failure),
    };
    bulk_loading(reached, false)?;
    result
}

fn bulk_loading(reached: &mut Reached, on: bool) -> Result<(), Failure> {
    reached.place().map_or(Ok(()), |place| place.bulk_loading(on))
}

fn parameters(options: &cli::Import, path: &Path, attached: bool) -> Value {
    let kind = match options.kind {
        Kind::Purchases => "purchases",
        Kind::Products => "products",
    };
    let skipped: Vec<&str> =
        options.skip_products.iter().flat_map(|patterns| patterns.split(',')).map(str::trim).collect();
    let mut parameters = json!({
        "source": path,
        "kind": kind,
        "currency": options.currency,
        "skipProducts": skipped.into_iter().filter(|pattern| !pattern.is_empty()).collect::<Vec<_>>(),
        // The server's own consumer does the same at the same time; the later of the two finds nothing to change.
        "histories": attached && options.kind == Kind::Purchases,
    });
    for (name, value) in [("map", &options.map), ("timeFormat", &options.time_format)] {
        if let (Some(all), Some(value)) = (parameters.as_object_mut(), value) {
            all.insert(name.to_owned(), json!(value));
        }
    }
    parameters
}

/// A file that cannot be used is named as it was given.
fn whole(ended: Ended, options: &cli::Import, path: &Path) -> Result<Ended, Failure> {
    let Some(failure) = ended.failures.first() else { return ended.succeeded() };
    let of_file = failure.reason.strip_prefix(&*path.to_string_lossy());
    Err(Failure::Other(match of_file {
        Some(rest) => format!("{}{rest}", options.file.display()),
        None => failure.reason.clone(),
    }))
}

/// Where refused lines go: an empty file until there are some.
fn refused_path(options: &cli::Import, folder: &Path) -> Result<PathBuf, Failure> {
    let path = match &options.refused {
        Some(path) => {
            let is_the_file = |path: PathBuf| fs::canonicalize(&options.file).is_ok_and(|file| file == path);
            if fs::canonicalize(path).is_ok_and(is_the_file) {
                return Err(Failure::Usage(
                    "--refused names the file that is imported; name another".to_owned(),
                ));
            }
            path.clone()
        }
        None => {
            let folder = folder.join("refused");
            fs::create_dir_all(&folder).map_err(named(&folder))?;
            let name = options.file.file_name().unwrap_or_default().to_string_lossy();
            folder.join(format!("{name}.jsonl"))
        }
    };
    File::create(&path).map_err(named(&path))?;
    Ok(path)
}

/// Waits, on a machine of the command's own, until the histories know the new purchases.
async fn follow(reached: &mut Reached, new: u64) -> Result<(), Failure> {
    let Some(place @ Place::Own(_)) = reached.place() else { return Ok(()) };
    if new == 0 {
        return Ok(());
    }
    let bar = Progress::new("Updating histories", new, false);
    place.catch_up(|delivered| bar.set(delivered)).await?;
    bar.finish("done");
    Ok(())
}

fn report(options: &cli::Import, imported: &Imported, refused: Option<&Path>) -> Result<(), Failure> {
    let Imported { read, written, .. } = imported;
    if options.json {
        let report = json!({
            "file": read.first().map(|file| &file.summary),
            "written": written,
            "refusedFile": refused.map(|path| path.display().to_string()),
        });
        println!("{}", serde_json::to_string_pretty(&report).map_err(Failure::other)?);
        return Ok(());
    }
    for file in read {
        println!("{}", file.text);
    }
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
    if let Some(refused) = refused {
        println!("Refused lines, with reasons: {}", refused.display());
    }
    Ok(())
}
