//! The tables of the index. Keys are bytes, so that they are in the order of S3; times are milliseconds since 1970.

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY,
    created INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY,
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    facts TEXT NOT NULL,
    UNIQUE (bucket, key)
);

CREATE TABLE IF NOT EXISTS pieces (
    object INTEGER NOT NULL,
    position INTEGER NOT NULL,
    file INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (object, position)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    begun INTEGER NOT NULL,
    facts TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id);

CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    file INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
";
