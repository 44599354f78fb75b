//! The dialect of a CSV file: its delimiter, how it writes quotes, where its table begins.
//!
//! Each delimiter is tried on the first records of a file, and the one that divides them into the same number of fields
//! is taken: the first line alone says little (`Order;Total, net;Name`). What is found is no more than what the records
//! agree on; a record that does not fit the dialect is refused when it is read.

mod fit;
mod header_names;
mod sample;

#[cfg(test)]
mod written_tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub(crate) use header_names::header_names;

use fit::Fit;
use sample::sample;

/// The part of a file that its dialect is detected from, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 1 << 20;

/// The delimiters that are looked for, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a quote is written that is part of a quoted field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Quoting {
    /// Twice, as RFC 4180 says. A backslash is text.
    Doubled,
    /// Behind a backslash, as MySQL and Hive do. The backslash also stands before delimiters, line ends and itself.
    Backslash,
}

impl Quoting {
    pub(crate) fn escape(self) -> Option<u8> {
        (self == Self::Backslash).then_some(b'\\')
    }
}

/// What ends the lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LineEnd {
    /// A line feed, with or without a carriage return before it.
    Feed,
    /// A carriage return alone.
    Return,
}

/// The dialect of a CSV file, detected from its first megabyte at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dialect {
    /// An ASCII character.
    pub delimiter: char,
    pub quoting: Quoting,
    pub line_end: LineEnd,
    /// The lines before the one that names the columns: a declared delimiter (`sep=;`), titles, blank lines.
    pub skipped_lines: u64,
    pub columns: usize,
    /// The number of empty fields that a record may have behind its last column.
    pub trailing: usize,
}

impl Dialect {
    /// The dialect of lines that this program writes: commas, as RFC 4180 says.
    pub(crate) fn own(columns: usize) -> Self {
        Self {
            delimiter: ',',
            quoting: Quoting::Doubled,
            line_end: LineEnd::Feed,
            skipped_lines: 0,
            columns,
            trailing: 0,
        }
    }

    pub(crate) fn delimiter_byte(&self) -> u8 {
        u8::try_from(self.delimiter).unwrap_or(b',')
    }
}

/// Detects the dialect from the beginning of a file's text; `is_whole` says that nothing follows it.
pub(crate) fn detect(head: &[u8], is_whole: bool) -> Dialect {
    let (head, is_whole) = match head.get(..MAX_HEAD_BYTES) {
        Some(start) if head.len() > MAX_HEAD_BYTES => (start, false),
        _ => (head, is_whole),
    };
    let (text, line_end) = with_line_feeds(head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head), is_whole);
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let declared = declared_delimiter(first);
    let (rest, first_line) = match declared {
        Some(_) => (text.get(first.len()..).unwrap_or_default(), 2),
        None => (text.as_ref(), 1),
    };
    let delimiters = declared.map_or(DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
    let mut best: Option<(u8, Quoting, Fit)> = None;
    for delimiter in delimiters {
        let (quoting, fit) = quoting_of(rest, first_line, is_whole, delimiter);
        if best.as_ref().is_none_or(|(_, _, other)| fit.is_better_than(other)) {
            best = Some((delimiter, quoting, fit));
        }
    }
    let (delimiter, quoting, fit) = best.unwrap_or((b',', Quoting::Doubled, Fit::of(&[])));
    Dialect {
        delimiter: char::from(delimiter),
        quoting,
        line_end,
        skipped_lines: fit.header_line.unwrap_or(first_line) - 1,
        columns: fit.columns,
        trailing: fit.trailing,
    }
}

/// How quotes are written, for this delimiter, and how well the records fit. Backslashes are escapes only if the
/// records say so: they are refused, or of different lengths, if backslashes are text, and they are not otherwise.
fn quoting_of(text: &[u8], first_line: u64, is_whole: bool, delimiter: u8) -> (Quoting, Fit) {
    let fit = |quoting| Fit::of(&sample(text, first_line, is_whole, delimiter, quoting));
    let doubled = fit(Quoting::Doubled);
    if doubled.misfits == 0 || !text.contains(&b'\\') {
        return (Quoting::Doubled, doubled);
    }
    let escaped = fit(Quoting::Backslash);
    // A file of escapes may have some broken records of its own.
    const FACTOR: usize = 10;
    if escaped.misfits * FACTOR <= doubled.misfits && !doubled.is_better_than(&escaped) {
        (Quoting::Backslash, escaped)
    } else {
        (Quoting::Doubled, doubled)
    }
}

