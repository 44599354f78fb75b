//! What a table has that a restore does not make again: it costs money, belongs to other resources, or to another
//! account's keys. It is recorded, so that a restore can name it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types as sdk;
use nextbasket_dynamodb::TableError;

use crate::manifest::settings::optional;

/// What every table that is billed on demand can do at once without being warmed up, in units per second.
const COLD: (i64, i64) = (12_000, 4_000);
/// The days of point-in-time recovery, unless a table says otherwise.
const RECOVERY_DAYS: i32 = 35;

/// Reads them, one phrase each.
pub(super) async fn read(
    client: &Client,
    table: &str,
    described: &sdk::TableDescription,
    unread: &mut Vec<String>,
) -> Result<Vec<String>, TableError> {
    let mut found = of_description(described);
    let policy = match &described.table_arn {
        Some(arn) => {
            let policy = client.get_resource_policy().resource_arn(arn).send().await;
            optional(table, "the resource policy", policy, unread)?
        }
        None => None,
    };
    if policy.is_some_and(|policy| policy.policy.is_some()) {
        found.push("the resource policy".to_owned());
    }
    let indexes = described.global_secondary_indexes().iter().filter_map(|index| index.index_name.as_deref());
    for index in std::iter::once(None).chain(indexes.map(Some)) {
        let of = index.map_or_else(String::new, |index| format!(" of index {index}"));
        let what = format!("contributor insights{of}");
        let insights = client.describe_contributor_insights().table_name(table);
        let insights = insights.set_index_name(index.map(str::to_owned)).send().await;
        let insights = optional(table, &what, insights, unread)?;
        use sdk::ContributorInsightsStatus::{Enabled, Enabling};
        let status = insights.and_then(|insights| insights.contributor_insights_status);
        if matches!(status, Some(Enabled | Enabling)) {
            found.push(what);
        }
    }
    let streams = client.describe_kinesis_streaming_destination().table_name(table).send().await;
    let streams = optional(table, "Kinesis streaming destinations", streams, unread)?;
    for stream in streams.iter().flat_map(|streams| streams.kinesis_data_stream_destinations()) {
        use sdk::DestinationStatus::{Active, Enabling, Updating};
        if let (Some(arn), Some(Active | Enabling | Updating)) =
            (&stream.stream_arn, &stream.destination_status)
        {
            found.push(format!("the streaming destination {arn}"));
        }
    }
    Ok(found)
}

/// The part of them that `DescribeTable` knows.
fn of_description(table: &sdk::TableDescription) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(key) = table.sse_description.as_ref().and_then(|sse| sse.kms_master_key_arn.as_deref()) {
        found.push(format!("encryption with the KMS key {key}"));
    }
    let regions: Vec<&str> =
        table.replicas().iter().filter_map(|replica| replica.region_name.as_deref()).collect();
    if !regions.is_empty() {
        found.push(format!("replicas in {}", regions.join(", ")));
    }
    let warm = table.warm_throughput.as_ref();
    let warm = warm.map(|warm| (warm.read_units_per_second, warm.write_units_per_second));
    found.extend(warm_phrase(warm, ""));
    for index in table.global_secondary_indexes() {
        let warm = index.warm_throughput.as_ref();
        let warm = warm.map(|warm| (warm.read_units_per_second, warm.write_units_per_second));
        let of = index.index_name.as_ref().map(|name| format!(" of index {name}"));
        found.extend(warm_phrase(warm, of.as_deref().unwrap_or_default()));
    }
    found
}

fn warm_phrase(warm: Option<(Option<i64>, Option<i64>)>, of: &str) -> Option<String> {
    let (read, write) = warm?;
    let (read, write) = (read.unwrap_or(0), write.unwrap_or(0));
    let is_warmed_up = read > COLD.0 || write > COLD.1;
    is_warmed_up.then(|| format!("warm throughput{of} of {read} read and {write} write units per second"))
}

/// That point-in-time recovery reaches back otherwise than it does by default.
pub(super) fn recovery_period(recovery: &sdk::PointInTimeRecoveryDescription) -> Option<String> {
    let days = recovery.recovery_period_in_days.filter(|days| *days != RECOVERY_DAYS)?;
    Some(format!("a recovery period of {days} days"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_description_knows_is_named() {
        let warm = |read, write| {
            sdk::TableWarmThroughputDescription::builder()
                .read_units_per_second(read)
                .write_units_per_second(write)
                .build()
        };
        let plain = sdk::TableDescription::builder().warm_throughput(warm(12_000, 4_000)).build();
        assert_eq!(of_description(&plain), [""; 0]);
        let replica = |region: &str| sdk::ReplicaDescription::builder().region_name(region).build();
        let rich = sdk::TableDescription::builder()
            .sse_description(sdk::SseDescription::builder().kms_master_key_arn("arn:aws:kms:k").build())
            .replicas(replica("eu-west-1"))
            .replicas(replica("us-west-2"))
            .warm_throughput(warm(30_000, 4_000))
            .build();
        assert_eq!(
            of_description(&rich),
            [
                "encryption with the KMS key arn:aws:kms:k",
                "replicas in eu-west-1, us-west-2",
                "warm throughput of 30000 read and 4000 write units per second",
            ]
        );
    }
}
