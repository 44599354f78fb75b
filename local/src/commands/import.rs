//! `import`: files of purchases or products.

mod inputs;
pub(super) mod purchase_files;
mod reading;
mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use nextbasket_importer::RecordKind;
use nextbasket_job_engine::JobId;
use nextbasket_job_engine::job::OUTPUT;
use nextbasket_jobs_shop::import::REPORT;
use nextbasket_jobs_shop::import::refusals::flat;
use nextbasket_objects::AtomicFile;
use nextbasket_tables::purchases::OnChange;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failure;
use crate::folder_session::FolderSession;
use crate::folder_sharing::IfMissing;
use crate::job_run::{RunOptions, check_before_new_folder, run_at};
use crate::local_deployment::StreamProgress;
use crate::signals::{stop_in_order, until_stopped};
use crate::step_progress::StepProgress;
use crate::target::{Target, TargetOptions};
use inputs::Inputs;
use reading::ReadingOptions;
use report::{Imported, Report};

const EXAMPLES: &str = "Examples:\n  \
    nextbasket import orders.csv --data shop --dry-run\n  \
    nextbasket import orders.csv --data shop --map user_id=CustomerID,product_id=StockCode,timestamp=Date\n  \
    nextbasket import olist_*.csv --data shop --timezone America/Sao_Paulo\n  \
    nextbasket import 'exports/*.csv.gz' --data shop --on-change add\n  \
    zcat orders.csv.gz | nextbasket import - --data shop\n  \
    nextbasket import catalogue.csv --data shop --kind products\n\n\
    Exit codes: 0 if everything was imported or was there already, lines that are not purchases aside; 1 if other lines \
    were rejected, purchases differ from what is stored, a file is truncated, or a file has lines of which none could \
    be taken; 2 for invalid options. With --dry-run the same, as far as it can be told without the tables.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// The files, or quoted patterns such as 'orders/*.csv'; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetOptions,
    /// What the files contain
    #[arg(long, value_enum, default_value = "purchases")]
    pub kind: RecordKind,
    /// What happens to a stored purchase that a file has with other content [default: keep]
    #[arg(long, value_enum)]
    pub on_change: Option<OnChange>,
    /// Write rejected lines to this file, as JSON Lines [default: refused/FILE-….jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// Read the files and print what an import would, but write nothing; rejected lines are kept only with --refused
    #[arg(long)]
    pub dry_run: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub reading: ReadingOptions,
}

/// Fails if the options, a file or the target cannot be used, a file is truncated, lines of it are malformed, or none of
/// its records was imported.
pub(crate) async fn run(options: &Import) -> Result<(), Failure> {
    let inputs = Inputs::find(&options.files)?;
    check_refused(options, &inputs)?;
    if !options.dry_run && !inputs.have_pipe() {
        let asked = parameters(options, &inputs, false)?;
        check_before_new_folder(&options.target, "import", &asked).await?;
    }
    // Files are only read: a machine of its own leaves no trace, wherever the tables are.
    let temporary = if options.dry_run { Some((temporary_folder()?, stop_in_order())) } else { None };
    let mut target = match &temporary {
        Some((folder, _)) => target_in(folder.path()).open(IfMissing::Create).await?,
        None => options.target.open(IfMissing::Create).await?,
    };
    let result = import(options, inputs, &mut target).await;
    let (inputs, imported, refused) = target.close(result).await?;
    let report = Report {
        imported: &imported,
        inputs: &inputs,
        refused: refused.as_deref(),
        dry_run: options.dry_run,
    };
    if options.json {
        report.print_json()?;
    } else {
        report.print();
    }
    report.verdict()
}

fn temporary_folder() -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("nextbasket-dry-run-")
        .tempdir()
        .map_err(Failure::of_file(&std::env::temp_dir()))
}

/// A data folder, and nothing elsewhere.
fn target_in(folder: &Path) -> TargetOptions {
    TargetOptions {
        data: folder.join("data"),
        endpoint: None,
        s3_endpoint: None,
        region: None,
        profile: None,
        operations: None,
        bucket: None,
        state: None,
    }
}

