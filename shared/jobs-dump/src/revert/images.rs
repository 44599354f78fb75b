//! A line of an incremental export with both images.

use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::KeySchema;

use crate::json::LineChange;
use crate::json::read::read_images;

/// What an item was before and after the export's window; `None` where it was not there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Images {
    pub key: Item,
    pub old: Option<Item>,
    pub new: Option<Item>,
}

impl Images {
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn read(keys: &KeySchema, text: &[u8]) -> Result<Self, String> {
        let [key, old, new] = read_images(text).map_err(|error| error.to_string())?;
        let key = key.ok_or("no \"Keys\" in the line")?;
        if let Some(problem) = keys.problem_of(&key) {
            return Err(format!("its \"Keys\" are not the table's: {problem}"));
        }
        let key = keys.of(&key);
        if old.iter().chain(&new).any(|image| keys.of(image) != key) {
            return Err("an image has another key than \"Keys\"".to_owned());
        }
        Ok(Self { key, old, new })
    }
}

/// For readers of all formats: an item that is there, or is not.
impl From<LineChange> for Images {
    fn from(change: LineChange) -> Self {
        match change {
            LineChange::Put(item) => Self { key: item.clone(), old: None, new: Some(item) },
            LineChange::Delete(key) => Self { key, old: None, new: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::text;
    use nextbasket_items::key::{KeyAttribute, KeyKind};

    #[test]
    fn a_line_has_a_key_and_images_of_it() {
        let keys =
            KeySchema { partition: KeyAttribute { name: "id".to_owned(), kind: KeyKind::S }, sort: None };
        let item = |id: &str| Item::from([("id".to_owned(), text(id))]);
        let line = r#"{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"id":{"S":"a"}},"OldImage":{"id":{"S":"a"}}}"#;
        let images = Images::read(&keys, line.as_bytes());
        assert_eq!(images, Ok(Images { key: item("a"), old: Some(item("a")), new: None }));
        for (line, problem) in [
            (r#"{"NewImage":{"id":{"S":"a"}}}"#, "no \"Keys\" in the line"),
            (
                r#"{"Keys":{"id":{"N":"1"}}}"#,
                "its \"Keys\" are not the table's: attribute \"id\" must have type S",
            ),
            (
                r#"{"Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"b"}}}"#,
                "an image has another key than \"Keys\"",
            ),
            (r#"{"Keys":{"id":{"S":"a"}},"NewImage":{"id":"b"}}"#, "a value with its type"),
        ] {
            let found = Images::read(&keys, line.as_bytes()).unwrap_err();
            assert!(found.contains(problem), "{found}");
        }
    }
}
