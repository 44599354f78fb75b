//! A small template and what the tests do with it.

#![allow(dead_code, reason = "each test file uses its own part")]

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_machine::{Machine, MachineOptions};

/// Two functions, two tables; `mapping` holds further properties of the stream's mapping, as lines of YAML.
pub(crate) fn template(mapping: &str) -> String {
    let mapping: String = mapping.lines().map(|line| format!("            {}\n", line.trim())).collect();
    format!(
        r#"
Parameters:
  AuthMode: {{ Type: String, Default: iam }}
  Origins: {{ Type: CommaDelimitedList, Default: "" }}
Conditions:
  Jwt: !Equals [!Ref AuthMode, jwt]
  Open: !Not [!Equals [!Join ["", !Ref Origins], ""]]
Globals:
  Function:
    Timeout: 1
    Environment:
      Variables:
        ENDPOINT: !If [Open, "http://x", !Ref AWS::NoValue]
Resources:
  OrdersTable:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${{AWS::StackName}}-orders"
      StreamSpecification: {{ StreamViewType: NEW_AND_OLD_IMAGES }}
      AttributeDefinitions:
        - {{ AttributeName: user, AttributeType: S }}
        - {{ AttributeName: order, AttributeType: S }}
        - {{ AttributeName: at, AttributeType: S }}
      KeySchema:
        - {{ AttributeName: user, KeyType: HASH }}
        - {{ AttributeName: order, KeyType: RANGE }}
      LocalSecondaryIndexes:
        - IndexName: byTime
          KeySchema:
            - {{ AttributeName: user, KeyType: HASH }}
            - {{ AttributeName: at, KeyType: RANGE }}
          Projection: {{ ProjectionType: ALL }}
  LocksTable:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub "${{AWS::StackName}}-locks"
      TimeToLiveSpecification: {{ AttributeName: expiresAt, Enabled: true }}
      AttributeDefinitions:
        - {{ AttributeName: pk, AttributeType: S }}
        - {{ AttributeName: kind, AttributeType: N }}
      KeySchema:
        - {{ AttributeName: pk, KeyType: HASH }}
      GlobalSecondaryIndexes:
        - IndexName: byKind
          KeySchema: [{{ AttributeName: kind, KeyType: HASH }}]
          Projection: {{ ProjectionType: INCLUDE, NonKeyAttributes: [owner] }}
  ShopFunction:
    Type: AWS::Serverless::Function
    Metadata: {{ BuildMethod: rust-cargolambda, BuildProperties: {{ Binary: shop }} }}
    Properties:
      FunctionName: !Sub "${{AWS::StackName}}-shop"
      Environment:
        Variables:
          ORDERS_TABLE: !Ref OrdersTable
          AUTH_MODE: !Ref AuthMode
  TallyFunction:
    Type: AWS::Serverless::Function
    Metadata: {{ BuildMethod: rust-cargolambda, BuildProperties: {{ Binary: tally }} }}
    Properties:
      Events:
        Orders:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt OrdersTable.StreamArn
            StartingPosition: TRIM_HORIZON
            FunctionResponseTypes: [ReportBatchItemFailures]
            DestinationConfig: {{ OnFailure: {{ Type: SQS, Destination: !GetAtt Failures.Arn }} }}
{mapping}
  Failures:
    Type: AWS::SQS::Queue
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub "arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{ShopFunction.Arn}}/invocations"
  OneRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{ RouteKey: "ANY /products/{{productId}}", Target: !Sub "integrations/${{Integration}}" }}
  PopularRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{ RouteKey: GET /products/popular, Target: !Sub "integrations/${{Integration}}" }}
  OnlyJwt:
    Type: AWS::ApiGatewayV2::Route
    Condition: Jwt
    Properties: {{ RouteKey: GET /jwt, Target: !Sub "integrations/${{Integration}}" }}
"#
    )
}

/// The small template's machine, in memory.
pub(crate) async fn machine(mapping: &str) -> Machine {
    Machine::start(MachineOptions::in_memory(template(mapping), "t")).await.unwrap()
}

/// A client of the machine's tables.
pub(crate) fn client(machine: &Machine) -> Client {
    Client::new(machine.sdk_config())
}

/// Puts one order; `table` is `t-orders` where the stack is `t`.
pub(crate) async fn put(client: &Client, user: &str, order: &str) {
    client
        .put_item()
        .table_name("t-orders")
        .item("user", AttributeValue::S(user.to_owned()))
        .item("order", AttributeValue::S(order.to_owned()))
        .send()
        .await
        .unwrap();
}

/// Puts orders `0..count`, one user each, in batches.
pub(crate) async fn put_many(client: &Client, count: usize) {
    use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
    let all: Vec<usize> = (0..count).collect();
    for chunk in all.chunks(25) {
        let writes: Vec<_> = chunk
            .iter()
            .map(|i| {
                let put = PutRequest::builder()
                    .item("user", AttributeValue::S(format!("u{i:06}")))
                    .item("order", AttributeValue::S("o".to_owned()))
                    .item("lines", AttributeValue::S("x".repeat(200)))
                    .build()
                    .unwrap();
                WriteRequest::builder().put_request(put).build()
            })
            .collect();
        client.batch_write_item().request_items("t-orders", writes).send().await.unwrap();
    }
}
