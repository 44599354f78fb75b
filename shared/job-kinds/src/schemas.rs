//! What a form for each kind of job needs to know.

use nextbasket_items::write::WriteGuard;
use nextbasket_job_engine::schema::{DescribedKind as _, KindSchema};
use nextbasket_jobs_dump::{Archive, Diff, Dump, Restore, Revert, Verify};
use nextbasket_jobs_map::Map;
use nextbasket_jobs_shop::{Import, RebuildHistory, RefreshPopular, RotateSecret};
use nextbasket_jobs_table::TableOperation;
use nextbasket_jobs_train::job::Train;
use nextbasket_tables::Tables;

/// Every kind of [`kinds`](crate::kinds) with the schema of its parameters, by name.
#[must_use]
pub fn schemas(tables: &Tables) -> Vec<KindSchema> {
    let guard = WriteGuard::default;
    let mut schemas = vec![
        Import(tables.clone()).described(),
        Dump.described(),
        Restore(guard()).described(),
        Revert(guard()).described(),
        Verify.described(),
        Diff.described(),
        Archive.described(),
        Train(tables.clone()).described(),
        RebuildHistory(tables.clone()).described(),
        RefreshPopular(tables.clone()).described(),
        RotateSecret(tables.clone()).described(),
        Map { lambda: None }.described(),
        TableOperation::Count.described(),
        TableOperation::Update.described(),
        TableOperation::Delete.described(),
        TableOperation::Copy.described(),
        TableOperation::Fill.described(),
    ];
    schemas.sort_unstable_by_key(|schema| schema.kind);
    schemas
}
