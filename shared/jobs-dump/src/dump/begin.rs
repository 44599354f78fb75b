//! The stage `begin`: a table's settings, written where its dump will be.

use nextbasket_domain::Timestamp;
use nextbasket_items::key::KeySchema;
use nextbasket_items::table::Table;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::{Files, Location};
use serde::{Deserialize, Serialize};

use crate::dump::decided_once;
use crate::dump::parameters::DumpTask;
use crate::dump::running::Beat;
use crate::manifest::settings::TableSettings;
use crate::manifest::{DATA, SETTINGS, STARTED, TableIdentity, md5_base64};

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
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// The MD5 of the settings that were written.
    #[serde(default)]
    pub settings_md5: Option<String>,
    pub keys: KeySchema,
    pub items: u64,
    pub bytes: u64,
    /// What of its settings could not be read.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Begun {
    pub(crate) fn identity(&self) -> TableIdentity {
        TableIdentity { arn: self.arn.clone(), id: self.id.clone(), created_at: self.created_at }
    }
}

pub(crate) async fn work(work: &mut Work, files: &Files, task: &DumpTask) -> Result<Outcome, WorkError> {
    let input: BeginInput = work.input()?;
    let client = work.site().dynamodb.clone();
    let table = Table::of_job(&client, &input.table).await?;
    let read = async || Ok(TableSettings::read(&client, &input.table).await?);
    let Some(settings) = decided_once(work, read).await? else { return Ok(Outcome::Stopped) };
    files.create_folder(&input.folder.join(DATA)).await?;
    Beat::new(&input.folder, task.kind).beat(work, files).await?;
    files.write_with_folder(&input.folder.join(STARTED), Vec::new()).await?;
    let content = serde_json::to_vec_pretty(&settings)?;
    let settings_md5 = Some(md5_base64(&content));
    files.write_with_folder(&input.folder.join(SETTINGS), content).await?;
    Outcome::done(&Begun {
        table: input.table,
        export: input.export,
        folder: input.folder,
        arn: settings.table_arn,
        id: settings.table_id,
        created_at: settings.created_at,
        settings_md5,
        keys: table.keys,
        items: table.items,
        bytes: table.bytes,
        notes: settings.unread,
    })
}
