//! The schemas of parameters say what the parsers of the parameters say.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeMap;

use jsonschema::Validator;
use nextbasket_items::write::WriteGuard;
use nextbasket_job_engine::schema::KindSchema;
use nextbasket_job_engine::{Kind, Refusal, Trust};
use nextbasket_job_kinds::{kinds, schemas};
use nextbasket_jobs_dump::{Archive, Diff, Dump, Restore, Revert, Verify};
use nextbasket_jobs_map::Map;
use nextbasket_jobs_shop::{Import, RebuildHistory, RefreshPopular, RotateSecret};
use nextbasket_jobs_table::TableOperation;
use nextbasket_jobs_train::job::Train;
use nextbasket_tables::{TableNames, Tables};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

type Parser = Box<dyn Fn(&Value) -> Result<(), Refusal>>;

struct Checked {
    kind: &'static str,
    schema: Value,
    validator: Validator,
    parse: Parser,
}

impl Checked {
    /// Whether the parser takes them, which is what the schema must say as well.
    #[track_caller]
    fn agree(&self, parameters: &Value) -> bool {
        let (parsed, valid) = ((self.parse)(parameters), self.validator.is_valid(parameters));
        assert_eq!(parsed.is_ok(), valid, "{}: {parameters}: {parsed:?}", self.kind);
        valid
    }

    /// Whether the parser rejects this field.
    fn rejects(&self, parameters: &Value, field: &str) -> bool {
        (self.parse)(parameters).is_err_and(|refusal| refusal.field == format!("parameters.{field}"))
    }

    fn fields(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.schema["properties"].as_object().unwrap().iter()
    }

    /// The least that a job of this kind is submitted with, in each of the ways that there are.
    fn ways(&self) -> Vec<Value> {
        let place = "s3://bucket/place";
        match self.kind {
            "import" => vec![json!({ "source": place }), json!({ "sources": [place] })],
            "dump" => vec![
                json!({ "to": place, "table": "abc" }),
                json!({ "to": place, "tables": ["abc"] }),
                json!({ "to": place, "tag": { "key": "a", "value": "b" } }),
            ],
            "restore" | "revert" => vec![json!({ "from": place, "table": "abc" })],
            "verify" => vec![
                json!({ "dump": place }),
                json!({ "dump": place, "table": "abc" }),
                json!({ "table": "abc", "other": { "table": "abd" } }),
            ],
            "diff" => {
                vec![json!({ "left": { "table": "abc" }, "right": { "dump": place }, "output": place })]
            }
            "archive" => vec![json!({ "table": "abc", "where": "a = 1", "to": place })],
            "map" => vec![
                json!({ "input": { "table": "abc" }, "function": "f", "output": place }),
                json!({ "input": { "files": "/in", "format": "csv" }, "command": ["cat"], "output": "/out" }),
            ],
            "count" => vec![json!({ "table": "abc" })],
            "update" => vec![json!({ "table": "abc", "set": "a = 1" })],
            "delete" => {
                vec![json!({ "table": "abc", "where": "a = 1" }), json!({ "table": "abc", "all": true })]
            }
            "copy" => vec![json!({ "table": "abc", "to": { "table": "abd" } })],
            "fill" => vec![json!({ "table": "abc", "count": 1 })],
            "train" | "rebuild-history" | "refresh-popular" | "rotate-secret" => vec![json!({})],
            other => panic!("{other} has no example"),
        }
    }
}

fn parser(kind: impl Kind) -> (&'static str, Parser) {
    (kind.name(), Box::new(move |parameters| kind.task(parameters, Trust::Machine).map(drop)))
}

fn tables() -> Tables {
    let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
    Tables::new(aws_sdk_dynamodb::Client::from_conf(config), TableNames::from_env())
}

