//! A JSON array, or JSON objects over several lines, as JSON Lines.

use std::io::{self, BufRead};

use super::piece_reader::{PieceReader, TextPieces};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Whether a text that begins like this is an array of objects, or has objects over several lines. A text of one object
/// per line is neither, even if its first line is broken.
pub(super) fn has_json_values(head: &str) -> bool {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_start();
    if let Some(inside) = text.strip_prefix('[') {
        return matches!(inside.trim_start().chars().next(), None | Some('{' | '[' | ']'));
    }
    if !text.starts_with('{') {
        return false;
    }
    let mut nesting = Nesting::default();
    for (at, byte) in text.bytes().enumerate() {
        nesting.pass(byte);
        if nesting.is_between_values() {
            return false;
        }
        if byte == b'\n' && !nesting.in_string {
            let (before, after) = text.split_at(at);
            return before.trim_end().ends_with(['{', '[', ',', ':'])
                || after.trim_start().starts_with(['}', ']', ',', ':']);
        }
    }
    false
}

/// Where in a value a text is.
#[derive(Debug, Default)]
struct Nesting {
    depth: u64,
    in_string: bool,
    after_backslash: bool,
}

impl Nesting {
    fn pass(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    fn is_between_values(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

/// Writes each value of a text on a line of its own: those of an array at the top, or those that follow one another.
/// Nothing within a value changes but blanks between its parts, so what is no JSON stays none.
pub(super) struct JsonValues<R> {
    reader: R,
    lines: ValueLines,
}

impl<R: BufRead> JsonValues<R> {
    pub(super) fn read(reader: R) -> PieceReader<Self> {
        PieceReader::of(Self { reader, lines: ValueLines::default() })
    }
}

/// The lines that have been written, and the state between two bytes.
#[derive(Default)]
struct ValueLines {
    text: Vec<u8>,
    nesting: Nesting,
    /// Whether a value has begun whose line has not ended.
    in_value: bool,
    after_blank: bool,
}

impl ValueLines {
    fn push(&mut self, byte: u8) {
        if !self.in_value {
            self.push_between(byte);
            return;
        }
        if self.nesting.in_string {
            self.nesting.pass(byte);
            // A line end within a string is no JSON, and must not end the line.
            self.text.push(if byte == b'\n' { b'\r' } else { byte });
        } else if self.nesting.depth == 0 && matches!(byte, b',' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
            // The end of a number or a word.
            self.end_value();
        } else if byte.is_ascii_whitespace() {
            self.after_blank = true;
            return;
        } else {
            if std::mem::take(&mut self.after_blank) {
                self.text.push(b' ');
            }
            self.nesting.pass(byte);
            self.text.push(byte);
        }
        if self.nesting.is_between_values() && matches!(byte, b'}' | b']' | b'"') && self.in_value {
            self.end_value();
        }
    }

    /// A byte outside of values: the brackets of the array at the top, commas and blanks are dropped.
    fn push_between(&mut self, byte: u8) {
        const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        if byte.is_ascii_whitespace() || matches!(byte, b'[' | b']' | b',') || MARK.contains(&byte) {
            return;
        }
        self.in_value = true;
        self.nesting.pass(byte);
        self.text.push(byte);
    }

    fn end_value(&mut self) {
        self.text.push(b'\n');
        self.in_value = false;
        self.after_blank = false;
    }
}

impl<R: BufRead> TextPieces for JsonValues<R> {
    fn next_piece(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        std::mem::swap(text, &mut self.lines.text);
        // A piece may have nothing but blanks.
        while self.lines.text.is_empty() {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                break;
            }
            bytes.iter().for_each(|byte| self.lines.push(*byte));
            let length = bytes.len();
            self.reader.consume(length);
        }
        std::mem::swap(text, &mut self.lines.text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::io::Read as _;

    fn lines(text: &str, piece: usize) -> String {
        let mut lines = String::new();
        let reader = io::BufReader::with_capacity(piece, text.as_bytes());
        JsonValues::read(reader).read_to_string(&mut lines).unwrap();
        lines
    }

    #[test]
    fn arrays_and_objects_over_several_lines_are_known_from_json_lines() {
        for text in [
            "[{\"a\":1},\n{\"a\":2}]",
            "\u{feff} [\n  {\n",
            "[]",
            "{\n  \"a\": 1\n}\n",
            "{ \"a\": {\n",
            "{\"a\": 1\n, \"b\": 2}",
        ] {
            assert!(has_json_values(text), "{text}");
        }
        for text in [
            "{\"a\":1}\n{\"a\":2}\n",
            "{\"a\":1}",
            "{\"a\":\"x\n",
            "{\"a\":1\n{\"a\":2}\n",
            "[Order],[SKU]\n",
            "a,b\n",
            "",
        ] {
            assert!(!has_json_values(text), "{text}");
        }
    }

    #[test]
    fn each_value_is_a_line() {
        for piece in 1..9 {
            assert_eq!(
                lines(
                    "\u{feff}[\n {\"a\": [1,\n 2], \"b\": \"x, ]\\\"}\\\\\"},{}\r\n , 12,\n\"s\", null]\n",
                    piece
                ),
                "{\"a\": [1, 2], \"b\": \"x, ]\\\"}\\\\\"}\n{}\n12\n\"s\"\nnull\n"
            );
            assert_eq!(lines("{\n\"a\":1\n}\n{\n\"a\":2\n}", piece), "{ \"a\":1 }\n{ \"a\":2 }\n");
            assert_eq!(lines("[]", piece), "");
        }
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for (text, wanted) in [
            ("[{\"n\": 1 2}]", "{\"n\": 1 2}\n"),
            ("[{\"n\": \"a\nb\"}, {\"n\": 1}]", "{\"n\": \"a\rb\"}\n{\"n\": 1}\n"),
            ("[{\"n\": 1}, {\"n\":", "{\"n\": 1}\n{\"n\":"),
        ] {
            assert_eq!(lines(text, 4), wanted);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a\"\\\\\\[\\]{},: \n\u{e4}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab\"\n{]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_objects_of_any_array_come_back(
            objects in prop::collection::vec(prop::collection::btree_map("[ab\"]{1,3}", value(), 0..4), 0..5),
            pretty in any::<bool>(), piece in 1_usize..40,
        ) {
            let objects: Vec<Value> = objects.into_iter().map(|object| json!(object)).collect();
            let array = if pretty { serde_json::to_string_pretty(&objects) } else { serde_json::to_string(&objects) };
            let text = lines(&array.unwrap(), piece);
            let back: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(back, objects);
        }

        #[test]
        fn no_bytes_make_it_panic(text in "[\\[\\]{}\",\\\\ \na1]{0,60}", piece in 1_usize..20) {
            has_json_values(&text);
            lines(&text, piece);
        }
    }
}
