//! Multipart uploads: begun, filled part by part, and made an object or given up.

use std::time::{SystemTime, UNIX_EPOCH};

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::body::{Claims, hex, receive};
use super::checksum::{self, Algorithm, Checksum, ChecksumKind};
use super::condition::WriteCondition;
use super::error::{broken, refused};
use super::files::{Hold, Reader};
use super::index::{NewObject, UploadTerms, UploadedPart};
use super::listing::{Encoding, most};
use super::object::{MOST_AT_ONCE, facts};
use super::store::ObjectStore;

/// Least bytes of every part but the last: 5 MB, as S3 has it.
const LEAST: u64 = 5 * 1024 * 1024;

/// The numbers that parts can have.
const NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;

impl ObjectStore {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let mut input = request.input;
        let kind = ChecksumKind::of_upload(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
        let begun = UploadTerms { facts: facts!(input), kind };
        // In the order in which they are begun.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = format!("{:012x}{}", since.as_millis(), uuid::Uuid::new_v4().simple());
        self.index.begin_upload(&input.bucket, &input.key, &id, &begun)?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: kind.map(|kind| kind.algorithm.dto()),
            checksum_type: kind.map(ChecksumKind::dto),
            ..Default::default()
        })
    }

    pub(super) async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let input = &mut request.input;
        let (body, length, md5) = (input.body.take(), input.content_length, input.content_md5.take());
        let (given, asked) = (checksum::given!(input), input.checksum_algorithm.take());
        if !NUMBERS.contains(&input.part_number) {
            return Err(refused(S3ErrorCode::InvalidArgument, "a part's number is from 1 to 10000"));
        }
        if length.is_some_and(|length| length > MOST_AT_ONCE) {
            return Err(S3Error::new(S3ErrorCode::EntityTooLarge));
        }
        let claims = Claims::of(&request, length, md5, given, asked.as_ref())?;
        let input = &request.input;
        let upload = self.index.upload(&input.bucket, &input.key, &input.upload_id)?;
        let (wanted, named) = (upload.begun.kind.map(|kind| kind.algorithm), claims.algorithm());
        if let (Some(wanted), Some(named)) = (wanted, named)
            && wanted != named
        {
            return Err(refused(
                S3ErrorCode::InvalidRequest,
                format!("the upload was begun with {}, not with {}", wanted.header(), named.header()),
            ));
        }
        let received = receive(&self.files, body, &claims, wanted.unwrap_or(Algorithm::Crc64Nvme)).await?;
        let part = UploadedPart {
            number: input.part_number,
            piece: received.piece(),
            etag: received.etag(),
            modified: SystemTime::now(),
            checksum: received.checksum.clone(),
        };
        let free = self.index.put_part(&input.bucket, &input.key, &input.upload_id, &part)?;
        received.file.keep();
        self.files.remove(free.as_slice());
        let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(part.etag)), ..Default::default() };
        if wanted.or(named).is_some() {
            checksum::tell!(output, &part.checksum);
        }
        Ok(output)
    }

    pub(super) async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
        let input = request.input;
        let upload = self.index.upload(&input.bucket, &input.key, &input.upload_id)?;
        let kind = upload.begun.kind;
        let most = most(input.max_parts)?;
        let fit = usize::try_from(most).unwrap_or(0);
        let (mut found, ()) =
            self.index.parts(&upload.id, input.part_number_marker.unwrap_or(0), fit + 1, |_| ())?;
        let truncated = found.len() > fit && fit > 0;
        found.truncate(fit);
        let last = found.last().map(|part| part.number);
        let mut parts = Vec::new();
        for stored in found {
            let mut part = Part {
                part_number: Some(stored.number),
                size: Some(i64::try_from(stored.piece.size).map_err(broken)?),
                e_tag: Some(ETag::Strong(stored.etag)),
                last_modified: Some(stored.modified.into()),
                ..Default::default()
            };
            checksum::tell!(part, &stored.checksum);
            parts.push(part);
        }
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            parts: Some(parts),
            part_number_marker: input.part_number_marker,
            max_parts: Some(most),
            is_truncated: Some(truncated),
            next_part_number_marker: if truncated { last } else { None },
            checksum_algorithm: kind.map(|kind| kind.algorithm.dto()),
            checksum_type: kind.map(ChecksumKind::dto),
            ..Default::default()
        })
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let input = request.input;
        if input.delimiter.is_some() {
            return Err(refused(S3ErrorCode::NotImplemented, "uploads are listed without a delimiter"));
        }
        let most = most(input.max_uploads)?;
        let fit = usize::try_from(most).unwrap_or(0);
        // A marker of a key alone is after all uploads to it: no id comes after this.
        let after = match (input.key_marker.as_deref(), input.upload_id_marker.as_deref()) {
            (None, _) => ("", ""),
            (Some(key), None | Some("")) => (key, "~"),
            (Some(key), Some(id)) => (key, id),
        };
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let mut found = self.index.uploads(&input.bucket, prefix, after, fit + 1)?;
        let truncated = found.len() > fit && fit > 0;
        found.truncate(fit);
        let last = found.last().filter(|_| truncated).map(|upload| (upload.key.clone(), upload.id.clone()));
        let name = Encoding::of(input.encoding_type.as_ref());
        let uploads = found.into_iter().map(|upload| MultipartUpload {
            key: Some(name.text(upload.key)),
            upload_id: Some(upload.id),
            initiated: Some(upload.time.into()),
            checksum_algorithm: upload.begun.kind.map(|kind| kind.algorithm.dto()),
            checksum_type: upload.begun.kind.map(ChecksumKind::dto),
            ..Default::default()
        });
        let uploads = uploads.collect();
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            uploads: Some(uploads),
            is_truncated: Some(truncated),
            next_key_marker: last.as_ref().map(|(key, _)| name.text(key.clone())),
            next_upload_id_marker: last.map(|(_, id)| id),
            max_uploads: Some(most),
            key_marker: input.key_marker.map(|key| name.text(key)),
            upload_id_marker: input.upload_id_marker,
            prefix: input.prefix.map(|prefix| name.text(prefix)),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let input = request.input;
        let free = self.index.abort(&input.bucket, &input.key, &input.upload_id)?;
        self.files.remove(&free);
        Ok(AbortMultipartUploadOutput::default())
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let mut input = request.input;
        let condition = WriteCondition::of(input.if_match.take(), input.if_none_match.take())?;
        let given = checksum::given!(input).single()?;
        let upload = self.index.upload(&input.bucket, &input.key, &input.upload_id)?;
        let (stored, hold) = self.index.parts(&upload.id, 0, usize::MAX, |parts| {
            self.files.hold(parts.iter().map(|part| part.piece.file).collect())
        })?;
        let listed = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
        let parts = chosen(listed, stored, upload.begun.kind)?;
        let total: u64 = parts.iter().map(|part| part.piece.size).sum();
        if input.mpu_object_size.is_some_and(|size| u64::try_from(size) != Ok(total)) {
            return Err(refused(S3ErrorCode::InvalidRequest, "the parts do not have the size that is said"));
        }
        let checksum = sum(upload.begun.kind, &parts, hold).await?;
        if given.is_some_and(|(algorithm, value)| !checksum.is(algorithm, &value)) {
            return Err(refused(S3ErrorCode::BadDigest, "the object's checksum is not the one that is said"));
        }
        let etag = etag(&parts)?;
        let pieces: Vec<_> = parts.iter().map(|part| part.piece).collect();
        let mut facts = upload.begun.facts;
        facts.checksum = Some(checksum.clone());
        let object = NewObject {
            bucket: &input.bucket,
            key: &input.key,
            etag: &etag,
            modified: SystemTime::now(),
            facts: &facts,
            pieces: &pieces,
        };
        let free = self.index.complete(&upload.id, &parts, &object, &condition)?;
        self.files.remove(&free);
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(etag)),
            checksum_type: Some(checksum.kind.dto()),
            ..Default::default()
        };
        checksum::tell!(output, &checksum);
        Ok(output)
    }
}

