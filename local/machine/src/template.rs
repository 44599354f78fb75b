//! What the SAM template says that one machine has to do: tables, buckets, functions, routes, stream mappings and
//! schedules.
//!
//! Everything else in the template (roles, alarms, logs) is left unread. What is read and cannot be stood in
//! for is an error that names the resource, never a silent difference from the deployed stack.

mod bucket;
mod function;
mod mapping;
mod resolve;
mod route;
mod schedule;
mod table;
mod yaml;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use bucket::BucketTemplate;
pub use function::Function;
pub use mapping::{StartingPosition, StreamMapping};
pub use route::Route;
pub use schedule::Schedule;
pub use table::TableTemplate;

use resolve::Resolver;
pub(crate) use resolve::{ACCOUNT, REGION};

/// The parts of a template that the stand-ins follow.
#[derive(Debug, Clone)]
pub struct Template {
    pub tables: Vec<TableTemplate>,
    pub buckets: Vec<BucketTemplate>,
    pub functions: Vec<Function>,
    /// Routes of the HTTP API.
    pub routes: Vec<Route>,
    /// Mappings from a table's stream to a function.
    pub mappings: Vec<StreamMapping>,
    /// Schedules of state machines.
    pub schedules: Vec<Schedule>,
}

impl Template {
    /// Reads a template as it would be deployed under `stack_name` with its parameters' defaults.
    ///
    /// # Errors
    /// [`TemplateError`] when the text is no YAML, or when something that matters here is missing, of the wrong
    /// kind or unknown.
    pub fn parse(text: &str, stack_name: &str) -> Result<Self, TemplateError> {
        Self::parse_with(text, stack_name, &BTreeMap::new())
    }

    /// As [`Template::parse`], with values for some of the template's parameters.
    ///
    /// # Errors
    /// As [`Template::parse`]; also when a parameter is not the template's.
    pub fn parse_with(
        text: &str,
        stack_name: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let document = yaml::document(text)?;
        let resolver = Resolver::new(&document, stack_name, parameters)?;
        let mut template = Template {
            tables: Vec::new(),
            buckets: Vec::new(),
            functions: Vec::new(),
            routes: Vec::new(),
            mappings: Vec::new(),
            schedules: Vec::new(),
        };
        for resource in resolver.resources() {
            let resource = resource?;
            match resource.kind {
                "AWS::DynamoDB::Table" => template.tables.push(table::read(&resolver, &resource)?),
                "AWS::S3::Bucket" => template.buckets.push(bucket::read(&resolver, &resource)?),
                "AWS::Serverless::Function" => {
                    template.functions.push(function::read(&resolver, &resource)?);
                    template.mappings.extend(mapping::read(&resolver, &resource)?);
                }
                "AWS::Serverless::StateMachine" => {
                    template.schedules.extend(schedule::read(&resolver, &resource)?);
                }
                "AWS::ApiGatewayV2::Route" => template.routes.push(route::read(&resolver, &resource)?),
                "AWS::Lambda::EventSourceMapping"
                | "AWS::Serverless::HttpApi"
                | "AWS::Serverless::SimpleTable" => {
                    return Err(TemplateError::Unsupported {
                        resource: resource.name.to_owned(),
                        what: format!("the resource type {}", resource.kind),
                    });
                }
                _ => {}
            }
        }
        Ok(template)
    }

    /// The function with this logical id or this binary's name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|f| f.logical_id == name || f.binary == name)
    }

    /// The table with this logical id.
    #[must_use]
    pub fn table(&self, logical_id: &str) -> Option<&TableTemplate> {
        self.tables.iter().find(|t| t.logical_id == logical_id)
    }

    /// The bucket with this logical id.
    #[must_use]
    pub fn bucket(&self, logical_id: &str) -> Option<&BucketTemplate> {
        self.buckets.iter().find(|b| b.logical_id == logical_id)
    }
}

