//! The fuzz targets: each takes bytes as they may come from outside, and panics if a check fails.
//!
//! `fuzz/` has a program for each target that libFuzzer drives; the tests of this crate replay every input of the
//! corpus, so that a fixed fault stays fixed. See the section on fuzzing in `docs/TESTING.md`.
//!
//! | module | input | what it checks |
//! |---|---|---|
//! | [`bodies`] | bodies of `POST /purchases`, `PUT /products`, `POST /recommendations`, `POST /jobs` | the same body again, limits, errors with code and field |
//! | [`stream`] | events of the purchases' stream | each user's purchases, folded |
//! | [`cursors`] | cursors of every list | an end of the list, or one error |
//! | [`manifests`] | the files beside a dump's data files | round trips, no file outside of the dump's folder |
//! | [`csv`] | files to import and data files of dumps | counts, limits, every format's round trip, the fast reader |
//! | [`exports`] | files of shop systems, alone or together | the same records however often reading is interrupted, counts, memory |
//! | [`gzip`] | files of `csv`, compressed in any way and truncated anywhere | the same as for the unpacked file, memory |
//! | [`rows`] | packed values of the model and history tables | round trips, limits, answers, memory |
//! | [`expressions`] | `where` and `set` of jobs | the same expression with names and values put back, the items that match it |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "to panic is how a target says that something does not hold"
)]

pub mod bodies;
pub mod csv;
pub mod cursors;
pub mod exports;
pub mod expressions;
pub mod gzip;
pub mod manifests;
mod memory;
mod records;
pub mod rows;
pub mod stream;
mod world;

/// The function that checks an input.
pub type Target = fn(&[u8]);

/// Every target by its name, which its program and its corpus share.
pub const TARGETS: [(&str, Target); 9] = [
    ("bodies", bodies::check),
    ("cursors", cursors::check),
    ("csv", csv::check),
    ("exports", exports::check),
    ("expressions", expressions::check),
    ("gzip", gzip::check),
    ("manifests", manifests::check),
    ("rows", rows::check),
    ("stream", stream::check),
];
