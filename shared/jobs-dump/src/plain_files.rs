//! Files without a manifest: which there are, and in which format.

use std::io::Read as _;

use nextbasket_job_engine::JobError;
use nextbasket_objects::{Files, FoundFile, Location};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dynamodump;
use crate::format::SourceFormat;
use crate::json::documents::{self, Element, Shape};
use crate::json::{read_item, read_line};
use crate::json_lines;
use crate::records::MAX_RECORD_BYTES;
use crate::source::{Source, SourceFile};
use crate::text::read_text;

/// How much of a file is looked at.
const HEAD: u64 = 4 << 20;
/// How many lines of it, if the first ones are no items.
const LINES: usize = 100;

/// A page without items.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    items: Vec<IgnoredAny>,
    #[serde(rename = "Count")]
    _count: u64,
    #[serde(rename = "ScannedCount")]
    _scanned_count: u64,
}

/// Finds the files of this location: the folder of another tool, a file, or a folder of files of one format.
///
/// # Errors
/// [`JobError`] if no file is found, or their format is not certain.
pub(crate) async fn locate(
    files: &Files,
    from: &Location,
    table: Option<&str>,
    format: Option<SourceFormat>,
) -> Result<Source, JobError> {
    if format.is_none()
        && let Some(source) = dynamodump::locate(files, from, table).await?
    {
        return Ok(source);
    }
    let found = files.list(from).await?;
    let format = match format {
        Some(format) => format,
        None => format_of(files, from, &found).await?,
    };
    Ok(source(from, format, found))
}

pub(crate) fn source(at: &Location, format: SourceFormat, found: Vec<FoundFile>) -> Source {
    let file = |found: FoundFile| SourceFile {
        name: found.at.to_string(),
        found: Some(found),
        md5: None,
        items: None,
        digest: None,
    };
    Source {
        at: at.clone(),
        format,
        incremental: false,
        view: None,
        files: found.into_iter().map(file).collect(),
        record: None,
        settings: None,
        problems: Vec::new(),
    }
}

/// The format of the files: of CSV by their names, of JSON by what the first of them with each ending holds.
async fn format_of(files: &Files, from: &Location, found: &[FoundFile]) -> Result<SourceFormat, JobError> {
    let mut known: Vec<(String, SourceFormat)> = Vec::new();
    for file in found {
        let ending = ending(&file.at.name());
        if known.iter().any(|(other, _)| *other == ending) {
            continue;
        }
        let format = match ending.as_str() {
            "csv" => Some(SourceFormat::Csv),
            _ => recognised(files, file).await?.or_else(|| lines_by_name(&ending)),
        };
        let Some(format) = format else {
            return Err(JobError::Failed(format!(
                "{}: its format cannot be recognised. Give format (--format): {}.",
                file.at,
                SourceFormat::NAMES
            )));
        };
        known.push((ending, format));
    }
    let format = known.first().map(|(_, format)| *format).unwrap_or_default();
    if known.iter().any(|(_, other)| *other != format) {
        return Err(JobError::Failed(format!(
            "{from}: contains files of several formats. Give the format, or a folder with one of them."
        )));
    }
    Ok(format)
}

fn ending(name: &str) -> String {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase()
}

/// Of files whose lines are no items: each is rejected with its reason.
fn lines_by_name(ending: &str) -> Option<SourceFormat> {
    matches!(ending, "jsonl" | "ndjson").then_some(SourceFormat::JsonLines)
}

/// The format of JSON, where the beginning of the file leaves no doubt.
async fn recognised(files: &Files, found: &FoundFile) -> Result<Option<SourceFormat>, JobError> {
    let mut stream = files.open(found, 0..found.bytes).await?.into_blocking();
    let read = move || {
        let head = read_text(&mut stream, |text| {
            let mut head = Vec::new();
            text.take(HEAD).read_to_end(&mut head)?;
            Ok(head)
        });
        (head, stream.failure())
    };
    let read = tokio::task::spawn_blocking(read).await;
    match read.map_err(|error| JobError::Failed(error.to_string()))? {
        (_, Some(failure)) => Err(failure.into()),
        (Err(error), None) => Err(JobError::Failed(format!("{}: {error}", found.at))),
        (Ok(head), None) => Ok(of_head(&head)),
    }
}

