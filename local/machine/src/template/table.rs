//! One DynamoDB table of the template, in the SDK's own types.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection,
    ProjectionType, ScalarAttributeType, StreamViewType,
};
use serde::Deserialize;
use serde_json::Value;

use super::resolve::Resolver;
use super::{Properties, Resource, TemplateError};

#[derive(Debug, Clone, PartialEq)]
pub struct TableTemplate {
    /// Name in the template, such as `PurchasesTable`.
    pub logical_id: String,
    /// Name once deployed, such as `nextbasket-purchases`.
    pub name: String,
    /// Partition key, then the sort key if there is one.
    pub key_schema: Vec<KeySchemaElement>,
    /// Types of all key attributes.
    pub attribute_definitions: Vec<AttributeDefinition>,
    pub global_indexes: Vec<GlobalSecondaryIndex>,
    pub local_indexes: Vec<LocalSecondaryIndex>,
    /// What the stream shows, if there is one.
    pub stream: Option<StreamViewType>,
    /// The attribute that says when an item expires.
    pub time_to_live: Option<String>,
    /// Whether `DeleteTable` is refused.
    pub deletion_protection: bool,
}

impl TableTemplate {
    #[must_use]
    pub fn partition_key(&self) -> &str {
        self.key_schema
            .iter()
            .find(|element| *element.key_type() == KeyType::Hash)
            .map_or("", KeySchemaElement::attribute_name)
    }
}

pub(crate) fn read(resolver: &Resolver<'_>, resource: &Resource<'_>) -> Result<TableTemplate, TemplateError> {
    let all = resource.body.get("Properties").cloned().unwrap_or(Value::Null);
    let all = resolver.value(resource.name, &all)?.unwrap_or(Value::Null);
    let properties = Properties::new(resource.name, "", all)?;
    let mut attribute_definitions = Vec::new();
    for attribute in properties.list("AttributeDefinitions")? {
        let kind = ScalarAttributeType::from(attribute.required_text("AttributeType")?.as_str());
        if !matches!(kind, ScalarAttributeType::S | ScalarAttributeType::N | ScalarAttributeType::B) {
            return Err(attribute.wrong("AttributeType", "S, N or B"));
        }
        let definition = AttributeDefinition::builder()
            .attribute_name(attribute.required_text("AttributeName")?)
            .attribute_type(kind)
            .build()
            .map_err(|_| properties.missing("AttributeDefinitions"))?;
        attribute_definitions.push(definition);
    }
    // The SDK has a type for each of the two kinds of indexes, with the same builder.
    macro_rules! indexes {
        ($index:ident, $key:literal) => {{
            let index = |index: Properties<'_>| {
                $index::builder()
                    .index_name(index.required_text("IndexName")?)
                    .set_key_schema(Some(key_schema(&index)?))
                    .projection(projection(&index)?)
                    .build()
                    .map_err(|_| index.missing("KeySchema"))
            };
            properties.list($key)?.into_iter().map(index).collect::<Result<Vec<_>, TemplateError>>()?
        }};
    }
    let stream = properties.nested("StreamSpecification")?;
    let view = stream.map(|stream| stream.required_text("StreamViewType")).transpose()?;
    let time_to_live = match properties.nested("TimeToLiveSpecification")? {
        Some(ttl) if ttl.flag("Enabled")? => Some(ttl.required_text("AttributeName")?),
        _ => None,
    };
    Ok(TableTemplate {
        logical_id: resource.name.to_owned(),
        name: resolver.physical_name(resource)?,
        key_schema: key_schema(&properties)?,
        attribute_definitions,
        global_indexes: indexes!(GlobalSecondaryIndex, "GlobalSecondaryIndexes"),
        local_indexes: indexes!(LocalSecondaryIndex, "LocalSecondaryIndexes"),
        stream: view.map(|view| StreamViewType::from(view.as_str())),
        time_to_live,
        deletion_protection: properties.flag("DeletionProtectionEnabled")?,
    })
}

fn key_schema(properties: &Properties<'_>) -> Result<Vec<KeySchemaElement>, TemplateError> {
    let mut schema = Vec::new();
    for element in properties.list("KeySchema")? {
        let kind = KeyType::from(element.required_text("KeyType")?.as_str());
        if !matches!(kind, KeyType::Hash | KeyType::Range) {
            return Err(element.wrong("KeyType", "HASH or RANGE"));
        }
        let built = KeySchemaElement::builder()
            .attribute_name(element.required_text("AttributeName")?)
            .key_type(kind)
            .build()
            .map_err(|_| properties.missing("KeySchema"))?;
        schema.push(built);
    }
    if schema.is_empty() { Err(properties.missing("KeySchema")) } else { Ok(schema) }
}

fn projection(index: &Properties<'_>) -> Result<Projection, TemplateError> {
    let properties = index.nested("Projection")?.ok_or_else(|| index.missing("Projection"))?;
    let names = |names: &Value| Vec::<String>::deserialize(names);
    let attributes = properties.get("NonKeyAttributes").map(names).transpose();
    let attributes = attributes.map_err(|_| properties.wrong("NonKeyAttributes", "a list of names"))?;
    Ok(Projection::builder()
        .projection_type(ProjectionType::from(properties.required_text("ProjectionType")?.as_str()))
        .set_non_key_attributes(attributes)
        .build())
}
