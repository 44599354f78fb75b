//! Objects in the embedded S3, as an SDK client sees them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "support/objects.rs"]
mod objects;

use std::net::SocketAddr;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, Delete, MetadataDirective, ObjectIdentifier,
};
use nextbasket_machine::s3::s3_config;
use objects::{bucket, bucket_in, code, files, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_of_it() {
    let bucket = bucket().await;
    let put = bucket.put("a/b c+ü", b"hello").content_type("text/plain").metadata("from", "here");
    let put = put.cache_control("no-store").content_language("de").content_encoding("identity");
    let put = put.expires(DateTime::from_secs(2_000_000_000)).send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""), "the content's MD5");
    let got = bucket.client.get_object().bucket(&bucket.name).key("a/b c+ü").send().await.unwrap();
    assert_eq!((got.e_tag(), got.content_length()), (put.e_tag(), Some(5)));
    assert_eq!((got.content_type(), got.cache_control()), (Some("text/plain"), Some("no-store")));
    assert_eq!((got.content_language(), got.content_encoding()), (Some("de"), Some("identity")));
    assert_eq!(got.metadata().unwrap()["from"], "here");
    assert_eq!(got.expires_string(), Some("Wed, 18 May 2033 03:33:20 GMT"));
    assert_eq!(&got.body.collect().await.unwrap().to_vec(), b"hello");
    let head = bucket.client.head_object().bucket(&bucket.name).key("a/b c+ü").send().await.unwrap();
    assert_eq!((head.e_tag(), head.content_length()), (put.e_tag(), Some(5)));
    assert_eq!(head.metadata().unwrap()["from"], "here");
    assert!(head.last_modified().unwrap().secs() > 1_700_000_000);
}

#[tokio::test]
async fn an_object_may_have_no_bytes() {
    let bucket = bucket().await;
    bucket.put("empty", b"").send().await.unwrap();
    assert_eq!(bucket.get("empty").await.unwrap(), b"");
    let head = bucket.client.head_object().bucket(&bucket.name).key("empty").send().await.unwrap();
    assert_eq!(head.content_length(), Some(0));
    assert_eq!(head.e_tag(), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
}

#[tokio::test]
async fn a_key_may_go_on_from_another_and_be_as_long_as_on_aws() {
    let bucket = bucket().await;
    let long = "x".repeat(1024);
    for key in ["k", "k/", "k/child", "../up", "/", "a//b", ".", long.as_str()] {
        bucket.put(key, key.as_bytes()).send().await.unwrap();
    }
    for key in ["k", "k/", "k/child", "../up", "/", "a//b", ".", long.as_str()] {
        assert_eq!(bucket.get(key).await.as_deref(), Some(key.as_bytes()), "{key}");
    }
    assert_eq!(code(bucket.put(&"x".repeat(1025), b"").send().await), "KeyTooLongError");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_one_object_at_once_one_wins() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    for round in 0..4 {
        let key = format!("race-{round}");
        let racers = (0..50).map(|racer: u32| {
            let put = bucket.put(&key, &vec![u8::try_from(racer).unwrap(); 20_000]).if_none_match("*");
            async move { (racer, put.send().await) }
        });
        let done = futures::future::join_all(racers).await;
        let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, answer)| answer.is_ok());
        assert_eq!(won.len(), 1);
        let content = bucket.get(&key).await.unwrap();
        assert_eq!(content, vec![u8::try_from(won[0].0).unwrap(); 20_000], "the winner's");
        for (_, answer) in lost {
            assert_eq!(code(answer), "PreconditionFailed");
        }
        assert_eq!(files(data.path()), round + 1, "what lost leaves nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_replace_what_they_read_one_wins() {
    let bucket = bucket().await;
    let first = bucket.put("k", b"0").send().await.unwrap();
    let racers = (1..=50).map(|racer: u32| {
        let put = bucket.put("k", racer.to_string().as_bytes()).if_match(first.e_tag().unwrap());
        async move { (racer, put.send().await) }
    });
    let done = futures::future::join_all(racers).await;
    let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, answer)| answer.is_ok());
    assert_eq!((won.len(), lost.len()), (1, 49));
    assert_eq!(bucket.get("k").await.unwrap(), won[0].0.to_string().as_bytes());
    assert!(lost.into_iter().all(|(_, answer)| code(answer) == "PreconditionFailed"));
    assert_eq!(code(bucket.put("nothing", b"").if_match("\"x\"").send().await), "NoSuchKey");
    assert_eq!(code(bucket.put("k", b"").if_none_match("\"x\"").send().await), "NotImplemented");
}

