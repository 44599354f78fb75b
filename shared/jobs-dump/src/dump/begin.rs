//! The stage `begin`: a table's settings, written where its dump will be.

use nextbasket_items::key::KeySchema;
use nextbasket_items::table::Table;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::{Files, Location};
use serde::{Deserialize, Serialize};

use crate::dump::running::Beat;
use crate::manifest::settings::TableSettings;
use crate::manifest::{DATA, SETTINGS, STARTED};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BeginInput {
    pub table: String,
    pub export: String,
    pub folder: Location,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub table: String,
    pub export: String,
    pub folder: Location,
    pub arn: Option<String>,
    pub id: Option<String>,
    pub keys: KeySchema,
    pub items: u64,
    pub bytes: u64,
    /// What of its settings could not be read.
    #[serde(default)]
    pub notes: Vec<String>,
}

pub(crate) async fn work(work: &mut Work, files: &Files) -> Result<Outcome, WorkError> {
    let input: BeginInput = work.input()?;
    let client = work.site().dynamodb.clone();
    let table = Table::of_job(&client, &input.table).await?;
    let settings = TableSettings::read(&client, &input.table).await?;
    files.create_folder(&input.folder.join(DATA)).await?;
    Beat::new(&input.folder).beat(work, files).await?;
    files.write_with_folder(&input.folder.join(STARTED), Vec::new()).await?;
    files.write_with_folder(&input.folder.join(SETTINGS), serde_json::to_vec_pretty(&settings)?).await?;
    Outcome::done(&Begun {
        table: input.table,
        export: input.export,
        folder: input.folder,
        arn: settings.table_arn,
        id: settings.table_id,
        keys: table.keys,
        items: table.items,
        bytes: table.bytes,
        notes: settings.unread,
    })
}
