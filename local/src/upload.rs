//! `upload`: a folder's files into a bucket, each exactly once.

mod watch;

use std::num::NonZero;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use nextbasket_domain::Clock;
use nextbasket_uploads::{
    Destination, Found, OnChange, Others, SMALLEST_PART, Services, Settings, Stopper, Summary, UploadError,
    Uploads, walk,
};
use serde_json::json;

use crate::Failure;
use crate::cli::{duration, lease, size};
use crate::out::outln;
use crate::place::Absent;
use crate::progress::Progress;
use crate::signals::{Stopping, until_stopped};
use crate::target::{Reached, Target, holder};

/// How many names of files are printed of each sort.
const NAMES: usize = 20;

/// Options of `upload`.
#[derive(Debug, Args)]
pub struct Upload {
    /// The folder; with the folders in it
    pub dir: PathBuf,
    /// Where to: s3://BUCKET/PREFIX
    #[arg(value_name = "s3://BUCKET/PREFIX", value_parser = destination)]
    pub to: Destination,
    /// Where the bucket and the table of claims are.
    #[command(flatten)]
    pub target: Target,
    /// How many files, and of a large one how many parts, are sent at a time
    #[arg(long, value_name = "N", default_value = "8")]
    pub workers: NonZero<u16>,
    /// What to do about a file that differs from what is there
    #[arg(long, value_enum, default_value = "fail")]
    pub on_change: Policy,
    /// Files larger than this are sent in parts of this size, at least 5MiB
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = part_size)]
    pub part_size: u64,
    /// How long the claims of a killed process keep others from its files; a living one renews them
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = lease)]
    pub lease: Duration,
    /// Keep looking for new files, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, requires = "watch")]
    pub interval: Duration,
    /// Leave files for the next look that changed within this time: somebody may be writing them
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration, requires = "watch")]
    pub settle: Duration,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do about a file that differs from what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Leave what is there, name the file, and end with exit code 1 when the others are done.
    Fail,
    /// Upload it beside what is there, as NAME.~2~.EXT, then NAME.~3~.EXT and so on.
    Version,
}

/// Uploads the folder.
///
/// # Errors
/// [`Failure`] if the folder or the target cannot be used, or if a file is not there in the end.
pub async fn run(options: &Upload) -> Result<(), Failure> {
    if !options.dir.metadata().map_err(Failure::of_file(&options.dir))?.is_dir() {
        return Err(Failure::Usage(format!("{} is a file; name a folder", options.dir.display())));
    }
    let reached = options.target.reach(Absent::Make).await?;
    let begun = Instant::now();
    let result = upload(options, &reached).await;
    let (summary, stopped) = reached.finish(result).await?;
    report(options, &summary, stopped, begun.elapsed())
}

/// Uploads until all files are done or a signal asks it to stop. Returns the summary and that signal, if there was
/// one.
async fn upload(options: &Upload, reached: &Reached) -> Result<(Summary, Option<Stopping>), Failure> {
    let (stopper, stop) = Stopper::new();
    let uploads = uploads(options, reached).until(stop.clone());
    let work = async {
        if options.watch {
            watch::watch(options, &uploads, &stop).await
        } else {
            let found = look(options).await?;
            let bar = Progress::new("Uploading", found.files.len() as u64, false);
            let run = uploads.run(&found.files, options.to.prefix(), Others::Await, |_, _| bar.inc()).await;
            let summary = with_found(run.map_err(|error| failed(&error))?, &found);
            bar.finish(format!("{} of {} files", summary.files - summary.left, found.files.len()));
            Ok(summary)
        }
    };
    tokio::pin!(work);
    tokio::select! {
        summary = &mut work => Ok((summary?, None)),
        stopping = until_stopped() => {
            stopper.stop();
            Ok((work.await?, Some(stopping)))
        }
    }
}

