//! Copies of tables that can be proved: `dump`, `restore`, `verify`, `diff`, `archive` and `revert`, kinds of job on the
//! engine of `nextbasket-job-engine`.
//!
//! For: any table, ours or not. A dump is a folder, of this machine or in S3, in the layout of AWS's own exports, with
//! data files of DynamoDB JSON, of CSV or of plain JSON Lines; what AWS exports, full or incremental, is restored as well,
//! and so are files that other tools write.
//!
//! # It guarantees
//! * Every item that did not change between the first read and the last one is in the dump as it was; the manifest says
//!   from when to when that was. All types survive every format: numbers to 38 digits, binary, sets, empty strings and
//!   lists, values nested 32 deep, names with any character. What CSV cannot hold is refused by key, attribute and reason.
//! * A dump is complete once it has its summary, which is written last, after a check that all files exist as they
//!   were written. A destination has one dump at a time, and no dump is removed while it is made. A dump that was
//!   killed resumes from its checkpoint: each worker reads at most one page again, and no item is in two files.
//! * Of every data file the manifest has the MD5, the number of items and a [digest](mod@digest) that does not depend on their
//!   order; `verify` finds a flipped bit, a missing file, a line too many, a file that was cut off, and names all of them.
//! * Retention removes only complete dumps of all items that are provably of the same table, and never an archive.
//! * A restore compares a file with its MD5 before it writes anything of it. Lines that are no items stand in the job's
//!   refused files, with file, line and reason.
//! * `archive` deletes nothing before its copy was read back and found whole, and only items that still equal their copies.
//! * `revert` writes only items that are in the export and still are what it says that they became.
//! * Memory does not grow with the table: a worker holds a page, or up to some 8 MB of a data file; a comparison 16 MB, or
//!   a 4,096th of both sides if that is more.
//!
//! # It does not
//! * take snapshots: a scan reads items as they are when it comes to them. Exports of AWS do;
//! * hold against forgery: digests and checksums find accidents and edits of single files, not somebody who writes all
//!   of them anew;
//! * read Amazon Ion or Parquet, or split a data file among workers;
//! * dump changes: incremental exports of AWS are read, not written.
//!
//! | module | holds |
//! |---|---|
//! | [`dump`](mod@dump), [`restore`], [`verify`], [`diff`], [`archive`], [`revert`] | the kinds: parameters, stages, batches |
//! | [`manifest`] | what stands beside the data files |
//! | [`json`] | DynamoDB JSON, as AWS's exports have it |
//! | [`csv`] | CSV with typed headers |
//! | [`json_lines`] | plain JSON, for people |
//! | [`format`](mod@format) | the formats by name |
//! | `plain_files`, `dynamodump` | files without a manifest: which there are, in which format |
//! | [`listing`] | the dumps and exports below a location |
//! | [`digest`] | count and digest of items in any order |
//! | [`gzip`] | a gzip file that can be resumed |
//! | [`equality_condition`] | that an item still is what somebody has of it |
//! | [`error`] | why a text is no item |
//! | [`source`], [`records`] | dumps, exports and plain files: found, and read item by item |
//! | `text` | a file's text, unpacked |
//! | `parts` | tables and dumps in parts, to be compared |
//! | `versions` | several exports made into one set of items |
//! | `grouped` | lines in the job's objects, sorted by group |
//! | `settings` | what the parameters of several kinds have in common |

pub mod archive;
pub mod csv;
pub mod diff;
pub mod digest;
pub mod dump;
mod dynamodump;
pub mod equality_condition;
pub mod error;
pub mod format;
mod grouped;
pub mod gzip;
pub mod json;
pub mod json_lines;
mod kept_items;
pub mod listing;
pub mod manifest;
mod parts;
mod plain_files;
pub mod records;
pub mod restore;
pub mod revert;
#[cfg(test)]
mod samples;
mod settings;
pub mod source;
mod text;
pub mod verify;
mod versions;

pub use archive::Archive;
pub use diff::Diff;
pub use digest::ItemsDigest;
pub use dump::Dump;
pub use error::{FormatError, LineError};
pub use format::{Format, SourceFormat};
pub use restore::Restore;
pub use revert::Revert;
pub use verify::Verify;
