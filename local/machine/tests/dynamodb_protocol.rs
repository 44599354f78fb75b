//! The embedded DynamoDB answers like the server that comes with its database, for clients that have the key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "support/raw.rs"]
mod raw;

use std::net::SocketAddr;
use std::time::SystemTime;

use nextbasket_machine::AccessKey;
use nextbasket_machine::dynamodb::{DynamoDb, Storage};
use raw::{send, signed};
use serde_json::{Value, json};

/// Both servers, each with a database of its own.
struct Pair {
    _ours: DynamoDb,
    addresses: [SocketAddr; 2],
    key: AccessKey,
}

async fn pair() -> Pair {
    let key = AccessKey::random();
    let signing = key.clone();
    let start = move || DynamoDb::start(Storage::Memory, "127.0.0.1:0".parse().unwrap(), &signing).unwrap();
    let ours = tokio::task::spawn_blocking(start).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = listener.local_addr().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    Pair { addresses: [ours.address(), theirs], _ours: ours, key }
}

/// Status, kind of error, media type and body of an answer.
type Said = (u16, String, Option<String>, Value);

impl Pair {
    async fn both(&self, operation: &str, body: &str, media: &str) -> [Said; 2] {
        let prefix =
            if operation.contains("Stream") || operation.contains("Shard") || operation == "GetRecords" {
                "DynamoDBStreams_20120810"
            } else {
                "DynamoDB_20120810"
            };
        let mut said = Vec::new();
        for address in self.addresses {
            let target = format!("{prefix}.{operation}");
            let mut lines = signed(&address.to_string(), &target, body, &self.key, SystemTime::now());
            for line in &mut lines {
                if line.starts_with("content-type") {
                    *line = format!("content-type: {media}");
                }
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let answer = send(address, &lines, body).await;
            let header = |name: &str| {
                let name = format!("{name}: ");
                answer.head.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned)
            };
            assert_eq!(header("x-amz-crc32").unwrap(), crc32fast::hash(answer.body.as_bytes()).to_string());
            assert_eq!(header("x-amzn-requestid").unwrap().len(), 52, "{operation}");
            let shown: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
            let kind = shown["__type"].as_str().unwrap_or_default().to_owned();
            said.push((answer.status, kind, header("content-type"), shown));
        }
        said.try_into().unwrap()
    }

    /// Both answer the same, except for times and names that each generates.
    async fn same(&self, operation: &str, body: Value) -> Value {
        let body = body.to_string();
        let [ours, theirs] = self.both(operation, &body, "application/x-amz-json-1.0").await;
        let said = ours.3.clone();
        assert_eq!(leveled(ours), leveled(theirs), "{operation} {body}");
        said
    }

    /// Both reject with the same kind of error; the message may differ.
    async fn refused(&self, operation: &str, body: &str) {
        let [ours, theirs] = self.both(operation, body, "application/x-amz-json-1.0").await;
        assert_eq!(
            (ours.0, &ours.1, &ours.2),
            (theirs.0, &theirs.1, &theirs.2),
            "{operation} {body}: {ours:?} {theirs:?}"
        );
        assert_eq!(ours.0, 400, "{operation} {body}");
    }
}

fn leveled(mut said: Said) -> Said {
    fn level(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for name in [
                    "CreationDateTime",
                    "TableId",
                    "LatestStreamArn",
                    "LatestStreamLabel",
                    "StreamArn",
                    "StreamLabel",
                    "CreationRequestDateTime",
                    "ShardId",
                    "ShardIterator",
                    "NextShardIterator",
                    "eventID",
                    "ApproximateCreationDateTime",
                    "SequenceNumber",
                    "StartingSequenceNumber",
                    "EndingSequenceNumber",
                    "LastUpdateToPayPerRequestDateTime",
                    "NextToken",
                ] {
                    if let Some(value) = members.get_mut(name) {
                        *value = json!("*");
                    }
                }
                members.values_mut().for_each(level);
            }
            Value::Array(items) => items.iter_mut().for_each(level),
            _ => {}
        }
    }
    level(&mut said.3);
    said
}

fn table() -> Value {
    json!({
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    })
}

