//! The question before a command changes or deletes items of a table.

use std::io::{self, BufRead, IsTerminal, Write};

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use clap::Args;
use nextbasket_job_engine::Site;
use serde_json::Value;

use crate::Failure;
use crate::target::TargetPlace;

/// The option of commands that change or delete items.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConfirmOption {
    /// Do not ask before items are changed or deleted; needed by scripts on AWS and on endpoints
    #[arg(long)]
    pub yes: bool,
}

/// What a command is about to do.
#[derive(Debug, Clone)]
pub(crate) struct Confirmation {
    /// What it does to items, such as `delete`.
    pub action: &'static str,
    pub table: String,
    /// Where that table is, if it is not at the command's target.
    pub elsewhere: Option<String>,
    /// A table that does not exist has nothing that could be changed.
    pub only_if_it_exists: bool,
    /// It was given with the command.
    pub yes: bool,
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
        let table = table.to_owned();
        Confirmation { action, table, elsewhere: None, only_if_it_exists: false, yes: self.yes }
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
        if question == Question::None {
            return Ok(());
        }
        let Some(known) = self.known(site).await else { return Ok(()) };
        let Self { action, table, .. } = self;
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

    /// What is known of the table: its account and number of items; `None` if there is nothing to confirm.
    async fn known(&self, site: &Site) -> Option<String> {
        let unknown = Some("its number of items is not known".to_owned());
        if self.elsewhere.is_some() {
            return unknown;
        }
        let described = match site.dynamodb.describe_table().table_name(&self.table).send().await {
            Ok(described) => described.table?,
            Err(error) if self.only_if_it_exists && error.code() == Some("ResourceNotFoundException") => {
                return None;
            }
            // What is wrong is reported by the job.
            Err(_) => return unknown,
        };
        // arn:aws:dynamodb:REGION:ACCOUNT:table/NAME
        let account = described.table_arn().and_then(|arn| arn.split(':').nth(4)).filter(|id| !id.is_empty());
        let account = account.map(|id| format!("account {id}, ")).unwrap_or_default();
        let items = described.item_count().unwrap_or(0);
        Some(format!("{account}{items} items when DynamoDB last counted them"))
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
