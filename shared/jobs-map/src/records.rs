//! Where records end: lines of JSON, and records of CSV, whose quoted fields may hold line ends.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordFormat {
    Csv {
        delimiter: u8,
        /// Whether the first record names the columns.
        header: bool,
    },
    /// One JSON object a line.
    Jsonl,
}

impl RecordFormat {
    /// Whether files begin with a record that every batch is given.
    pub fn has_header(self) -> bool {
        matches!(self, Self::Csv { header: true, .. })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Csv { .. } => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Finds the ends of records in bytes that come in pieces of any size.
pub struct Splitter(State);

enum State {
    Lines {
        /// Whether the line that is being read has bytes.
        open: bool,
    },
    Csv(Box<Csv>),
}

struct Csv {
    reader: csv_core::Reader,
    /// A record has ended in `\r`, and what follows may be its `\n`.
    after_return: bool,
    fields: [u8; 4096],
    ends: [usize; 64],
}

impl Splitter {
    /// At the beginning of a record.
    pub fn new(format: RecordFormat) -> Self {
        Self(match format {
            RecordFormat::Jsonl => State::Lines { open: false },
            RecordFormat::Csv { delimiter, .. } => State::Csv(Box::new(Csv {
                reader: csv_reader(delimiter),
                after_return: false,
                fields: [0; 4096],
                ends: [0; 64],
            })),
        })
    }

    /// How many bytes of the input there are up to the end of the record that is being read, its line end among them;
    /// `None` if it does not end there: the whole input is then behind us.
    ///
    /// Zero says that it ended where the input begins.
    pub fn end(&mut self, input: &[u8]) -> Option<usize> {
        match &mut self.0 {
            State::Lines { open } => {
                let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                *open = end.is_none() && (*open || !input.is_empty());
                end
            }
            State::Csv(csv) => csv.end(input),
        }
    }

    /// At the end of the input: whether a record ends there that [`end`](Self::end) has not reported.
    pub fn finish(self) -> bool {
        match self.0 {
            State::Lines { open } => open,
            State::Csv(mut csv) => csv.after_return || csv.read(&[]).1,
        }
    }
}

fn csv_reader(delimiter: u8) -> csv_core::Reader {
    csv_core::ReaderBuilder::new().delimiter(delimiter).build()
}

impl Csv {
    fn end(&mut self, input: &[u8]) -> Option<usize> {
        let first = *input.first()?;
        if self.after_return {
            self.after_return = false;
            // The reader passes over a line end between two records.
            return Some(if first == b'\n' { self.read(b"\n").0 } else { 0 });
        }
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return None;
            }
            let (read, ended) = self.read(rest);
            at += read;
            if !ended {
                continue;
            }
            let returned = at.checked_sub(1).and_then(|last| input.get(last)) == Some(&b'\r');
            match input.get(at) {
                Some(b'\n') if returned => return Some(at + self.read(b"\n").0),
                None if returned => {
                    self.after_return = true;
                    return None;
                }
                _ => return Some(at),
            }
        }
    }

    /// How many bytes were read, and whether a record ended with the last of them.
    fn read(&mut self, input: &[u8]) -> (usize, bool) {
        let (result, read, _, _) = self.reader.read_record(input, &mut self.fields, &mut self.ends);
        (read, result == csv_core::ReadRecordResult::Record)
    }
}

pub fn fields(record: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let mut reader = csv_reader(delimiter);
    let (mut fields, mut field, mut buffer) = (Vec::new(), Vec::new(), [0; 4096]);
    let mut rest = record;
    loop {
        let (result, read, written) = reader.read_field(rest, &mut buffer);
        rest = rest.get(read..).unwrap_or_default();
        field.extend_from_slice(buffer.get(..written).unwrap_or_default());
        match result {
            // Asked again with nothing, the reader ends the field.
            csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
            csv_core::ReadFieldResult::Field { record_end } => {
                fields.push(std::mem::take(&mut field));
                if record_end {
                    return fields;
                }
            }
            csv_core::ReadFieldResult::End => return fields,
        }
    }
}

pub fn trimmed(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: RecordFormat = RecordFormat::Csv { delimiter: b',', header: false };

    /// The records of the content, fed in pieces of these sizes.
    fn split(format: RecordFormat, content: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new(format);
        let (mut records, mut record) = (Vec::new(), Vec::new());
        let (mut rest, mut sizes) = (content, sizes.iter().cycle());
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at((*sizes.next().unwrap_or(&7)).clamp(1, rest.len()));
            rest = after;
            while let Some(end) = splitter.end(piece) {
                record.extend_from_slice(&piece[..end]);
                records.push(std::mem::take(&mut record));
                piece = &piece[end..];
            }
            record.extend_from_slice(piece);
        }
        if splitter.finish() {
            records.push(std::mem::take(&mut record));
        }
        if !record.is_empty() {
            records.push(record);
        }
        records
    }

    fn parsed(content: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(content);
        reader.byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect()).collect()
    }

    #[test]
    fn quoted_line_ends_are_part_of_their_records() {
        let content = b"a,\"b\r\nb\"\r\nc,\"\"\"\n\"\n\nd,e\rf,g";
        for size in 1..content.len() {
            let records = split(CSV, content, &[size]);
            let wanted: [&[u8]; 4] = [b"a,\"b\r\nb\"\r\n", b"c,\"\"\"\n\"\n", b"\nd,e\r", b"f,g"];
            assert_eq!(records, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn lines_end_at_line_ends_alone() {
        for size in 1..9 {
            assert_eq!(
                split(RecordFormat::Jsonl, b"{}\n\n\"\n[]", &[size]),
                [&b"{}\n"[..], b"\n", b"\"\n", b"[]"]
            );
        }
    }

    #[test]
    fn fields_lose_their_quotes() {
        for (record, wanted) in [
            (&b"a,\"b,\"\"c\"\"\",\r\n"[..], vec![&b"a"[..], b"b,\"c\"", b""]),
            (b"a", vec![b"a"]),
            (b"\"x\ny\"", vec![b"x\ny"]),
        ] {
            assert_eq!(fields(record, b','), wanted);
        }
        let long = "x".repeat(10_000);
        assert_eq!(fields(format!("{long};b").as_bytes(), b';')[0].len(), 10_000);
    }

    proptest! {
        #[test]
        fn records_put_together_are_the_content_and_parse_to_the_same(
            content in "([ab\u{e4},]|\"|\"\"|\n|\r\n|\r|,\"[a\n\r,]*\"){0,60}",
            sizes in prop::collection::vec(1_usize..20, 1..5),
        ) {
            let content = content.as_bytes();
            let records = split(CSV, content, &sizes);
            prop_assert_eq!(records.concat(), content);
            let one_by_one: Vec<_> = records.iter().flat_map(|record| parsed(record)).collect();
            prop_assert_eq!(one_by_one, parsed(content));
            for record in &records {
                prop_assert!(parsed(record).len() <= 1);
            }
        }

        #[test]
        fn fields_are_those_of_the_csv_crate(
            record in "([ab,]|\"\"|,\"[a\n\r,]*\"){0,30}(\n|\r\n)?",
        ) {
            let parsed = parsed(record.as_bytes());
            let fields = fields(record.as_bytes(), b',');
            prop_assert_eq!(parsed.first().cloned().unwrap_or_default(), fields);
        }
    }
}
