//! Outputs that several attempts write, one after the other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use nextbasket_objects::{Files, Location, ObjectWriter, ResumableOutput, WrittenParts};
use nextbasket_testkit::TestStack;

const PART: usize = 5 << 20;

async fn content(files: &Files, at: &Location) -> Vec<u8> {
    let found = files.list(at).await.unwrap().remove(0);
    files.read(&found, 0..u64::MAX).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_is_continued_where_an_earlier_attempt_saved() {
    let (stack, folder) = (TestStack::start().await, tempfile::tempdir().unwrap());
    let files = Files::new(stack.s3());
    let object = format!("s3://{}/out", stack.bucket("JobsBucket")).parse().unwrap();
    for at in [Location::Path(folder.path().join("out")), object] {
        files.write(&at, b"earlier".to_vec()).await.unwrap();
        let open = |written| ResumableOutput::open(&files, &at, "run", written, 0);
        let mut first = open(WrittenParts::default()).await.unwrap();
        first.push(vec![b'a'; PART]);
        let saved = first.write().await.unwrap();
        first.push(vec![b'x'; PART]);
        first.write().await.unwrap();
        drop(first);
        assert_eq!(content(&files, &at).await, b"earlier", "{at}");
        let mut second = open(saved).await.unwrap();
        second.push(b"rest".to_vec());
        assert_eq!(second.finish().await.unwrap(), PART as u64 + 4, "{at}");
        assert!(content(&files, &at).await == [&vec![b'a'; PART][..], b"rest"].concat(), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_completed_before_its_writer_was_killed_is_finished() {
    let stack = TestStack::start().await;
    let bucket = Files::new(stack.s3()).bucket(&stack.bucket("JobsBucket"));
    for rest in [b"rest".to_vec(), Vec::new()] {
        let mut writer = ObjectWriter::new(bucket.clone(), "out", WrittenParts::default());
        writer.write_part(vec![b'a'; PART]).await.unwrap();
        let saved = writer.written().clone();
        let size = writer.finish(rest.clone()).await.unwrap();
        let again = ObjectWriter::new(bucket.clone(), "out", saved.clone());
        assert_eq!(again.finish(rest).await.unwrap(), size);
        let other = ObjectWriter::new(bucket.clone(), "out", saved);
        let error = other.finish(b"something else".to_vec()).await.unwrap_err();
        assert!(error.to_string().contains("s3://") && !error.is_transient(), "{error}");
    }
}
