//! Orders with all of their lines in one row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The parts of a line, by name.
type Item = BTreeMap<String, String>;

/// How the cells of a row hold the lines of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Items {
    /// The columns; `*` stands for a number.
    columns: Vec<String>,
    form: ItemForm,
    /// The text between lines that share a cell.
    #[serde(default)]
    between_items: Option<String>,
    #[serde(default)]
    between_pairs: Option<String>,
    #[serde(default)]
    between_name_and_value: Option<String>,
    /// The character after this one is text.
    #[serde(default)]
    escape: Option<char>,
    /// The names of pairs: what does not begin with one of them belongs to the value before.
    #[serde(default)]
    keys: Vec<String>,
    /// The sign behind the number of pieces, in the form `counted`.
    #[serde(default)]
    sign: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ItemForm {
    /// `name:Espresso|sku:E1|quantity:2`
    Pairs,
    /// `2× Espresso, 1× Filter`: parts `quantity` and `name`.
    Counted,
    /// A JSON array of objects.
    Json,
}

impl Items {
    /// Whether a column holds lines.
    pub(crate) fn are_in(&self, name: &str) -> bool {
        self.columns.iter().any(|pattern| is_numbered(pattern, name))
    }

    /// The lines of a row, in the order of the columns.
    pub(crate) fn of_row(&self, names: &[String], cells: &[String]) -> Vec<Item> {
        let mut items = Vec::new();
        for pattern in &self.columns {
            for (_, cell) in names.iter().zip(cells).filter(|(name, _)| is_numbered(pattern, name)) {
                if !cell.is_empty() {
                    self.add(cell, &mut items);
                }
            }
        }
        items
    }

    fn add(&self, cell: &str, items: &mut Vec<Item>) {
        match self.form {
            ItemForm::Json => {
                let objects: Vec<serde_json::Map<String, serde_json::Value>> =
                    serde_json::from_str(cell).unwrap_or_default();
                items.extend(objects.into_iter().map(|object| {
                    object.into_iter().map(|(name, value)| (name, json_text(value))).collect::<Item>()
                }));
            }
            ItemForm::Counted => items.extend(self.counted(cell)),
            ItemForm::Pairs => {
                let lines = match &self.between_items {
                    Some(between) => self.split(cell, between),
                    None => vec![cell.to_owned()],
                };
                items.extend(lines.iter().map(|line| self.pairs(line)).filter(|item| !item.is_empty()));
            }
        }
    }

    /// The pieces of a text between separators that are not escaped. Escapes stay.
    fn split(&self, text: &str, between: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let taken = if Some(next) == self.escape {
                rest.chars().take(2).map(char::len_utf8).sum()
            } else if !between.is_empty() && rest.starts_with(between) {
                pieces.push(String::new());
                rest = rest.get(between.len()..).unwrap_or_default();
                continue;
            } else {
                next.len_utf8()
            };
            let (taken, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(taken);
            }
            rest = after;
        }
        pieces
    }

    fn unescaped(&self, text: &str) -> String {
        let Some(escape) = self.escape else { return text.trim().to_owned() };
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(next) = chars.next() {
            out.extend(if next == escape { chars.next() } else { Some(next) });
        }
        out.trim().to_owned()
    }

    fn pairs(&self, line: &str) -> Item {
        let between = self.between_pairs.as_deref().unwrap_or("|");
        let sign = self.between_name_and_value.as_deref().unwrap_or(":");
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in self.split(line, between) {
            let named = part
                .split_once(sign)
                .filter(|(name, _)| self.keys.is_empty() || self.keys.iter().any(|key| key == name.trim()));
            match (named, pairs.last_mut()) {
                (Some((name, value)), _) => pairs.push((name.trim().to_owned(), value.to_owned())),
                (None, Some((_, value))) => {
                    value.push_str(between);
                    value.push_str(&part);
                }
                (None, None) => {}
            }
        }
        pairs.into_iter().map(|(name, value)| (name, self.unescaped(&value))).collect()
    }

    fn counted(&self, cell: &str) -> Vec<Item> {
        let between = self.between_items.as_deref().unwrap_or(",");
        let sign = self.sign.as_deref().unwrap_or("×");
        let counted = |part: &str| {
            let part = part.trim_start();
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = part.split_at_checked(digits)?;
            let name = rest.trim_start().strip_prefix(sign)?;
            (!number.is_empty()).then(|| (number.to_owned(), name.to_owned()))
        };
        let mut lines: Vec<(String, String)> = Vec::new();
        for part in cell.split(between) {
            match (counted(part), lines.last_mut()) {
                (Some(line), _) => lines.push(line),
                (None, Some((_, name))) => {
                    name.push_str(between);
                    name.push_str(part);
                }
                // Text that is not counted is one piece.
                (None, None) => lines.push(("1".to_owned(), part.to_owned())),
            }
        }
        let item = |(quantity, name): (String, String)| {
            Item::from([("quantity".to_owned(), quantity), ("name".to_owned(), name.trim().to_owned())])
        };
        lines
            .into_iter()
            .map(item)
            .filter(|item| item.get("name").is_some_and(|name| !name.is_empty()))
            .collect()
    }
}

