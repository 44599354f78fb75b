//! `import`: takes in a file of purchases or products, as a job.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nextbasket_importer::Reason;
use nextbasket_job_io::output::Output;
use nextbasket_shop_jobs::import::refusals::flat;
use nextbasket_shop_jobs::import::write::Written;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::cli::{self, Kind};
use crate::jobs::run::{Ended, RunOptions, as_option, run_at};
use crate::out::outln;
use crate::place::{Absent, Place};
use crate::progress::Progress;
use crate::system::Followed;
use crate::target::Reached;

/// What the job came to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    records: u64,
    taken: u64,
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

impl Read {
    /// The records that were rejected, by reason.
    fn rejected(&self) -> BTreeMap<Reason, u64> {
        let counts = self.summary.get("refused").map(BTreeMap::deserialize);
        counts.and_then(Result::ok).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
struct BrokenOff {
    why: String,
}

/// Imports the file.
///
/// # Errors
/// [`Failure`] if the options, the file or the target cannot be used, the file is truncated, lines of it are
/// malformed, or none of its records was imported.
pub async fn run(options: &cli::Import) -> Result<(), Failure> {
    let path = readable(&options.file)?;
    let mut reached = options.target.reach(Absent::filled(options.dry_run)).await?;
    let result = import(options, &path, &mut reached).await;
    let Some(ended) = reached.finish(result).await? else { return Ok(()) };
    let imported: Imported = ended.result_as()?;
    report(options, &imported, ended.refused.as_deref())?;
    imported.verdict(options, ended.refused.as_deref())
}

impl Imported {
    /// Success or failure of the command.
    fn verdict(&self, options: &cli::Import, refused: Option<&Path>) -> Result<(), Failure> {
        let file = options.file.display();
        if let Some(BrokenOff { why }) = self.broken_off.first() {
            return Err(Failure::Other(format!(
                "{file} broke off: {why}; what stood before is imported, get the whole file and import it again"
            )));
        }
        let see = refused.map(|path| format!("; see {}", path.display())).unwrap_or_default();
        let (all, malformed) = (self.rejected(|_| true), self.rejected(|reason| !reason.is_no_purchase()));
        let differing = self.written.differing_purchases;
        if self.records > 0 && self.taken == 0 {
            return Err(Failure::Other(format!(
                "Nothing was imported: all {} lines of {file} were rejected: {}{see}",
                self.records,
                in_words(&all)
            )));
        }
        if self.all_differ() {
            return Err(Failure::Other(format!(
                "Nothing was imported: all {differing} purchases of {file} differ from what is stored under their ids{see}"
            )));
        }
        let mut problems = Vec::new();
        if !malformed.is_empty() {
            let lines: u64 = malformed.values().sum();
            problems.push(format!("{lines} malformed lines were rejected: {}", in_words(&malformed)));
        }
        if differing > 0 {
            problems.push(format!("{differing} purchases differ from what is stored under their ids"));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::Other(format!("{file}: {}{see}", problems.join("; "))))
    }

    /// Whether the file had purchases, and each of them was stored before with other content.
    fn all_differ(&self) -> bool {
        let Written { differing_purchases, known_purchases, .. } = self.written;
        differing_purchases > 0 && known_purchases == 0 && self.written.nothing()
    }

    /// The rejected records whose reason satisfies `wanted`, by reason.
    fn rejected(&self, wanted: impl Fn(Reason) -> bool) -> BTreeMap<Reason, u64> {
        let mut counts = BTreeMap::new();
        for (reason, count) in self.read.iter().flat_map(Read::rejected) {
            if wanted(reason) {
                *counts.entry(reason).or_default() += count;
            }
        }
        counts
    }
}

/// `3 bad_time, 2 missing_user`: the most frequent first.
fn in_words(counts: &BTreeMap<Reason, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<String> =
        counts.into_iter().map(|(reason, count)| format!("{count} {}", reason.as_str())).collect();
    words.join(", ")
}

/// Where the file is, whatever folder one is in.
fn readable(path: &Path) -> Result<PathBuf, Failure> {
    let file = File::open(path).map_err(Failure::of_file(path))?;
    if file.metadata().map_err(Failure::of_file(path))?.is_dir() {
        return Err(Failure::Usage(format!("{} is a folder; name a file", path.display())));
    }
    std::path::absolute(path).map_err(Failure::of_file(path))
}

async fn import(options: &cli::Import, path: &Path, reached: &mut Reached) -> Result<Option<Ended>, Failure> {
    // If another process has the folder open, that process updates the histories, or nothing does until a server
    // runs.
    let attached = matches!(reached.place(), Some(Place::Attached { .. }));
    let refused = refused_path(options, reached.folder())?;
    let how = RunOptions {
        json: options.json,
        refused: Some(refused.clone()),
        refused_line: flat,
        dry_run: options.dry_run,
        ..RunOptions::default()
    };
    let running = run_at(reached, "import", parameters(options, path, attached), &how);
    let ran = reached.in_bulk(running).await?;
    let Some(ended) = ran.map_err(|failure| as_option(failure, &[]))? else { return Ok(None) };
    let ended = whole(ended, options, path)?;
    if ended.refused.is_none() {
        // An existing file is from an earlier import.
        Output::write_all_of(&refused, b"").map_err(Failure::of_file(&refused))?;
    }
    let imported: Imported = ended.result_as()?;
    if options.kind == Kind::Purchases {
        follow(reached, imported.written.new_purchases).await?;
    }
    Ok(Some(ended))
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
        // A server's own consumer does the same at the same time; the later of the two finds nothing to change.
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

/// The path of the file for refused lines.
fn refused_path(options: &cli::Import, folder: &Path) -> Result<PathBuf, Failure> {
    let Some(path) = &options.refused else {
        let name = options.file.file_name().unwrap_or_default().to_string_lossy();
        return Ok(folder.join("refused").join(format!("{name}.jsonl")));
    };
    let is_the_file = |path: PathBuf| fs::canonicalize(&options.file).is_ok_and(|file| file == path);
    if fs::canonicalize(path).is_ok_and(is_the_file) {
        return Err(Failure::Usage("--refused names the file that is imported; name another".to_owned()));
    }
    Ok(path.clone())
}

/// Waits, if the command runs a machine of its own, until the histories include all purchases, also those of an
/// import that was killed.
async fn follow(reached: &mut Reached, new: u64) -> Result<(), Failure> {
    let Some(place @ Place::Own { .. }) = reached.place_mut() else { return Ok(()) };
    let bar = Progress::new("Updating histories", new, false);
    place.follow().await?;
    let place = &*place;
    let followed = |followed: Followed| {
        if let Some(of) = followed.of {
            bar.set_total(of);
        }
        bar.set(followed.delivered);
    };
    place.in_bulk(place.catch_up(followed)).await??;
    if new == 0 {
        bar.clear();
    } else {
        bar.finish("done");
    }
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
        outln!("{}", serde_json::to_string_pretty(&report).map_err(Failure::other)?);
        return Ok(());
    }
    for file in read {
        outln!("{}", file.text);
    }
    let file = options.file.display();
    if imported.records == 0 {
        outln!("Nothing to import: {file} has no lines but its header.");
    } else if imported.taken == 0 || imported.all_differ() {
        // The failure already reports this.
    } else if written.nothing() && written.differing_purchases > 0 {
        outln!("Nothing changed: {} purchases in {file} were there already.", written.known_purchases);
    } else if written.nothing() {
        outln!("Nothing changed: everything in {file} was there already.");
    } else {
        outln!(
            "Now there: {} new purchases ({} were there already), {} new and {} changed products ({} were there already).",
            written.new_purchases,
            written.known_purchases,
            written.new_products,
            written.changed_products,
            written.known_products
        );
    }
    if written.differing_purchases > 0 {
        outln!(
            "{} purchases differ from what is stored under their ids and were left out.",
            written.differing_purchases
        );
    }
    if let Some(refused) = refused {
        outln!("Refused lines, with reasons: {}", refused.display());
    }
    Ok(())
}