fn uploads(options: &Upload, reached: &Reached) -> Uploads {
    let services = Services {
        s3: reached.s3.clone(),
        dynamodb: reached.dynamodb.clone(),
        operations: reached.operations.clone(),
        bucket: options.to.bucket().to_owned(),
        clock: Clock::system(),
        random: reached.random(),
    };
    let settings = Settings {
        holder: holder(),
        lease: options.lease,
        part_size: options.part_size,
        workers: usize::from(options.workers.get()),
        on_change: match options.on_change {
            Policy::Fail => OnChange::Fail,
            Policy::Version => OnChange::Version,
        },
    };
    Uploads::new(services, settings)
}

async fn look(options: &Upload) -> Result<Found, Failure> {
    let (dir, to) = (options.dir.clone(), options.to.clone());
    let walked = tokio::task::spawn_blocking(move || walk(&dir, &to)).await.map_err(Failure::other)?;
    walked.map_err(Failure::of_file(&options.dir))
}

fn with_found(mut summary: Summary, found: &Found) -> Summary {
    summary.refused.extend(found.refused.iter().cloned());
    summary.skipped = found.skipped;
    summary
}

/// Says what came of it; what is not there in the end is a failure.
fn report(
    options: &Upload,
    summary: &Summary,
    stopped: Option<Stopping>,
    took: Duration,
) -> Result<(), Failure> {
    if options.json {
        let mut said = serde_json::to_value(summary).map_err(Failure::other)?;
        if let Some(said) = said.as_object_mut() {
            said.insert("seconds".to_owned(), json!(took.as_secs_f64()));
            said.insert("stopped".to_owned(), json!(stopped.is_some()));
        }
        outln!("{said}");
    } else {
        outln!("{}", in_words(summary, &options.to, took));
    }
    let missing = summary.left
        + [summary.changed.len(), summary.gone.len(), summary.refused.len()].iter().sum::<usize>() as u64;
    // With `--watch` the command has no end of its own; files that were left then are for the next run.
    let said = if missing == 0 || (options.watch && missing == summary.left) {
        String::new()
    } else {
        let again = if summary.left > 0 || !summary.gone.is_empty() { ": run it again" } else { "" };
        format!("{missing} files of {} were not uploaded{again}", options.dir.display())
    };
    match stopped {
        Some(stopping) if options.watch && said.is_empty() => stopping.as_end(),
        Some(by) => Err(Failure::Stopped { by, said }),
        None if said.is_empty() => Ok(()),
        None => Err(Failure::Other(said)),
    }
}

fn in_words(summary: &Summary, to: &Destination, took: Duration) -> String {
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
    names(&mut lines, "Changed, uploaded as new versions", versions.collect());
    names(&mut lines, "Different from what is there, not uploaded", summary.changed.clone());
    names(&mut lines, "Gone before they could be read", summary.gone.clone());
    let refused = summary.refused.iter().map(|refused| format!("{}: {}", refused.path, refused.reason));
    names(&mut lines, "Not uploaded", refused.collect());
    lines.join("\n")
}

fn names(lines: &mut Vec<String>, title: &str, names: Vec<String>) {
    if names.is_empty() {
        return;
    }
    lines.push(format!("{title} ({}):", names.len()));
    let more = names.len().saturating_sub(NAMES);
    lines.extend(names.into_iter().take(NAMES).map(|name| format!("  {name}")));
    if more > 0 {
        lines.push(format!("  and {more} more; --json names all"));
    }
}

fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

fn failed(error: &UploadError) -> Failure {
    let again = if error.is_transient() { "; what was uploaded is there: run it again" } else { "" };
    Failure::Other(format!("{error}{again}"))
}

fn destination(text: &str) -> Result<Destination, String> {
    text.parse().map_err(|error: nextbasket_uploads::BadDestination| error.to_string())
}

fn part_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes < SMALLEST_PART => Err("S3 takes no parts below 5MiB".to_owned()),
        bytes if bytes > 5 << 30 => Err("S3 takes no parts above 5GiB".to_owned()),
        bytes => Ok(bytes),
    }
}
