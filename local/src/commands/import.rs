//! `import`: a file of purchases or products.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;
use nextbasket_importer::{RecordKind, RefusalReason};
use nextbasket_jobs_shop::import::refusals::flat;
use nextbasket_jobs_shop::import::write::WriteCounts;
use nextbasket_objects::AtomicFile;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Failure;
use crate::folder_session::FolderSession;
use crate::folder_sharing::IfMissing;
use crate::job_run::{EndedJob, RunOptions, run_at};
use crate::local_deployment::StreamProgress;
use crate::options::Parameters;
use crate::stdio::outln;
use crate::step_progress::StepProgress;
use crate::target::{Target, TargetOptions};

#[derive(Debug, Args)]
pub struct Import {
    /// The file
    pub file: PathBuf,
    #[command(flatten)]
    pub target: TargetOptions,
    /// What the file contains
    #[arg(long, value_enum, default_value = "purchases")]
    pub kind: RecordKind,
    /// The names of our columns in the file, as in user_id=CustomerID,product_id=StockCode
    #[arg(long, value_name = "OURS=THEIRS,…")]
    pub map: Option<String>,
    /// The currency of prices without one (ISO 4217)
    #[arg(long, default_value = "EUR")]
    pub currency: String,
    /// The format of times, as in %d/%m/%Y %H:%M; not needed for RFC 3339 and similar formats
    #[arg(long, value_name = "PATTERN")]
    pub time_format: Option<String>,
    /// Product ids to skip because they are not products, such as POST,gift_*
    #[arg(long, value_name = "PATTERN,…")]
    pub skip_products: Option<String>,
    /// Write rejected lines to this file, as JSON Lines [default: refused/FILE.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// Print an estimate, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    records: u64,
    taken: u64,
    read: Vec<FileRead>,
    written: WriteCounts,
    broken_off: Vec<BrokenOff>,
}

#[derive(Debug, Deserialize)]
struct FileRead {
    /// The importer's counts.
    summary: Value,
    /// The same for people.
    text: String,
}