fn of_head(head: &[u8]) -> Option<SourceFormat> {
    match head.trim_ascii_start().first()? {
        b'[' => Some(match first_element(head, Shape::Array) {
            Some(true) => SourceFormat::Scan,
            Some(false) | None => SourceFormat::Json,
        }),
        b'{' if is_page(head) => Some(SourceFormat::Scan),
        b'{' => {
            let lines =
                head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            // The second line of an object that is written in several begins with a name.
            lines.take_while(|line| line.starts_with(b"{")).take(LINES).find_map(of_line)
        }
        _ => None,
    }
}

fn of_line(line: &[u8]) -> Option<SourceFormat> {
    if read_line(1, line).is_ok() {
        return Some(SourceFormat::DynamodbJson);
    }
    json_lines::read_line(1, line).is_ok_and(|item| !item.is_empty()).then_some(SourceFormat::JsonLines)
}

/// Whether the first item is DynamoDB JSON: no plain item is, since all of its attributes, its key too, would be maps.
fn first_element(head: &[u8], shape: Shape) -> Option<bool> {
    let mut first = None;
    // What is wrong behind the first item is reported when it is read.
    let _ = documents::read(head, shape, MAX_RECORD_BYTES, &mut |Element { text, .. }| {
        first = text.map(|text| read_item(text).is_ok_and(|item| !item.is_empty()));
        false
    });
    first
}

/// Whether it begins with a page of a scan: with items of DynamoDB JSON, or without any and with their count.
fn is_page(head: &[u8]) -> bool {
    match first_element(head, Shape::Pages) {
        Some(typed) => typed,
        None => is_empty_page(head),
    }
}

fn is_empty_page(head: &[u8]) -> bool {
    let mut pages = serde_json::Deserializer::from_slice(head).into_iter::<Page>();
    pages.next().is_some_and(|page| page.is_ok_and(|page| page.items.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_recognised_where_the_content_is_certain() {
        for (head, format) in [
            ("{\"Item\":{\"id\":{\"S\":\"a\"}}}\n", Some(SourceFormat::DynamodbJson)),
            ("\n{\"id\":{\"S\":\"a\"}}\n", Some(SourceFormat::DynamodbJson)),
            ("{\"id\":\"a\",\"map\":{\"S\":\"x\"}}\n", Some(SourceFormat::JsonLines)),
            ("{damaged\n{\"id\":1}\n", Some(SourceFormat::JsonLines)),
            (" [{\"id\":\"a\"}", Some(SourceFormat::Json)),
            ("[]", Some(SourceFormat::Json)),
            ("[{\"id\":{\"S\":\"a\"}},", Some(SourceFormat::Scan)),
            ("{\"Count\": 1, \"Items\": [{\"id\": {\"S\": \"a\"}}, cut", Some(SourceFormat::Scan)),
            ("{\n \"Items\": [],\n \"Count\": 0, \"ScannedCount\": 9}", Some(SourceFormat::Scan)),
            ("{\"Items\":[{\"sku\":\"a\"}],\"id\":1}\n", Some(SourceFormat::JsonLines)),
            ("{\n  \"id\": \"a\",\n  \"lines\": [\n    {\"a\": 1}\n  ]\n}\n", None),
            ("{}\n", None),
            ("id,name\n", None),
            ("", None),
        ] {
            assert_eq!(of_head(head.as_bytes()), format, "{head}");
        }
    }

    #[test]
    fn a_name_ends_behind_its_last_point_whatever_packs_it() {
        for (name, found) in [("a.csv", "csv"), ("a.JSON.gz", "json"), ("a", ""), ("a.b.jsonl", "jsonl")] {
            assert_eq!(ending(name), found);
        }
    }
}
