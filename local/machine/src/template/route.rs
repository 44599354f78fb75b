//! One route of the HTTP API.

use super::resolve::Resolver;
use super::{Resource, TemplateError, scalar_text};

/// Requests of one kind and the function that answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// As in the template: `GET /products/{productId}`, or `$default`.
    pub key: String,
    pub function: String,
}

pub(crate) fn read(resolver: &Resolver<'_>, resource: &Resource<'_>) -> Result<Route, TemplateError> {
    let key = required(resolver, resource, "RouteKey")?;
    let target = required(resolver, resource, "Target")?;
    let integration = target.strip_prefix("integrations/").ok_or_else(|| TemplateError::Wrong {
        resource: resource.name.to_owned(),
        property: "Target".to_owned(),
        expected: "integrations/ and the name of one",
        found: target.clone(),
    })?;
    let integration = resolver.resource(resource.name, integration)?;
    let uri = required(resolver, &integration, "IntegrationUri")?;
    for candidate in resolver.resources() {
        let candidate = candidate?;
        if candidate.kind != "AWS::Serverless::Function" {
            continue;
        }
        let function = format!(":function:{}", resolver.physical_name(&candidate)?);
        if uri.trim_end_matches("/invocations").ends_with(&function) {
            return Ok(Route { key, function: candidate.name.to_owned() });
        }
    }
    Err(TemplateError::unsupported(integration.name, format!("an integration with {uri}")))
}

fn required(resolver: &Resolver<'_>, resource: &Resource<'_>, key: &str) -> Result<String, TemplateError> {
    let value = resolver.property(resource, key)?;
    value.as_ref().and_then(scalar_text).ok_or_else(|| TemplateError::missing(resource.name, key))
}