#[tokio::test]
async fn a_body_that_is_not_what_is_said_of_it_is_refused_and_leaves_what_was_there() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    bucket.put("k", b"before").send().await.unwrap();
    let wrong = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";
    assert_eq!(code(bucket.put("k", b"after").checksum_sha256(wrong).send().await), "BadDigest");
    assert_eq!(code(bucket.put("k", b"after").checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(
        code(bucket.put("new", b"after").content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await),
        "BadDigest"
    );
    assert_eq!(code(bucket.put("new", b"after").content_md5("no").send().await), "InvalidDigest");
    let two = bucket.put("k", b"after").checksum_sha256(wrong).checksum_crc32("AAAAAA==");
    assert_eq!(code(two.send().await), "InvalidRequest");
    assert_eq!(bucket.get("k").await.unwrap(), b"before");
    assert_eq!((bucket.get("new").await, files(data.path())), (None, 1));
}

#[tokio::test]
async fn checksums_are_told_to_those_who_ask() {
    let bucket = bucket().await;
    let sha256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let put = bucket.put("k", b"hello").checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    assert_eq!((put.checksum_sha256(), put.checksum_type()), (Some(sha256), Some(&ChecksumType::FullObject)));
    let head = bucket.client.head_object().bucket(&bucket.name).key("k");
    let asked = head.clone().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!((asked.checksum_sha256(), asked.checksum_crc32()), (Some(sha256), None));
    let get = bucket.client.get_object().bucket(&bucket.name).key("k").checksum_mode(ChecksumMode::Enabled);
    let part = get.clone().range("bytes=1-2").send().await.unwrap();
    assert_eq!(part.checksum_sha256(), None, "it is not that of a range");
    let whole = get.send().await.unwrap();
    assert_eq!(whole.checksum_sha256(), Some(sha256));
    // The SDK compares it with what it reads.
    assert_eq!(&whole.body.collect().await.unwrap().to_vec(), b"hello");

    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
    ] {
        bucket.put("k", b"hello").checksum_algorithm(algorithm.clone()).send().await.unwrap();
        let head = head.clone().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let told = match algorithm {
            ChecksumAlgorithm::Crc32 => head.checksum_crc32(),
            ChecksumAlgorithm::Crc32C => head.checksum_crc32_c(),
            ChecksumAlgorithm::Crc64Nvme => head.checksum_crc64_nvme(),
            _ => head.checksum_sha1(),
        };
        assert!(told.is_some(), "{algorithm}");
        assert_eq!(bucket.get("k").await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn a_streamed_body_arrives_with_its_checksum_behind_it() {
    let bucket = bucket().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..1_000_000_u32).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
    std::fs::write(file.path(), &content).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    let put = bucket.client.put_object().bucket(&bucket.name).key("k").body(body);
    let put = put.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let head = bucket.client.head_object().bucket(&bucket.name).key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.checksum_sha256(), put.checksum_sha256());
    assert!(head.checksum_sha256().is_some() && head.content_encoding().is_none());
    assert_eq!(bucket.get("k").await.unwrap(), content);
}

/// A way to `upstream` on which every byte 1 becomes a 2, and that ends after so many bytes.
async fn bad_way(upstream: SocketAddr, ends_after: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(upstream).await.unwrap();
            let ((mut from, mut back), (mut answers, mut to)) = (near.into_split(), far.into_split());
            tokio::spawn(async move {
                let (mut chunk, mut passed) = ([0; 4096], 0);
                while passed < ends_after {
                    let Ok(count @ 1..) = from.read(&mut chunk).await else { return };
                    chunk.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 2);
                    let Ok(()) = to.write_all(&chunk[..count]).await else { return };
                    passed += count;
                }
            });
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
        }
    });
    address
}

#[tokio::test]
async fn a_body_that_changes_on_its_way_or_ends_on_it_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    let content = [vec![b'a'; 100_000], vec![1], vec![b'b'; 100_000]].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let through = async |ends_after: usize, body: ByteStream| {
        let way = bad_way(bucket.machine.s3().address(), ends_after).await;
        let config = s3_config(&format!("http://{way}"), bucket.machine.key());
        let config = config.to_builder().retry_config(RetryConfig::disabled());
        let client = Client::from_conf(config.build());
        client.put_object().bucket(&bucket.name).key("k").body(body).send().await
    };
    let streamed = || ByteStream::from_path(file.path());
    // Chunk by chunk.
    assert_eq!(code(through(usize::MAX, streamed().await.unwrap()).await), "SignatureDoesNotMatch");
    // With the headers.
    assert_eq!(code(through(usize::MAX, content.into()).await), "XAmzContentSHA256Mismatch");
    assert!(through(50_000, streamed().await.unwrap()).await.is_err());
    bucket.put("after", b"").send().await.unwrap();
    assert_eq!((bucket.get("k").await, files(data.path())), (None, 1));
}

