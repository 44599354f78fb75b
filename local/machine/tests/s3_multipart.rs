//! Multipart uploads to the embedded S3.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "support/objects.rs"]
mod objects;

use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::upload_part::builders::UploadPartFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use objects::{Bucket, bucket, bucket_in, code, files};

/// The least size of a part that is not the last.
const LEAST: usize = 5 * 1024 * 1024;

struct Upload<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    id: String,
}

async fn begin<'a>(bucket: &'a Bucket, key: &'a str, algorithm: Option<ChecksumAlgorithm>) -> Upload<'a> {
    let begin = bucket.client.create_multipart_upload().bucket(&bucket.name).key(key).metadata("a", "1");
    let begun = begin.set_checksum_algorithm(algorithm).send().await.unwrap();
    Upload { bucket, key, id: begun.upload_id().unwrap().to_owned() }
}

impl Upload<'_> {
    fn part(&self, number: i32, content: Vec<u8>) -> UploadPartFluentBuilder {
        let part =
            self.bucket.client.upload_part().bucket(&self.bucket.name).key(self.key).upload_id(&self.id);
        part.part_number(number).body(ByteStream::from(content))
    }

    /// Puts a part with a SHA-256 and answers how it is listed.
    async fn put(&self, number: i32, content: Vec<u8>) -> CompletedPart {
        let part = self.part(number, content).checksum_algorithm(ChecksumAlgorithm::Sha256);
        let put = part.send().await.unwrap();
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(put.e_tag)
            .set_checksum_sha256(put.checksum_sha256)
            .build()
    }

    fn complete(&self, parts: &[CompletedPart]) -> CompleteMultipartUploadFluentBuilder {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        let client = &self.bucket.client;
        let complete = client.complete_multipart_upload().bucket(&self.bucket.name).key(self.key);
        complete.upload_id(&self.id).multipart_upload(parts)
    }

    async fn abort(&self) {
        let abort = self.bucket.client.abort_multipart_upload().bucket(&self.bucket.name).key(self.key);
        abort.upload_id(&self.id).send().await.unwrap();
    }
}

fn bytes(of: u8, count: usize) -> Vec<u8> {
    vec![of; count]
}

#[tokio::test]
async fn parts_in_any_order_become_one_object_with_a_composite_checksum() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    let upload = begin(&bucket, "k", Some(ChecksumAlgorithm::Sha256)).await;
    let last = upload.put(9, bytes(b'c', 10)).await;
    let first = upload.put(2, bytes(b'a', LEAST)).await;
    upload.put(5, bytes(b'x', 7)).await;
    let second = upload.put(5, bytes(b'b', LEAST)).await;
    upload.put(6, bytes(b'y', 7)).await;
    assert_eq!(bucket.get("k").await, None, "not before it is complete");
    let done = upload.complete(&[first, second, last]).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""), "{done:?}");
    assert!(done.checksum_sha256().unwrap().ends_with("-3"), "{done:?}");
    let head = bucket.client.head_object().bucket(&bucket.name).key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!((head.e_tag(), head.checksum_sha256()), (done.e_tag(), done.checksum_sha256()));
    assert_eq!(head.checksum_type(), Some(&ChecksumType::Composite));
    assert_eq!(head.metadata().unwrap()["a"], "1");
    let content = [bytes(b'a', LEAST), bytes(b'b', LEAST), bytes(b'c', 10)].concat();
    assert!(bucket.get("k").await.unwrap() == content);
    let border = format!("bytes={}-{}", LEAST - 2, 2 * LEAST + 1);
    let border = bucket.client.get_object().bucket(&bucket.name).key("k").range(border).send().await.unwrap();
    assert!(border.body.collect().await.unwrap().to_vec() == content[LEAST - 2..2 * LEAST + 2]);
    assert_eq!(files(data.path()), 3, "parts that are not used go");
    assert_eq!(code(upload.complete(&[]).send().await), "NoSuchUpload");
}

#[tokio::test]
async fn the_etag_and_checksum_are_those_that_aws_makes() {
    let bucket = bucket().await;
    let upload = begin(&bucket, "k", Some(ChecksumAlgorithm::Sha256)).await;
    let one = upload.put(1, b"hello".to_vec()).await;
    let done = upload.complete(&[one]).send().await.unwrap();
    // md5(md5("hello")) and sha256(sha256("hello")), each of the bytes.
    assert_eq!(done.e_tag(), Some("\"62109206880d38a4010a98e11243924a-1\""));
    assert_eq!(done.checksum_sha256(), Some("lZXJ35AHUUjrBoYDZd8zWEt1v/eCpRDGzUiDpBmDPVA=-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_uploads_that_create_one_object_at_once_one_wins() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    let mut ready = Vec::new();
    for racer in 0..50_u8 {
        let upload = begin(&bucket, "k", None).await;
        let part = upload.put(1, bytes(racer, 1000)).await;
        ready.push((racer, upload, part));
    }
    let racers = ready.iter().map(|(racer, upload, part)| async move {
        (racer, upload.complete(std::slice::from_ref(part)).if_none_match("*").send().await)
    });
    let done = futures::future::join_all(racers).await;
    let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, answer)| answer.is_ok());
    assert_eq!((won.len(), lost.len()), (1, 49));
    assert_eq!(bucket.get("k").await.unwrap(), bytes(*won[0].0, 1000));
    assert!(lost.into_iter().all(|(_, answer)| code(answer) == "PreconditionFailed"));
    let left = bucket.client.list_multipart_uploads().bucket(&bucket.name).send().await.unwrap();
    assert_eq!(left.uploads().len(), 49, "those that lost are there, to be given up");
    for (racer, upload, _) in &ready {
        if racer != won[0].0 {
            upload.abort().await;
        }
    }
    assert_eq!(files(data.path()), 1);
}

