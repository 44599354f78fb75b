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

pub use bucket::{BucketTemplate, Expiration};
pub use function::Function;
pub use mapping::{StartingPosition, StreamMapping};
pub use route::Route;
pub use schedule::Schedule;
pub use table::TableTemplate;

use resolve::Resolver;
pub(crate) use resolve::{ACCOUNT, REGION};

/// The parts of a template that the stand-ins follow.
#[derive(Debug, Clone, Default)]
pub struct Template {
    pub tables: Vec<TableTemplate>,
    pub buckets: Vec<BucketTemplate>,
    pub functions: Vec<Function>,
    pub routes: Vec<Route>,
    pub mappings: Vec<StreamMapping>,
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
        let mut template = Template::default();
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
                    let what = format!("the resource type {}", resource.kind);
                    return Err(TemplateError::unsupported(resource.name, what));
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

    #[must_use]
    pub fn table(&self, logical_id: &str) -> Option<&TableTemplate> {
        self.tables.iter().find(|t| t.logical_id == logical_id)
    }

    #[must_use]
    pub fn bucket(&self, logical_id: &str) -> Option<&BucketTemplate> {
        self.buckets.iter().find(|b| b.logical_id == logical_id)
    }
}

/// Why a template cannot be followed: each error names the logical id of the resource (or `Parameters`) and the path
/// of the property.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML, or not one mapping.
    #[error("template: invalid YAML: {0}")]
    Yaml(String),
    /// A property that is needed is not there.
    #[error("{resource}: {property} is missing")]
    Missing { resource: String, property: String },
    /// A property has a value of another kind or out of its range.
    #[error("{resource}: {property} must be {expected}, not {found}")]
    Wrong {
        resource: String,
        property: String,
        expected: &'static str,
        /// As JSON.
        found: String,
    },
    /// Something that one machine has no stand-in for.
    #[error("{resource}: {what} is not supported on one machine")]
    Unsupported { resource: String, what: String },
    #[error("{resource} refers to {name}, which the template does not have")]
    UnknownReference { resource: String, name: String },
}

impl TemplateError {
    fn missing(resource: &str, property: impl Into<String>) -> Self {
        Self::Missing { resource: resource.to_owned(), property: property.into() }
    }

    fn wrong(resource: &str, property: impl Into<String>, expected: &'static str, found: &Value) -> Self {
        let (resource, property) = (resource.to_owned(), property.into());
        Self::Wrong { resource, property, expected, found: found.to_string() }
    }

    fn unsupported(resource: &str, what: impl Into<String>) -> Self {
        Self::Unsupported { resource: resource.to_owned(), what: what.into() }
    }

    fn unknown_reference(resource: &str, name: &str) -> Self {
        Self::UnknownReference { resource: resource.to_owned(), name: name.to_owned() }
    }
}

/// One resource of the template, before its properties are resolved.
pub(crate) struct Resource<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    /// The whole resource: `Properties`, `Metadata`, ….
    pub(crate) body: &'a Map<String, Value>,
}

impl<'a> Resource<'a> {
    pub(crate) fn raw_property(&self, key: &str) -> Option<&'a Value> {
        self.body.get("Properties")?.get(key)
    }

    /// What starts it, each of which must be of this type.
    pub(crate) fn events(
        &self,
        kind: &'static str,
    ) -> impl Iterator<Item = Result<Event<'a>, TemplateError>> {
        let resource = self.name;
        let events = self.raw_property("Events").and_then(Value::as_object).into_iter().flatten();
        events.map(move |(name, body)| {
            let path = format!("Events.{name}");
            match body.get("Type").and_then(Value::as_str) {
                Some(found) if found == kind => {
                    let raw = body.get("Properties").unwrap_or(&Value::Null);
                    Ok(Event { resource, name, path: format!("{path}.Properties"), raw })
                }
                other => {
                    let what = format!("{path} of type {}", other.unwrap_or("unknown"));
                    Err(TemplateError::unsupported(resource, what))
                }
            }
        })
    }
}

/// An event of a resource: a mapping or a schedule.
pub(crate) struct Event<'a> {
    resource: &'a str,
    name: &'a str,
    /// Where its properties are.
    path: String,
    raw: &'a Value,
}

impl<'a> Event<'a> {
    /// The event's logical id, as SAM makes it: the resource's and the event's name.
    pub(crate) fn logical_id(&self) -> String {
        format!("{}{}", self.resource, self.name)
    }

    /// Its resolved properties, all of which must be `known`.
    pub(crate) fn properties(
        &self,
        resolver: &Resolver<'_>,
        known: &[&str],
    ) -> Result<Properties<'a>, TemplateError> {
        let resolved = resolver.value(self.resource, self.raw)?.unwrap_or(Value::Null);
        let properties = Properties::new(self.resource, &self.path, resolved)?;
        if let Some(unknown) = properties.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(properties.unsupported(unknown));
        }
        Ok(properties)
    }
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
            other => Err(TemplateError::wrong(resource, path, "a mapping", &other)),
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
        TemplateError::missing(self.resource, self.path_of(key))
    }

    pub(crate) fn wrong(&self, key: &str, expected: &'static str) -> TemplateError {
        let found = self.get(key).unwrap_or(&Value::Null);
        TemplateError::wrong(self.resource, self.path_of(key), expected, found)
    }

    pub(crate) fn unsupported(&self, key: &str) -> TemplateError {
        TemplateError::unsupported(self.resource, self.path_of(key))
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
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        number.map(Some).ok_or_else(|| self.wrong(key, "a whole number"))
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

/// A scalar as CloudFormation turns it into text.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