#[tokio::test]
async fn ranges_are_of_the_bytes_that_are_there() {
    let bucket = bucket().await;
    bucket.put("k", b"0123456789").send().await.unwrap();
    let get = |range: &str| bucket.client.get_object().bucket(&bucket.name).key("k").range(range).send();
    for (range, content, said) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let got = get(range).await.unwrap();
        assert_eq!(
            (got.content_range(), got.content_length()),
            (Some(said), i64::try_from(content.len()).ok())
        );
        assert_eq!(&got.body.collect().await.unwrap().to_vec(), content.as_bytes());
    }
    assert_eq!(code(get("bytes=10-").await), "InvalidRange");
}

#[tokio::test]
async fn a_read_can_have_conditions() {
    let bucket = bucket().await;
    let put = bucket.put("k", b"hello").send().await.unwrap();
    let etag = put.e_tag().unwrap();
    let get = || bucket.client.get_object().bucket(&bucket.name).key("k");
    get().if_match(etag).send().await.unwrap();
    get().if_none_match("\"other\"").send().await.unwrap();
    assert_eq!(code(get().if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(status(get().if_none_match(etag).send().await), 304);
    let (past, future) = (DateTime::from_secs(1_000_000_000), DateTime::from_secs(4_000_000_000));
    assert_eq!(status(get().if_modified_since(future).send().await), 304);
    assert_eq!(status(get().if_unmodified_since(past).send().await), 412);
    get().if_modified_since(past).if_unmodified_since(future).send().await.unwrap();
    let head = bucket.client.head_object().bucket(&bucket.name).key("k");
    assert_eq!(status(head.if_match("\"other\"").send().await), 412);
}

#[tokio::test]
async fn who_reads_an_object_that_is_replaced_reads_the_old_one_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    let content = vec![b'a'; 8_000_000];
    bucket.put("k", &content).send().await.unwrap();
    let reading = bucket.client.get_object().bucket(&bucket.name).key("k").send().await.unwrap();
    bucket.put("k", b"new").send().await.unwrap();
    assert_eq!(bucket.get("k").await.unwrap(), b"new");
    assert!(reading.body.collect().await.unwrap().to_vec() == content);
    assert_eq!(files(data.path()), 1, "then the old one goes");
}

#[tokio::test]
async fn a_copy_stands_for_itself() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    bucket.put("from ü", b"hello").metadata("a", "1").content_type("text/x").send().await.unwrap();
    let copy = |to: &str| {
        let source = format!("{}/from%20%C3%BC", bucket.name);
        bucket.client.copy_object().copy_source(source).bucket(&bucket.name).key(to)
    };
    copy("kept").send().await.unwrap();
    let replaced = copy("other").metadata_directive(MetadataDirective::Replace).metadata("b", "2");
    replaced.send().await.unwrap();
    assert_eq!(code(copy("no").copy_source_if_match("\"x\"").send().await), "PreconditionFailed");
    assert_eq!(code(copy("from ü").send().await), "InvalidRequest");
    bucket.client.delete_object().bucket(&bucket.name).key("from ü").send().await.unwrap();
    for (key, name, value) in [("kept", "a", "1"), ("other", "b", "2")] {
        assert_eq!(bucket.get(key).await.unwrap(), b"hello");
        let head = bucket.client.head_object().bucket(&bucket.name).key(key).send().await.unwrap();
        assert_eq!((head.metadata().unwrap().len(), head.metadata().unwrap()[name].as_str()), (1, value));
    }
    assert_eq!(code(copy("late").send().await), "NoSuchKey");
    assert_eq!(files(data.path()), 2);
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_deleting_again_is_no_error() {
    let data = tempfile::tempdir().unwrap();
    let bucket = bucket_in(data.path()).await;
    for key in ["a", "b", "c"] {
        bucket.put(key, b"x").send().await.unwrap();
    }
    let delete = |key: &str| bucket.client.delete_object().bucket(&bucket.name).key(key);
    assert_eq!(code(delete("a").if_match("\"other\"").send().await), "PreconditionFailed");
    delete("a").send().await.unwrap();
    delete("a").send().await.unwrap();
    assert_eq!(bucket.get("a").await, None);
    let which = ["b", "c", "none"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let which = Delete::builder().set_objects(Some(which.into())).build().unwrap();
    let deleted = bucket.client.delete_objects().bucket(&bucket.name).delete(which).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    assert_eq!(files(data.path()), 0);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let bucket = bucket().await;
    let client = &bucket.client;
    assert_eq!(code(client.get_object().bucket(&bucket.name).key("k").send().await), "NoSuchKey");
    let head = client.head_object().bucket(&bucket.name).key("k").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    let elsewhere = client.put_object().bucket("elsewhere").key("k").body(ByteStream::from_static(b"x"));
    assert_eq!(code(elsewhere.send().await), "NoSuchBucket");
    assert_eq!(code(client.get_object().bucket("elsewhere").key("k").send().await), "NoSuchBucket");
    assert_eq!(code(client.list_objects_v2().bucket("elsewhere").send().await), "NoSuchBucket");
    let acl = client.get_object_acl().bucket(&bucket.name).key("k").send().await;
    assert_eq!(code(acl), "NotImplemented");
}

#[tokio::test]
async fn buckets_are_those_of_the_template_and_those_that_are_made() {
    let bucket = bucket().await;
    assert_eq!(bucket.name, "t-thingsbucket");
    let environment = bucket.machine.environment("lister").unwrap();
    assert_eq!(
        (environment["THINGS_BUCKET"].as_str(), environment["NAMED_BUCKET"].as_str()),
        ("t-thingsbucket", "t.named")
    );
    assert_eq!(environment["AWS_ENDPOINT_URL_S3"], bucket.machine.s3().endpoint_url());
    let client = &bucket.client;
    client.create_bucket().bucket("another").send().await.unwrap();
    assert_eq!(code(client.create_bucket().bucket("another").send().await), "BucketAlreadyOwnedByYou");
    let all = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = all.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["another", "t-thingsbucket", "t.named"]);
    client.head_bucket().bucket("t.named").send().await.unwrap();
    bucket.put("k", b"x").send().await.unwrap();
    assert_eq!(code(client.delete_bucket().bucket(&bucket.name).send().await), "BucketNotEmpty");
    client.delete_bucket().bucket("another").send().await.unwrap();
    assert!(client.head_bucket().bucket("another").send().await.is_err());
}

#[tokio::test]
async fn a_request_that_is_not_signed_with_the_local_key_is_refused() {
    let bucket = bucket().await;
    let other = Credentials::new("someone", "else", None, None, "test");
    let config = bucket.client.config().to_builder().credentials_provider(other).build();
    let refused = Client::from_conf(config).get_object().bucket(&bucket.name).key("k").send().await;
    assert_eq!(status(refused), 403);
}

#[tokio::test]
async fn objects_outlive_the_machine() {
    let data = tempfile::tempdir().unwrap();
    let before = bucket_in(data.path()).await;
    before.put("k", b"kept").metadata("a", "1").send().await.unwrap();
    before.machine.stop().await.unwrap();
    // As a write leaves it that is cut off before the index knows it.
    std::fs::write(data.path().join("s3/files/ff"), "half").unwrap();
    let after = bucket_in(data.path()).await;
    assert_eq!(after.get("k").await.unwrap(), b"kept");
    assert_eq!(files(data.path()), 1);
    after.put("k", b"new").send().await.unwrap();
    assert_eq!(after.get("k").await.unwrap(), b"new");
}

/// Needs root for a small file system of its own; says so where it is not to be had.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let done = std::process::Command::new(args[0]).args(&args[1..]).arg(dir.path()).output();
        done.is_ok_and(|output| output.status.success())
    };
    if !run(&["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs"]) {
        println!("skipped: no small file system can be mounted here");
        return;
    }
    let data = dir.path().join("data");
    let bucket = bucket_in(&data).await;
    bucket.put("small", b"kept").send().await.unwrap();
    let refused = status(bucket.put("large", &[0; 9_000_000]).send().await);
    let left = (bucket.get("small").await, bucket.get("large").await, files(&data));
    bucket.put("other", &[0; 1_000_000]).send().await.unwrap();
    bucket.machine.stop().await.unwrap();
    assert!(run(&["umount"]));
    assert_eq!((refused, left), (500, (Some(b"kept".to_vec()), None, 1)));
}