#[tokio::test]
async fn one_upload_is_completed_once() {
    let bucket = bucket().await;
    let upload = begin(&bucket, "k", None).await;
    let part = upload.put(1, bytes(b'a', 10)).await;
    let complete = || upload.complete(std::slice::from_ref(&part)).send();
    let done = futures::future::join_all((0..10).map(|_| complete())).await;
    assert_eq!(done.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in done.into_iter().filter(Result::is_err) {
        assert_eq!(code(answer), "NoSuchUpload");
    }
}

#[tokio::test]
async fn uploads_under_way_are_listed_page_by_page_until_they_are_given_up() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    let mut begun = Vec::new();
    for key in ["b/1", "a", "b/1", "b/2", "c", "b/1"] {
        let upload = begin(&bucket, key, None).await;
        upload.put(1, bytes(b'a', 10)).await;
        begun.push(upload);
    }
    let mut expected: Vec<_> =
        begun.iter().map(|upload| (upload.key.to_owned(), upload.id.clone())).collect();
    expected.sort();
    let list = || bucket.client.list_multipart_uploads().bucket(&bucket.name);
    for page in [1, 2, 4, 6, 1000] {
        let (mut found, mut key, mut id) = (Vec::new(), None, None);
        loop {
            let list =
                list().max_uploads(page).set_key_marker(key).set_upload_id_marker(id).send().await.unwrap();
            let entry = |u: &aws_sdk_s3::types::MultipartUpload| {
                (u.key().unwrap().to_owned(), u.upload_id().unwrap().to_owned())
            };
            found.extend(list.uploads().iter().map(entry));
            (key, id) = (list.next_key_marker.clone(), list.next_upload_id_marker.clone());
            if list.is_truncated() != Some(true) {
                break;
            }
        }
        assert_eq!(found, expected, "{page} to a page");
    }
    let some = list().prefix("b/").send().await.unwrap();
    assert_eq!(some.uploads().len(), 4);
    let after = list().key_marker("b/1").send().await.unwrap();
    assert_eq!(after.uploads().len(), 2, "a key alone is after all its uploads");
    for upload in &begun {
        upload.abort().await;
    }
    assert_eq!(list().send().await.unwrap().uploads().len(), 0);
    assert_eq!(files(data.path()), 0);
    let late = begun[0].part(2, bytes(b'a', 10)).send().await;
    assert_eq!(code(late), "NoSuchUpload");
    let again = bucket.client.abort_multipart_upload().bucket(&bucket.name).key(begun[0].key);
    assert_eq!(code(again.upload_id(&begun[0].id).send().await), "NoSuchUpload");
}

#[tokio::test]
async fn parts_are_listed_with_what_completing_needs() {
    let bucket = bucket().await;
    let upload = begin(&bucket, "k", Some(ChecksumAlgorithm::Sha256)).await;
    for number in [3, 1, 2] {
        upload.put(number, bytes(b'a', LEAST)).await;
    }
    let list = || bucket.client.list_parts().bucket(&bucket.name).key("k").upload_id(&upload.id);
    let first = list().max_parts(2).send().await.unwrap();
    assert_eq!((first.is_truncated(), first.next_part_number_marker()), (Some(true), Some("2")));
    let rest = list().part_number_marker("2").send().await.unwrap();
    assert_eq!((rest.is_truncated(), rest.parts().len()), (Some(false), 1));
    assert_eq!(rest.parts()[0].size(), i64::try_from(LEAST).ok());
    let listed: Vec<CompletedPart> = first
        .parts()
        .iter()
        .chain(rest.parts())
        .map(|part| {
            CompletedPart::builder()
                .set_part_number(part.part_number())
                .set_e_tag(part.e_tag().map(str::to_owned))
                .set_checksum_sha256(part.checksum_sha256().map(str::to_owned))
                .build()
        })
        .collect();
    upload.complete(&listed).send().await.unwrap();
    assert_eq!(bucket.get("k").await.unwrap().len(), 3 * LEAST);
    assert_eq!(code(list().send().await), "NoSuchUpload");
}

