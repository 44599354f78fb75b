//! The question before a command changes or deletes items of a table.

use std::io::{self, BufRead, IsTerminal, Write};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::PointInTimeRecoveryStatus;
use clap::Args;
use nextbasket_items::table::TableAddress;
use nextbasket_job_engine::Site;
use nextbasket_sdk_errors::sentence;
use serde_json::Value;

use crate::Failure;
use crate::arn::account_of;
use crate::stdio::errln;
use crate::target::TargetPlace;

/// The option of commands that change or delete items.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConfirmOption {
    /// Do not ask before items are changed or deleted; needed by scripts on AWS and on endpoints
    #[arg(long)]
    pub yes: bool,
    /// Fail if the table has no point-in-time recovery, which could undo the command; without this it is a warning, on
    /// AWS and on endpoints
    #[arg(long)]
    pub require_pitr: bool,
}

/// What a command is about to do.
#[derive(Debug, Clone)]
pub(crate) struct Confirmation {
    /// What it does to items, such as `delete`.
    pub action: &'static str,
    pub table: TableAddress,
    /// Where that table is, if it is not at the command's target.
    pub elsewhere: Option<String>,
    /// A table that does not exist has nothing that could be changed.
    pub only_if_it_exists: bool,
    /// It was given with the command.
    pub yes: bool,
    /// Whether the table must have point-in-time recovery.
    pub require_pitr: bool,
}

/// Whether a table can be brought back to how it was.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Recovery {
    On,
    Off,
    /// It could not be found out.
    Unknown(String),
}

/// How to find out whether the user means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// The answer is known.
    None,
    /// On the terminal.
    Ask,
    /// There is nobody to ask.
    Refuse,
}

impl ConfirmOption {
    /// For a command that changes or deletes the items of a table.
    pub(crate) fn of(self, action: &'static str, table: &str) -> Confirmation {
        Confirmation {
            action,
            table: TableAddress::of_site(table),
            elsewhere: None,
            only_if_it_exists: false,
            yes: self.yes,
            require_pitr: self.require_pitr,
        }
    }

    /// For a command that puts items into a table; `None` if the ones that exist already stay.
    pub(crate) fn of_puts(
        self,
        action: &'static str,
        table: &str,
        on_conflict: &Value,
    ) -> Option<Confirmation> {
        let stays = matches!(on_conflict.as_str(), Some("skip" | "fail"));
        (!stays).then(|| Confirmation { only_if_it_exists: true, ..self.of(action, table) })
    }
}

impl Confirmation {
    /// Says what is about to happen, and asks on a terminal. Without one, a data folder's items are changed, as by
    /// any script on one machine; elsewhere it has to be said with `--yes`.
    ///
    /// # Errors
    /// [`Failure::Usage`] if nobody confirms it.
    pub(crate) async fn ask(&self, site: &Site, place: &TargetPlace) -> Result<(), Failure> {
        let place = self.elsewhere.clone().map_or_else(|| place.clone(), TargetPlace::Elsewhere);
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let question = question(self.yes, is_terminal, &place);
        // Nothing on one machine recovers tables: dumps do.
        let may_recover = matches!(place, TargetPlace::Elsewhere(_)) || self.require_pitr;
        if question == Question::None && !may_recover {
            return Ok(());
        }
        let client = self.table.client(site);
        let Some(known) = self.known(&client).await else { return Ok(()) };
        if may_recover {
            self.check_recovery(recovery(&client, &self.table.table).await)?;
        }
        if question == Question::None {
            return Ok(());
        }
        let Self { action, table: TableAddress { table, .. }, .. } = self;
        let what = format!("{action}: table {table} ({known}) at {place}");
        if question == Question::Refuse {
            return Err(Failure::Usage(format!(
                "{what}. Confirm this with --yes, or look first with --dry-run"
            )));
        }
        // A thread that may block, so that Ctrl-C still ends the command.
        let ask = move || asked(&what, &mut io::stdin().lock(), &mut io::stderr().lock());
        let confirmed = tokio::task::spawn_blocking(ask).await.map_err(Failure::other)?;
        match confirmed.map_err(Failure::other)? {
            true => Ok(()),
            false => Err(Failure::Usage("nothing was changed: it was not confirmed".to_owned())),
        }
    }

