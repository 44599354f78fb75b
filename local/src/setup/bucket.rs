//! The bucket of jobs.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    CreateBucketConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use nextbasket_sdk_errors::sentence;

use super::{MadeResource, built};
use crate::Failure;

/// The rules of the template's bucket, by the same names.
const UPLOADS_RULE: &str = "uploads-left-unfinished";
const JOBS_RULE: &str = "what-old-jobs-have-left";
const CONSOLE_RULE: &str = "what-the-console-uploaded";
const UPLOAD_DAYS: i32 = 7;
const JOB_DAYS: i32 = 90;
const CONSOLE_DAYS: i32 = 1;

/// The region whose name creates no bucket: it is what S3 takes if none is given.
const DEFAULT_REGION: &str = "us-east-1";

/// The bucket of jobs: plans, results, and the items that were refused.
pub(crate) struct JobsBucket<'a> {
    pub client: &'a aws_sdk_s3::Client,
    pub name: &'a str,
    pub region: &'a str,
}

impl JobsBucket<'_> {
    /// Creates the bucket unless it exists; a new one is encrypted, private and only reached with TLS. Objects of jobs
    /// expire after 90 days, as the template has it.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be created, or belongs to somebody else.
    pub(crate) async fn make(&self) -> Result<MadeResource, Failure> {
        let mut made = MadeResource { name: self.name.to_owned(), ..MadeResource::default() };
        if !self.exists().await? {
            self.create().await?;
            made.created = true;
            self.protect(&mut made).await?;
        }
        self.expire(&mut made).await?;
        Ok(made)
    }

    async fn exists(&self) -> Result<bool, Failure> {
        match self.client.head_bucket().bucket(self.name).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.raw_response().map(|response| response.status().as_u16()) {
                Some(404) => Ok(false),
                Some(403) => Err(Failure::Other(format!(
                    "bucket \"{}\" belongs to another account, or these credentials may not use it. Give another one \
                     with --bucket",
                    self.name
                ))),
                _ => Err(Failure::other(format!("bucket \"{}\": {}", self.name, sentence(&error)))),
            },
        }
    }

    async fn create(&self) -> Result<(), Failure> {
        let mut create = self.client.create_bucket().bucket(self.name);
        if self.region != DEFAULT_REGION {
            let region = BucketLocationConstraint::from(self.region);
            let configuration = CreateBucketConfiguration::builder().location_constraint(region).build();
            create = create.create_bucket_configuration(configuration);
        }
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            Err(error) => Err(Failure::other(format!(
                "bucket \"{}\" cannot be created: {}",
                self.name,
                sentence(&error)
            ))),
        }
    }

    async fn protect(&self, made: &mut MadeResource) -> Result<(), Failure> {
        let Self { client, name, .. } = self;
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .block_public_policy(true)
            .ignore_public_acls(true)
            .restrict_public_buckets(true)
            .build();
        let set = client.put_public_access_block().bucket(*name).public_access_block_configuration(block);
        made.settled("no public access", set.send().await);

        let aes = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256);
        let aes = aes.build().map_err(built)?;
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(aes).build();
        let encryption = ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(built)?;
        let set = client.put_bucket_encryption().bucket(*name);
        made.settled("encryption", set.server_side_encryption_configuration(encryption).send().await);

        let set = client.put_bucket_policy().bucket(*name).policy(only_with_tls(name, self.region));
        made.settled("only with TLS", set.send().await);
        Ok(())
    }

    /// Adds the rules that are missing to those that the bucket has.
    async fn expire(&self, made: &mut MadeResource) -> Result<(), Failure> {
        const WHAT: &str =
            "expiry of objects below jobs/ after 90 days, and of the console's uploads after one";
        let Self { client, name, .. } = self;
        let known = match client.get_bucket_lifecycle_configuration().bucket(*name).send().await {
            Ok(known) => known.rules.unwrap_or_default(),
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Vec::new(),
            Err(error) => {
                made.settled::<(), _>(WHAT, Err(error));
                return Ok(());
            }
        };
        let mut rules = known.clone();
        for rule in [
            unfinished_uploads()?,
            expiry(JOBS_RULE, "jobs/", JOB_DAYS)?,
            expiry(CONSOLE_RULE, "console/uploads/", CONSOLE_DAYS)?,
        ] {
            if !known.iter().any(|known| known.id() == rule.id()) {
                rules.push(rule);
            }
        }
        if rules.len() > known.len() {
            let configuration =
                BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().map_err(built)?;
            let set = client.put_bucket_lifecycle_configuration().bucket(*name);
            made.settled(WHAT, set.lifecycle_configuration(configuration).send().await);
        }
        Ok(())
    }
}

fn unfinished_uploads() -> Result<LifecycleRule, Failure> {
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(UPLOAD_DAYS).build();
    let all = LifecycleRuleFilter::builder().prefix("").build();
    let rule = LifecycleRule::builder().id(UPLOADS_RULE).status(ExpirationStatus::Enabled).filter(all);
    rule.abort_incomplete_multipart_upload(abort).build().map_err(built)
}

fn expiry(id: &str, prefix: &str, days: i32) -> Result<LifecycleRule, Failure> {
    let below = LifecycleRuleFilter::builder().prefix(prefix).build();
    let rule = LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).filter(below);
    rule.expiration(LifecycleExpiration::builder().days(days).build()).build().map_err(built)
}

/// Refuses calls without TLS, as the template does.
fn only_with_tls(bucket: &str, region: &str) -> String {
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let arn = format!("arn:{partition}:s3:::{bucket}");
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "OnlyWithTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }],
    })
    .to_string()
}
