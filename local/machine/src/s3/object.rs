//! Single objects: put, got, removed.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::body::{Claims, receive};
use super::checksum::{self, Algorithm};
use super::condition::{ReadCondition, WriteCondition};
use super::error::{broken, refused};
use super::files::Reader;
use super::index::{NewObject, ObjectFacts};
use super::store::ObjectStore;

/// Most bytes that one request can put: 5 GB, as S3 has it.
pub(super) const MOST_AT_ONCE: i64 = 5 * 1024 * 1024 * 1024;

/// What S3 says of an object that came without a type.
const NO_TYPE: &str = "binary/octet-stream";

/// The headers of a request that are kept with the object.
macro_rules! facts {
    ($input:expr) => {
        $crate::s3::object::kept(
            $input.metadata.take(),
            [
                $input.content_type.take(),
                $input.content_encoding.take(),
                $input.content_disposition.take(),
                $input.content_language.take(),
                $input.cache_control.take(),
            ],
            $input.expires.take(),
        )
    };
}

pub(super) use facts;

/// The object that a GET or HEAD names, held, once its conditions are met.
macro_rules! found {
    ($store:expr, $input:expr) => {{
        whole($input.part_number, $input.version_id.as_deref())?;
        let found = $store.find(&$input.bucket, &$input.key)?;
        let reading = ReadCondition {
            matches: $input.if_match,
            none_matches: $input.if_none_match,
            modified_since: $input.if_modified_since,
            unmodified_since: $input.if_unmodified_since,
        };
        reading.check(&found.0)?;
        found
    }};
}

/// The answer to a GET or HEAD, without a body.
macro_rules! described {
    ($output:ident, $object:expr, $range:expr, $content_range:expr, $checksum:expr) => {{
        let facts = &$object.facts;
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(i64::try_from($range.end - $range.start).map_err(broken)?),
            content_range: $content_range,
            content_type: Some(facts.content_type.clone().unwrap_or_else(|| NO_TYPE.to_owned())),
            content_encoding: facts.content_encoding.clone(),
            content_disposition: facts.content_disposition.clone(),
            content_language: facts.content_language.clone(),
            cache_control: facts.cache_control.clone(),
            e_tag: Some(ETag::Strong($object.etag.clone())),
            expires: facts.expires.map(timestamp),
            last_modified: Some($object.modified.into()),
            metadata: Some(facts.metadata.clone().into_iter().collect()),
            ..Default::default()
        };
        if let Some(checksum) = $checksum {
            checksum::tell!(output, checksum);
            output.checksum_type = Some(checksum.kind.dto());
        }
        output
    }};
}

pub(super) fn kept(
    metadata: Option<Metadata>,
    [content_type, content_encoding, content_disposition, content_language, cache_control]: [Option<String>;
        5],
    expires: Option<Timestamp>,
) -> ObjectFacts {
    ObjectFacts {
        metadata: metadata.into_iter().flatten().collect(),
        content_type,
        content_encoding: content_encoding.and_then(|encoding| without_transport(&encoding)),
        content_disposition,
        content_language,
        cache_control,
        expires: expires.and_then(|time| milliseconds(&time)),
        checksum: None,
    }
}

