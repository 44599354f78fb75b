//! What makes a table, as `aws dynamodb create-table` takes it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateTable {
    pub table_name: String,
    /// The attributes of keys, with their types.
    pub attribute_definitions: Vec<AttributeDefinition>,
    pub key_schema: Vec<KeyElement>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_secondary_indexes: Vec<SecondaryIndex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global_secondary_indexes: Vec<SecondaryIndex>,
    /// `PAY_PER_REQUEST` or `PROVISIONED`.
    pub billing_mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<Throughput>,
    /// Of a table that is billed on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_specification: Option<StreamSettings>,
    /// Whether it cannot be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection_enabled: Option<bool>,
    /// `STANDARD` or `STANDARD_INFREQUENT_ACCESS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_class: Option<String>,
}

/// An attribute of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttributeDefinition {
    pub attribute_name: String,
    /// `S`, `N` or `B`.
    pub attribute_type: String,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyElement {
    pub attribute_name: String,
    /// `HASH` or `RANGE`.
    pub key_type: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecondaryIndex {
    pub index_name: String,
    pub key_schema: Vec<KeyElement>,
    pub projection: IndexProjection,
    /// Of a provisioned table's global index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<Throughput>,
    /// Of a global index that is billed on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
}

/// Which attributes an index holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexProjection {
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub projection_type: String,
    /// Which others, for `INCLUDE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_key_attributes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Throughput {
    pub read_capacity_units: i64,
    pub write_capacity_units: i64,
}

/// The most units per second of a table or an index that is billed on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OnDemandThroughput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_read_request_units: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_write_request_units: Option<i64>,
}

impl OnDemandThroughput {
    /// `None` if neither is limited; -1 stands for no limit.
    fn of(described: Option<&sdk::OnDemandThroughput>) -> Option<Self> {
        let limit = |units: Option<i64>| units.filter(|units| *units > 0);
        let described = described?;
        let limits = Self {
            max_read_request_units: limit(described.max_read_request_units),
            max_write_request_units: limit(described.max_write_request_units),
        };
        let is_limited = limits.max_read_request_units.or(limits.max_write_request_units).is_some();
        is_limited.then_some(limits)
    }

