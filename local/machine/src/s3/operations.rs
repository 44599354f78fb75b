//! The operations of S3 that are done here, and who does them.

use futures::future::BoxFuture;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::store::ObjectStore;

/// Each operation is the method of the same name of [`ObjectStore`], which stands in the file that is named.
macro_rules! operations {
    ($($operation:ident: $input:ident => $output:ident;)*) => {
        impl s3s::S3 for ObjectStore {
            $(
                fn $operation<'s, 'f>(
                    &'s self,
                    request: S3Request<$input>,
                ) -> BoxFuture<'f, S3Result<S3Response<$output>>>
                where
                    's: 'f,
                    Self: 'f,
                {
                    Box::pin(async move { ObjectStore::$operation(self, request).await.map(S3Response::new) })
                }
            )*
        }
    };
}

operations! {
    // listing.rs
    list_buckets: ListBucketsInput => ListBucketsOutput;
    head_bucket: HeadBucketInput => HeadBucketOutput;
    create_bucket: CreateBucketInput => CreateBucketOutput;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output;
    // object.rs
    put_object: PutObjectInput => PutObjectOutput;
    get_object: GetObjectInput => GetObjectOutput;
    head_object: HeadObjectInput => HeadObjectOutput;
    delete_object: DeleteObjectInput => DeleteObjectOutput;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput;
    // copy.rs
    copy_object: CopyObjectInput => CopyObjectOutput;
    // multipart.rs
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput;
    upload_part: UploadPartInput => UploadPartOutput;
    list_parts: ListPartsInput => ListPartsOutput;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput;
}
