#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod atomic_file;
mod bucket;
mod checksum;
mod error;
mod files;
mod location;
mod multipart;
mod resumable_output;

pub use atomic_file::AtomicFile;
pub use bucket::{Bucket, ConditionalWrite, ListedObject, ObjectHead};
pub use checksum::{Checksum, Digest, Hasher, digest};
pub use error::{ErrorClass, ObjectError};
pub use files::{BlockingFileStream, FileStream, Files, FoundFile, in_function};
pub use location::{InvalidLocation, Location, MAX_KEY_BYTES, is_bucket_name};
pub use multipart::{
    MAX_PARTS, MIN_PART_SIZE, MultipartUpload, ObjectWriter, SentPart, StoredPart, WrittenParts,
};
pub use resumable_output::ResumableOutput;
