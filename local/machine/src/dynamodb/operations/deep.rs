//! JSON of any depth that DynamoDB reads. `serde_json` stops at 127 levels, which a DynamoDB value of 61 levels
//! already exceeds: each level of a map or list is two levels of JSON.

use serde_json::{Map, Value};

/// The deepest JSON that is read: values of 2,000 levels.
const DEEPEST: usize = 4_032;

/// The value; `None` if the text is not JSON or too deep. Each level uses some of the stack.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.rest.trim_ascii_start().is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            b'{' => {
                let mut members = Map::new();
                self.elements(b'}', |reader| {
                    let name = reader.string()?;
                    reader.take(b':')?;
                    members.insert(name, reader.value(depth + 1)?);
                    Some(())
                })?;
                Some(Value::Object(members))
            }
            b'[' => {
                let mut elements = Vec::new();
                self.elements(b']', |reader| {
                    elements.push(reader.value(depth + 1)?);
                    Some(())
                })?;
                Some(Value::Array(elements))
            }
            b'"' => self.string().map(Value::String),
            _ => {
                let end = self.rest.find(|c: char| c.is_ascii_whitespace() || ",]}".contains(c));
                let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                serde_json::from_str(token).ok()
            }
        }
    }

    /// The elements between brackets, separated by commas; the first bracket is next.
    fn elements(&mut self, end: u8, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.rest = self.rest.get(1..)?;
        if self.peek()? == end {
            return self.take(end);
        }
        loop {
            element(self)?;
            if self.peek()? == end {
                return self.take(end);
            }
            self.take(b',')?;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.bytes().next()
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then_some(())?;
        self.rest = self.rest.get(1..)?;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        (self.peek()? == b'"').then_some(())?;
        let mut escaped = false;
        let end = self.rest.bytes().enumerate().skip(1).find(|(_, byte)| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let (token, rest) = self.rest.split_at_checked(end?.0 + 1)?;
        self.rest = rest;
        serde_json::from_str(token).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_other_parser_reads_and_deeper() {
        for text in [
            r#"{"a": [1, -2.5e3, true, null, "x\\\"y\u00e9", {}], "b" : [ ] }"#,
            r#""ü""#,
            "[[],[[1]]]",
            "",
            "{",
            "[1 2]",
            "[1,]",
            r#"{"a" 1}"#,
            r#"{"a":1,}"#,
            r#"{1:2}"#,
            "[01]",
            "[tru]",
            r#"["a]"#,
            "[]]",
            "[}",
        ] {
            assert_eq!(parse(text), serde_json::from_str(text).ok(), "{text}");
        }
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        let read = |levels| {
            let text = nested(levels);
            let thread = std::thread::Builder::new().stack_size(64 << 20);
            thread.spawn(move || parse(&text).is_some()).unwrap().join().unwrap()
        };
        assert!(read(4_000));
        assert!(!read(5_000));
    }
}
