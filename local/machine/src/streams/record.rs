//! A record of the Streams API as the record of a Lambda event.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::dynamodb::{EventRecord, StreamRecord, StreamViewType, UserIdentity};
use aws_sdk_dynamodbstreams::primitives::DateTime;
use aws_sdk_dynamodbstreams::types::{self, AttributeValue, Record};

/// A record on its way to a function.
pub(crate) struct Delivered {
    /// Its place in the shard.
    pub(crate) sequence: u128,
    /// Approximate size in bytes.
    pub(crate) bytes: usize,
    /// When it was written, to the second or so.
    pub(crate) written: SystemTime,
    /// As the function sees it.
    pub(crate) event: EventRecord,
}

/// `None` for a record without a sequence number, which no stream has.
pub(crate) fn convert(record: Record, stream_arn: &str) -> Option<Delivered> {
    let change = record.dynamodb?;
    let sequence = change.sequence_number.as_deref()?.parse().ok()?;
    let created = change.approximate_creation_date_time;
    let size = change.size_bytes.unwrap_or(0);

    let mut event = EventRecord::default();
    event.aws_region = record.aws_region.unwrap_or_default();
    event.event_id = record.event_id.unwrap_or_default();
    event.event_name = record.event_name.map(|name| name.as_str().to_owned()).unwrap_or_default();
    event.event_source = record.event_source;
    event.event_version = record.event_version;
    event.event_source_arn = Some(stream_arn.to_owned());
    // Only the removal of expired items names who did it; the embedded endpoint spells the names so that the SDK
    // does not read the values.
    event.user_identity = record.user_identity.map(|identity| {
        let mut user = UserIdentity::default();
        user.type_ = identity.r#type.unwrap_or_else(|| "Service".to_owned());
        user.principal_id = identity.principal_id.unwrap_or_else(|| "dynamodb.amazonaws.com".to_owned());
        user
    });
    event.change = StreamRecord::default();
    event.change.approximate_creation_date_time = created.as_ref().and_then(chrono_time).unwrap_or_default();
    event.change.keys = item(change.keys);
    event.change.new_image = item(change.new_image);
    event.change.old_image = item(change.old_image);
    event.change.sequence_number = change.sequence_number;
    event.change.size_bytes = size;
    event.change.stream_view_type = change.stream_view_type.as_ref().and_then(view);
    Some(Delivered {
        sequence,
        bytes: usize::try_from(size).unwrap_or(0),
        written: created.as_ref().map_or(SystemTime::UNIX_EPOCH, system_time),
        event,
    })
}

fn view(view: &types::StreamViewType) -> Option<StreamViewType> {
    match view {
        types::StreamViewType::NewImage => Some(StreamViewType::NewImage),
        types::StreamViewType::OldImage => Some(StreamViewType::OldImage),
        types::StreamViewType::NewAndOldImages => Some(StreamViewType::NewAndOldImages),
        types::StreamViewType::KeysOnly => Some(StreamViewType::KeysOnly),
        _ => None,
    }
}

fn chrono_time(time: &DateTime) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

fn system_time(time: &DateTime) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(time.secs()).unwrap_or(0));
    SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(time.subsec_nanos().into())
}

fn item(attributes: Option<HashMap<String, AttributeValue>>) -> serde_dynamo::Item {
    map(attributes.unwrap_or_default()).into()
}

fn map(attributes: HashMap<String, AttributeValue>) -> HashMap<String, serde_dynamo::AttributeValue> {
    attributes.into_iter().map(|(name, found)| (name, value(found))).collect()
}

fn value(found: AttributeValue) -> serde_dynamo::AttributeValue {
    use serde_dynamo::AttributeValue as To;
    match found {
        AttributeValue::S(text) => To::S(text),
        AttributeValue::N(number) => To::N(number),
        AttributeValue::B(bytes) => To::B(bytes.into_inner()),
        AttributeValue::Bool(flag) => To::Bool(flag),
        AttributeValue::M(attributes) => To::M(map(attributes)),
        AttributeValue::L(values) => To::L(values.into_iter().map(value).collect()),
        AttributeValue::Ss(texts) => To::Ss(texts),
        AttributeValue::Ns(numbers) => To::Ns(numbers),
        AttributeValue::Bs(blobs) => To::Bs(blobs.into_iter().map(|b| b.into_inner()).collect()),
        // The SDK leaves room for types that DynamoDB does not have yet.
        _ => To::Null(true),
    }
}
