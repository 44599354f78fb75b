//! One Lambda function of the template.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::resolve::{ACCOUNT, REGION, Resolver};
use super::{Properties, Resource, TemplateError};

/// A function, as far as it can be told apart on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Name in the template, such as `PurchasesFunction`.
    pub logical_id: String,
    /// Name once deployed, such as `nextbasket-purchases`.
    pub name: String,
    /// The binary that is built for it, from `Metadata.BuildProperties.Binary`.
    pub binary: String,
    pub timeout: Duration,
    pub memory_mb: i32,
    /// Environment variables, those for all functions included.
    pub environment: BTreeMap<String, String>,
}

impl Function {
    /// The ARN that an invocation's context names.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", self.name)
    }
}

pub(crate) fn read(resolver: &Resolver<'_>, resource: &Resource<'_>) -> Result<Function, TemplateError> {
    let binary =
        resource.body.get("Metadata").and_then(|metadata| metadata.pointer("/BuildProperties/Binary"));
    let binary = binary
        .and_then(Value::as_str)
        .ok_or_else(|| TemplateError::missing(resource.name, "Metadata.BuildProperties.Binary"))?;
    let mut merged = serde_json::Map::new();
    for key in ["Timeout", "MemorySize"] {
        let own = resolver.property(resource, key)?;
        let value = own.map_or_else(|| resolver.function_global(resource.name, key), |v| Ok(Some(v)))?;
        merged.extend(value.map(|v| (key.to_owned(), v)));
    }
    let properties = Properties::new(resource.name, "", Value::Object(merged))?;
    // Lambda's own defaults: 3 seconds and 128 MB.
    let timeout = properties.number("Timeout")?.unwrap_or(3);
    let timeout = u64::try_from(timeout).map_err(|_| properties.wrong("Timeout", "a number of seconds"))?;
    let memory = properties.number("MemorySize")?.unwrap_or(128);
    let memory_mb = i32::try_from(memory).map_err(|_| properties.wrong("MemorySize", "a number of MB"))?;

    let mut environment = BTreeMap::new();
    for level in
        [resolver.function_global(resource.name, "Environment")?, resolver.property(resource, "Environment")?]
    {
        let Some(level) = level else { continue };
        let level = Properties::new(resource.name, "Environment", level)?;
        let Some(variables) = level.nested("Variables")? else { continue };
        for key in variables.keys() {
            environment.insert(key.clone(), variables.required_text(key)?);
        }
    }
    Ok(Function {
        logical_id: resource.name.to_owned(),
        name: resolver.physical_name(resource)?,
        binary: binary.to_owned(),
        timeout: Duration::from_secs(timeout),
        memory_mb,
        environment,
    })
}
