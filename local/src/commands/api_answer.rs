//! One question to the HTTP API, answered as a table.

use std::path::Path;
use std::time::Duration;

use nextbasket_domain::UserId;
use serde_json::Value;

use crate::Failure;
use crate::api_client::ApiClient;
use crate::folder_session::FolderSession;
use crate::folder_sharing::IfMissing;
use crate::json_fields::array;
use crate::stdio::outln;
use crate::text_table;

/// How long a command waits for an answer while another process takes over the folder.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for a path, and prints the answer. The latest purchases of `user` are part of it.
pub(super) async fn show(
    data: &Path,
    user: Option<&UserId>,
    path: &str,
    as_json: bool,
) -> Result<(), Failure> {
    let session = FolderSession::open(data, IfMissing::Fail).await?;
    let answer = async {
        if let Some(user) = user {
            refresh_history(&session, user).await?;
        }
        // Nobody takes over from a server.
        let patience = if session.has_server() { Duration::ZERO } else { PATIENCE };
        ApiClient::new(session.address()).patient(patience).get(path).await
    }
    .await;
    let answer = session.close(answer).await?;
    if as_json {
        outln!("{}", serde_json::to_string_pretty(&answer).map_err(Failure::other)?);
    } else {
        print(&answer);
    }
    Ok(())
}

/// If no stream mapping runs, the user's history may lack the latest purchases. To refresh it costs reads of this
/// user's purchases only, however many changes of other users wait for the next server.
async fn refresh_history(session: &FolderSession, user: &UserId) -> Result<(), Failure> {
    if !session.has_server() {
        let (history, purchases) = (session.tables().history()?, session.tables().purchases()?);
        history.refresh(user, &purchases).await?;
    }
    Ok(())
}

pub(super) fn print(answer: &Value) {
    let items = array(answer, "items");
    if items.is_empty() {
        outln!("Nothing to recommend: the catalogue has no available product that matches.");
        return;
    }
    outln!("{}", text_table::recommendations(items));
    if answer.get("modelVersion").is_some_and(Value::is_null) {
        outln!("There is no model yet: run `nextbasket train --data DIR`.");
    }
}