/// The text with a line feed at the end of each line, as the records are read. The last line of a text that goes on is
/// dropped, since its end is not known.
fn with_line_feeds(head: &[u8], is_whole: bool) -> (Cow<'_, [u8]>, LineEnd) {
    let line_end =
        if head.contains(&b'\r') && !head.contains(&b'\n') { LineEnd::Return } else { LineEnd::Feed };
    let mut text = match line_end {
        LineEnd::Return => Cow::Owned(
            head.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect::<Vec<u8>>(),
        ),
        LineEnd::Feed if head.contains(&b'\r') => {
            let mut text = Vec::with_capacity(head.len());
            for line in head.split_inclusive(|byte| *byte == b'\n') {
                match line.strip_suffix(b"\r\n") {
                    Some(line) => text.extend_from_slice(&[line, b"\n"].concat()),
                    None => text.extend_from_slice(line),
                }
            }
            Cow::Owned(text)
        }
        LineEnd::Feed => Cow::Borrowed(head),
    };
    if let Some(last) = text.iter().rposition(|byte| *byte == b'\n')
        && !is_whole
    {
        match &mut text {
            Cow::Borrowed(text) => *text = text.get(..=last).unwrap_or_default(),
            Cow::Owned(text) => text.truncate(last + 1),
        }
    } else if text.last().is_some_and(|byte| *byte != b'\n') {
        text.to_mut().push(b'\n');
    }
    (text, line_end)
}

