//! `upload`: a folder's files to a bucket, each exactly once.

mod watch;

use std::num::NonZero;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use nextbasket_domain::Clock;
use nextbasket_objects::MIN_PART_SIZE;
use nextbasket_uploads::{
    CancellationToken, ClaimedFiles, FolderFiles, OnChange, UploadDestination, UploadError, UploadServices,
    UploadSettings, UploadSummary, Uploads, walk,
};
use serde_json::json;

use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::options::value::{duration, lease, size};
use crate::signals::{TerminationSignal, until_stopped};
use crate::stdio::print_result;
use crate::step_progress::StepProgress;
use crate::target::{Target, TargetOptions, holder};

/// How many names of files are printed in each list.
const MAX_NAMES: usize = 20;

#[derive(Debug, Args)]
pub struct Upload {
    /// The folder, with its subfolders
    pub dir: PathBuf,
    /// The destination: s3://BUCKET/PREFIX
    #[arg(value_name = "s3://BUCKET/PREFIX", value_parser = destination)]
    pub to: UploadDestination,
    #[command(flatten)]
    pub target: TargetOptions,
    /// How many files, and parts of a large file, are sent at the same time
    #[arg(long, value_name = "N", default_value = "8")]
    pub workers: NonZero<u16>,
    /// What to do with a file whose content differs from the object that exists
    #[arg(long, value_enum, default_value = "fail")]
    pub on_change: OnChange,
    /// Send files larger than this in parts of this size, at least 5MiB
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = part_size)]
    pub part_size: u64,
    /// How long the claims of a killed process keep other processes from its files
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = lease)]
    pub lease: Duration,
    /// Look for new files again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, requires = "watch")]
    pub interval: Duration,
    /// Skip files that changed within this time until the next look: they may still be written
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration, requires = "watch")]
    pub settle: Duration,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Fails if the folder or the target cannot be used, or if a file is not uploaded in the end.
pub(crate) async fn run(options: &Upload) -> Result<(), Failure> {
    if !options.dir.metadata().map_err(Failure::of_file(&options.dir))?.is_dir() {
        return Err(Failure::Usage(format!("{} is a file: name a folder", options.dir.display())));
    }
    let target = options.target.open(IfMissing::Create).await?;
    let started = Instant::now();
    let result = upload(options, &target).await;
    let (summary, stopped) = target.close(result).await?;
    report(options, &summary, stopped, started.elapsed())
}

/// Uploads until all files are done or a signal asks it to stop. Returns the summary and that signal, if there was
/// one.
async fn upload(
    options: &Upload,
    target: &Target,
) -> Result<(UploadSummary, Option<TerminationSignal>), Failure> {
    let stop = CancellationToken::new();
    let uploads = uploads(options, target)?.with_stop(stop.clone());
    let work = async {
        if options.watch {
            watch::watch(options, &uploads, &stop).await
        } else {
            let found = find_files(options).await?;
            let bar = StepProgress::new("Uploading", found.files.len() as u64);
            let run = uploads
                .upload_files(&found.files, options.to.prefix(), ClaimedFiles::Await, |_, _| bar.increment())
                .await;
            let summary = with_found(run.map_err(|error| upload_failure(&error))?, &found);
            bar.finish(format!("{} of {} files", summary.files - summary.left, found.files.len()));
            Ok(summary)
        }
    };
    tokio::pin!(work);
    tokio::select! {
        summary = &mut work => Ok((summary?, None)),
        signal = until_stopped() => {
            stop.cancel();
            Ok((work.await?, Some(signal)))
        }
    }
}

fn uploads(options: &Upload, target: &Target) -> Result<Uploads, Failure> {
    let services = UploadServices {
        s3: target.s3.clone(),
        dynamodb: target.operations_dynamodb()?.clone(),
        operations: target.operations.clone(),
        bucket: options.to.bucket().to_owned(),
        clock: Clock::system(),
        random: target.random.clone(),
    };
    let settings = UploadSettings {
        holder: holder(),
        lease: options.lease,
        part_size: options.part_size,
        workers: usize::from(options.workers.get()),
        on_change: options.on_change,
    };
    Ok(Uploads::new(services, settings))
}

async fn find_files(options: &Upload) -> Result<FolderFiles, Failure> {
    let (dir, to) = (options.dir.clone(), options.to.clone());
    let walked = tokio::task::spawn_blocking(move || walk(&dir, &to)).await.map_err(Failure::other)?;
    walked.map_err(Failure::of_file(&options.dir))
}