    /// Warns of a table without point-in-time recovery, or refuses it.
    fn check_recovery(&self, recovery: Recovery) -> Result<(), Failure> {
        let table = &self.table.table;
        let advice = "Turn it on, or dump the table first";
        match (recovery, self.require_pitr) {
            (Recovery::On, _) | (Recovery::Unknown(_), false) => Ok(()),
            (Recovery::Off, false) => {
                errln!(
                    "Table {table} has no point-in-time recovery: this cannot be undone by AWS. {advice}."
                );
                Ok(())
            }
            (Recovery::Off, true) => Err(Failure::Other(format!(
                "--require-pitr: table \"{table}\" has no point-in-time recovery. {advice}"
            ))),
            (Recovery::Unknown(why), true) => Err(Failure::Other(format!(
                "--require-pitr: it could not be found out whether table \"{table}\" has point-in-time recovery: {why}"
            ))),
        }
    }

    /// What is known of the table: its account and number of items; `None` if there is nothing to confirm.
    async fn known(&self, client: &Client) -> Option<String> {
        let unknown = Some("its number of items is not known".to_owned());
        let described = match client.describe_table().table_name(&self.table.table).send().await {
            Ok(described) => described.table?,
            Err(error) if self.only_if_it_exists && error.code() == Some("ResourceNotFoundException") => {
                return None;
            }
            // What is wrong is reported by the job.
            Err(_) => return unknown,
        };
        let account = described.table_arn().and_then(account_of);
        let account = account.map(|id| format!("account {id}, ")).unwrap_or_default();
        let items = described.item_count().unwrap_or(0);
        Some(format!("{account}{items} items when DynamoDB last counted them"))
    }
}

async fn recovery(client: &Client, table: &str) -> Recovery {
    match client.describe_continuous_backups().table_name(table).send().await {
        Ok(described) => {
            let described = described.continuous_backups_description;
            let described = described.and_then(|described| described.point_in_time_recovery_description);
            match described.and_then(|described| described.point_in_time_recovery_status) {
                Some(PointInTimeRecoveryStatus::Enabled) => Recovery::On,
                _ => Recovery::Off,
            }
        }
        Err(error) => Recovery::Unknown(sentence(&error)),
    }
}

fn question(yes: bool, is_terminal: bool, place: &TargetPlace) -> Question {
    match (yes, is_terminal, place) {
        (true, ..) => Question::None,
        (false, true, _) => Question::Ask,
        (false, false, TargetPlace::Folder(_)) => Question::None,
        (false, false, TargetPlace::Elsewhere(_)) => Question::Refuse,
    }
}

/// Asks; anything but `y` or `yes` is a no.
fn asked(what: &str, answers: &mut impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    write!(out, "{what}\nContinue? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_asked_for_yes_where_others_may_be_affected() {
        let (folder, aws) = (TargetPlace::Folder("shop".into()), TargetPlace::Elsewhere("AWS".to_owned()));
        for place in [&folder, &aws] {
            assert_eq!(question(true, true, place), Question::None);
            assert_eq!(question(true, false, place), Question::None);
            assert_eq!(question(false, true, place), Question::Ask);
        }
        assert_eq!(question(false, false, &folder), Question::None);
        assert_eq!(question(false, false, &aws), Question::Refuse);
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, is) in [
            ("y\n", true),
            ("YES \n", true),
            ("\n", false),
            ("no\n", false),
            ("", false),
            ("yellow\n", false),
        ] {
            let mut said = Vec::new();
            assert_eq!(
                asked("delete: table t", &mut answer.as_bytes(), &mut said).unwrap(),
                is,
                "{answer:?}"
            );
            assert_eq!(said, b"delete: table t\nContinue? [y/N] ");
        }
    }
}
