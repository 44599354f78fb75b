//! One S3 bucket of the template.

use super::resolve::Resolver;
use super::{Resource, TemplateError};

/// A bucket. Of its properties only the name matters on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketTemplate {
    /// Name in the template, such as `JobsBucket`.
    pub logical_id: String,
    /// Name once deployed, such as `nextbasket-jobsbucket`.
    pub name: String,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    resource: &Resource<'_>,
) -> Result<BucketTemplate, TemplateError> {
    Ok(BucketTemplate { logical_id: resource.name.to_owned(), name: resolver.physical_name(resource)? })
}