/// The inputs, what was imported, and the file with the rejected lines if there are any.
async fn import(
    options: &Import,
    inputs: Inputs,
    target: &mut Target,
) -> Result<(Inputs, Imported, Option<PathBuf>), Failure> {
    // If another process has the folder open, that process updates the histories, or nothing does until a server
    // runs.
    let attached = matches!(target.session, Some(FolderSession::Attached { .. }));
    let is_data_folder = target.session.is_some();
    let folder = if is_data_folder { target.folder.clone() } else { std::env::temp_dir() };
    // What is in a pipe is gone when this command ends, so nobody could resume the job.
    let endless = options.dry_run || inputs.have_pipe();
    let (inputs, _spool) = tokio::select! {
        spooled = inputs.spool(&folder) => spooled?,
        by = until_stopped() => {
            return Err(Failure::Stopped { by, message: "stopped. Nothing was written.".to_owned() });
        }
    };
    let refused = refused_path(options, &inputs, &target.folder);
    let run_options = RunOptions {
        json: options.json,
        refused: refused.clone(),
        refused_line: flat,
        discard_refused: options.dry_run && options.refused.is_none(),
        endless,
        ..RunOptions::default()
    };
    let parameters = parameters(options, &inputs, attached)?;
    let running = run_at(target, "import", parameters, &run_options);
    let ended = target.bulk_load(running).await??;
    let ended = ended.ok_or_else(|| Failure::other("the import was not run"))?;
    if let Some(by) = ended.stopped_by {
        let message = if options.dry_run {
            "stopped. Nothing was written."
        } else {
            "stopped. What was written before is kept. To import the rest, run the command again."
        };
        return Err(Failure::Stopped { by, message: message.to_owned() });
    }
    if let Some(failure) = ended.failures.first() {
        return Err(Failure::Other(inputs.with_names(&failure.reason)));
    }
    let ended = ended.succeeded()?;
    let mut imported: Imported = ended.result_as()?;
    read_report(target, &ended.job.job_id, &mut imported).await?;
    if ended.refused.is_none()
        && let Some(path) = &refused
    {
        // An existing file is from an earlier import.
        AtomicFile::write_all_of(path, b"").map_err(Failure::of_file(path))?;
    }
    if options.kind == RecordKind::Purchases && !options.dry_run {
        let written = imported.written;
        update_histories(target, written.new_purchases + written.changed_purchases).await?;
    }
    Ok((inputs, imported, ended.refused))
}

/// Reads the summaries that name persons, and removes them from the target.
async fn read_report(target: &Target, id: &JobId, imported: &mut Imported) -> Result<(), Failure> {
    // Texts of the result may be masked: values of --only, --skip and --guest are.
    let key = &id.object_key(&format!("{OUTPUT}{REPORT}"));
    let objects = target.job_site()?.objects;
    let content = objects.get(key).await.map_err(Failure::other)?;
    imported.read = serde_json::from_slice(&content).map_err(Failure::other)?;
    objects.delete(key).await.map_err(Failure::other)
}

fn parameters(options: &Import, inputs: &Inputs, attached: bool) -> Result<Value, Failure> {
    let parameters = options.reading.parameters()?;
    let sources: Vec<&Path> = inputs.0.iter().map(|input| input.path.as_path()).collect();
    let parameters = match sources.as_slice() {
        [source] => parameters.with("source", json!(source)),
        _ => parameters.with("sources", json!(sources)),
    };
    Ok(parameters
        .with("kind", json!(options.kind))
        .with("onChange", json!(options.on_change))
        .with_flag("check", options.dry_run)
        .with("report", true)
        // A server's own consumer does the same at the same time; the later of the two finds nothing to change.
        .with("histories", attached && options.kind == RecordKind::Purchases)
        .json())
}

/// The file for rejected lines is not one that is imported.
fn check_refused(options: &Import, inputs: &Inputs) -> Result<(), Failure> {
    let Some(refused) = options.refused.as_ref().and_then(|path| path.canonicalize().ok()) else {
        return Ok(());
    };
    if inputs.0.iter().any(|input| input.path.canonicalize().is_ok_and(|path| path == refused)) {
        return Err(Failure::Usage(
            "--refused: this is a file that is imported. Name another file.".to_owned(),
        ));
    }
    Ok(())
}

/// The file for rejected lines; `None`: named after the job.
fn refused_path(options: &Import, inputs: &Inputs, folder: &Path) -> Option<PathBuf> {
    match &options.refused {
        Some(path) => Some(path.clone()),
        None if options.dry_run => None,
        None => Some(folder.join("refused").join(inputs.refused_name()?)),
    }
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
