//! Files that several runs upload, each exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use nextbasket_testkit::Seeded;
use nextbasket_uploads::{ClaimedFiles, LocalFile, UploadServices, UploadSettings, Uploads, walk};

use super::items;
use crate::process::{Process, Role};
use crate::world::broken;
use crate::{Checked, Violation, World, ensure};

const LIVES: u64 = 30;

pub(super) async fn run(world: &World) -> Checked {
    let folder = tempfile::tempdir().map_err(broken)?;
    let prefix = format!("{}/", world.named("uploads"));
    let mut wanted: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for n in 0..1 + world.below(10) {
        let mut chance = Seeded(world.seed ^ n);
        let content: Vec<u8> =
            (0..world.below(300)).map(|_| u8::try_from(chance.below(256)).unwrap_or(0)).collect();
        let path = folder.path().join(format!("{n}.log"));
        fs::write(&path, &content).map_err(broken)?;
        // As old as logs that are not written to any more.
        let file = fs::File::options().write(true).open(&path).map_err(broken)?;
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).map_err(broken)?;
        wanted.insert(format!("{prefix}{n}.log"), content);
    }
    let destination = format!("s3://{}/{prefix}", world.names().jobs_bucket);
    let destination = destination.parse().map_err(|error| Violation(format!("{destination}: {error}")))?;
    let found = walk(folder.path(), &destination).map_err(broken)?;
    ensure!(found.files.len() == wanted.len(), "{} files of {}", found.files.len(), wanted.len());
    let runs = (0..1 + world.below(3)).map(|_| runs(world, &found.files, &prefix));
    futures::future::try_join_all(runs).await?;

    let there = items::objects(world, &prefix).await?;
    let keys: Vec<&String> = wanted.keys().collect();
    ensure!(there.iter().collect::<Vec<_>>() == keys, "{there:?} are there, {keys:?} were sent");
    for (key, content) in &wanted {
        ensure!(items::object(world, key).await? == *content, "{key} has other content");
        let path = format!("/{}/{key}", world.names().jobs_bucket);
        let writes = world.journal.writes();
        let times = writes.iter().filter(|write| write.path.split('?').next() == Some(path.as_str())).count();
        ensure!(times == 1, "{key} was stored {times} times");
    }
    // Another run finds nothing to do.
    let uploads = uploads(world, world.observer());
    let told = |_: &LocalFile, _: &nextbasket_uploads::FileOutcome| {};
    let last =
        uploads.upload_files(&found.files, &prefix, ClaimedFiles::Await, told).await.map_err(broken)?;
    ensure!(last.sent == 0 && last.is_complete(), "a further run: {last:?}");
    Ok(())
}

/// Starts run after run until one ends with every file uploaded.
async fn runs(world: &World, files: &[LocalFile], prefix: &str) -> Checked {
    let mut last = String::new();
    for _ in 0..LIVES {
        let process = world.process(Role::Worker);
        let uploads = uploads(world, &process);
        let told = |_: &LocalFile, _: &nextbasket_uploads::FileOutcome| {};
        match process.live(Box::pin(uploads.upload_files(files, prefix, ClaimedFiles::Await, told))).await {
            Some(Ok(summary)) if summary.is_complete() => return Ok(()),
            Some(Ok(summary)) => last = format!("{summary:?}"),
            Some(Err(error)) => {
                ensure!(error.is_transient(), "uploading ended with: {error}");
                last = error.to_string();
            }
            None => {}
        }
        world.pause(30_000).await;
    }
    Err(Violation(format!("{LIVES} runs did not upload all files; the last: {last}")))
}

fn uploads(world: &World, process: &Process) -> Uploads {
    let services = UploadServices {
        s3: process.s3.clone(),
        dynamodb: process.dynamodb.clone(),
        operations: world.names().operations.clone(),
        bucket: world.names().jobs_bucket.clone(),
        clock: world.clock.clone(),
        random: world.random.clone(),
    };
    Uploads::new(services, UploadSettings { workers: 1 + world.some(3), ..UploadSettings::new("schedule") })
}
