//! JSON Schemas of the parameters of jobs, made from the types that read them, for whoever shows a form.
//!
//! Besides what JSON Schema has itself, a field may say
//! * `format`: `table-name`, `location`, `condition`, `change`, `duration`
//! * `x-unit`: `bytes`, `seconds`, `percent`, `days`, `units/s`
//! * `x-group`: `run` for fields that decide how a job runs, and not what it does

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::Kind;

/// The fields that decide how a job runs, of whichever kind it is.
const RUN_FIELDS: [&str; 12] = [
    "aggregate",
    "assign",
    "batchSize",
    "consistentRead",
    "dryRun",
    "parallel",
    "readBytes",
    "readUnits",
    "segments",
    "tolerated",
    "width",
    "writeUnits",
];

/// A kind of job, as somebody needs it who wants to submit one.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindSchema {
    /// Its name.
    pub kind: &'static str,
    /// What it does, in a sentence or two.
    pub description: String,
    /// Whether its jobs write to tables.
    pub writes_tables: bool,
    /// The JSON Schema of its parameters.
    pub schema: Value,
}

/// A kind whose parameters have a schema.
pub trait DescribedKind: Kind {
    /// The schema of its parameters, as [`schema_of`] makes it; the schema's description is that of the kind.
    fn parameters_schema(&self) -> Value;

    /// The kind with its schema.
    fn described(&self) -> KindSchema {
        let mut schema = self.parameters_schema();
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
        set(&mut schema, "title", self.name());
        KindSchema { kind: self.name(), description, writes_tables: self.writes_tables(), schema }
    }
}

/// The schema of a type, without references, and without `null` where a field may be omitted.
#[must_use]
pub fn schema_of<P: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema: Schema = settings.into_generator().into_root_schema_for::<P>();
    let mut schema = schema.to_value();
    simplify(&mut schema);
    if let Value::Object(schema) = &mut schema {
        schema.entry("properties").or_insert_with(|| json!({}));
    }
    for (name, field) in properties(&mut schema).into_iter().flatten() {
        if RUN_FIELDS.contains(&name.as_str()) {
            set(field, "x-group", "run");
        }
    }
    schema
}

/// The schema of parameters that two types read together; the description is that of `own`.
#[must_use]
pub fn joined(mut own: Value, other: Value) -> Value {
    let Value::Object(mut other) = other else { return own };
    if let (Some(fields), Some(Value::Object(more))) = (properties(&mut own), other.remove("properties")) {
        fields.extend(more);
    }
    if let Some(Value::Array(more)) = other.remove("required") {
        require(&mut own, more);
    }
    own
}

/// Makes the fields of these names required.
pub fn require(schema: &mut Value, names: impl IntoIterator<Item = impl Into<Value>>) {
    let Value::Object(schema) = schema else { return };
    let required = schema.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        required.extend(names.into_iter().map(Into::into));
    }
}

/// Says something of a schema, in place of what it said before.
pub fn set(schema: &mut Value, keyword: &str, value: impl Into<Value>) {
    if let Value::Object(schema) = schema {
        schema.insert(keyword.to_owned(), value.into());
    }
}

/// The fields of an object's schema, by name.
pub fn properties(schema: &mut Value) -> Option<&mut Map<String, Value>> {
    schema.get_mut("properties")?.as_object_mut()
}

fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(simplify),
        Value::Object(fields) => {
            without_null(fields);
            name_choices(fields);
            describe_variant(fields);
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            fields.iter_mut().filter(|(name, _)| *name != "default").for_each(|(_, value)| simplify(value));
        }
        _ => {}
    }
}

/// `null` is the same as a field that is omitted, which a form knows already; so are an empty list and an empty map.
fn without_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = fields.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    let says_nothing = |default: &Value| match default {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        other => other.is_null(),
    };
    if fields.get("default").is_some_and(says_nothing) {
        fields.remove("default");
    }
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = choices.as_mut_slice() {
            let only = std::mem::take(only);
            fields.remove("anyOf");
            for (name, value) in only {
                // What a field says of itself is nearer than what its type says.
                fields.entry(name).or_insert(value);
            }
        }
    }
}

/// Choices that each have a description are told as a plain `enum`, too.
fn name_choices(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let names: Option<Vec<Value>> = choices.iter().map(|choice| choice.get("const").cloned()).collect();
    if let Some(names) = names {
        fields.insert("type".to_owned(), json!("string"));
        fields.insert("enum".to_owned(), Value::Array(names));
    }
}

/// What is said of a variant with a value is said of the field that holds the value.
fn describe_variant(fields: &mut Map<String, Value>) {
    let Some(description) = fields.get("description").cloned() else { return };
    let Some(Value::Object(properties)) = fields.get_mut("properties") else { return };
    let mut properties = properties.values_mut();
    if let (Some(Value::Object(only)), None) = (properties.next(), properties.next()) {
        only.entry("description").or_insert(description);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thing of this test.
    #[derive(JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Thing {
        /// How many
        /// there are.
        #[schemars(range(min = 1, max = 9))]
        count: Option<u32>,
        order: Option<crate::Assign>,
        width: u32,
    }

    #[test]
    fn a_field_that_may_be_omitted_is_not_null_and_choices_are_named() {
        let schema = schema_of::<Thing>();
        assert_eq!(schema["description"], "A thing of this test.");
        assert_eq!(schema["required"], json!(["width"]));
        let fields = &schema["properties"];
        assert_eq!(
            fields["count"],
            json!({ "description": "How many there are.", "type": "integer", "format": "uint32", "minimum": 1, "maximum": 9 })
        );
        assert_eq!(fields["order"]["enum"], json!(["inOrder", "random", "balanced", "priority"]));
        assert_eq!(fields["order"]["type"], "string");
        assert_eq!(fields["width"]["x-group"], "run");
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn two_types_that_read_parameters_together_have_one_schema() {
        let own = json!({ "description": "own", "properties": { "a": {} }, "required": ["a"] });
        let other = json!({ "description": "other", "properties": { "b": {} }, "required": ["b"] });
        let all = json!({ "description": "own", "properties": { "a": {}, "b": {} }, "required": ["a", "b"] });
        assert_eq!(joined(own, other), all);
    }
}
