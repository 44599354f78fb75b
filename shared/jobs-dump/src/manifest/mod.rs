//! What stands beside the data files: the layout of AWS's exports to S3, and what we add to it.
//!
//! ```text
//! LOCATION/AWSDynamoDB/EXPORT/_started
//! LOCATION/AWSDynamoDB/EXPORT/nextbasket-running.json  ours: while the dump is made
//! LOCATION/AWSDynamoDB/EXPORT/data/….json.gz
//! LOCATION/AWSDynamoDB/EXPORT/manifest-files.json      a line for each data file, with its MD5
//! LOCATION/AWSDynamoDB/EXPORT/manifest-files.md5
//! LOCATION/AWSDynamoDB/EXPORT/manifest-summary.json    written last: without it the dump is not complete
//! LOCATION/AWSDynamoDB/EXPORT/manifest-summary.md5
//! LOCATION/AWSDynamoDB/EXPORT/nextbasket-dump.json     ours: kind, table, digests, window, filter
//! LOCATION/AWSDynamoDB/EXPORT/nextbasket-dump.md5
//! LOCATION/AWSDynamoDB/EXPORT/nextbasket-table.json    ours: how to make the table again
//! ```
//!
//! Each file is under a checksum: data files in `manifest-files.json` and `nextbasket-dump.json`, these two in files of
//! their own, `nextbasket-table.json` in `nextbasket-dump.json`, and both of ours once more in the summary. So an edit of
//! one file is found, even together with its own `.md5`. Whoever writes all of them anew is not found: that is forgery,
//! against which only the permissions of the bucket help.
//!
//! The layout is documented under "DynamoDB table export output format" in the developer guide; there the checksums'
//! files end in `.checksum`, in buckets they end in `.md5`: both are read.
//!
//! * [`summary`]: AWS's: `manifest-summary.json` and the lines of `manifest-files.json`
//! * [`record`]: ours: `nextbasket-dump.json`
//! * [`settings`]: ours: `nextbasket-table.json`, whose table [`create_table`] makes again, without what
//!   `not_recreated` names
//! * [`identity`]: which table it is

pub mod create_table;
pub mod identity;
mod not_recreated;
pub mod record;
pub mod settings;
pub mod summary;

pub use identity::TableIdentity;
pub use record::{DataFile, DumpKind, DumpRecord, DumpScope};
pub use settings::TableSettings;
pub use summary::{FileLine, Summary};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// The folder of all exports below a location.
pub const EXPORTS: &str = "AWSDynamoDB";
/// Says that the export has begun.
pub const STARTED: &str = "_started";
/// The folder of data files in an export's.
pub const DATA: &str = "data";
pub const FILES: &str = "manifest-files.json";
/// The MD5 of [`FILES`].
pub const FILES_MD5: &str = "manifest-files.md5";
pub const SUMMARY: &str = "manifest-summary.json";
/// The MD5 of [`SUMMARY`].
pub const SUMMARY_MD5: &str = "manifest-summary.md5";
/// Ours: what proves the dump.
pub const RECORD: &str = "nextbasket-dump.json";
/// The MD5 of [`RECORD`].
pub const RECORD_MD5: &str = "nextbasket-dump.md5";
/// Ours: how to make the table again.
pub const SETTINGS: &str = "nextbasket-table.json";

/// The MD5 of some bytes in base64, as manifests have it.
pub fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

/// Whether two spellings of an MD5 are the same: base64 or hexadecimal, in quotes or not.
pub fn same_md5(one: &str, other: &str) -> bool {
    let bytes = |text: &str| {
        let text = text.trim().trim_matches('"');
        match text.len() {
            32 => hex::decode(text).ok(),
            _ => STANDARD.decode(text).ok(),
        }
    };
    bytes(one).is_some_and(|one| one.len() == 16 && Some(one) == bytes(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_md5_is_the_same_in_base64_and_in_hexadecimal() {
        let md5 = md5_base64(b"hello");
        assert_eq!(md5, "XUFAKrxLKna5cZ2REBfFkg==");
        assert!(same_md5(&md5, "5d41402abc4b2a76b9719d911017c592"));
        assert!(same_md5("\"5D41402ABC4B2A76B9719D911017C592\"\n", &md5));
        assert!(!same_md5(&md5, &md5_base64(b"hullo")));
        assert!(!same_md5("", ""));
        assert_eq!(hex::encode(Md5::digest(b"hello")), "5d41402abc4b2a76b9719d911017c592");
    }
}
