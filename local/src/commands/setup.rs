//! `setup`: the operations table and the bucket that jobs need, where no stack has made them.

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use clap::Args;
use nextbasket_sdk_errors::sentence;
use serde_json::json;

use crate::Failure;
use crate::arn::account_of;
use crate::local_deployment::{JobsResources, jobs_resources};
use crate::setup::{JobsBucket, MadeResource, OperationsTable};
use crate::stdio::print_result;
use crate::target::TargetOptions;

#[derive(Debug, Args)]
pub struct Setup {
    #[command(flatten)]
    pub target: TargetOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(crate) async fn run(options: &Setup) -> Result<(), Failure> {
    let target = &options.target;
    if target.is_data_folder() || target.state.is_some() {
        let problem = "setup is for AWS and other endpoints: give --region, --profile or --endpoint";
        return Err(Failure::Usage(format!("{problem}. A folder has its own operations table and bucket")));
    }
    if target.endpoint.is_some() && target.s3_endpoint.is_none() {
        let problem = "where is the bucket of jobs? Without it, the bucket would be on AWS";
        return Err(Failure::Usage(format!("--s3-endpoint is missing: {problem}")));
    }
    let elsewhere = target.elsewhere().await?;
    let JobsResources { operations, bucket } = jobs_resources()?;
    let operations = target.operations.clone().unwrap_or(operations);
    let table = OperationsTable { client: &elsewhere.dynamodb, name: &operations }.make().await?;
    let bucket = match (&target.bucket, &target.s3_endpoint) {
        (Some(bucket), _) => bucket.clone(),
        (None, Some(_)) => bucket,
        (None, None) => bucket_of_account(&elsewhere.dynamodb, &operations, &elsewhere.region).await?,
    };
    let made = JobsBucket { client: &elsewhere.s3, name: &bucket, region: &elsewhere.region }.make().await;
    let bucket = made.inspect_err(|_| print(options, &[("table", &table)], None))?;
    let then = TargetOptions {
        operations: Some(table.name.clone()),
        bucket: Some(bucket.name.clone()),
        ..target.clone()
    };
    print(options, &[("table", &table), ("bucket", &bucket)], Some(then.as_options().trim_start()));
    match table.problems.len() + bucket.problems.len() {
        0 => Ok(()),
        problems => Err(Failure::Other(format!("{problems} settings could not be made: see above"))),
    }
}

/// A name that no other account has taken.
async fn bucket_of_account(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    region: &str,
) -> Result<String, Failure> {
    let described = client.describe_table().table_name(table).send().await;
    let described = described.map_err(|error| {
        let code = error.code().unwrap_or("no answer").to_owned();
        Failure::other(format!("table \"{table}\": {code}: {}", sentence(&error)))
    })?;
    let arn = described.table.and_then(|table| table.table_arn).unwrap_or_default();
    match account_of(&arn) {
        Some(account) => Ok(format!("nextbasket-jobs-{account}-{region}")),
        None => Err(Failure::Usage("--bucket is missing: the account is not known".to_owned())),
    }
}

fn print(options: &Setup, made: &[(&str, &MadeResource)], then: Option<&str>) {
    let value: serde_json::Map<_, _> =
        made.iter().map(|(what, made)| ((*what).to_owned(), json!(made))).collect();
    let mut value = serde_json::Value::Object(value);
    if let (Some(then), Some(value)) = (then, value.as_object_mut()) {
        value.insert("options".to_owned(), json!(then));
    }
    print_result(options.json, &value, || {
        let mut lines: Vec<String> = made.iter().map(|(what, made)| words(what, made)).collect();
        lines.extend(then.map(|then| format!("Other commands need: {then}")));
        lines.join("\n")
    });
}

fn words(what: &str, made: &MadeResource) -> String {
    let how = if made.created { "created" } else { "exists" };
    let set = made.set.iter().map(|set| format!(", {set} set")).collect::<String>();
    let mut text = format!("{what} {}: {how}{set}", made.name);
    for line in made.notes.iter().chain(&made.problems) {
        text.push_str(&format!("\n  {line}"));
    }
    text
}