/// The delimiter that a first line such as `sep=;` declares, as Excel writes and reads it.
fn declared_delimiter(line: &[u8]) -> Option<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_prefix(b"\"").map_or(line, |line| line.strip_suffix(b"\"").unwrap_or(line));
    let (word, delimiter) = line.split_at_checked(4)?;
    match delimiter {
        [delimiter] if word.eq_ignore_ascii_case(b"sep=") => {
            let is_delimiter = *delimiter == b'\t'
                || (delimiter.is_ascii_punctuation() && !matches!(delimiter, b'"' | b'\\'));
            is_delimiter.then_some(*delimiter)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Dialect {
        detect(text.as_bytes(), true)
    }

    fn delimiter(text: &str) -> char {
        of(text).delimiter
    }

    #[test]
    fn the_delimiter_is_the_one_that_the_records_agree_on() {
        for (text, wanted) in [
            ("a,b,c", ','),
            ("a;b;c\n1;2;3\n", ';'),
            ("a\tb,c\td\n", '\t'),
            ("a|b\n1|2,5\n2|3,5\n", '|'),
            ("\"a,b,c,d\";e;f\n", ';'),
            ("a;b,c\n", ','),
            ("Order;Total, net;Name\n1;12,50;Ann\n2;9,00;Bob\n", ';'),
            ("Order;Total, net\n1;12,50\n2;9,00\n", ';'),
            ("id;price;total\n1;2,50;3,00\n2;4,10;5,00\n", ';'),
            ("name;price\nCup, red, large;2,50\nBox, red, small;3,10\n", ';'),
            ("id,categories\n1,a|b|c\n2,b|c|d\n", ','),
            ("id\tname\n1\tCup, red\n2\tBox, blue\n", '\t'),
            ("id,name\n1,a;b\n2,c;d\n", ','),
            ("product\nCup\nBox\n", ','),
            ("", ','),
            ("\n\n", ','),
        ] {
            assert_eq!(delimiter(text), wanted, "{text}");
        }
    }

    #[test]
    fn of_two_delimiters_that_fit_the_one_without_the_header_among_the_titles_counts() {
        let dialect = of("Sales report\nOrder;Customer\n1;\",\\\"\n1;0,00\n");
        assert_eq!((dialect.delimiter, dialect.skipped_lines), (';', 1));
    }

    #[test]
    fn some_broken_records_do_not_change_the_delimiter() {
        let rows: String = (0..50).map(|i| format!("{i};\"Cup {i}\";{i},50\n")).collect();
        let text = format!("id;name;price\n1;\"broken;2,50\n{rows}7;8\n\"x\"y;1;2\n");
        let dialect = of(&text);
        assert_eq!((dialect.delimiter, dialect.columns, dialect.skipped_lines), (';', 3, 0));
    }

    #[test]
    fn a_declared_delimiter_is_taken_and_its_line_skipped() {
        for text in ["sep=;\na;b\n1;2\n", "\u{feff}\"sep=;\"\r\na;b\r\n", "SEP=;\r\n\r\na;b"] {
            let dialect = of(text);
            let skipped = if text.contains("\r\n\r\n") { 2 } else { 1 };
            assert_eq!(
                (dialect.delimiter, dialect.columns, dialect.skipped_lines),
                (';', 2, skipped),
                "{text:?}"
            );
        }
        assert_eq!(of("sep=^\na,b^c\n1,2^3\n").delimiter, '^');
        assert_eq!(of("sep=\t\na\tb\n").delimiter, '\t');
        assert_eq!(of("sep=x\na,b\n1,2\n").delimiter, ',');
    }

    #[test]
    fn lines_above_the_header_are_skipped() {
        for (text, skipped, columns) in [
            ("Sales report\n\nOrder,SKU,Date\n1,a,2024-01-01\n", 2, 3),
            ("Sales report,,,\nOrder,SKU,Date,Total\n1,a,2024-01-01,5\n2,b,2024-01-01,6\n", 1, 4),
            (
                "Report;Sales by product\nFrom;2024-01-01;To;2024-01-31\n\nOrder;SKU;Date;Qty;Total\n1;a;x;1;2,50\n",
                3,
                5,
            ),
            ("\"Sales, by\nproduct\"\n# 2024-01-02\nOrder,SKU\n1,a\n2,b\n", 3, 2),
            ("\n\nOrder,SKU\n1,a\n", 2, 2),
            ("Report:,Sales\nOrder,SKU,Date\n1,a,2024-01-01\n2,b,2024-01-02\n", 1, 3),
        ] {
            let dialect = of(text);
            assert_eq!((dialect.skipped_lines, dialect.columns), (skipped, columns), "{text}");
        }
    }

    #[test]
    fn a_line_that_may_be_the_header_is_not_skipped() {
        for (text, columns) in [
            ("a,b,c\n1,2,3,4\n", 3),
            ("a,b,c\n1,2,50,x\n2,3,50,y\n3,4,50,z\n", 3),
            ("Report\na,b,c\n", 1),
            ("id,name\np1,Cup, large\np2,Box, small\n", 2),
            ("17850,85123A,2010-12-01\n17851,85123B,2010-12-02\nada,mug,blue\n17852,x,2010-12-02\n", 3),
            ("a,b\n", 2),
        ] {
            let dialect = of(text);
            assert_eq!((dialect.skipped_lines, dialect.columns, dialect.trailing), (0, columns, 0), "{text}");
        }
    }

    #[test]
    fn empty_fields_behind_the_last_column_belong_to_no_column() {
        for (text, columns, trailing) in [
            ("a,b,c\n1,2,3,\n", 3, 1),
            ("a,b,c\n1,2,3,,\n4,5,,,\n", 3, 2),
            ("a,b,c,,\n1,2,3\n4,5,6\n", 3, 2),
            ("a,b,c,\n1,2,3,\n4,5,6,\n", 4, 0),
            ("a,b,c,\n1,2,3,x\n", 4, 0),
            ("a,b,c\n1,2,3,\n1,2,3,x\n", 3, 0),
        ] {
            let dialect = of(text);
            assert_eq!(
                (dialect.columns, dialect.trailing, dialect.skipped_lines),
                (columns, trailing, 0),
                "{text}"
            );
        }
    }

    #[test]
    fn backslashes_are_escapes_only_where_they_must_be() {
        for (text, wanted) in [
            ("id,name\n1,\"Espresso \\\"Nera\\\", 1 kg\"\n2,\"x\"\n", Quoting::Backslash),
            ("id\tname\n1\tCup\\\tlarge\n2\t\\N\n", Quoting::Backslash),
            ("id,name,n\n1,Cup\\, large,1\n2,x,1\n3,y,1\n", Quoting::Backslash),
            ("id,name\n1,\"C:\\\"\n2,\"D:\\\"\n", Quoting::Doubled),
            ("id,name\n1,\"Espresso \"\"Nera\"\", C:\\\"\n2,\"D:\\\"\n", Quoting::Doubled),
            ("id,name\n1,C:\\temp\\\n2,\\N\n", Quoting::Doubled),
            ("id,name\n1,\"x\"y\n2,a\\b\n", Quoting::Doubled),
        ] {
            assert_eq!(of(text).quoting, wanted, "{text}");
        }
    }

    #[test]
    fn carriage_returns_end_lines_where_there_is_no_line_feed() {
        let dialect = of("a;b\r1;2\r");
        assert_eq!((dialect.line_end, dialect.delimiter, dialect.columns), (LineEnd::Return, ';', 2));
        for text in ["a;b\r\n1;2\n3;4\r\n", "a;b\n1;\"2\r3\"\n", "a;b"] {
            assert_eq!((of(text).line_end, of(text).columns), (LineEnd::Feed, 2), "{text:?}");
        }
    }

    #[test]
    fn the_last_line_of_a_head_is_not_judged() {
        let whole = format!("a;b;c\n{}", "1;2,5;3\n".repeat(100));
        for cut in whole.len() - 8..whole.len() {
            let dialect = detect(&whole.as_bytes()[..cut], false);
            assert_eq!((dialect.delimiter, dialect.columns, dialect.trailing), (';', 3, 0));
        }
        let dialect = detect(b"a,b,c\n1,\"2\n3", false);
        assert_eq!((dialect.delimiter, dialect.columns), (',', 3));
    }

    #[test]
    fn it_is_stored_as_json() {
        let dialect = of("a;b\n1;2\n");
        let stored = serde_json::to_string(&dialect).unwrap();
        insta::assert_snapshot!(stored, @r#"{"delimiter":";","quoting":"doubled","lineEnd":"feed","skippedLines":0,"columns":2,"trailing":0}"#);
        assert_eq!(serde_json::from_str::<Dialect>(&stored).unwrap(), dialect);
    }
}