fn with_found(mut summary: UploadSummary, found: &FolderFiles) -> UploadSummary {
    summary.refused.extend(found.refused.iter().cloned());
    summary.skipped = found.skipped;
    summary
}

/// Prints the summary, and fails if files were not uploaded.
fn report(
    options: &Upload,
    summary: &UploadSummary,
    stopped: Option<TerminationSignal>,
    took: Duration,
) -> Result<(), Failure> {
    let mut value = serde_json::to_value(summary).map_err(Failure::other)?;
    if let Some(members) = value.as_object_mut() {
        members.insert("seconds".to_owned(), json!(took.as_secs_f64()));
        members.insert("stopped".to_owned(), json!(stopped.is_some()));
    }
    print_result(options.json, &value, || in_words(summary, &options.to, took));
    let missing = summary.left
        + [summary.changed.len(), summary.gone.len(), summary.refused.len()].iter().sum::<usize>() as u64;
    // With `--watch` the command has no end of its own; files that were left then are for the next run.
    let message = if missing == 0 || (options.watch && missing == summary.left) {
        String::new()
    } else {
        let again = if summary.left > 0 || !summary.gone.is_empty() { ": run it again" } else { "" };
        format!("{missing} files of {} were not uploaded{again}", options.dir.display())
    };
    match stopped {
        Some(by) if options.watch && message.is_empty() => Failure::of_endless(by),
        Some(by) => Err(Failure::Stopped { by, message }),
        None if message.is_empty() => Ok(()),
        None => Err(Failure::Other(message)),
    }
}

fn in_words(summary: &UploadSummary, to: &UploadDestination, took: Duration) -> String {
    let mut lines = Vec::new();
    if summary.sent == 0 && summary.by_others == 0 && summary.is_complete() {
        lines.push(match summary.files {
            0 => "Nothing to upload: there are no files.".to_owned(),
            files => format!("Nothing to upload: all {files} files are in {to} already."),
        });
    } else {
        lines.push(format!(
            "{} files uploaded to {to}, {} in {:.1} s; {} were there already, {} were uploaded by others meanwhile.",
            summary.sent,
            bytes(summary.sent_bytes),
            took.as_secs_f64(),
            summary.already_there,
            summary.by_others,
        ));
    }
    if summary.leftovers > 0 {
        lines.push(format!("{} unfinished uploads of killed processes were ended.", summary.leftovers));
    }
    if summary.skipped > 0 {
        lines.push(format!("{} sockets, pipes or devices were skipped.", summary.skipped));
    }
    if summary.left > 0 {
        lines.push(format!("{} files are left for another run.", summary.left));
    }
    let versions = summary.versions.iter().map(|version| format!("{} is {}", version.path, version.key));
    list_names(&mut lines, "Changed, uploaded as new versions", versions.collect());
    list_names(&mut lines, "Different from what is there, not uploaded", summary.changed.clone());
    list_names(&mut lines, "Gone before they could be read", summary.gone.clone());
    let refused = summary.refused.iter().map(|refused| format!("{}: {}", refused.path, refused.reason));
    list_names(&mut lines, "Not uploaded", refused.collect());
    lines.join("\n")
}

fn list_names(lines: &mut Vec<String>, title: &str, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    lines.push(format!("{title} ({}):", names.len()));
    let more = names.len().saturating_sub(MAX_NAMES);
    lines.extend(names.into_iter().take(MAX_NAMES).map(|name| format!("  {name}")));
    if more > 0 {
        lines.push(format!("  and {more} more; --json names all"));
    }
}

fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

fn upload_failure(error: &UploadError) -> Failure {
    let again = if error.is_transient() { "; run it again: what was uploaded is kept" } else { "" };
    Failure::Other(format!("{error}{again}"))
}

fn destination(text: &str) -> Result<UploadDestination, String> {
    text.parse().map_err(|error: nextbasket_uploads::InvalidDestination| error.to_string())
}

fn part_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < MIN_PART_SIZE => {
            Err("expected at least 5MiB, the minimum size of a part in S3".to_owned())
        }
        bytes if bytes > 5 << 30 => Err("expected at most 5GiB, the maximum size of a part in S3".to_owned()),
        bytes => Ok(bytes),
    }
}