#[tokio::test]
async fn every_operation_answers_as_before() {
    let pair = pair().await;
    let created = pair.same("CreateTable", table()).await;
    let arn = created["TableDescription"]["TableArn"].clone();
    pair.same("CreateTable", table()).await;
    pair.same("ListTables", json!({})).await;
    pair.same("DescribeTable", json!({ "TableName": "things" })).await;
    pair.same("DescribeTable", json!({ "TableName": "nothing" })).await;
    pair.same("UpdateTable", json!({ "TableName": "things", "DeletionProtectionEnabled": true })).await;
    pair.same("DeleteTable", json!({ "TableName": "things" })).await;
    pair.same(
        "UpdateTimeToLive",
        json!({ "TableName": "things",
        "TimeToLiveSpecification": { "AttributeName": "until", "Enabled": true } }),
    )
    .await;
    pair.same("DescribeTimeToLive", json!({ "TableName": "things" })).await;
    pair.same("TagResource", json!({ "ResourceArn": arn, "Tags": [{ "Key": "a", "Value": "b" }] })).await;
    pair.same("ListTagsOfResource", json!({ "ResourceArn": arn })).await;
    pair.same("UntagResource", json!({ "ResourceArn": arn, "TagKeys": ["a"] })).await;
    let item = json!({ "id": { "S": "a" }, "n": { "N": "1.50" }, "b": { "B": "AAE=" }, "s": { "NS": ["3", "1"] },
        "l": { "L": [{ "NULL": true }, { "BOOL": false }, { "M": { "M": { "S": "ü" } } }] } });
    let all_old = json!({ "TableName": "things", "Item": item, "ReturnValues": "ALL_OLD",
        "ReturnConsumedCapacity": "TOTAL" });
    pair.same("PutItem", all_old.clone()).await;
    pair.same("PutItem", all_old).await;
    pair.same(
        "PutItem",
        json!({ "TableName": "things", "Item": item, "ConditionExpression": "attribute_not_exists(id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD" }),
    )
    .await;
    pair.same(
        "GetItem",
        json!({ "TableName": "things", "Key": { "id": { "S": "a" } }, "ConsistentRead": true }),
    )
    .await;
    pair.same("GetItem", json!({ "TableName": "things", "Key": { "id": { "S": "none" } } })).await;
    pair.same(
        "UpdateItem",
        json!({ "TableName": "things", "Key": { "id": { "S": "a" } },
        "UpdateExpression": "SET n = n + :one", "ExpressionAttributeValues": { ":one": { "N": "1" } },
        "ReturnValues": "ALL_NEW" }),
    )
    .await;
    pair.same(
        "UpdateItem",
        json!({ "TableName": "things", "Key": { "id": { "S": "a" } },
        "UpdateExpression": "SET n ++ :one" }),
    )
    .await;
    pair.same(
        "Query",
        json!({ "TableName": "things", "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": { ":id": { "S": "a" } } }),
    )
    .await;
    pair.same("Scan", json!({ "TableName": "things", "Limit": 1 })).await;
    pair.same("BatchWriteItem", json!({ "RequestItems": { "things": [
        { "PutRequest": { "Item": { "id": { "S": "b" } } } }, { "DeleteRequest": { "Key": { "id": { "S": "c" } } } }] } })).await;
    pair.same("BatchGetItem", json!({ "RequestItems": { "things": { "Keys": [{ "id": { "S": "b" } }] } } }))
        .await;
    let check = json!({ "ConditionCheck": { "TableName": "things", "Key": { "id": { "S": "z" } },
        "ConditionExpression": "attribute_exists(id)" } });
    let put = json!({ "Put": { "TableName": "things", "Item": { "id": { "S": "t" } } } });
    pair.same("TransactWriteItems", json!({ "TransactItems": [put, check] })).await;
    pair.same("TransactWriteItems", json!({ "TransactItems": [put], "ClientRequestToken": "token-1" })).await;
    pair.same(
        "TransactGetItems",
        json!({ "TransactItems": [
        { "Get": { "TableName": "things", "Key": { "id": { "S": "t" } } } }] }),
    )
    .await;
    pair.same("ExecuteStatement", json!({ "Statement": "SELECT * FROM \"things\" WHERE id = 'a'" })).await;
    pair.same("ExecuteStatement", json!({ "Statement": "SELECT FROM" })).await;
    pair.same(
        "BatchExecuteStatement",
        json!({ "Statements": [
        { "Statement": "UPDATE things SET x = 1 WHERE id = 'a'" }, { "Statement": "nonsense" }] }),
    )
    .await;
    pair.same(
        "ExecuteTransaction",
        json!({ "TransactStatements": [
        { "Statement": "INSERT INTO things VALUE {'id': 'a'}" }] }),
    )
    .await;
    pair.same(
        "DeleteItem",
        json!({ "TableName": "things", "Key": { "id": { "S": "b" } }, "ReturnValues": "ALL_OLD" }),
    )
    .await;
    let streams = pair.same("ListStreams", json!({ "TableName": "things" })).await;
    assert!(streams["Streams"][0]["StreamArn"].is_string(), "{streams}");
    pair.same(
        "DescribeStream",
        json!({ "StreamArn": "arn:aws:dynamodb:local:000000000000:table/none/stream/1" }),
    )
    .await;
}

