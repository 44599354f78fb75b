//! Pages of a bucket's keys, in order, with keys that go on alike folded into one common prefix.

use std::time::SystemTime;

use rusqlite::{Connection, params};
use s3s::S3Result;

use super::{ObjectIndex, expect_bucket, size, time};
use crate::s3::error::broken;

/// Which keys are asked for.
pub(in crate::s3) struct ListRequest<'a> {
    pub(in crate::s3) bucket: &'a str,
    pub(in crate::s3) prefix: &'a str,
    /// Text at which keys are cut after the prefix; empty cuts none.
    pub(in crate::s3) delimiter: &'a str,
    /// The least key of the page.
    pub(in crate::s3) from: Vec<u8>,
    /// Most keys and common prefixes.
    pub(in crate::s3) most: usize,
}

#[derive(Default)]
pub(in crate::s3) struct ObjectPage {
    pub(in crate::s3) objects: Vec<ListedObject>,
    pub(in crate::s3) prefixes: Vec<String>,
    /// The least key of the next page, if there is one.
    pub(in crate::s3) next: Option<Vec<u8>>,
}

pub(in crate::s3) struct ListedObject {
    pub(in crate::s3) key: String,
    pub(in crate::s3) size: u64,
    pub(in crate::s3) etag: String,
    pub(in crate::s3) modified: SystemTime,
}

impl ObjectIndex {
    pub(in crate::s3) fn page(&self, wanted: &ListRequest<'_>) -> S3Result<ObjectPage> {
        let connection = self.connection();
        expect_bucket(&connection, wanted.bucket)?;
        let mut page = ObjectPage::default();
        let mut from = wanted.from.clone().max(wanted.prefix.as_bytes().to_vec());
        while let Some(next) = fill(&connection, wanted, &from, &mut page).map_err(broken)? {
            from = next;
        }
        Ok(page)
    }
}

/// Takes keys from `from` on, up to the end or to the first that is folded; then it answers where to go on.
fn fill(
    connection: &Connection,
    wanted: &ListRequest<'_>,
    from: &[u8],
    page: &mut ObjectPage,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(
        "SELECT key, size, etag, modified FROM objects WHERE bucket = ?1 AND key >= ?2 ORDER BY key",
    )?;
    let mut rows = statement.query(params![wanted.bucket, from])?;
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        let key = String::from_utf8_lossy(&key);
        let Some(rest) = key.strip_prefix(wanted.prefix) else { break };
        if page.objects.len() + page.prefixes.len() >= wanted.most {
            // A page of nothing has no next one.
            page.next = (wanted.most > 0).then(|| key.as_bytes().to_vec());
            break;
        }
        let cut = if wanted.delimiter.is_empty() { None } else { rest.find(wanted.delimiter) };
        if let Some(cut) = cut {
            let end = wanted.prefix.len() + cut + wanted.delimiter.len();
            let prefix = key.get(..end).unwrap_or_default().to_owned();
            let next = after_all(&prefix);
            page.prefixes.push(prefix);
            return Ok(Some(next));
        }
        page.objects.push(ListedObject {
            key: key.into_owned(),
            size: size(row.get(1)?),
            etag: row.get(2)?,
            modified: time(row.get(3)?),
        });
    }
    Ok(None)
}

/// The least bytes that come after every text that begins with `prefix`.
pub(in crate::s3) fn after_all(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    // No byte of UTF-8 is 255.
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    bytes
}
