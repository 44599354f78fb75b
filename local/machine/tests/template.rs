//! What is read from a template.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use nextbasket_machine::template::{StartingPosition, Template, TemplateError};
use support::template;

fn parse(mapping: &str) -> Result<Template, TemplateError> {
    Template::parse(&template(mapping), "t")
}

#[test]
fn tables_have_their_keys_indexes_stream_and_expiry() {
    let template = parse("").unwrap();
    let orders = template.table("OrdersTable").unwrap();
    assert_eq!((orders.name.as_str(), orders.partition_key()), ("t-orders", "user"));
    assert_eq!(orders.stream.as_ref().unwrap().as_str(), "NEW_AND_OLD_IMAGES");
    assert_eq!(orders.local_indexes[0].index_name(), "byTime");
    let locks = template.table("LocksTable").unwrap();
    assert_eq!(locks.time_to_live.as_deref(), Some("expiresAt"));
    assert_eq!(locks.global_indexes[0].projection().unwrap().non_key_attributes(), ["owner"]);
}

#[test]
fn a_functions_environment_is_resolved_as_deployed() {
    let template = parse("").unwrap();
    let shop = template.function("shop").unwrap();
    assert_eq!(template.function("ShopFunction"), Some(shop));
    assert_eq!(shop.name, "t-shop");
    assert_eq!(shop.timeout, Duration::from_secs(1));
    let expected = [("AUTH_MODE", "iam"), ("ORDERS_TABLE", "t-orders")];
    assert_eq!(shop.environment, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(template.function("tally").unwrap().name, "t-TallyFunction");
}

#[test]
fn a_parameter_and_its_conditions_can_be_set() {
    let given = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let with_jwt = Template::parse_with(&template(""), "t", &given("AuthMode", "jwt")).unwrap();
    assert!(with_jwt.routes.iter().any(|route| route.key == "GET /jwt"));
    assert_eq!(with_jwt.function("shop").unwrap().environment["AUTH_MODE"], "jwt");
    let with_origins =
        Template::parse_with(&template(""), "t", &given("Origins", "https://a,https://b")).unwrap();
    assert_eq!(with_origins.function("shop").unwrap().environment["ENDPOINT"], "http://x");
    let unknown = Template::parse_with(&template(""), "t", &given("Nope", "1")).unwrap_err();
    assert_eq!(unknown.to_string(), "Parameters refers to Nope, which the template does not have");
}

#[test]
fn routes_lead_to_their_functions() {
    let routes = parse("").unwrap().routes;
    let routes: Vec<_> = routes.iter().map(|r| (r.key.as_str(), r.function.as_str())).collect();
    assert_eq!(
        routes,
        [("ANY /products/{productId}", "ShopFunction"), ("GET /products/popular", "ShopFunction")]
    );
}

#[test]
fn a_mapping_has_lambdas_defaults_where_the_template_is_silent() {
    let mapping = parse("").unwrap().mappings.remove(0);
    assert_eq!((mapping.name.as_str(), mapping.table.as_str()), ("TallyFunctionOrders", "OrdersTable"));
    assert_eq!(mapping.starting_position, StartingPosition::TrimHorizon);
    assert_eq!((mapping.batch_size, mapping.parallelization, mapping.bisect), (100, 1, false));
    assert_eq!((mapping.maximum_retries, mapping.maximum_record_age), (None, None));
    assert!(mapping.report_item_failures);
    assert_eq!(mapping.on_failure.as_deref(), Some("arn:aws:sqs:local:000000000000:t-Failures"));
    let set =
        "BatchSize: 7\nMaximumRetryAttempts: 3\nMaximumRecordAgeInSeconds: -1\nTumblingWindowInSeconds: 60";
    let mapping = parse(set).unwrap().mappings.remove(0);
    assert_eq!((mapping.batch_size, mapping.maximum_retries), (7, Some(3)));
    assert_eq!((mapping.maximum_record_age, mapping.tumbling_window), (None, Some(Duration::from_secs(60))));
}

#[test]
fn a_schedule_is_read_if_it_is_enabled_and_can_be_kept() {
    const MACHINE: &str = r#"
Parameters:
  When: { Type: String, Default: rate(2 hours) }
Resources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Events:
        Often:
          Type: ScheduleV2
          Properties: { ScheduleExpression: !Ref When, Input: !Sub '{"kind": "dump", "of": "${AWS::StackName}"}' }
"#;
    let parse = |text: &str| Template::parse(text, "t");
    let [often] = parse(MACHINE).unwrap().schedules.try_into().unwrap();
    assert_eq!((often.name.as_str(), often.expression.as_str()), ("MachineOften", "rate(2 hours)"));
    assert_eq!(often.input, serde_json::json!({ "kind": "dump", "of": "t" }));
    let changed = |to: &str| parse(&MACHINE.replace("ScheduleExpression: !Ref When,", to));
    assert!(changed("ScheduleExpression: !Ref When, State: DISABLED,").unwrap().schedules.is_empty());
    let said = |to: &str| changed(to).unwrap_err().to_string();
    assert_eq!(said(""), "Machine: Events.Often.Properties.ScheduleExpression is missing");
    assert_eq!(
        said("ScheduleExpression: !Ref When, ScheduleExpressionTimezone: Europe/Berlin,"),
        "Machine: Events.Often.Properties.ScheduleExpressionTimezone is not supported on one machine"
    );
    let other = parse(&MACHINE.replace("ScheduleV2", "EventBridgeRule")).unwrap_err().to_string();
    assert_eq!(other, "Machine: Events.Often of type EventBridgeRule is not supported on one machine");
}

#[test]
fn what_cannot_be_followed_is_named() {
    let said = |mapping: &str| parse(mapping).unwrap_err().to_string();
    assert_eq!(
        said("FilterCriteria: { Filters: [] }"),
        "TallyFunction: Events.Orders.Properties.FilterCriteria is not supported on one machine"
    );
    assert_eq!(
        said("BatchSize: many"),
        "TallyFunction: Events.Orders.Properties.BatchSize must be a whole number, not \"many\""
    );
    assert_eq!(
        said("ParallelizationFactor: 11"),
        "TallyFunction: Events.Orders.Properties.ParallelizationFactor must be a number in Lambda's range, not 11"
    );
    let changed =
        |from: &str, to: &str| Template::parse(&template("").replace(from, to), "t").unwrap_err().to_string();
    assert_eq!(
        changed("Type: DynamoDB\n", "Type: Schedule\n"),
        "TallyFunction: Events.Orders of type Schedule is not supported on one machine"
    );
    assert_eq!(
        changed("!Ref OrdersTable", "!Ref Orders"),
        "ShopFunction refers to Orders, which the template does not have"
    );
    assert_eq!(
        changed("!Ref OrdersTable", "!ImportValue Orders"),
        "ShopFunction: Fn::ImportValue \"Orders\" is not supported on one machine"
    );
    assert_eq!(
        changed("BuildProperties: { Binary: shop }", "X: y"),
        "ShopFunction: Metadata.BuildProperties.Binary is missing"
    );
    assert_eq!(
        changed("TableName: !Sub \"${AWS::StackName}-orders\"", "TableName: !Ref OrdersTable"),
        "OrdersTable: a reference that leads back to itself is not supported on one machine"
    );
    assert!(changed("Resources:", "  : : [").starts_with("template: invalid YAML"));
}

#[test]
fn the_repositorys_own_template_is_understood() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).unwrap();
    let template = Template::parse(&text, "nextbasket").unwrap();
    assert!(template.tables.len() >= 5 && template.functions.len() >= 4);
    assert_eq!(template.table("OperationsTable").unwrap().time_to_live.as_deref(), Some("expireAt"));
    assert_eq!(template.bucket("JobsBucket").unwrap().name, "nextbasket-jobsbucket");
    let [dump] = template.schedules.as_slice() else { panic!("{:?}", template.schedules) };
    assert_eq!(
        (dump.name.as_str(), dump.expression.as_str()),
        ("JobStateMachineDailyDump", "cron(0 3 * * ? *)")
    );
    let parameters = &dump.input["parameters"];
    assert_eq!(parameters["to"], "s3://nextbasket-dumpsbucket/daily");
    for table in parameters["tables"].as_array().unwrap() {
        assert!(template.tables.iter().any(|known| *table == *known.name), "{table}");
    }
    for route in &template.routes {
        assert!(template.function(&route.function).is_some(), "{}", route.key);
    }
}