#[tokio::test]
async fn malformed_requests_are_refused_with_the_same_kinds_of_error() {
    let pair = pair().await;
    pair.same("CreateTable", table()).await;
    for (operation, body) in [
        ("PutItem", ""),
        ("PutItem", "{"),
        ("PutItem", "[]"),
        ("PutItem", "1"),
        ("PutItem", "{}"),
        ("PutItem", r#"{"TableName":1}"#),
        ("PutItem", r#"{"TableName":["a"]}"#),
        ("PutItem", r#"{"TableName":"things","Item":[]}"#),
        ("PutItem", r#"{"TableName":"things","Item":"a"}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":"a"}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"S":1}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"S":"a","N":"1"}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"S":"a"},"n":{"N":"one"}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"S":"a"},"n":{"NS":[]}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"S":"a"},"n":{"NULL":false}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"S":""}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"id":{"N":"1"}}}"#),
        ("PutItem", r#"{"TableName":"things","Item":{"x":{"S":"1"}}}"#),
        ("PutItem", r#"{"TableName":"t","Item":{"id":{"S":"1"}}}"#),
        ("GetItem", r#"{"TableName":"things","Key":{"id":{"S":"a"}},"ConsistentRead":1}"#),
        ("Scan", r#"{"TableName":"things","Limit":"1"}"#),
        ("Scan", r#"{"TableName":"things","Limit":0}"#),
        ("Scan", r#"{"TableName":"things","ScanFilter":[]}"#),
        ("Scan", r#"{"TableName":"things","Segment":1,"TotalSegments":1}"#),
        ("Query", r#"{"TableName":"things","ExpressionAttributeValues":[]}"#),
        ("CreateTable", r#"{"TableName":"other","AttributeDefinitions":{},"KeySchema":[]}"#),
        ("CreateTable", r#"{"TableName":"other","AttributeDefinitions":[1],"KeySchema":[]}"#),
        ("BatchWriteItem", r#"{"RequestItems":[]}"#),
        ("BatchWriteItem", r#"{"RequestItems":{"things":[]}}"#),
        ("BatchWriteItem", r#"{"RequestItems":{"things":[{"PutRequest":{"Item":{"id":{"N":"x"}}}}]}}"#),
        ("TransactWriteItems", r#"{"TransactItems":[]}"#),
        (
            "TransactWriteItems",
            r#"{"TransactItems":[{"Put":{"TableName":"things","Item":{"id":{"S":"a"},"n":{"N":""}}}}]}"#,
        ),
        ("ExecuteStatement", r#"{"Statement":1}"#),
        ("NoSuchOperation", "{}"),
    ] {
        pair.refused(operation, body).await;
    }
    for media in ["text/plain", "application/xml"] {
        let [ours, theirs] = pair.both("ListTables", "{}", media).await;
        assert_eq!(ours, theirs);
        assert_eq!(ours.0, 404);
    }
    let [ours, theirs] = pair.both("ListTables", "{}", "application/json; charset=utf-8").await;
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn values_of_any_depth_are_answered_as_before() {
    let pair = pair().await;
    pair.same("CreateTable", table()).await;
    for levels in [30, 33, 61, 62, 100, 400] {
        let mut value = r#"{"S":"x"}"#.to_owned();
        for level in 0..levels {
            value = if level % 2 == 0 {
                format!(r#"{{"M":{{"M":{value}}}}}"#)
            } else {
                format!(r#"{{"L":[{value}]}}"#)
            };
        }
        let put = format!(r#"{{"TableName":"things","Item":{{"id":{{"S":"deep"}},"v":{value}}}}}"#);
        let media = "application/x-amz-json-1.0";
        let [ours, theirs] = pair.both("PutItem", &put, media).await;
        assert_eq!((ours.0, &ours.1), (theirs.0, &theirs.1), "{levels}: {ours:?} {theirs:?}");
        assert_eq!(ours.0, if levels < 32 { 200 } else { 400 }, "{levels}");
        let statement = format!(
            r#"{{"Statements":[{{"Statement":"SELECT * FROM things WHERE id = ?","Parameters":[{value}]}}]}}"#
        );
        let [ours, theirs] = pair.both("BatchExecuteStatement", &statement, media).await;
        assert_eq!((ours.0, &ours.1), (theirs.0, &theirs.1), "{levels}: {ours:?} {theirs:?}");
    }
    for levels in [3000, 100_000] {
        pair.refused("PutItem", &"[".repeat(levels)).await;
        let closed = "[".repeat(levels) + &"]".repeat(levels);
        pair.refused("PutItem", &format!(r#"{{"TableName":{closed}}}"#)).await;
    }
}