    fn request(self) -> sdk::OnDemandThroughput {
        sdk::OnDemandThroughput::builder()
            .set_max_read_request_units(self.max_read_request_units)
            .set_max_write_request_units(self.max_write_request_units)
            .build()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamSettings {
    /// Whether it is on.
    pub stream_enabled: bool,
    pub stream_view_type: String,
}

fn keys(schema: &[sdk::KeySchemaElement]) -> Vec<KeyElement> {
    let key = |element: &sdk::KeySchemaElement| KeyElement {
        attribute_name: element.attribute_name.clone(),
        key_type: element.key_type.as_str().to_owned(),
    };
    schema.iter().map(key).collect()
}

fn projection(projection: Option<&sdk::Projection>) -> IndexProjection {
    let kind = projection.and_then(|projection| projection.projection_type.as_ref());
    let others = projection.map(|projection| projection.non_key_attributes().to_vec());
    IndexProjection {
        projection_type: kind.map_or("ALL", sdk::ProjectionType::as_str).to_owned(),
        non_key_attributes: others.unwrap_or_default(),
    }
}

fn throughput(described: Option<&sdk::ProvisionedThroughputDescription>) -> Option<Throughput> {
    let (read, write) = (described?.read_capacity_units?, described?.write_capacity_units?);
    (read > 0 && write > 0).then_some(Throughput { read_capacity_units: read, write_capacity_units: write })
}

impl CreateTable {
    pub(super) fn of(name: &str, table: &sdk::TableDescription) -> Self {
        let provisioned = throughput(table.provisioned_throughput.as_ref());
        let billing = table.billing_mode_summary.as_ref().and_then(|summary| summary.billing_mode.as_ref());
        let on_demand = billing == Some(&sdk::BillingMode::PayPerRequest) || provisioned.is_none();
        let attribute = |attribute: &sdk::AttributeDefinition| AttributeDefinition {
            attribute_name: attribute.attribute_name.clone(),
            attribute_type: attribute.attribute_type.as_str().to_owned(),
        };
        let local = |index: &sdk::LocalSecondaryIndexDescription| SecondaryIndex {
            index_name: index.index_name.clone().unwrap_or_default(),
            key_schema: keys(index.key_schema()),
            projection: projection(index.projection.as_ref()),
            provisioned_throughput: None,
            on_demand_throughput: None,
        };
        let global = |index: &sdk::GlobalSecondaryIndexDescription| SecondaryIndex {
            index_name: index.index_name.clone().unwrap_or_default(),
            key_schema: keys(index.key_schema()),
            projection: projection(index.projection.as_ref()),
            provisioned_throughput: throughput(index.provisioned_throughput.as_ref()).filter(|_| !on_demand),
            on_demand_throughput: OnDemandThroughput::of(index.on_demand_throughput.as_ref()),
        };
        let stream = table.stream_specification.as_ref().filter(|stream| stream.stream_enabled);
        Self {
            table_name: name.to_owned(),
            attribute_definitions: table.attribute_definitions().iter().map(attribute).collect(),
            key_schema: keys(table.key_schema()),
            local_secondary_indexes: table.local_secondary_indexes().iter().map(local).collect(),
            global_secondary_indexes: table.global_secondary_indexes().iter().map(global).collect(),
            billing_mode: if on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" }.to_owned(),
            provisioned_throughput: provisioned.filter(|_| !on_demand),
            on_demand_throughput: OnDemandThroughput::of(table.on_demand_throughput.as_ref()),
            stream_specification: stream.map(|stream| StreamSettings {
                stream_enabled: true,
                stream_view_type: stream
                    .stream_view_type
                    .as_ref()
                    .map_or("NEW_AND_OLD_IMAGES", sdk::StreamViewType::as_str)
                    .to_owned(),
            }),
            deletion_protection_enabled: table.deletion_protection_enabled,
            table_class: table
                .table_class_summary
                .as_ref()
                .and_then(|summary| summary.table_class.as_ref())
                .map(|class| class.as_str().to_owned()),
        }
    }

    /// The call that makes a table of this name so.
    ///
    /// # Errors
    /// [`BuildError`] that names what is missing.
    pub fn request(&self, client: &Client, name: &str) -> Result<CreateTableFluentBuilder, BuildError> {
        let schema = |schema: &[KeyElement]| -> Result<Vec<sdk::KeySchemaElement>, BuildError> {
            let key = |key: &KeyElement| {
                sdk::KeySchemaElement::builder()
                    .attribute_name(&key.attribute_name)
                    .key_type(key.key_type.as_str().into())
                    .build()
            };
            schema.iter().map(key).collect()
        };
        let provisioned = |throughput: Option<Throughput>| {
            let build = |throughput: Throughput| {
                sdk::ProvisionedThroughput::builder()
                    .read_capacity_units(throughput.read_capacity_units)
                    .write_capacity_units(throughput.write_capacity_units)
                    .build()
            };
            throughput.map(build).transpose()
        };
        let projected = |projection: &IndexProjection| {
            let others = Some(projection.non_key_attributes.clone()).filter(|others| !others.is_empty());
            sdk::Projection::builder()
                .projection_type(projection.projection_type.as_str().into())
                .set_non_key_attributes(others)
                .build()
        };
        let mut create = client
            .create_table()
            .table_name(name)
            .set_key_schema(Some(schema(&self.key_schema)?))
            .billing_mode(self.billing_mode.as_str().into())
            .set_provisioned_throughput(provisioned(self.provisioned_throughput)?)
            .set_on_demand_throughput(self.on_demand_throughput.map(OnDemandThroughput::request))
            .set_deletion_protection_enabled(self.deletion_protection_enabled)
            .set_table_class(self.table_class.as_deref().map(Into::into));
        for attribute in &self.attribute_definitions {
            let definition = sdk::AttributeDefinition::builder()
                .attribute_name(&attribute.attribute_name)
                .attribute_type(attribute.attribute_type.as_str().into())
                .build()?;
            create = create.attribute_definitions(definition);
        }
        for index in &self.local_secondary_indexes {
            let index = sdk::LocalSecondaryIndex::builder()
                .index_name(&index.index_name)
                .set_key_schema(Some(schema(&index.key_schema)?))
                .projection(projected(&index.projection))
                .build()?;
            create = create.local_secondary_indexes(index);
        }
        for index in &self.global_secondary_indexes {
            let index = sdk::GlobalSecondaryIndex::builder()
                .index_name(&index.index_name)
                .set_key_schema(Some(schema(&index.key_schema)?))
                .projection(projected(&index.projection))
                .set_provisioned_throughput(provisioned(index.provisioned_throughput)?)
                .set_on_demand_throughput(index.on_demand_throughput.map(OnDemandThroughput::request))
                .build()?;
            create = create.global_secondary_indexes(index);
        }
        if let Some(stream) = &self.stream_specification {
            let specification = sdk::StreamSpecification::builder()
                .stream_enabled(stream.stream_enabled)
                .stream_view_type(stream.stream_view_type.as_str().into())
                .build()?;
            create = create.stream_specification(specification);
        }
        Ok(create)
    }
}
