//! Copies within the storage: the bytes are not written again.

use std::time::SystemTime;

use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Result};

use super::checksum;
use super::condition::{ReadCondition, WriteCondition};
use super::error::{broken, refused};
use super::files::{FilePiece, Incoming};
use super::index::NewObject;
use super::object::facts;
use super::store::ObjectStore;

impl ObjectStore {
    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<CopyObjectOutput> {
        let mut input = request.input;
        let CopySource::Bucket { bucket, key, version_id: None } = &input.copy_source else {
            return Err(refused(
                S3ErrorCode::NotImplemented,
                "a copy is made from a bucket's key, without versions",
            ));
        };
        let replace =
            input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        if !replace && **bucket == *input.bucket && **key == *input.key {
            return Err(refused(
                S3ErrorCode::InvalidRequest,
                "a copy onto itself has to replace the metadata",
            ));
        }
        let (source, _hold) = self.find(bucket, key)?;
        let reading = ReadCondition {
            matches: input.copy_source_if_match.take(),
            none_matches: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        reading.check_source(&source)?;
        let mut facts = if replace { facts!(input) } else { source.facts.clone() };
        facts.checksum.clone_from(&source.facts.checksum);
        let (mut files, mut pieces): (Vec<Incoming>, Vec<FilePiece>) = (Vec::new(), Vec::new());
        for piece in &source.pieces {
            let file = self.files.copy(piece.file).map_err(broken)?;
            pieces.push(FilePiece { file: file.number(), size: piece.size });
            files.push(file);
        }
        let modified = SystemTime::now();
        let object = NewObject {
            bucket: &input.bucket,
            key: &input.key,
            etag: &source.etag,
            modified,
            facts: &facts,
            pieces: &pieces,
        };
        let free = self.index.put(&object, &WriteCondition::Always)?;
        files.into_iter().for_each(Incoming::keep);
        self.files.remove(&free);
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(source.etag)),
            last_modified: Some(modified.into()),
            ..Default::default()
        };
        if let Some(checksum) = &facts.checksum {
            checksum::tell!(result, checksum);
            result.checksum_type = Some(checksum.kind.dto());
        }
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }
}
