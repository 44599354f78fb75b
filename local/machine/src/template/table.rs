//! One DynamoDB table of the template, in the SDK's own types.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection,
    ProjectionType, ScalarAttributeType, StreamViewType,
};
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
    /// Global secondary indexes.
    pub global_indexes: Vec<GlobalSecondaryIndex>,
    /// Local secondary indexes.
    pub local_indexes: Vec<LocalSecondaryIndex>,
    /// What the stream shows, if there is one.
    pub stream: Option<StreamViewType>,
    /// The attribute that says when an item expires.
    pub time_to_live: Option<String>,
    /// Whether `DeleteTable` is refused.
    pub deletion_protection: bool,
}

impl TableTemplate {
    /// Name of the partition key's attribute.
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
    let mut global_indexes = Vec::new();
    for index in properties.list("GlobalSecondaryIndexes")? {
        let built = GlobalSecondaryIndex::builder()
            .index_name(index.required_text("IndexName")?)
            .set_key_schema(Some(key_schema(&index)?))
            .projection(projection(&index)?)
            .build()
            .map_err(|_| index.missing("KeySchema"))?;
        global_indexes.push(built);
    }
    let mut local_indexes = Vec::new();
    for index in properties.list("LocalSecondaryIndexes")? {
        let built = LocalSecondaryIndex::builder()
            .index_name(index.required_text("IndexName")?)
            .set_key_schema(Some(key_schema(&index)?))
            .projection(projection(&index)?)
            .build()
            .map_err(|_| index.missing("KeySchema"))?;
        local_indexes.push(built);
    }
    let stream = match properties.nested("StreamSpecification")? {
        Some(stream) => Some(StreamViewType::from(stream.required_text("StreamViewType")?.as_str())),
        None => None,
    };
    let time_to_live = match properties.nested("TimeToLiveSpecification")? {
        Some(ttl) if ttl.flag("Enabled")? => Some(ttl.required_text("AttributeName")?),
        _ => None,
    };
    Ok(TableTemplate {
        logical_id: resource.name.to_owned(),
        name: resolver.physical_name(resource)?,
        key_schema: key_schema(&properties)?,
        attribute_definitions,
        global_indexes,
        local_indexes,
        stream,
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
    let attributes = match properties.get("NonKeyAttributes") {
        None => None,
        Some(Value::Array(names)) => Some(
            names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| properties.wrong("NonKeyAttributes", "a list of names"))?,
        ),
        Some(_) => return Err(properties.wrong("NonKeyAttributes", "a list of names")),
    };
    Ok(Projection::builder()
        .projection_type(ProjectionType::from(properties.required_text("ProjectionType")?.as_str()))
        .set_non_key_attributes(attributes)
        .build())
}