/// Why a template cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML, or not one mapping.
    #[error("template: invalid YAML: {0}")]
    Yaml(String),
    /// A property that is needed is not there.
    #[error("{resource}: {property} is missing")]
    Missing {
        /// Logical id of the resource.
        resource: String,
        /// Path of the property.
        property: String,
    },
    /// A property has a value of another kind or out of its range.
    #[error("{resource}: {property} must be {expected}, not {found}")]
    Wrong {
        /// Logical id of the resource.
        resource: String,
        /// Path of the property.
        property: String,
        /// What would be right.
        expected: &'static str,
        /// What is there, as JSON.
        found: String,
    },
    /// Something that one machine has no stand-in for.
    #[error("{resource}: {what} is not supported on one machine")]
    Unsupported {
        /// Logical id of the resource.
        resource: String,
        /// What it is.
        what: String,
    },
    /// A reference to nothing.
    #[error("{resource} refers to {name}, which the template does not have")]
    UnknownReference {
        /// Logical id of the resource, or `Parameters`.
        resource: String,
        /// The name that was looked for.
        name: String,
    },
}

/// One resource of the template, before its properties are resolved.
pub(crate) struct Resource<'a> {
    /// Logical id.
    pub(crate) name: &'a str,
    /// Type, such as `AWS::DynamoDB::Table`.
    pub(crate) kind: &'a str,
    /// The whole resource: `Properties`, `Metadata`, ….
    pub(crate) body: &'a Map<String, Value>,
}

/// A resolved mapping of properties that reads them with errors that name the resource and the path.
pub(crate) struct Properties<'a> {
    resource: &'a str,
    path: String,
    values: Map<String, Value>,
}

impl<'a> Properties<'a> {
    pub(crate) fn new(resource: &'a str, path: &str, value: Value) -> Result<Self, TemplateError> {
        match value {
            Value::Object(values) => Ok(Properties { resource, path: path.to_owned(), values }),
            other => Err(wrong(resource, path, "a mapping", &other)),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }

    pub(crate) fn missing(&self, key: &str) -> TemplateError {
        TemplateError::Missing { resource: self.resource.to_owned(), property: self.path_of(key) }
    }

    pub(crate) fn wrong(&self, key: &str, expected: &'static str) -> TemplateError {
        wrong(self.resource, &self.path_of(key), expected, self.values.get(key).unwrap_or(&Value::Null))
    }

    pub(crate) fn unsupported(&self, key: &str) -> TemplateError {
        TemplateError::Unsupported { resource: self.resource.to_owned(), what: self.path_of(key) }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, TemplateError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => scalar_text(value).map(Some).ok_or_else(|| self.wrong(key, "a text")),
        }
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<String, TemplateError> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, TemplateError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(n)) => n.as_i64().map(Some).ok_or_else(|| self.wrong(key, "a whole number")),
            Some(Value::String(s)) => s.parse().map(Some).map_err(|_| self.wrong(key, "a whole number")),
            Some(_) => Err(self.wrong(key, "a whole number")),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool, TemplateError> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(Value::String(s)) if s == "true" => Ok(true),
            Some(Value::String(s)) if s == "false" => Ok(false),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    pub(crate) fn list(&self, key: &str) -> Result<Vec<Properties<'a>>, TemplateError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let Value::Array(entries) = value else { return Err(self.wrong(key, "a list")) };
        let path = self.path_of(key);
        entries
            .iter()
            .enumerate()
            .map(|(i, entry)| Properties::new(self.resource, &format!("{path}.{i}"), entry.clone()))
            .collect()
    }

    pub(crate) fn nested(&self, key: &str) -> Result<Option<Properties<'a>>, TemplateError> {
        self.get(key).map(|v| Properties::new(self.resource, &self.path_of(key), v.clone())).transpose()
    }
}

fn wrong(resource: &str, property: &str, expected: &'static str, found: &Value) -> TemplateError {
    TemplateError::Wrong {
        resource: resource.to_owned(),
        property: property.to_owned(),
        expected,
        found: found.to_string(),
    }
}

/// A scalar as CloudFormation turns it into text.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
