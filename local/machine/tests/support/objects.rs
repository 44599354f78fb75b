//! A machine with a bucket, and what the tests do with it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use nextbasket_machine::{Machine, MachineOptions};

pub(crate) const TEMPLATE: &str = r#"
Resources:
  ThingsBucket: { Type: AWS::S3::Bucket }
  NamedBucket: { Type: AWS::S3::Bucket, Properties: { BucketName: !Sub "${AWS::StackName}.named" } }
  Lister:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: lister } }
    Properties:
      Environment: { Variables: { THINGS_BUCKET: !Ref ThingsBucket, NAMED_BUCKET: !Ref NamedBucket } }
"#;

/// A machine's bucket and a client of it.
pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) machine: Machine,
}

/// A bucket of a machine that is gone with the test.
pub(crate) async fn bucket() -> Bucket {
    on(Machine::start(MachineOptions::in_memory(TEMPLATE, "t")).await.unwrap())
}

/// The same bucket of a data folder.
pub(crate) async fn bucket_in(data: &Path) -> Bucket {
    on(Machine::start(MachineOptions {
        data: Some(data.to_owned()),
        ..MachineOptions::in_memory(TEMPLATE, "t")
    })
    .await
    .unwrap())
}

fn on(machine: Machine) -> Bucket {
    let client = Client::from_conf(machine.s3_config());
    let name = machine.template().bucket("ThingsBucket").unwrap().name.clone();
    Bucket { client, name, machine }
}

impl Bucket {
    pub(crate) fn put(&self, key: &str, content: &[u8]) -> PutObjectFluentBuilder {
        let body = ByteStream::from(content.to_vec());
        self.client.put_object().bucket(&self.name).key(key).body(body)
    }

    /// The content under a key; `None` when there is none.
    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(found) => Some(found.body.collect().await.unwrap().to_vec()),
            Err(e) if e.as_service_error().is_some_and(|e| e.is_no_such_key()) => None,
            Err(e) => panic!("{e:?}"),
        }
    }
}

/// How many files a data folder's object storage holds.
pub(crate) fn files(data: &Path) -> usize {
    std::fs::read_dir(folder(data)).unwrap().count()
}

fn folder(data: &Path) -> PathBuf {
    data.join("s3/files")
}

/// The code that a call was refused with.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> String {
    let error = answer.unwrap_err();
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.unwrap_or_else(|| panic!("{error:?}")).to_owned()
}

/// The HTTP status that a call was refused with.
pub(crate) fn status<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, SdkError<E>>) -> u16 {
    let error = answer.unwrap_err();
    error.raw_response().unwrap_or_else(|| panic!("{error:?}")).status().as_u16()
}
