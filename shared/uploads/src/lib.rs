//! Files and produced parts to S3, each object exactly once, by any number of workers on any number of machines,
//! started and killed at any time.
//!
//! For: folders whose files have to be in a bucket, none left out and none twice ([`Uploads::upload_files`]), and for jobs
//! that produce objects ([`Uploads::put`]).
//!
//! # How
//! Every object has an item in the operations table: a lease (the *claim*), and once the object is there a *mark* that
//! says so. A worker claims the object, writes it with `If-None-Match: *` and its SHA-256, and marks it with size,
//! checksum and ETag in the same write that gives the claim up. A second run lists the marks and finds nothing to do.
//! A claim whose worker was killed expires; who has it next looks whether the object is there, and continues a large
//! one at the parts that S3 has.
//!
//! # It guarantees
//! * No object is replaced, whatever workers, clocks and networks do: S3 itself refuses a second write to a key. So
//!   each object is there once, and it is what one worker read of one file in one state.
//! * What is marked is there, with the size and checksum that the mark says: the mark is bound to the claim, and
//!   written after S3 has confirmed the checksum.
//! * A content is sent twice only if its worker was killed, or lost its claim, while it was being sent.
//! * No multipart upload is left over: its id is noted under the claim before its parts are sent, and what a killed
//!   worker could not note is found by its key. See [`Uploads::abort_leftovers`].
//! * Memory stays within workers × part size, whatever the files' sizes.
//!
//! # It does not
//! * look whether a marked object is still there: who deletes an object and wants it again deletes its mark;
//! * see that a file changed whose size and time of change are as before;
//! * replace or delete anything: of a file that changed, the new content goes under a key of its own
//!   ([`version_key`]) or is refused, as [`OnChange`] says;
//! * keep apart from other programs that write to the same keys in parts: their multipart uploads to a key that a
//!   worker takes over are ended;
//! * set content types or metadata.
//!
//! It needs `s3:PutObject`, `s3:GetObject`, `s3:ListBucket`, `s3:ListBucketMultipartUploads`,
//! `s3:ListMultipartUploadParts` and `s3:AbortMultipartUpload`, and `GetItem`, `Query` and `UpdateItem` on the table:
//! without `s3:ListBucket`, S3 does not tell that an object is not there.
//!
//! | module | holds |
//! |---|---|
//! | `upload_destination` | [`UploadDestination`]: bucket, prefix, keys, names of versions |
//! | `walk` | [`walk()`]: a folder's files and their keys |
//! | `upload_content` | [`UploadContent`]: a file or bytes, read in one state or not at all |
//! | `part_plan` | how large contents are cut into parts |
//! | `upload_record`, `record_table` | what the operations table says of an object; the calls to the table |
//! | `uploads` | [`Uploads`]: claim, send, mark one object |
//! | `send`, `multipart` | an object in one piece, an object in parts |
//! | `leftovers` | multipart uploads that nobody will continue |
//! | `upload_files` | many files by many runs at once |
//! | `summary` | [`UploadSummary`]: the outcome of each file |
//! | `error` | [`UploadError`] |

mod error;
mod leftovers;
mod multipart;
mod part_plan;
mod record_table;
mod send;
mod summary;
mod upload_content;
mod upload_destination;
mod upload_files;
mod upload_record;
mod uploads;
mod walk;

pub use error::UploadError;
pub use summary::{FileOutcome, NewVersion, UploadSummary};
pub use tokio_util::sync::CancellationToken;
pub use upload_content::{ContentError, UploadContent};
pub use upload_destination::{InvalidDestination, InvalidKey, UploadDestination, base_key, version_key};
pub use upload_files::ClaimedFiles;
pub use uploads::{OnChange, UploadServices, UploadSettings, Uploaded, Uploads};
pub use walk::{FolderFiles, LocalFile, RejectedFile, walk};