/// The stored parts that a request lists, in its order, if they are those that it means.
fn chosen(
    listed: Vec<CompletedPart>,
    stored: Vec<UploadedPart>,
    kind: Option<ChecksumKind>,
) -> S3Result<Vec<UploadedPart>> {
    if listed.is_empty() {
        return Err(refused(S3ErrorCode::MalformedXML, "an object has at least one part"));
    }
    let mut stored = stored.into_iter().peekable();
    let mut parts: Vec<UploadedPart> = Vec::new();
    for mut listed in listed {
        let number =
            listed.part_number.ok_or_else(|| refused(S3ErrorCode::MalformedXML, "a part has no number"))?;
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(S3Error::new(S3ErrorCode::InvalidPartOrder));
        }
        while stored.next_if(|part| part.number < number).is_some() {}
        let part = stored.next_if(|part| part.number == number);
        let given = checksum::given!(listed).single()?;
        let same = |part: &UploadedPart| {
            listed.e_tag.as_ref().is_some_and(|etag| etag.value() == part.etag)
                && given.as_ref().is_none_or(|(algorithm, value)| part.checksum.is(*algorithm, value))
        };
        let part = part.filter(same).ok_or_else(|| {
            refused(S3ErrorCode::InvalidPart, format!("part {number} is not there, or is another one"))
        })?;
        if kind.is_some_and(|kind| kind.composite) && given.is_none() {
            return Err(refused(
                S3ErrorCode::InvalidRequest,
                format!("the upload was begun with a checksum, and part {number} is listed without one"),
            ));
        }
        parts.push(part);
    }
    let small = parts.iter().rev().skip(1).any(|part| part.piece.size < LEAST);
    if small { Err(S3Error::new(S3ErrorCode::EntityTooSmall)) } else { Ok(parts) }
}

/// The object's checksum: of the parts' checksums, or of all bytes.
async fn sum(kind: Option<ChecksumKind>, parts: &[UploadedPart], hold: Hold) -> S3Result<Checksum> {
    let kind = kind.unwrap_or(ChecksumKind::whole(Algorithm::Crc64Nvme));
    if kind.composite {
        return Checksum::composite(kind.algorithm, parts.iter().map(|part| &part.checksum));
    }
    let total = parts.iter().map(|part| part.piece.size).sum();
    let reader = Reader::new(hold, parts.iter().map(|part| part.piece), &(0..total));
    let sum = tokio::task::spawn_blocking(move || {
        let mut hasher = kind.algorithm.hasher();
        for chunk in reader {
            hasher.update(&chunk?);
        }
        Ok::<_, std::io::Error>(hasher.finish())
    });
    sum.await.map_err(broken)?.map_err(broken)
}

/// The MD5 of the parts' MD5s, and how many there are.
fn etag(parts: &[UploadedPart]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&u128::from_str_radix(&part.etag, 16).map_err(broken)?.to_be_bytes());
    }
    Ok(format!("{}-{}", hex(md5.finalize()), parts.len()))
}
