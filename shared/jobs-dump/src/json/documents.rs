//! The items of a JSON document that is larger than memory: an array of them, or pages with an array `Items`.
//!
//! Only the structure is read here, a byte at a time: where an item begins and ends. What is in it is read by whoever
//! gets its text. So a document that is cut off, or has a bracket too many, is reported with line and column, and an
//! invalid item is reported alone.

use std::io::{self, BufRead};

/// Valid items have at most 32 levels; of invalid text this limits what is kept.
const DEEPEST: usize = 1_000;
const ITEMS: &[u8] = br#""Items""#;
/// How much of a name is kept: more than the longest one that is looked for.
const LONGEST_NAME: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One array, and nothing behind it.
    Array,
    /// Pages one after the other: objects with an array `Items`, or arrays.
    Pages,
}

/// An item's text.
pub(crate) struct Element<'a> {
    /// From 1, in the whole file.
    pub number: u64,
    /// `None` if it is longer than the limit.
    pub text: Option<&'a [u8]>,
}

/// Passes each item to `each` until that says `false`.
///
/// # Errors
/// What the reader fails with, or what is wrong with the document, with line and column.
pub(crate) fn read(
    reader: impl BufRead,
    shape: Shape,
    max_bytes: usize,
    each: &mut dyn FnMut(Element<'_>) -> bool,
) -> io::Result<()> {
    let mut document = Document { reader, line: 1, column: 1, item: Vec::new(), max_bytes, number: 0 };
    let expected = match shape {
        Shape::Array => "[, which begins an array of items",
        Shape::Pages => "{ or [, which begins a page of items",
    };
    let mut is_first = true;
    loop {
        let go = match document.peek()? {
            None if !is_first => return Ok(()),
            Some(_) if !is_first && shape == Shape::Array => {
                return Err(document.unexpected("the end of the file"));
            }
            Some(b'[') => document.array(each)?,
            Some(b'{') if shape == Shape::Pages => document.page(each)?,
            _ => return Err(document.unexpected(expected)),
        };
        if !go {
            return Ok(());
        }
        is_first = false;
    }
}

struct Document<R> {
    reader: R,
    line: u64,
    /// In characters.
    column: u64,
    item: Vec<u8>,
    max_bytes: usize,
    /// How many items there were.
    number: u64,
}

impl<R: BufRead> Document<R> {
    /// Reads an array; `false` if no more is wanted.
    fn array(&mut self, each: &mut dyn FnMut(Element<'_>) -> bool) -> io::Result<bool> {
        self.take()?;
        if self.peek()? == Some(b']') {
            return self.take().map(|()| true);
        }
        loop {
            if matches!(self.peek()?, None | Some(b',' | b':' | b']' | b'}')) {
                return Err(self.unexpected("an item"));
            }
            let mut text = std::mem::take(&mut self.item);
            let whole = self.value(self.max_bytes, &mut text)?;
            self.number += 1;
            let go = each(Element { number: self.number, text: whole.then_some(text.as_slice()) });
            self.item = text;
            if !go {
                return Ok(false);
            }
            match self.peek()? {
                Some(b',') => self.take()?,
                Some(b']') => return self.take().map(|()| true),
                _ => return Err(self.unexpected("a comma or ]")),
            }
        }
    }

    /// Reads an object with an array `Items`; `false` if no more is wanted.
    fn page(&mut self, each: &mut dyn FnMut(Element<'_>) -> bool) -> io::Result<bool> {
        self.take()?;
        let (mut name, mut found) = (Vec::new(), false);
        let mut ended = self.peek()? == Some(b'}');
        while !ended {
            if self.peek()? != Some(b'"') {
                return Err(self.unexpected("a name in quotes"));
            }
            self.value(LONGEST_NAME, &mut name)?;
            if self.peek()? != Some(b':') {
                return Err(self.unexpected("a colon"));
            }
            self.take()?;
            let begin = self.peek()?;
            if name == ITEMS {
                found = true;
                if begin != Some(b'[') {
                    return Err(self.unexpected("[, which begins the array of \"Items\""));
                }
                if !self.array(each)? {
                    return Ok(false);
                }
            } else if matches!(begin, None | Some(b',' | b':' | b']' | b'}')) {
                return Err(self.unexpected("a value"));
            } else {
                self.value(0, &mut name)?;
            }
            match self.peek()? {
                Some(b',') => self.take()?,
                Some(b'}') => ended = true,
                _ => return Err(self.unexpected("a comma or }")),
            }
        }
        if !found {
            return Err(self.problem("the page has no \"Items\""));
        }
        self.take().map(|()| true)
    }

    /// Reads a value, of which the first byte is next, into `into`. `false` if it is longer than `max`; then it is not
    /// kept.
    fn value(&mut self, max: usize, into: &mut Vec<u8>) -> io::Result<bool> {
        into.clear();
        let (mut nesting, mut whole) = (Nesting::default(), true);
        loop {
            let input = self.reader.fill_buf()?;
            if input.is_empty() {
                return Err(self.problem("the file ends within a value: it is truncated"));
            }
            let (mut used, mut last) = (0, Step::Inside);
            for byte in input {
                last = nesting.step(*byte);
                if matches!(last, Step::Inside | Step::Last) {
                    used += 1;
                    count(*byte, &mut self.line, &mut self.column);
                }
                if !matches!(last, Step::Inside) {
                    break;
                }
            }
            whole = whole && into.len() + used <= max;
            if whole {
                into.extend_from_slice(input.get(..used).unwrap_or_default());
            } else {
                into.clear();
            }
            self.reader.consume(used);
            match last {
                Step::Inside => {}
                Step::Last | Step::Behind => return Ok(whole),
                Step::Wrong => return Err(self.unexpected("the end of what was opened last")),
                Step::TooDeep => return Err(self.problem("it is nested deeper than any item can be")),
            }
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.reader.fill_buf()?.first().copied() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.take()?,
                first => return Ok(first),
            }
        }
    }

    fn take(&mut self) -> io::Result<()> {
        if let Some(byte) = self.reader.fill_buf()?.first().copied() {
            count(byte, &mut self.line, &mut self.column);
            self.reader.consume(1);
        }
        Ok(())
    }

    fn unexpected(&mut self, expected: &str) -> io::Error {
        let found = match self.reader.fill_buf() {
            Ok(rest) => rest.first().copied(),
            Err(error) => return error,
        };
        match found {
            None => self.problem(&format!("the file ends, but expected {expected}: it is truncated")),
            Some(byte) if byte.is_ascii_graphic() => {
                self.problem(&format!("expected {expected}, found {}", char::from(byte)))
            }
            Some(byte) => self.problem(&format!("expected {expected}, found byte 0x{byte:02x}")),
        }
    }

    fn problem(&self, problem: &str) -> io::Error {
        io::Error::other(format!("line {}, column {}: {problem}", self.line, self.column))
    }
}

fn count(byte: u8, line: &mut u64, column: &mut u64) {
    if byte == b'\n' {
        *line += 1;
        *column = 1;
    } else if byte & 0xc0 != 0x80 {
        *column += 1;
    }
}

enum Step {
    Inside,
    /// The value ends with this byte.
    Last,
    /// The value has ended before this byte.
    Behind,
    Wrong,
    TooDeep,
}

/// Finds the end of a value.
#[derive(Default)]
struct Nesting {
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    return self.ended();
                }
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' if self.open.len() == DEEPEST => return Step::TooDeep,
            b'{' | b'[' => self.open.push(byte),
            b'}' | b']' => {
                return match (self.open.pop(), byte) {
                    (None, _) => Step::Behind,
                    (Some(b'{'), b'}') | (Some(b'['), b']') => self.ended(),
                    _ => Step::Wrong,
                };
            }
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.open.is_empty() => return Step::Behind,
            _ => {}
        }
        Step::Inside
    }

    fn ended(&self) -> Step {
        if self.open.is_empty() { Step::Last } else { Step::Inside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The items' texts, read through a buffer of this size.
    fn items(text: &str, shape: Shape, buffer: usize) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        let reader = io::BufReader::with_capacity(buffer, text.as_bytes());
        let read = read(reader, shape, 40, &mut |element| {
            assert_eq!(element.number, all.len() as u64 + 1);
            let text =
                element.text.map_or("too long".to_owned(), |text| String::from_utf8_lossy(text).into());
            all.push(text);
            true
        });
        read.map(|()| all).map_err(|error| error.to_string())
    }

    #[test]
    fn items_are_found_whatever_stands_in_their_texts() {
        let text = " [ {\"a\":\"]}\\\"[\"},\n5 ,{\"b\":[{},[]]}, \"x\",null,{\"c\":\"01234567890123456789012345678901234\"}]\r\n";
        let wanted = [r#"{"a":"]}\"["}"#, "5", r#"{"b":[{},[]]}"#, "\"x\"", "null", "too long"];
        for buffer in [1, 2, 7, 1_000] {
            assert_eq!(items(text, Shape::Array, buffer).unwrap(), wanted, "{buffer}");
        }
        assert_eq!(items("[]", Shape::Array, 9), Ok(vec![]));
    }

    #[test]
    fn pages_follow_each_other_in_any_form() {
        let text = r#"{"Count":1,"Items":[{"a":1}],"ConsumedCapacity":null}{"Items":[],"X":{"Items":[7]}}
            [{"b":2}] {"ScannedCount": 0, "Items": [{"c":3}, {"d":4}]}"#;
        let wanted = [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#, r#"{"d":4}"#];
        assert_eq!(items(text, Shape::Pages, 3).unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_is_reported_with_line_and_column() {
        for (shape, text, problem) in [
            (
                Shape::Array,
                "",
                "line 1, column 1: the file ends, but expected [, which begins an array of items",
            ),
            (Shape::Array, "{}", "line 1, column 1: expected [, which begins an array of items, found {"),
            (Shape::Array, "[{},", "line 1, column 5: the file ends, but expected an item: it is truncated"),
            (Shape::Array, "[{},]", "line 1, column 5: expected an item, found ]"),
            (Shape::Array, "[{}\n", "line 2, column 1: the file ends, but expected a comma or ]"),
            (Shape::Array, "[{}\n {}]", "line 2, column 2: expected a comma or ], found {"),
            (Shape::Array, "[{\"é\":", "line 1, column 7: the file ends within a value: it is truncated"),
            (
                Shape::Array,
                "[{\"a\":[}]",
                "line 1, column 8: expected the end of what was opened last, found }",
            ),
            (Shape::Array, "[]\nx", "line 2, column 1: expected the end of the file, found x"),
            (Shape::Array, "[][]", "line 1, column 3: expected the end of the file, found ["),
            (Shape::Pages, "{\"Count\":0}", "line 1, column 11: the page has no \"Items\""),
            (Shape::Pages, "{\"Items\":{}}", "expected [, which begins the array of \"Items\", found {"),
            (Shape::Pages, "{\"Items\":[]", "line 1, column 12: the file ends, but expected a comma or }"),
            (
                Shape::Pages,
                "{\"Items\":[]}x",
                "line 1, column 13: expected { or [, which begins a page of items, found x",
            ),
            (Shape::Pages, "{Items:[]}", "line 1, column 2: expected a name in quotes, found I"),
            (Shape::Pages, "{\"Items\" []}", "line 1, column 10: expected a colon, found ["),
            (Shape::Pages, "{\"Count\":}", "line 1, column 10: expected a value, found }"),
            (
                Shape::Pages,
                "\0",
                "line 1, column 1: expected { or [, which begins a page of items, found byte 0x00",
            ),
        ] {
            let found = items(text, shape, 4).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
        let deep = format!("[{}", "[".repeat(2_000));
        assert!(items(&deep, Shape::Array, 9).unwrap_err().contains("nested deeper"));
    }

    proptest! {
        #[test]
        fn an_array_has_its_items_however_it_is_written(
            texts in proptest::collection::vec("[a-z\\\\\"\\[\\]{},: \\n]{0,6}", 0..6),
            pretty in any::<bool>(),
            buffer in 1_usize..50,
        ) {
            let values: Vec<serde_json::Value> =
                texts.iter().map(|text| serde_json::json!({ "k": text })).collect();
            let text = if pretty { serde_json::to_string_pretty(&values) } else { serde_json::to_string(&values) };
            let found = items(&text.unwrap(), Shape::Array, buffer).unwrap();
            let parsed: Vec<serde_json::Value> =
                found.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!(parsed, values);
        }

        #[test]
        fn any_text_ends_in_items_or_a_sentence(text in "[\\[\\]{}\",: a0\\\\\\n]{0,40}", pages in any::<bool>()) {
            let shape = if pages { Shape::Pages } else { Shape::Array };
            let _ = items(&text, shape, 5);
        }
    }
}