fn all() -> Vec<Checked> {
    let lambda = aws_sdk_lambda::Config::builder().behavior_version_latest().build();
    let map = Map { lambda: Some(aws_sdk_lambda::Client::from_conf(lambda)) };
    let mut parsers = BTreeMap::from([
        parser(Import(tables())),
        parser(Dump),
        parser(Restore(WriteGuard::default())),
        parser(Revert(WriteGuard::default())),
        parser(Verify),
        parser(Diff),
        parser(Archive),
        parser(Train(tables())),
        parser(RebuildHistory(tables())),
        parser(RefreshPopular(tables())),
        parser(RotateSecret(tables())),
        parser(map),
        parser(TableOperation::Count),
        parser(TableOperation::Update),
        parser(TableOperation::Delete),
        parser(TableOperation::Copy),
        parser(TableOperation::Fill),
    ]);
    let checked = |KindSchema { kind, schema, .. }| Checked {
        kind,
        validator: jsonschema::validator_for(&schema).unwrap(),
        schema,
        parse: parsers.remove(kind).unwrap(),
    };
    schemas(&tables()).into_iter().map(checked).collect()
}

#[test]
fn every_kind_has_a_schema_and_every_field_a_description() {
    let described: Vec<&str> = schemas(&tables()).iter().map(|schema| schema.kind).collect();
    assert_eq!(described, kinds(&tables(), None).names().collect::<Vec<_>>());
    for KindSchema { kind, description, schema, .. } in schemas(&tables()) {
        assert!(description.ends_with('.'), "{kind}: {description}");
        assert_eq!((&schema["type"], &schema["title"]), (&json!("object"), &json!(kind)));
        check_descriptions(kind, &schema);
    }
}

/// Every field has a text for people, which does not refer to code.
fn check_descriptions(path: &str, schema: &Value) {
    for choice in ["oneOf", "anyOf"].iter().filter_map(|name| schema[name].as_array()).flatten() {
        check_descriptions(path, choice);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        // A constant is told by the schema that it is a part of.
        if field.get("const").is_none() {
            let description =
                field["description"].as_str().unwrap_or_else(|| panic!("{path} has no description"));
            assert!(!description.contains("[`") && !description.contains("]("), "{path}: {description}");
        }
        check_descriptions(&path, field);
    }
}

#[test]
fn a_schema_requires_what_the_parser_requires_and_knows_the_same_fields() {
    for kind in all() {
        for way in kind.ways() {
            assert!(kind.agree(&way), "{}: {way} is not accepted", kind.kind);
            for name in way.as_object().unwrap().keys() {
                let mut less = way.clone();
                less.as_object_mut().unwrap().remove(name);
                kind.agree(&less);
            }
            let mut more = way.clone();
            more["unheardOf"] = json!(1);
            assert!(!kind.agree(&more), "{}: {more} is accepted", kind.kind);
            for (name, field) in kind.fields().filter(|(name, _)| way.get(name).is_none()) {
                let mut more = way.clone();
                more[name] = sample(field);
                let refusal = (kind.parse)(&more).err().map(|refusal| refusal.problem).unwrap_or_default();
                for unknown in ["unknown field", "not accepted by kind", "invalid type", "unknown variant"] {
                    assert!(!refusal.contains(unknown), "{}: {more}: {refusal}", kind.kind);
                }
            }
        }
    }
}

/// A value that a field may have.
fn sample(field: &Value) -> Value {
    if let Some(default) = field.get("default") {
        return default.clone();
    }
    if let Some(choices) = field["enum"].as_array() {
        return choices[0].clone();
    }
    if let Some(example) = field["examples"].as_array() {
        return example[0].clone();
    }
    for choices in ["oneOf", "anyOf"] {
        if let (Some(choices), None) = (field[choices].as_array(), field.get("properties")) {
            return sample(&choices[0]);
        }
    }
    match field["type"].as_str() {
        _ if field.get("const").is_some() => field["const"].clone(),
        Some("integer") => field.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(&field["items"])]),
        Some("object") => {
            let required = field["required"].as_array().cloned().unwrap_or_default();
            let fields = required.iter().map(|name| name.as_str().unwrap());
            fields.map(|name| (name.to_owned(), sample(&field["properties"][name]))).collect()
        }
        _ => match field["format"].as_str() {
            Some("condition" | "change") => json!("a = 1"),
            Some("duration") => json!("5m"),
            Some("location") => json!("s3://bucket/place"),
            _ => json!("abc"),
        },
    }
}

