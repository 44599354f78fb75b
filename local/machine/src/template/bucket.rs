//! One S3 bucket of the template.

use super::resolve::Resolver;
use super::{Properties, Resource, TemplateError};

const LIFECYCLE: &str = "LifecycleConfiguration";

/// A bucket. Of its properties only the name matters on one machine, and when its objects expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketTemplate {
    /// Name in the template, such as `JobsBucket`.
    pub logical_id: String,
    /// Name once deployed, such as `nextbasket-jobsbucket`.
    pub name: String,
    /// What its lifecycle removes by age.
    pub expirations: Vec<Expiration>,
}

/// A rule of a bucket's lifecycle that removes objects by their age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiration {
    /// How the objects' keys begin.
    pub prefix: String,
    pub days: u32,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    resource: &Resource<'_>,
) -> Result<BucketTemplate, TemplateError> {
    let mut expirations = Vec::new();
    if let Some(lifecycle) = resolver.property(resource, LIFECYCLE)? {
        let lifecycle = Properties::new(resource.name, LIFECYCLE, lifecycle)?;
        for rule in lifecycle.list("Rules")? {
            let days = rule.number("ExpirationInDays")?.map(|days| {
                u32::try_from(days).map_err(|_| rule.wrong("ExpirationInDays", "a number of days"))
            });
            let enabled = rule.required_text("Status")? == "Enabled";
            if let (Some(days), true) = (days.transpose()?, enabled) {
                let prefix = rule.text("Prefix")?.unwrap_or_default();
                expirations.push(Expiration { prefix, days });
            }
        }
    }
    Ok(BucketTemplate {
        logical_id: resource.name.to_owned(),
        name: resolver.physical_name(resource)?,
        expirations,
    })
}
