//! A bucket and the table of claims, behind a transport that fails when told to.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;

use nextbasket_domain::{Clock, Random};
use nextbasket_testkit::{FaultProxy, TestStack};
use nextbasket_uploads::{
    ClaimedFiles, FileOutcome, LocalFile, UploadError, UploadServices, UploadSettings, UploadSummary,
    Uploads, walk,
};

pub const MIB: usize = 1 << 20;

pub struct World {
    pub stack: TestStack,
    pub dynamodb: FaultProxy,
    pub s3: FaultProxy,
    pub bucket: String,
}

impl World {
    pub async fn new() -> Self {
        let stack = TestStack::start().await;
        let (dynamodb, s3) = (stack.proxy().await, stack.s3_proxy().await);
        let bucket = stack.bucket("JobsBucket");
        Self { stack, dynamodb, s3, bucket }
    }

    /// Through the proxies, by a clock that is so many seconds ahead.
    pub fn services(&self, ahead: i64) -> UploadServices {
        let system = Clock::system();
        UploadServices {
            s3: self.s3.s3(),
            dynamodb: self.dynamodb.dynamodb(),
            operations: self.stack.operations(),
            bucket: self.bucket.clone(),
            clock: Clock::new(move || system.now().plus_millis(ahead * 1_000)),
            random: Random::system().unwrap(),
        }
    }

    /// Past the proxies.
    pub fn direct(&self) -> Uploads {
        let (s3, dynamodb) = (self.stack.s3(), self.stack.dynamodb());
        Uploads::new(UploadServices { s3, dynamodb, ..self.services(0) }, settings())
    }

    pub fn uploads(&self) -> Uploads {
        self.uploads_with(settings())
    }

    pub fn uploads_with(&self, settings: UploadSettings) -> Uploads {
        Uploads::new(self.services(0), settings)
    }

    /// Of one who comes after all claims of now have expired.
    pub fn later(&self) -> Uploads {
        self.later_with(settings())
    }

    pub fn later_with(&self, settings: UploadSettings) -> Uploads {
        Uploads::new(self.services(3_600), settings)
    }

    /// What is in the bucket.
    pub async fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let s3 = self.stack.s3();
        let mut objects = BTreeMap::new();
        let mut pages = s3.list_objects_v2().bucket(&self.bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.unwrap().contents.unwrap_or_default() {
                let key = object.key.unwrap();
                let got = s3.get_object().bucket(&self.bucket).key(&key).send().await.unwrap();
                objects.insert(key, got.body.collect().await.unwrap().to_vec());
            }
        }
        objects
    }

    pub async fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.objects().await.remove(key)
    }

    /// Puts an object as another program would: without claim, mark and SHA-256.
    pub async fn put_by_hand(&self, key: &str, content: &[u8]) {
        let put = self.stack.s3().put_object().bucket(&self.bucket).key(key).body(content.to_vec().into());
        put.send().await.unwrap();
    }

    /// Keys of multipart uploads in progress.
    pub async fn in_progress(&self) -> Vec<String> {
        let list = self.stack.s3().list_multipart_uploads().bucket(&self.bucket).send().await.unwrap();
        list.uploads.unwrap_or_default().into_iter().map(|upload| upload.key.unwrap()).collect()
    }

    /// How often a content was sent in one piece.
    pub fn puts(&self) -> u64 {
        self.s3.calls("PUT x-id=PutObject")
    }

    /// How many parts were sent.
    pub fn parts(&self) -> u64 {
        self.s3.calls("PUT partNumber=")
    }

    /// Deletes what the table says of a key, as an operator would.
    pub async fn forget(&self, key: &str) {
        let (dynamodb, table) = (self.stack.dynamodb(), self.stack.operations());
        let items = dynamodb.scan().table_name(&table).send().await.unwrap().items.unwrap();
        for item in items.into_iter().filter(|item| item["sk"].as_s().unwrap() == key) {
            let key = item.into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
            dynamodb.delete_item().table_name(&table).set_key(Some(key)).send().await.unwrap();
        }
    }
}

/// Parts of 5 MiB, 4 workers.
pub fn settings() -> UploadSettings {
    UploadSettings { part_size: nextbasket_objects::MIN_PART_SIZE, workers: 4, ..UploadSettings::new("test") }
}

/// Bytes that differ from place to place.
pub fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub fn files(folder: &Path, bucket: &str) -> Vec<LocalFile> {
    walk(folder, &format!("s3://{bucket}/p").parse().unwrap()).unwrap().files
}

/// Runs over a folder, to `p/` in the bucket.
pub async fn run(uploads: &Uploads, world: &World, folder: &Path) -> Result<UploadSummary, UploadError> {
    let files = files(folder, &world.bucket);
    uploads.upload_files(&files, "p/", ClaimedFiles::Await, |_: &LocalFile, _: &FileOutcome| {}).await
}

/// Until it is so.
pub async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}