#[tokio::test]
async fn an_upload_that_does_not_add_up_is_not_completed() {
    let bucket = bucket().await;
    let upload = begin(&bucket, "k", Some(ChecksumAlgorithm::Sha256)).await;
    let small = upload.put(1, bytes(b'a', 10)).await;
    let other = upload.put(2, bytes(b'b', 10)).await;
    let refusal = async |parts: &[CompletedPart]| code(upload.complete(parts).send().await);
    assert_eq!(refusal(&[small.clone(), other.clone()]).await, "EntityTooSmall");
    assert_eq!(refusal(&[other.clone(), small.clone()]).await, "InvalidPartOrder");
    assert_eq!(refusal(&[small.clone(), small.clone()]).await, "InvalidPartOrder");
    assert_eq!(refusal(&[]).await, "MalformedXML");
    let change = |part: &CompletedPart| {
        let (etag, sum) = (part.e_tag().map(str::to_owned), part.checksum_sha256().map(str::to_owned));
        CompletedPart::builder().part_number(1).set_e_tag(etag).set_checksum_sha256(sum)
    };
    assert_eq!(refusal(&[change(&small).part_number(3).build()]).await, "InvalidPart");
    assert_eq!(refusal(&[change(&small).e_tag("other").build()]).await, "InvalidPart");
    let sum = other.checksum_sha256().unwrap();
    assert_eq!(refusal(&[change(&small).checksum_sha256(sum).build()]).await, "InvalidPart");
    assert_eq!(refusal(&[change(&small).set_checksum_sha256(None).build()]).await, "InvalidRequest");
    let complete = || upload.complete(std::slice::from_ref(&small));
    assert_eq!(code(complete().checksum_sha256(sum).send().await), "BadDigest");
    assert_eq!(code(complete().mpu_object_size(11).send().await), "InvalidRequest");
    assert_eq!(bucket.get("k").await, None);
    complete().mpu_object_size(10).send().await.unwrap();
    assert_eq!(bucket.get("k").await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_part_that_is_not_what_is_said_of_it_is_refused() {
    let bucket = bucket().await;
    let upload = begin(&bucket, "k", Some(ChecksumAlgorithm::Sha256)).await;
    let wrong =
        upload.part(1, bytes(b'a', 10)).checksum_sha256("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=");
    assert_eq!(code(wrong.send().await), "BadDigest");
    let other = upload.part(1, bytes(b'a', 10)).checksum_algorithm(ChecksumAlgorithm::Crc32);
    assert_eq!(code(other.send().await), "InvalidRequest", "the upload has another algorithm");
    for number in [0, 10_001] {
        assert_eq!(code(upload.part(number, bytes(b'a', 10)).send().await), "InvalidArgument");
    }
    let elsewhere = Upload { bucket: &bucket, key: "other", id: upload.id.clone() };
    assert_eq!(code(elsewhere.part(1, bytes(b'a', 10)).send().await), "NoSuchUpload");
    let left = bucket.client.list_parts().bucket(&bucket.name).key("k").upload_id(&upload.id).send().await;
    assert_eq!(left.unwrap().parts().len(), 0);
}

#[tokio::test]
async fn a_checksum_of_the_whole_object_is_that_of_its_bytes() {
    let bucket = bucket().await;
    let content = [bytes(b'a', LEAST), bytes(b'b', 10)].concat();
    let whole =
        bucket.put("whole", &content).checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap();
    let begin = bucket.client.create_multipart_upload().bucket(&bucket.name).key("k");
    let begin = begin.checksum_algorithm(ChecksumAlgorithm::Crc32).checksum_type(ChecksumType::FullObject);
    let id = begin.send().await.unwrap().upload_id().unwrap().to_owned();
    let upload = Upload { bucket: &bucket, key: "k", id };
    let mut parts = Vec::new();
    for (number, content) in [(1, bytes(b'a', LEAST)), (2, bytes(b'b', 10))] {
        let put = upload.part(number, content).send().await.unwrap();
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(put.e_tag).build());
    }
    let wrong = upload.complete(&parts).checksum_crc32("AAAAAA==").send().await;
    assert_eq!(code(wrong), "BadDigest");
    let sum = whole.checksum_crc32().unwrap();
    let done = upload.complete(&parts).checksum_crc32(sum).send().await.unwrap();
    assert_eq!((done.checksum_crc32(), done.checksum_type()), (Some(sum), Some(&ChecksumType::FullObject)));
    // Compared by the SDK with what it reads.
    assert!(bucket.get("k").await.unwrap() == content);
    let impossible = bucket.client.create_multipart_upload().bucket(&bucket.name).key("k");
    let impossible =
        impossible.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_type(ChecksumType::FullObject);
    assert_eq!(code(impossible.send().await), "InvalidRequest");
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let before = bucket_in(data.path()).await;
    let upload = begin(&before, "k", None).await;
    let (id, one) = (upload.id.clone(), upload.put(1, bytes(b'a', LEAST)).await);
    before.machine.stop().await.unwrap();
    let after = bucket_in(data.path()).await;
    let upload = Upload { bucket: &after, key: "k", id };
    let two = upload.put(2, bytes(b'b', 10)).await;
    upload.complete(&[one, two]).send().await.unwrap();
    assert_eq!(after.get("k").await.unwrap().len(), LEAST + 10);
}
