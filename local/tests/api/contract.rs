//! `openapi.yaml`, read as a judge of answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::api::Answer;

const PROBLEM: &str = "application/problem+json";

/// The contract, and what of it has been seen.
pub(crate) struct Contract {
    document: Value,
    /// Operation ids by route, such as `GET /products`.
    operations: BTreeMap<String, (String, Value)>,
    seen: BTreeSet<Seen>,
}

/// An operation's id, a status, and a problem's code if it is one.
type Seen = (String, u16, Option<String>);

impl Contract {
    pub(crate) fn read() -> Self {
        let text = include_str!("../../../openapi.yaml");
        let document = Yaml::load_from_str(text).unwrap().pop().map(value).unwrap();
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                operations.insert(format!("{} {path}", method.to_uppercase()), (id, operation.clone()));
            }
        }
        Self { document, operations, seen: BTreeSet::new() }
    }

    pub(crate) fn routes(&self) -> BTreeSet<String> {
        self.operations.keys().cloned().collect()
    }

    /// The route of an operation and its method.
    pub(crate) fn route(&self, operation: &str) -> &str {
        let found = self.operations.iter().find(|(_, (id, _))| id == operation);
        found.unwrap_or_else(|| panic!("the contract has no operation {operation}")).0
    }

    /// The headers of all answers, in lower case.
    pub(crate) fn headers(&self) -> BTreeSet<String> {
        let responses = self.operations.keys().flat_map(|route| self.responses(route).into_values());
        let named = responses.filter_map(|response| response.get("headers")?.as_object().cloned());
        named.flatten().map(|(name, _)| name.to_lowercase()).collect()
    }

    /// The id of a route's operation.
    pub(crate) fn operation(&self, route: &str) -> &str {
        &self.operations[route].0
    }

    /// Holds an answer against the contract.
    pub(crate) fn check(&mut self, operation: &str, answer: &Answer) {
        if let Err(wrong) = self.judge(operation, answer) {
            panic!("{operation}: {wrong}\n{answer:#?}");
        }
    }

    fn judge(&mut self, operation: &str, answer: &Answer) -> Result<(), String> {
        let route = self.route(operation).to_owned();
        let responses = self.responses(&route);
        let response = responses.get(&answer.status).ok_or("the status is not in the contract")?;
        let content_type = answer.headers.get("content-type").map(String::as_str);
        let (Some(content), Some(body)) = (response.get("content"), &answer.body) else {
            let bare = response.get("content").is_none() && answer.body.is_none() && content_type.is_none();
            return if bare { self.note(operation, answer, response) } else { Err("the body".to_owned()) };
        };
        let content_type = content_type.ok_or("no content type")?;
        let media = content.get(content_type).ok_or(format!("the content type is {content_type}"))?;
        self.validate(&media["schema"], body)?;
        if content_type == PROBLEM {
            let code = answer.text("/code");
            if body["status"] != answer.status
                || answer.text("/type") != format!("urn:nextbasket:problem:{code}")
            {
                return Err("status and type do not say what the answer is".to_owned());
            }
        } else if answer.status >= 400 {
            // API Gateway's own words: neither a header of ours nor a code.
            return Ok(());
        }
        self.note(operation, answer, response)
    }

    fn note(&mut self, operation: &str, answer: &Answer, response: &Value) -> Result<(), String> {
        for (name, header) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let header = self.resolved(header);
            let value = answer.headers.get(&name.to_lowercase());
            match value {
                Some(value) => {
                    self.validate(&header["schema"], &json!(value)).map_err(|e| format!("{name}: {e}"))?;
                }
                None if header["required"] == true => return Err(format!("the header {name} is missing")),
                None => {}
            }
        }
        let code = (answer.status >= 400).then(|| answer.text("/code").to_owned());
        self.seen.insert((operation.to_owned(), answer.status, code));
        Ok(())
    }

    /// What the contract promises and no answer has shown: statuses, and codes of problems. API Gateway's own
    /// answers are not among it.
    pub(crate) fn unseen(&self) -> BTreeSet<Seen> {
        let mut promised = BTreeSet::new();
        for (route, (id, _)) in &self.operations {
            for (status, response) in self.responses(route) {
                if status < 400 {
                    promised.insert((id.clone(), status, None));
                }
                let schema = response.get("content").and_then(|content| content.get(PROBLEM));
                for code in schema.map(codes).unwrap_or_default() {
                    promised.insert((id.clone(), status, Some(code)));
                }
            }
        }
        promised.difference(&self.seen).cloned().collect()
    }

    fn responses(&self, route: &str) -> BTreeMap<u16, Value> {
        let responses = self.operations[route].1["responses"].as_object().unwrap();
        responses
            .iter()
            .map(|(status, response)| (status.parse().unwrap(), self.resolved(response)))
            .collect()
    }

    fn resolved(&self, node: &Value) -> Value {
        match node.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap().clone(),
            None => node.clone(),
        }
    }

    fn validate(&self, schema: &Value, instance: &Value) -> Result<(), String> {
        let whole = json!({ "components": self.document["components"], "allOf": [schema] });
        let validator =
            jsonschema::options().should_validate_formats(true).build(&whole).map_err(|e| e.to_string())?;
        let errors: Vec<String> =
            validator.iter_errors(instance).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    /// Whether a request's body is as the operation asks for.
    pub(crate) fn admits(&self, operation: &str, body: &Value) -> Result<(), String> {
        let (_, operation) = &self.operations[self.route(operation)];
        self.validate(&operation["requestBody"]["content"]["application/json"]["schema"], body)
    }

    /// Every example in the contract with the schema that it is an example of.
    pub(crate) fn check_examples(&self) -> usize {
        let mut checked = 0;
        let mut stack = vec![&self.document["paths"], &self.document["components"]["responses"]];
        while let Some(node) = stack.pop() {
            if let (Some(schema), true) = (node.get("schema"), node.is_object()) {
                let named = node.get("examples").and_then(Value::as_object).into_iter().flatten();
                let examples = named.map(|(_, example)| &example["value"]).chain(node.get("example"));
                for example in examples {
                    self.validate(schema, example).unwrap_or_else(|wrong| panic!("{example}: {wrong}"));
                    checked += 1;
                }
            }
            match node {
                Value::Object(map) => stack.extend(map.values()),
                Value::Array(list) => stack.extend(list),
                _ => {}
            }
        }
        checked
    }
}

/// The codes that a problem's schema lists.
fn codes(media: &Value) -> Vec<String> {
    let parts = media["schema"]["allOf"].as_array().unwrap();
    let listed = parts.iter().filter_map(|part| part.pointer("/properties/code/enum")?.as_array());
    listed.flatten().map(|code| code.as_str().unwrap().to_owned()).collect()
}

fn value(node: Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(truth)) => truth.into(),
        Yaml::Value(Scalar::Integer(number)) => number.into(),
        Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.into_owned().into(),
        Yaml::Sequence(nodes) => nodes.into_iter().map(value).collect(),
        Yaml::Mapping(nodes) => {
            let named =
                nodes.into_iter().map(|(name, node)| (value(name).as_str().unwrap().to_owned(), value(node)));
            Value::Object(named.collect::<Map<_, _>>())
        }
        other => panic!("{other:?} has no business in openapi.yaml"),
    }
}
