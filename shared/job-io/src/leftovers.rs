//! A job's objects that nobody needs any more.

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use nextbasket_batch::Work;

/// The maximum number of keys in one call to S3.
const MOST_KEYS: usize = 1_000;

/// Removes those objects of the job's stages (`stage-…`) that are left over. Objects that cannot be removed are
/// logged as a warning, and stay until the bucket's own rules remove them.
pub async fn remove(work: &Work, prefix: &str, left_over: impl Fn(&str) -> bool) {
    let objects = &work.site().objects;
    let keys = match objects.list(&work.job_object(prefix)).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::warn!(%error, "objects stay until the bucket's own rules remove them");
            return;
        }
    };
    let named = keys.iter().filter(|key| left_over(key));
    let named: Vec<ObjectIdentifier> =
        named.filter_map(|key| ObjectIdentifier::builder().key(key).build().ok()).collect();
    for some in named.chunks(MOST_KEYS) {
        let Ok(delete) = Delete::builder().set_objects(Some(some.to_vec())).quiet(true).build() else {
            return;
        };
        let removed = objects.client().delete_objects().bucket(objects.bucket()).delete(delete).send().await;
        if let Err(error) = removed {
            let error = DisplayErrorContext(&error);
            tracing::warn!(%error, "objects stay until the bucket's own rules remove them");
            return;
        }
    }
}