#[test]
fn a_number_out_of_its_range_is_refused_by_both() {
    let mut checked = 0;
    for kind in all() {
        let way = kind.ways().remove(0);
        for (name, field) in kind.fields() {
            let bounds = [("minimum", -1.0, false), ("maximum", 1.0, false), ("exclusiveMinimum", 0.0, true)];
            for (bound, beyond, exclusive) in bounds {
                let Some(limit) = field[bound].as_f64() else { continue };
                let number = |number: f64| match field["type"].as_str() {
                    Some("integer") => json!(number as i64),
                    _ => json!(number),
                };
                // What JSON numbers hold exactly.
                if limit > 1e15 {
                    continue;
                }
                let with = |value: Value| {
                    let mut parameters = way.clone();
                    parameters[name] = value;
                    parameters
                };
                let out = with(number(limit + beyond));
                assert!(!kind.validator.is_valid(&out), "{}: {out}", kind.kind);
                assert!(kind.rejects(&out, name), "{}: {out}: {:?}", kind.kind, (kind.parse)(&out));
                let within = with(number(if exclusive { limit + 0.1 } else { limit }));
                let refusal = (kind.parse)(&within).err().map(|refusal| refusal.problem).unwrap_or_default();
                assert!(!refusal.starts_with("must be"), "{}: {within}: {refusal}", kind.kind);
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked} bounds");
}

#[test]
fn the_knobs_of_a_training_have_the_ranges_of_their_check() {
    let all = all();
    let train = all.iter().find(|kind| kind.kind == "train").unwrap();
    for (name, field) in train.schema["properties"]["params"]["properties"].as_object().unwrap() {
        let with = |value: f64| {
            let value = if field["type"] == "integer" { json!(value as i64) } else { json!(value) };
            json!({ "params": { name: value } })
        };
        let low = field
            .get("minimum")
            .map_or_else(|| field["exclusiveMinimum"].as_f64().unwrap(), |low| low.as_f64().unwrap() - 1.0);
        let high = field["maximum"].as_f64().unwrap();
        assert!(!train.agree(&with(low)) && !train.agree(&with(high * 2.0 + 1.0)), "{name}");
        assert!(
            train.agree(&with(high)) && train.agree(&json!({ "params": { name: field["default"] } })),
            "{name}"
        );
    }
}

#[test]
fn every_choice_and_every_default_is_accepted() {
    for kind in all() {
        for way in kind.ways() {
            for (name, field) in kind.fields() {
                let choices = field["enum"].as_array().into_iter().flatten().chain(field.get("default"));
                for choice in choices {
                    let mut with = way.clone();
                    if with.get(name).is_none() {
                        with[name] = choice.clone();
                    }
                    let refusal =
                        (kind.parse)(&with).err().map(|refusal| refusal.problem).unwrap_or_default();
                    assert!(!refusal.contains("variant"), "{}: {with}: {refusal}", kind.kind);
                    assert!(kind.validator.is_valid(&with), "{}: {with}", kind.kind);
                }
            }
        }
    }
}

#[test]
fn the_examples_of_the_pages_are_valid() {
    let all = all();
    let mut shown = 0;
    let mut check = |job: &Value| {
        let kind = all.iter().find(|kind| job["kind"] == kind.kind).unwrap();
        let parameters = job.get("parameters").cloned().unwrap_or_else(|| json!({}));
        assert!(kind.agree(&parameters), "{job}");
        shown += 1;
    };
    let readme = include_str!("../../jobs-table/README.md");
    for line in readme.lines().filter(|line| line.starts_with("{ \"kind\"")) {
        check(&serde_json::from_str(line).unwrap());
    }
    let spec = Yaml::load_from_str(include_str!("../../../openapi.yaml")).unwrap().remove(0);
    let examples = &spec["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"];
    for (_, example) in examples.as_mapping().unwrap() {
        check(&json(&example["value"]));
    }
    assert!(shown >= 9, "{shown} examples");
}

fn json(yaml: &Yaml<'_>) -> Value {
    if let Some(map) = yaml.as_mapping() {
        let fields = map.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), json(value)));
        return fields.collect();
    }
    if let Some(list) = yaml.as_sequence() {
        return list.iter().map(json).collect();
    }
    let number = || yaml.as_integer().map(Value::from);
    yaml.as_str().map(Value::from).or_else(|| yaml.as_bool().map(Value::from)).or_else(number).unwrap()
}
