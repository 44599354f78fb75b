//! Intrinsic functions, parameters and conditions, evaluated as CloudFormation would for a stack on this machine.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Resource, TemplateError, scalar_text};

/// Region of everything that has an ARN here.
pub(crate) const REGION: &str = "local";
/// Account of everything that has an ARN here.
pub(crate) const ACCOUNT: &str = "000000000000";

/// Deeper than any sensible template; stops references that go round in circles.
const DEEPEST: usize = 64;

pub(crate) struct Resolver<'a> {
    stack_name: &'a str,
    document: &'a Map<String, Value>,
    parameters: BTreeMap<&'a str, Value>,
    depth: Cell<usize>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(
        document: &'a Map<String, Value>,
        stack_name: &'a str,
        given: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let mut parameters = BTreeMap::new();
        let declared = section(document, "Parameters");
        for (name, declaration) in declared.into_iter().flatten() {
            let value = match given.get(name) {
                Some(value) => Value::String(value.clone()),
                None => declaration
                    .get("Default")
                    .cloned()
                    .ok_or_else(|| TemplateError::missing("Parameters", format!("{name}.Default")))?,
            };
            let list = declaration.get("Type").and_then(Value::as_str).is_some_and(|t| t.contains("List"));
            let value = match (list, value) {
                (true, Value::String(text)) => {
                    text.split(',').map(|entry| Value::from(entry.trim())).collect()
                }
                (_, value) => value,
            };
            parameters.insert(name.as_str(), value);
        }
        if let Some(name) = given.keys().find(|name| !parameters.contains_key(name.as_str())) {
            return Err(TemplateError::unknown_reference("Parameters", name));
        }
        Ok(Resolver { stack_name, document, parameters, depth: Cell::new(0) })
    }

    /// All resources whose condition holds.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Result<Resource<'a>, TemplateError>> {
        section(self.document, "Resources").into_iter().flatten().filter_map(|(name, body)| {
            let resource = self.resource_of(name, body);
            match resource.and_then(|r| Ok((self.exists(&r)?, r))) {
                Ok((true, resource)) => Some(Ok(resource)),
                Ok((false, _)) => None,
                Err(e) => Some(Err(e)),
            }
        })
    }

    /// The resource with this logical id.
    pub(crate) fn resource(&self, from: &str, name: &str) -> Result<Resource<'a>, TemplateError> {
        let (name, body) = section(self.document, "Resources")
            .and_then(|resources| resources.get_key_value(name))
            .ok_or_else(|| TemplateError::unknown_reference(from, name))?;
        self.resource_of(name, body)
    }

    fn resource_of(&self, name: &'a str, body: &'a Value) -> Result<Resource<'a>, TemplateError> {
        let missing = || TemplateError::missing(name, "Type");
        let body = body.as_object().ok_or_else(missing)?;
        let kind = body.get("Type").and_then(Value::as_str).ok_or_else(missing)?;
        Ok(Resource { name, kind, body })
    }

    fn exists(&self, resource: &Resource<'_>) -> Result<bool, TemplateError> {
        match resource.body.get("Condition").and_then(Value::as_str) {
            Some(condition) => self.condition(resource.name, condition),
            None => Ok(true),
        }
    }

    /// One property of a resource, resolved; `None` when it is absent or `AWS::NoValue`.
    pub(crate) fn property(
        &self,
        resource: &Resource<'_>,
        key: &str,
    ) -> Result<Option<Value>, TemplateError> {
        resource.raw_property(key).map_or(Ok(None), |value| self.value(resource.name, value))
    }

    /// `Globals.Function.<key>`, resolved.
    pub(crate) fn function_global(&self, from: &str, key: &str) -> Result<Option<Value>, TemplateError> {
        let global =
            section(self.document, "Globals").and_then(|g| g.get("Function")).and_then(|f| f.get(key));
        global.map_or(Ok(None), |value| self.value(from, value))
    }

    /// A value with its intrinsic functions evaluated; `None` for `AWS::NoValue`.
    pub(crate) fn value(&self, from: &str, value: &Value) -> Result<Option<Value>, TemplateError> {
        if self.depth.get() >= DEEPEST {
            return Err(TemplateError::unsupported(from, "a reference that leads back to itself"));
        }
        self.depth.set(self.depth.get() + 1);
        let resolved = self.value_within(from, value);
        self.depth.set(self.depth.get() - 1);
        resolved
    }

    fn value_within(&self, from: &str, value: &Value) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Array(entries) => {
                let mut resolved = Vec::with_capacity(entries.len());
                for entry in entries {
                    resolved.extend(self.value(from, entry)?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            Value::Object(map) => match single(map) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.intrinsic(from, name, argument)
                }
                _ => {
                    let mut resolved = Map::new();
                    for (key, entry) in map {
                        if let Some(entry) = self.value(from, entry)? {
                            resolved.insert(key.clone(), entry);
                        }
                    }
                    Ok(Some(Value::Object(resolved)))
                }
            },
            scalar => Ok(Some(scalar.clone())),
        }
    }

    fn intrinsic(&self, from: &str, name: &str, argument: &Value) -> Result<Option<Value>, TemplateError> {
        let text = |text: String| Ok(Some(Value::String(text)));
        let unsupported = || TemplateError::unsupported(from, format!("{name} {argument}"));
        match (name, argument, elements(argument)) {
            ("Ref", Value::String(target), _) => self.reference(from, target),
            ("Fn::GetAtt", _, [Value::String(target), Value::String(attribute)]) => {
                text(self.attribute(from, target, attribute)?)
            }
            ("Fn::Sub", Value::String(pattern), _) => text(self.substitute(from, pattern, &Map::new())?),
            ("Fn::Sub", _, [Value::String(pattern), Value::Object(variables)]) => {
                text(self.substitute(from, pattern, variables)?)
            }
            ("Fn::If", _, [Value::String(condition), then, otherwise]) => {
                self.value(from, if self.condition(from, condition)? { then } else { otherwise })
            }
            ("Fn::Join", _, [Value::String(separator), entries]) => {
                let entries = self.value(from, entries)?;
                let texts = entries.as_ref().and_then(Value::as_array);
                let texts: Option<Vec<String>> = texts.and_then(|e| e.iter().map(scalar_text).collect());
                text(texts.ok_or_else(unsupported)?.join(separator))
            }
            _ => Err(unsupported()),
        }
    }

    fn reference(&self, from: &str, target: &str) -> Result<Option<Value>, TemplateError> {
        let text = match target {
            "AWS::NoValue" => return Ok(None),
            "AWS::StackName" => self.stack_name.to_owned(),
            "AWS::Region" => REGION.to_owned(),
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "localhost".to_owned(),
            _ => match self.parameters.get(target) {
                Some(value) => return Ok(Some(value.clone())),
                None => self.physical_name(&self.resource(from, target)?)?,
            },
        };
        Ok(Some(Value::String(text)))
    }

    /// The name that a resource has once it exists: the one that the template gives it, or its logical id.
    pub(crate) fn physical_name(&self, resource: &Resource<'_>) -> Result<String, TemplateError> {
        let key = match resource.kind {
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::Serverless::Function" => "FunctionName",
            "AWS::SQS::Queue" => "QueueName",
            "AWS::S3::Bucket" => "BucketName",
            _ => return Ok(resource.name.to_owned()),
        };
        let name = self.property(resource, key)?;
        Ok(name.as_ref().and_then(scalar_text).unwrap_or_else(|| {
            let name = format!("{}-{}", self.stack_name, resource.name);
            // Buckets have no capitals.
            if resource.kind == "AWS::S3::Bucket" { name.to_lowercase() } else { name }
        }))
    }

    /// An attribute of a resource, as `Fn::GetAtt` gives it.
    fn attribute(&self, from: &str, target: &str, attribute: &str) -> Result<String, TemplateError> {
        let resource = self.resource(from, target)?;
        let name = self.physical_name(&resource)?;
        match (resource.kind, attribute) {
            ("AWS::DynamoDB::Table", "Arn") => {
                Ok(format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"))
            }
            ("AWS::DynamoDB::Table", "StreamArn") => {
                Ok(format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}/stream/latest"))
            }
            ("AWS::Serverless::Function", "Arn") => {
                Ok(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"))
            }
            ("AWS::SQS::Queue", "Arn") => Ok(format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")),
            ("AWS::SQS::Queue", "QueueName") => Ok(name),
            ("AWS::S3::Bucket", "Arn") => Ok(format!("arn:aws:s3:::{name}")),
            _ => Err(TemplateError::unsupported(from, format!("the attribute {attribute} of {target}"))),
        }
    }

    fn substitute(
        &self,
        from: &str,
        text: &str,
        variables: &Map<String, Value>,
    ) -> Result<String, TemplateError> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let unfinished = || TemplateError::unsupported(from, format!("the unfinished text {text}"));
            let (name, after) = after.split_once('}').ok_or_else(unfinished)?;
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let value = match (variables.get(name), name.split_once('.')) {
                (Some(value), _) => self.value(from, value)?,
                (None, Some((target, attribute))) => {
                    Some(Value::String(self.attribute(from, target, attribute)?))
                }
                (None, None) => self.reference(from, name)?,
            };
            let no_text = || TemplateError::unsupported(from, format!("${{{name}}}, which is no text,"));
            result.push_str(&value.as_ref().and_then(scalar_text).ok_or_else(no_text)?);
        }
        result.push_str(rest);
        Ok(result)
    }

    fn condition(&self, from: &str, name: &str) -> Result<bool, TemplateError> {
        let expression = section(self.document, "Conditions").and_then(|conditions| conditions.get(name));
        self.truth(from, expression.ok_or_else(|| TemplateError::unknown_reference(from, name))?)
    }

    fn truth(&self, from: &str, expression: &Value) -> Result<bool, TemplateError> {
        let other = || TemplateError::unsupported(from, format!("the condition {expression}"));
        let (name, argument) = expression.as_object().and_then(single).ok_or_else(other)?;
        match (name, argument, elements(argument)) {
            ("Condition", Value::String(name), _) => self.condition(from, name),
            ("Fn::Equals", _, [left, right]) => {
                let text = |side| Ok(self.value(from, side)?.as_ref().and_then(scalar_text));
                Ok(text(left)? == text(right)?)
            }
            ("Fn::Not", _, [part]) => Ok(!self.truth(from, part)?),
            ("Fn::And", Value::Array(parts), _) => {
                parts.iter().try_fold(true, |all, part| Ok(all && self.truth(from, part)?))
            }
            ("Fn::Or", Value::Array(parts), _) => {
                parts.iter().try_fold(false, |any, part| Ok(any || self.truth(from, part)?))
            }
            _ => Err(other()),
        }
    }
}

fn elements(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn section<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    document.get(name).and_then(Value::as_object)
}

fn single(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Some((key.as_str(), value)),
        _ => None,
    }
}
