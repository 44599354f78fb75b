//! Lists of keys, page by page.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

#[path = "support/objects.rs"]
mod objects;

use std::collections::BTreeSet;

use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::types::EncodingType;
use objects::{Bucket, bucket, code};

/// Keys and common prefixes of all pages, in the order in which they come.
async fn all(list: ListObjectsV2FluentBuilder, page: i32) -> Vec<String> {
    let mut all = Vec::new();
    let mut pages = list.max_keys(page).into_paginator().send();
    while let Some(found) = pages.next().await {
        let found = found.unwrap();
        let mut entries: Vec<String> = found.contents().iter().map(|o| o.key().unwrap().to_owned()).collect();
        entries.extend(found.common_prefixes().iter().map(|p| p.prefix().unwrap().to_owned()));
        entries.sort();
        assert!(entries.len() <= usize::try_from(page).unwrap());
        assert_eq!(found.key_count(), i32::try_from(entries.len()).ok());
        all.extend(entries);
    }
    all
}

async fn filled(keys: &[&str]) -> Bucket {
    let bucket = bucket().await;
    for key in keys {
        bucket.put(key, key.as_bytes()).send().await.unwrap();
    }
    bucket
}

fn list(bucket: &Bucket) -> ListObjectsV2FluentBuilder {
    bucket.client.list_objects_v2().bucket(&bucket.name)
}

#[tokio::test]
async fn a_list_has_each_object_with_its_size_and_etag() {
    let bucket = filled(&["a", "bb"]).await;
    let found = list(&bucket).send().await.unwrap();
    let entries: Vec<_> = found.contents().iter().map(|o| (o.key().unwrap(), o.size().unwrap())).collect();
    assert_eq!(entries, [("a", 1), ("bb", 2)]);
    let head = bucket.client.head_object().bucket(&bucket.name).key("bb").send().await.unwrap();
    assert_eq!(found.contents()[1].e_tag(), head.e_tag());
    assert_eq!((found.is_truncated(), found.next_continuation_token()), (Some(false), None));
}

#[tokio::test]
async fn pages_of_any_size_hold_the_keys_in_the_order_of_their_bytes() {
    // U+FF5E comes before U+1F600 as bytes, and after it as UTF-16.
    let keys = ["A", "a", "a!", "a/", "a/b", "a/b/c", "a/c", "a0", "b", "ü", "\u{ff5e}", "\u{1f600}"];
    let mut sorted = keys.map(str::to_owned);
    sorted.sort();
    let bucket = filled(&keys).await;
    for page in [1, 2, 3, 5, 12, 1000] {
        assert_eq!(all(list(&bucket), page).await, sorted, "{page} to a page");
    }
    assert_eq!(all(list(&bucket).start_after("a/b"), 2).await, sorted[5..]);
    assert_eq!(all(list(&bucket).start_after("a/a"), 2).await, sorted[4..], "a key that is not there");
}

#[tokio::test]
async fn keys_are_folded_at_the_delimiter_on_every_page_alike() {
    let keys = ["a", "a/1", "a/2", "a/b/3", "b/1", "b//2", "c", "c--d", "c--e/f", "d/"];
    let bucket = filled(&keys).await;
    for delimiter in ["/", "--", "b/"] {
        for prefix in ["", "a", "a/", "b/", "c--", "nothing"] {
            let expected: BTreeSet<String> = keys
                .iter()
                .filter_map(|key| key.strip_prefix(prefix))
                .map(|rest| match rest.split_once(delimiter) {
                    Some((folded, _)) => format!("{prefix}{folded}{delimiter}"),
                    None => format!("{prefix}{rest}"),
                })
                .collect();
            let expected: Vec<String> = expected.into_iter().collect();
            for page in [1, 2, 3, 1000] {
                let found = all(list(&bucket).prefix(prefix).delimiter(delimiter), page).await;
                assert_eq!(found, expected, "{prefix:?} at {delimiter:?}, {page} to a page");
            }
        }
    }
}

#[tokio::test]
async fn keys_can_be_written_as_parts_of_urls() {
    let bucket = filled(&["a b/ü%+"]).await;
    let found = list(&bucket).encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(found.contents()[0].key(), Some("a%20b/%C3%BC%25%2B"));
    let plain = list(&bucket).send().await.unwrap();
    assert_eq!(plain.contents()[0].key(), Some("a b/ü%+"));
}

#[tokio::test]
async fn what_is_no_page_is_refused() {
    let bucket = filled(&["a"]).await;
    assert_eq!(code(list(&bucket).max_keys(-1).send().await), "InvalidArgument");
    assert_eq!(code(list(&bucket).continuation_token("?").send().await), "InvalidArgument");
    let none = list(&bucket).max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
}
