//! The stage `settle`: what a table gets when its items are there, so that none of them expires or is copied before.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, Tag, TimeToLiveSpecification};
use nextbasket_dynamodb::TableError;
use nextbasket_job_engine::{Outcome, Work, WorkError};

use crate::manifest::TableSettings;
use crate::restore::parameters::RestoreTask;

/// Gives what could not be set, or is not made again, one sentence each.
pub(crate) async fn work(work: &mut Work, task: &RestoreTask) -> Result<Outcome, WorkError> {
    let settings: TableSettings = work.input()?;
    let client = work.site().dynamodb.clone();
    let table = &task.table;
    let mut notes: Vec<String> =
        settings.not_recreated.iter().map(|what| format!("not recreated: {what}")).collect();
    notes.extend(settings.unread.iter().map(|problem| format!("when it was dumped, {problem}")));
    if let Some(attribute) = &settings.time_to_live {
        let specification =
            TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build()?;
        let set = client.update_time_to_live().table_name(table).time_to_live_specification(specification);
        note(table, "time to live", set.send().await, &mut notes)?;
    }
    if !settings.tags.is_empty() {
        let described = client.describe_table().table_name(table).send().await;
        let described = described.map_err(|error| TableError::from_sdk(table, error))?.table;
        let arn = described.and_then(|table| table.table_arn).unwrap_or_default();
        let mut set = client.tag_resource().resource_arn(arn);
        // Names that begin so are AWS's own.
        for tag in settings.tags.iter().filter(|tag| !tag.key.starts_with("aws:")) {
            set = set.tags(Tag::builder().key(&tag.key).value(&tag.value).build()?);
        }
        note(table, "tags", set.send().await, &mut notes)?;
    }
    if settings.point_in_time_recovery == Some(true) {
        let specification =
            PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build()?;
        let set = client
            .update_continuous_backups()
            .table_name(table)
            .point_in_time_recovery_specification(specification);
        note(table, "point-in-time recovery", set.send().await, &mut notes)?;
    }
    Outcome::done(&notes)
}

/// What is refused is noted: the items are there. Set twice is as set once.
fn note<T, E>(
    table: &str,
    what: &str,
    result: Result<T, SdkError<E>>,
    notes: &mut Vec<String>,
) -> Result<(), WorkError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let Err(error) = result else { return Ok(()) };
    if error.message().is_some_and(|message| message.contains("already enabled")) {
        return Ok(());
    }
    match TableError::from_sdk(table, error) {
        error if error.is_transient() => Err(error.into()),
        error => {
            notes.push(format!("{what} could not be set: {error}"));
            Ok(())
        }
    }
}