impl FileRead {
    /// The records that were rejected, by reason.
    fn rejected(&self) -> BTreeMap<RefusalReason, u64> {
        let counts = self.summary.get("refused").map(BTreeMap::deserialize);
        counts.and_then(Result::ok).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
struct BrokenOff {
    why: String,
}

/// Fails if the options, the file or the target cannot be used, the file is truncated, lines of it are malformed, or
/// none of its records was imported.
pub(crate) async fn run(options: &Import) -> Result<(), Failure> {
    let path = readable(&options.file)?;
    let mut target = options.target.open(IfMissing::filled(options.dry_run)).await?;
    let result = import(options, &path, &mut target).await;
    let Some(ended) = target.close(result).await? else { return Ok(()) };
    let imported: Imported = ended.result_as()?;
    report(options, &imported, ended.refused.as_deref())?;
    imported.verdict(options, ended.refused.as_deref())
}

impl Imported {
    /// Success or failure of the command.
    fn verdict(&self, options: &Import, refused: Option<&Path>) -> Result<(), Failure> {
        let file = options.file.display();
        if let Some(BrokenOff { why }) = self.broken_off.first() {
            return Err(Failure::Other(format!(
                "{file} is truncated: {why}. Everything before that is imported. Get the whole file and import it again."
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
        let WriteCounts { differing_purchases, known_purchases, .. } = self.written;
        differing_purchases > 0 && known_purchases == 0 && self.written.nothing()
    }

    /// The rejected records whose reason satisfies `wanted`, by reason.
    fn rejected(&self, wanted: impl Fn(RefusalReason) -> bool) -> BTreeMap<RefusalReason, u64> {
        let mut counts = BTreeMap::new();
        for (reason, count) in self.read.iter().flat_map(FileRead::rejected) {
            if wanted(reason) {
                *counts.entry(reason).or_default() += count;
            }
        }
        counts
    }
}

/// `3 bad_time, 2 missing_user`: the most frequent first.
fn in_words(counts: &BTreeMap<RefusalReason, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    words.join(", ")
}

/// The absolute path of a file that can be opened.
fn readable(path: &Path) -> Result<PathBuf, Failure> {
    let file = File::open(path).map_err(Failure::of_file(path))?;
    if file.metadata().map_err(Failure::of_file(path))?.is_dir() {
        return Err(Failure::Usage(format!("{} is a folder: name a file", path.display())));
    }
    std::path::absolute(path).map_err(Failure::of_file(path))
}

async fn import(options: &Import, path: &Path, target: &mut Target) -> Result<Option<EndedJob>, Failure> {
    // If another process has the folder open, that process updates the histories, or nothing does until a server
    // runs.
    let attached = matches!(target.session, Some(FolderSession::Attached { .. }));
    let refused = refused_path(options, &target.folder)?;
    let run_options = RunOptions {
        json: options.json,
        refused: Some(refused.clone()),
        refused_line: flat,
        dry_run: options.dry_run,
        ..RunOptions::default()
    };
    let parameters = parameters(options, path, attached);
    let running = run_at(target, "import", parameters, &run_options);
    let Some(ended) = target.bulk_load(running).await?? else { return Ok(None) };
    let ended = readable_to_end(ended, options, path)?;
    if ended.refused.is_none() {
        // An existing file is from an earlier import.
        AtomicFile::write_all_of(&refused, b"").map_err(Failure::of_file(&refused))?;
    }
    let imported: Imported = ended.result_as()?;
    if options.kind == RecordKind::Purchases {
        update_histories(target, imported.written.new_purchases).await?;
    }
    Ok(Some(ended))
}

fn parameters(options: &Import, path: &Path, attached: bool) -> Value {
    let skipped: Vec<&str> = options
        .skip_products
        .iter()
        .flat_map(|patterns| patterns.split(','))
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
        .collect();
    Parameters::default()
        .with("source", json!(path))
        .with("kind", json!(options.kind))
        .with("map", options.map.clone())
        .with("currency", options.currency.as_str())
        .with("timeFormat", options.time_format.clone())
        .with("skipProducts", skipped)
        // A server's own consumer does the same at the same time; the later of the two finds nothing to change.
        .with("histories", attached && options.kind == RecordKind::Purchases)
        .json()
}

/// Fails if the file cannot be used, with its name as it was given.
fn readable_to_end(ended: EndedJob, options: &Import, path: &Path) -> Result<EndedJob, Failure> {
    let Some(failure) = ended.failures.first() else { return ended.succeeded() };
    let of_file = failure.reason.strip_prefix(&*path.to_string_lossy());
    Err(Failure::Other(match of_file {
        Some(rest) => format!("{}{rest}", options.file.display()),
        None => failure.reason.clone(),
    }))
}

/// The path of the file for refused lines.
fn refused_path(options: &Import, folder: &Path) -> Result<PathBuf, Failure> {
    let Some(path) = &options.refused else {
        let name = options.file.file_name().unwrap_or_default().to_string_lossy();
        return Ok(folder.join("refused").join(format!("{name}.jsonl")));
    };
    let is_the_file = |path: PathBuf| fs::canonicalize(&options.file).is_ok_and(|file| file == path);
    if fs::canonicalize(path).is_ok_and(is_the_file) {
        return Err(Failure::Usage(
            "--refused: this is the file that is imported. Name another file.".to_owned(),
        ));
    }
    Ok(path.clone())
}

/// Waits, if the command runs a machine of its own, until the histories include all purchases, also those of an
/// import that was killed.
async fn update_histories(target: &mut Target, new: u64) -> Result<(), Failure> {
    let Some(session @ FolderSession::Own { .. }) = &mut target.session else { return Ok(()) };
    let bar = StepProgress::new("Updating histories", new);
    session.start_mappings().await?;
    let session = &*session;
    let show = |progress: StreamProgress| {
        if let Some(total) = progress.total {
            bar.set_total(total);
        }
        bar.set(progress.delivered);
    };
    session.bulk_load(session.catch_up(show)).await??;
    if new == 0 {
        bar.clear();
    } else {
        bar.finish("done");
    }
    Ok(())
}

fn report(options: &Import, imported: &Imported, refused: Option<&Path>) -> Result<(), Failure> {
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
    } else if written.nothing() && written.erased_purchases > 0 {
        outln!("Nothing changed.");
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
    if written.erased_purchases > 0 {
        outln!("{} purchases of erased users were left out.", written.erased_purchases);
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
