use std::time::Duration;

use aws_lambda_events::event::streams::DynamoDbEventResponse;
use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::handler;

const TEMPLATE: &str = r#"
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      StreamSpecification: { StreamViewType: KEYS_ONLY }
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
  Tally:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: tally } }
    Properties:
      Events:
        Orders:
          Type: DynamoDB
          Properties: { Stream: !GetAtt Orders.StreamArn, StartingPosition: TRIM_HORIZON }
"#;

async fn put(machine: &Machine, id: &str) {
    let put = aws_sdk_dynamodb::Client::new(machine.sdk_config()).put_item().table_name("t-Orders");
    put.item("id", AttributeValue::S(id.to_owned())).send().await.unwrap();
}

fn records(folder: &Path) -> u32 {
    let connection = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
    connection.query_row("SELECT COUNT(*) FROM _stream_records", [], |row| row.get(0)).unwrap()
}

const BUCKET: &str = r#"
Resources:
  Jobs:
    Type: AWS::S3::Bucket
    Properties:
      LifecycleConfiguration:
        Rules:
          - { Id: unfinished, Status: Enabled, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }
          - { Id: switched-off, Status: Disabled, ExpirationInDays: 1 }
          - { Id: old, Status: Enabled, Prefix: jobs/, ExpirationInDays: 90 }
"#;

#[tokio::test]
async fn objects_expire_as_their_buckets_lifecycle_says() {
    let machine = Machine::start(MachineOptions::in_memory(BUCKET, "t")).await.unwrap();
    let s3 = aws_sdk_s3::Client::from_conf(machine.s3_config());
    for key in ["jobs/1/refused/1", "jobs/2/output/parts.json", "jobs", "other/1"] {
        s3.put_object().bucket("t-jobs").key(key).body(Vec::new().into()).send().await.unwrap();
    }
    let expiring = machine.s3.expiring(&machine.template.buckets);
    let after = |days: u64| SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60);
    assert_eq!(expiring.remove(after(89)).unwrap(), 0);
    assert_eq!(expiring.remove(after(91)).unwrap(), 2);
    assert_eq!(expiring.remove(after(91)).unwrap(), 0);
    let left = s3.list_objects_v2().bucket("t-jobs").send().await.unwrap();
    let left: Vec<&str> = left.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(left, ["jobs", "other/1"]);
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn old_stream_records_go_once_every_mapping_has_done_them() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        MachineOptions { data: Some(dir.path().to_owned()), ..MachineOptions::in_memory(TEMPLATE, "t") };
    let mut machine = Machine::start(options).await.unwrap();
    for id in 0..5 {
        put(&machine, &id.to_string()).await;
    }
    let template = machine.template().clone();
    let tomorrow = SystemTime::now() + Duration::from_secs(25 * 60 * 60);
    trim(dir.path(), &template, tomorrow).unwrap();
    assert_eq!(records(dir.path()), 5, "the mapping has not begun");

    let function: StreamFunction = handler(|_| async { Ok(DynamoDbEventResponse::default()) });
    let mapping = machine.mapping("tally", function, MappingPace::default()).await.unwrap();
    mapping.drain().await.unwrap();
    trim(dir.path(), &template, SystemTime::now()).unwrap();
    assert_eq!(records(dir.path()), 5, "they are not a day old");
    trim(dir.path(), &template, tomorrow).unwrap();
    assert_eq!(records(dir.path()), 1, "the newest stays");
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
    let newest = "SELECT keys_json, new_image, old_image FROM _stream_records";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let kept: (String, Option<String>, Option<String>) = connection.query_row(newest, [], read).unwrap();
    assert_eq!(kept, ("{}".to_owned(), None, None), "its number alone");

    put(&machine, "after").await;
    mapping.drain().await.unwrap();
    assert_eq!(mapping.progress().delivered, 6);
    machine.stop().await.unwrap();
}
