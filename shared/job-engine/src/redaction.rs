//! What the record of an ended job does not keep, and what no message of a job contains: constants of its parameters that
//! may be of persons.

use serde_json::Value;

/// What stands in place of a constant.
const REMOVED: &str = "…";

/// A number of fewer digits names nobody, and counts in messages would be masked with it.
const MIN_DIGITS: usize = 4;

/// Constants that were taken out of a job's parameters.
#[derive(Debug, Default)]
pub struct Redaction(Vec<String>);

impl Redaction {
    /// Takes every text and number out of a value, if there is one.
    pub fn whole(&mut self, value: Option<&mut Value>) {
        let Some(value) = value else { return };
        match value {
            Value::String(text) => self.0.push(std::mem::take(text)),
            Value::Number(number) => self.0.push(number.to_string()),
            Value::Array(values) => {
                values.iter_mut().for_each(|value| self.whole(Some(value)));
                return;
            }
            Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.whole(Some(value)));
                return;
            }
            Value::Null | Value::Bool(_) => return,
        }
        *value = Value::String(REMOVED.to_owned());
    }

    /// Takes the constants out of a text of some language, if there is one: `redact` is given the text and what to put in
    /// their place, and returns the text without the constants, and the constants.
    pub fn text(&mut self, value: Option<&mut Value>, redact: impl Fn(&str, &str) -> (String, Vec<String>)) {
        let Some(value) = value else { return };
        if let Value::String(text) = value {
            let (without, constants) = redact(text, REMOVED);
            *text = without;
            self.0.extend(constants);
        }
    }

    /// Whether nothing was taken out.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text without the constants, wherever they stand as whole words.
    pub(crate) fn masked(&self, text: &str) -> String {
        let mut forms: Vec<String> = Vec::new();
        for constant in self.0.iter().filter(|constant| !constant.is_empty()) {
            if constant.len() < MIN_DIGITS && constant.bytes().all(|byte| byte.is_ascii_digit()) {
                forms.extend([format!("\"{constant}\""), format!("'{constant}'")]);
                continue;
            }
            // Messages quote in two ways.
            let quoted = [format!("{constant:?}"), Value::String(constant.clone()).to_string()];
            let unquoted = |form: &String| form.get(1..form.len() - 1).map(str::to_owned);
            forms.extend(quoted.iter().filter_map(unquoted));
            forms.push(constant.clone());
        }
        forms.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        forms.iter().fold(text.to_owned(), |text, form| without(&text, form))
    }

    /// As [`masked`](Self::masked), every text of a value.
    pub(crate) fn mask(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.masked(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.mask(value)),
            Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, mut value)| {
                        self.mask(&mut value);
                        (self.masked(&name), value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn without(text: &str, word: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let after = found.get(word.len()..).unwrap_or_default();
        let joined = |c: Option<char>, edge: Option<char>| {
            c.is_some_and(char::is_alphanumeric) && edge.is_some_and(char::is_alphanumeric)
        };
        let ahead = before.chars().next_back().or_else(|| masked.chars().next_back());
        masked.push_str(before);
        let is_part =
            joined(ahead, word.chars().next()) || joined(after.chars().next(), word.chars().next_back());
        masked.push_str(if is_part { word } else { REMOVED });
        rest = after;
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(constants: &[&str]) -> Redaction {
        Redaction(constants.iter().map(|&constant| constant.to_owned()).collect())
    }

    #[test]
    fn constants_are_masked_as_whole_words_in_every_way_of_quoting() {
        let redaction = taken(&["ada", "a", "o\"brien", "ada lovelace", "7"]);
        for (text, masked) in [
            ("key {\"userId\": \"ada\"} of batch 1", "key {\"userId\": \"…\"} of batch 1"),
            ("adam and ada lovelace", "adam and …"),
            ("\"o\\\"brien\" was not found", "\"…\" was not found"),
            ("nothing of a person", "nothing of … person"),
            ("5 of 7 batches failed: \"7\" is no id", "5 of 7 batches failed: … is no id"),
            ("", ""),
        ] {
            assert_eq!(redaction.masked(text), masked);
        }
        assert_eq!(taken(&[]).masked("as it is"), "as it is");
    }

    #[test]
    fn texts_and_numbers_are_taken_out_of_values_whole() {
        let mut redaction = Redaction::default();
        let mut value = json!({ "user": "ada", "more": [1, true, null, { "deep": "grace" }] });
        redaction.whole(Some(&mut value));
        assert_eq!(value, json!({ "user": "…", "more": ["…", true, null, { "deep": "…" }] }));
        redaction.whole(None);
        let mut result = json!({ "ada": ["of grace", 5] });
        redaction.mask(&mut result);
        assert_eq!(result, json!({ "…": ["of …", 5] }));
    }
}
