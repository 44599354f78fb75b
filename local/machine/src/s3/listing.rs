//! Buckets, and what is in them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::error::{broken, refused};
use super::index::ListRequest;
use super::store::ObjectStore;

/// Most entries of one page.
pub(super) const MOST: i32 = 1000;

/// What stays as it is in keys that are asked for as parts of URLs.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

impl ObjectStore {
    pub(super) async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
        let buckets = self.index.buckets().map_err(broken)?;
        let buckets = buckets.into_iter().map(|(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(created.into()),
            bucket_region: None,
        });
        Ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() })
    }

    pub(super) async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<HeadBucketOutput> {
        self.index.expect_bucket(&request.input.bucket)?;
        Ok(HeadBucketOutput::default())
    }

    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<CreateBucketOutput> {
        if self.index.create_bucket(&request.input.bucket).map_err(broken)? {
            let location = Some(format!("/{}", request.input.bucket));
            return Ok(CreateBucketOutput { location });
        }
        Err(S3Error::new(S3ErrorCode::BucketAlreadyOwnedByYou))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<DeleteBucketOutput> {
        let free = self.index.delete_bucket(&request.input.bucket)?;
        self.files.remove(&free);
        Ok(DeleteBucketOutput::default())
    }

    pub(super) async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<GetBucketLocationOutput> {
        self.index.expect_bucket(&request.input.bucket)?;
        Ok(GetBucketLocationOutput::default())
    }

    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<ListObjectsV2Output> {
        let input = request.input;
        let most = most(input.max_keys)?;
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => URL_SAFE_NO_PAD.decode(token).map_err(|_| {
                refused(S3ErrorCode::InvalidArgument, "the continuation token is not one of this list")
            })?,
            // The least key after it.
            (None, Some(key)) => [key.as_bytes(), &[0]].concat(),
            (None, None) => Vec::new(),
        };
        let page = self.index.page(&ListRequest {
            bucket: &input.bucket,
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            from,
            most: usize::try_from(most).unwrap_or(0),
        })?;
        let name = Encoding::of(input.encoding_type.as_ref());
        let contents: Vec<Object> = page
            .objects
            .into_iter()
            .map(|object| {
                Ok(Object {
                    key: Some(name.text(object.key)),
                    size: Some(i64::try_from(object.size).map_err(broken)?),
                    e_tag: Some(ETag::Strong(object.etag)),
                    last_modified: Some(object.modified.into()),
                    storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                    ..Default::default()
                })
            })
            .collect::<S3Result<_>>()?;
        let prefixes: Vec<CommonPrefix> = page
            .prefixes
            .into_iter()
            .map(|prefix| CommonPrefix { prefix: Some(name.text(prefix)) })
            .collect();
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            max_keys: Some(most),
            key_count: Some(i32::try_from(contents.len() + prefixes.len()).map_err(broken)?),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            continuation_token: input.continuation_token,
            prefix: input.prefix.map(|prefix| name.text(prefix)),
            delimiter: input.delimiter.map(|delimiter| name.text(delimiter)),
            start_after: input.start_after.map(|key| name.text(key)),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }
}

/// How many entries a page may have: as many as are asked for, up to a thousand.
pub(super) fn most(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MOST) {
        ..0 => Err(refused(S3ErrorCode::InvalidArgument, "a page cannot have less than no entries")),
        most => Ok(most.min(MOST)),
    }
}

/// How keys are written in a list.
pub(super) struct Encoding {
    url: bool,
}

impl Encoding {
    pub(super) fn of(asked: Option<&EncodingType>) -> Self {
        Encoding { url: asked.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) }
    }

    pub(super) fn text(&self, key: String) -> String {
        if self.url { utf8_percent_encode(&key, KEPT).to_string() } else { key }
    }
}