fn json_text(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text,
        value => value.to_string(),
    }
}

/// Whether a name is as the pattern says, in which `*` stands for a number.
fn is_numbered(pattern: &str, name: &str) -> bool {
    let Some((start, end)) = pattern.split_once('*') else { return pattern == name };
    let number = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Items {
        toml::from_str(text).unwrap()
    }

    fn read(items: &Items, names: &[&str], cells: &[&str]) -> Vec<String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let lines = items.of_row(&own(names), &own(cells));
        lines
            .iter()
            .map(|item| {
                item.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    #[test]
    fn pairs_may_hold_their_own_separators() {
        let items = items(
            "columns = [\"line_item_*\"]\nform = \"pairs\"\nbetween_pairs = \"|\"\nbetween_name_and_value = \":\"\n\
             keys = [\"name\", \"sku\", \"quantity\"]",
        );
        let names = ["line_item_1", "line_item_2", "line_item_x", "line_item_10"];
        let cells =
            ["name:Mug | blue: large|sku:M1|quantity:2", "", "name:no|sku:no", "sku:E1|name:Espresso"];
        assert_eq!(
            read(&items, &names, &cells),
            ["name=Mug | blue: large quantity=2 sku=M1", "name=Espresso sku=E1"]
        );
    }

    #[test]
    fn escaped_separators_are_text() {
        let items = items(
            "columns = [\"items\"]\nform = \"pairs\"\nbetween_items = \";\"\nbetween_pairs = \"|\"\nescape = \"\\\\\"",
        );
        let cell = r"name:Tea\; green|quantity:1;name:A\|B|quantity:3";
        assert_eq!(read(&items, &["items"], &[cell]), ["name=Tea; green quantity=1", "name=A|B quantity=3"]);
    }

    #[test]
    fn counted_names_may_hold_commas() {
        let items =
            items("columns = [\"Product(s)\"]\nform = \"counted\"\nbetween_items = \",\"\nsign = \"×\"");
        let cell = "2× Espresso, dark, 1× Filter No. 4";
        assert_eq!(
            read(&items, &["Product(s)"], &[cell]),
            ["name=Espresso, dark quantity=2", "name=Filter No. 4 quantity=1"]
        );
    }

    #[test]
    fn json_objects_are_lines() {
        let items = items("columns = [\"items\"]\nform = \"json\"");
        let cell = r#"[{"sku": "a", "qty": 2}, {"sku": "b", "qty": null}]"#;
        assert_eq!(read(&items, &["items"], &[cell]), ["qty=2 sku=a", "qty= sku=b"]);
        assert!(read(&items, &["items"], &["[{"]).is_empty());
    }
}