/// `aws-chunked` is how the body came, not how the object is.
fn without_transport(encoding: &str) -> Option<String> {
    let kept: Vec<&str> = encoding.split(',').map(str::trim).filter(|e| *e != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

impl ObjectStore {
    pub(super) async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<PutObjectOutput> {
        let input = &mut request.input;
        let (body, length, md5) = (input.body.take(), input.content_length, input.content_md5.take());
        let condition = WriteCondition::of(input.if_match.take(), input.if_none_match.take())?;
        let mut facts = facts!(input);
        let (given, asked) = (checksum::given!(input), input.checksum_algorithm.take());
        if length.is_some_and(|length| length > MOST_AT_ONCE) {
            return Err(S3Error::new(S3ErrorCode::EntityTooLarge));
        }
        let claims = Claims::of(&request, length, md5, given, asked.as_ref())?;
        let received = receive(&self.files, body, &claims, Algorithm::Crc64Nvme).await?;
        facts.checksum = Some(received.checksum.clone());
        let etag = received.etag();
        let object = NewObject {
            bucket: &request.input.bucket,
            key: &request.input.key,
            etag: &etag,
            modified: SystemTime::now(),
            facts: &facts,
            pieces: &[received.piece()],
        };
        let free = self.index.put(&object, &condition)?;
        received.file.keep();
        self.files.remove(&free);
        let mut output = PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() };
        output.checksum_type = Some(received.checksum.kind.dto());
        checksum::tell!(output, &received.checksum);
        Ok(output)
    }

    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
        let input = request.input;
        let (object, hold) = found!(self, input);
        let (range, content_range) = range(input.range.as_ref(), object.size)?;
        let reader = Reader::new(hold, object.pieces.iter().copied(), &range);
        let whole = content_range.is_none();
        let checksum = object.facts.checksum.as_ref().filter(|_| whole && input.checksum_mode.is_some());
        let mut output = described!(GetObjectOutput, object, range, content_range, checksum);
        output.body = Some(StreamingBlob::wrap(futures::stream::iter(reader)));
        Ok(output)
    }

    pub(super) async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<HeadObjectOutput> {
        let input = request.input;
        let (object, _hold) = found!(self, input);
        let (range, content_range) = range(input.range.as_ref(), object.size)?;
        let checksum = object.facts.checksum.as_ref().filter(|_| input.checksum_mode.is_some());
        Ok(described!(HeadObjectOutput, object, range, content_range, checksum))
    }

    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<DeleteObjectOutput> {
        let input = request.input;
        whole(None, input.version_id.as_deref())?;
        let condition = WriteCondition::of(input.if_match, None)?;
        let free = self.index.delete(&input.bucket, &input.key, &condition)?;
        self.files.remove(&free);
        Ok(DeleteObjectOutput::default())
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<DeleteObjectsOutput> {
        let input = request.input;
        self.index.expect_bucket(&input.bucket)?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let condition = object
                .e_tag
                .map_or(WriteCondition::Always, |e| WriteCondition::Matches(ETagCondition::ETag(e)));
            let done = whole(None, object.version_id.as_deref())
                .and_then(|()| self.index.delete(&input.bucket, &object.key, &condition));
            match done {
                Ok(free) => {
                    self.files.remove(&free);
                    deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
                }
                Err(e) => errors.push(Error {
                    key: Some(object.key),
                    code: Some(e.code().as_str().to_owned()),
                    message: e.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        Ok(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        })
    }
}

/// Versions and numbered parts of an object are not kept apart.
fn whole(part: Option<i32>, version: Option<&str>) -> S3Result<()> {
    match (part, version) {
        (None, None | Some("null")) => Ok(()),
        (Some(_), _) => Err(refused(S3ErrorCode::NotImplemented, "single parts of an object cannot be read")),
        (None, Some(_)) => Err(refused(S3ErrorCode::NotImplemented, "there are no versions")),
    }
}

/// The bytes that are asked for, and how the answer names them if they are not all.
fn range(asked: Option<&s3s::dto::Range>, size: u64) -> S3Result<(Range<u64>, Option<String>)> {
    let Some(asked) = asked else { return Ok((0..size, None)) };
    let range = asked.check(size).map_err(|_| S3Error::new(S3ErrorCode::InvalidRange))?;
    let text = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    Ok((range, Some(text)))
}

fn milliseconds(time: &Timestamp) -> Option<i64> {
    let mut text = Vec::new();
    time.format(TimestampFormat::EpochSeconds, &mut text).ok()?;
    let seconds: f64 = String::from_utf8(text).ok()?.parse().ok()?;
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    i64::try_from(since.as_millis()).ok()
}

fn timestamp(millis: i64) -> Timestamp {
    (UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))).into()
}
