//! What an import has read and written, in words and as JSON, and whether that is a success.

use std::collections::BTreeMap;
use std::path::Path;

use nextbasket_importer::RefusalReason;
use nextbasket_jobs_shop::import::write::WriteCounts;
use serde::Deserialize;
use serde_json::{Value, json};

use super::inputs::Inputs;
use crate::Failure;
use crate::stdio::outln;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Imported {
    pub(super) records: u64,
    pub(super) taken: u64,
    pub(super) read: Vec<FileRead>,
    pub(super) written: WriteCounts,
}

#[derive(Debug, Deserialize)]
pub(super) struct FileRead {
    source: String,
    /// The importer's counts.
    summary: Value,
    /// The same for people.
    text: String,
}

impl FileRead {
    fn count(&self, name: &str) -> u64 {
        self.summary.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Why it could not be read to its end, if so.
    fn ended_early(&self) -> Option<&str> {
        self.summary.get("endedEarly").and_then(Value::as_str)
    }

    /// The rejected records whose reason satisfies `wanted`, by reason.
    fn rejected(&self, wanted: impl Fn(RefusalReason) -> bool) -> BTreeMap<RefusalReason, u64> {
        let counts = self.summary.get("refused").map(BTreeMap::deserialize);
        let mut counts: BTreeMap<RefusalReason, u64> = counts.and_then(Result::ok).unwrap_or_default();
        counts.retain(|reason, _| wanted(*reason));
        counts
    }
}

/// What is reported, and how.
pub(super) struct Report<'a> {
    pub(super) imported: &'a Imported,
    pub(super) inputs: &'a Inputs,
    /// The file with the rejected lines, if there are any and they were kept.
    pub(super) refused: Option<&'a Path>,
    /// Nothing was to be written.
    pub(super) dry_run: bool,
}

impl Report<'_> {
    /// Prints it as JSON: `{"dryRun", "file", "files", "written", "refusedFile"}`. `file` is the summary of the file, if
    /// there is only one.
    pub(super) fn print_json(&self) -> Result<(), Failure> {
        let Imported { read, written, .. } = self.imported;
        let only = match read.as_slice() {
            [file] => Some(&file.summary),
            _ => None,
        };
        let files: Vec<Value> = read
            .iter()
            .map(|file| json!({ "file": self.inputs.given(&file.source), "summary": file.summary }))
            .collect();
        let report = json!({
            "dryRun": self.dry_run,
            "file": only,
            "files": files,
            "written": (!self.dry_run).then_some(written),
            "refusedFile": self.refused.map(|path| path.display().to_string()),
        });
        outln!("{}", serde_json::to_string_pretty(&report).map_err(Failure::other)?);
        Ok(())
    }

    pub(super) fn print(&self) {
        let Imported { records, taken, read, .. } = self.imported;
        for file in read {
            if read.len() > 1 {
                outln!("{}:", self.inputs.given(&file.source));
            }
            outln!("{}", file.text);
        }
        if read.len() > 1 {
            outln!("All {} files: {records} records, {taken} taken.", read.len());
        }
        if *records == 0 {
            outln!("Nothing to import: {} has no lines but its header.", self.inputs.name());
        } else if self.dry_run {
            outln!("Dry run: nothing was written.");
        } else {
            self.print_written();
        }
        if let Some(refused) = self.refused {
            outln!("Refused lines, with reasons: {}", refused.display());
        }
    }

    fn print_written(&self) {
        let Imported { taken, written, .. } = self.imported;
        let name = self.inputs.name();
        if *taken == 0 || self.all_differ() {
            // The failure already reports this.
        } else if written.nothing() && written.differing_purchases > 0 {
            outln!("Nothing changed: {} purchases in {name} were there already.", written.known_purchases);
        } else if written.nothing() && written.erased_purchases > 0 {
            outln!("Nothing changed.");
        } else if written.nothing() {
            outln!("Nothing changed: everything in {name} was there already.");
        } else {
            outln!(
                "Now there: {} new purchases ({} were there already), {} new and {} changed products ({} were there already).",
                written.new_purchases,
                written.known_purchases,
                written.new_products,
                written.changed_products,
                written.known_products
            );
        }
        if written.changed_purchases > 0 {
            outln!(
                "{} purchases were there with other content and have been changed.",
                written.changed_purchases
            );
        }
        if written.erased_purchases > 0 {
            outln!("{} purchases of erased users were left out.", written.erased_purchases);
        }
        if written.differing_purchases > 0 {
            outln!(
                "{} purchases differ from what is stored under their ids and were left out.",
                written.differing_purchases
            );
        }
    }

    /// Whether the files had purchases, and each of them was stored before with other content.
    fn all_differ(&self) -> bool {
        let WriteCounts { differing_purchases, known_purchases, .. } = self.imported.written;
        differing_purchases > 0 && known_purchases == 0 && self.imported.written.nothing()
    }

    /// Success or failure of the command.
    ///
    /// # Errors
    /// [`Failure::Other`] if a file is truncated, nothing of it was taken although it has lines, malformed lines were
    /// rejected, or purchases differ from what is stored.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let name = self.inputs.name();
        let see = self.refused.map(|path| format!("; see {}", path.display())).unwrap_or_default();
        let mut problems: Vec<String> =
            self.imported.read.iter().filter_map(|file| self.truncated(file)).collect();
        let mut malformed = BTreeMap::new();
        for file in &self.imported.read {
            if file.count("records") > 0 && file.count("taken") == 0 && file.ended_early().is_none() {
                problems.push(self.all_rejected(file));
                continue;
            }
            for (reason, count) in file.rejected(|reason| !reason.is_no_purchase()) {
                *malformed.entry(reason).or_default() += count;
            }
        }
        let differing = self.imported.written.differing_purchases;
        if self.all_differ() {
            problems.push(format!(
                "Nothing was imported: all {differing} purchases of {name} differ from what is stored under their ids"
            ));
        }
        let mut of_lines = Vec::new();
        if !malformed.is_empty() {
            let lines: u64 = malformed.values().sum();
            of_lines.push(format!("{lines} malformed lines were rejected: {}", in_words(&malformed)));
        }
        if differing > 0 && !self.all_differ() {
            of_lines.push(format!("{differing} purchases differ from what is stored under their ids"));
        }
        if !of_lines.is_empty() {
            problems.push(format!("{name}: {}", of_lines.join("; ")));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::Other(format!("{}{see}", problems.join("\n"))))
    }

    fn truncated(&self, read: &FileRead) -> Option<String> {
        let (why, file) = (read.ended_early()?, self.inputs.given(&read.source));
        let before = match read.count("taken") {
            0 => "Nothing of it was taken",
            _ if self.dry_run => "Everything before that would be imported",
            _ => "Everything before that is imported",
        };
        Some(format!("{file} is truncated: {why}. {before}. Get the whole file and import it again."))
    }

    fn all_rejected(&self, file: &FileRead) -> String {
        let reasons = in_words(&file.rejected(|_| true));
        let (records, name) = (file.count("records"), self.inputs.given(&file.source));
        let (nothing, were) = if self.dry_run {
            ("Nothing would be imported", "are")
        } else {
            ("Nothing was imported", "were")
        };
        format!("{nothing}: all {records} lines of {name} {were} rejected: {reasons}")
    }
}

/// `3 bad_time, 2 missing_user`: the most frequent first.
fn in_words(counts: &BTreeMap<RefusalReason, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    words.join(", ")
}
