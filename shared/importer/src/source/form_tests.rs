//! Files of every form, detected and read.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::zip_stream::tests::archive;
use super::*;

const TEXT: &str = "order,name\n1,Käse\n2,Öl\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn latin(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1252.encode(text).0.into_owned()
}

fn read(bytes: &[u8], form: &SourceForm) -> io::Result<String> {
    let mut text = Vec::new();
    let mut source = open(bytes, form).map_err(|error| io::Error::other(error.to_string()))?;
    source.bytes.read_to_end(&mut text)?;
    assert!(source.bytes_read.load(Ordering::Relaxed) <= u64::try_from(bytes.len()).unwrap());
    String::from_utf8(text).map_err(io::Error::other)
}

/// The form and the text.
fn detected(bytes: &[u8]) -> (SourceForm, String) {
    let form = detect(bytes).unwrap();
    let text = read(bytes, &form).unwrap();
    (form, text)
}

fn error(bytes: &[u8]) -> String {
    detect(bytes).unwrap_err().to_string()
}

/// A workbook of sheets, each with its state and the XML of its rows; texts are `s` cells of the table of texts.
pub(super) fn workbook(sheets: &[(&str, &str, &str)], texts: &[&str]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, content: &str| {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{content}").as_bytes()).unwrap();
    };
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    const DOCUMENT: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    add("[Content_Types].xml", "<Types/>");
    add(
        "_rels/.rels",
        &format!(
            "<Relationships xmlns=\"{RELATIONS}\"><Relationship Id=\"r1\" Type=\"{DOCUMENT}/officeDocument\" \
             Target=\"xl/workbook.xml\"/></Relationships>"
        ),
    );
    let (mut listed, mut related) = (String::new(), String::new());
    for (number, (name, state, _)) in (1..).zip(sheets) {
        listed.push_str(&format!(
            "<sheet name=\"{name}\" sheetId=\"{number}\" state=\"{state}\" r:id=\"s{number}\"/>"
        ));
        related.push_str(&format!(
            "<Relationship Id=\"s{number}\" Type=\"{DOCUMENT}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>"
        ));
    }
    add(
        "xl/workbook.xml",
        &format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{DOCUMENT}\"><sheets>{listed}</sheets></workbook>"),
    );
    add(
        "xl/_rels/workbook.xml.rels",
        &format!("<Relationships xmlns=\"{RELATIONS}\">{related}</Relationships>"),
    );
    let items: String = texts.iter().map(|text| format!("<si><t>{text}</t></si>")).collect();
    add(
        "xl/sharedStrings.xml",
        &format!("<sst xmlns=\"{MAIN}\" uniqueCount=\"{}\">{items}</sst>", texts.len()),
    );
    // Style 1 is a date with time, style 2 a time of day.
    add(
        "xl/styles.xml",
        &format!(
            "<styleSheet xmlns=\"{MAIN}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"22\"/><xf numFmtId=\"21\"/>\
             </cellXfs></styleSheet>"
        ),
    );
    for (number, (_, _, rows)) in (1..).zip(sheets) {
        add(
            &format!("xl/worksheets/sheet{number}.xml"),
            &format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>"),
        );
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn every_packing_and_encoding_gives_the_same_text() {
    for (encoding, bytes) in [
        ("UTF-8", TEXT.as_bytes().to_vec()),
        ("Windows-1252", latin(TEXT)),
        ("UTF-16 (little endian)", TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ] {
        for (container, packed, part) in [
            (Container::Plain, bytes.clone(), None),
            (Container::Gzip, gzip(&bytes), None),
            (Container::Zip, archive(&[("orders.csv", &bytes)], true), Some("orders.csv")),
            (
                Container::Zip,
                archive(
                    &[("__MACOSX/._x.csv", b"x"), ("README.md", b"x"), ("a/orders.csv", &bytes), ("a/", b"")],
                    false,
                ),
                Some("a/orders.csv"),
            ),
            (Container::Zip, archive(&[("orders.csv.gz", &gzip(&bytes))], false), Some("orders.csv.gz")),
        ] {
            let (form, text) = detected(&packed);
            assert_eq!((form.container, form.part.as_deref(), text.as_str()), (container, part, TEXT));
            assert_eq!(form.encoding.to_string(), encoding);
            assert_eq!(form.is_seekable(), container == Container::Plain && encoding == "UTF-8");
            let stored = serde_json::to_string(&form).unwrap();
            assert_eq!(serde_json::from_str::<SourceForm>(&stored).unwrap(), form);
        }
    }
}

#[test]
fn json_of_any_layout_is_read_as_one_value_a_line() {
    const ARRAY: &str = "[\n  {\n    \"name\": \"Käse\"\n  },\n  {\n    \"name\": \"Öl\"\n  }\n]\n";
    const LINES: &str = "{ \"name\": \"Käse\" }\n{ \"name\": \"Öl\" }\n";
    let utf_16: Vec<u8> = ARRAY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [ARRAY.as_bytes().to_vec(), latin(ARRAY), utf_16, gzip(ARRAY.as_bytes())] {
        let (form, text) = detected(&bytes);
        assert_eq!((form.json_values, form.is_seekable(), text.as_str()), (true, false, LINES));
        let stored = serde_json::to_string(&form).unwrap();
        assert_eq!(serde_json::from_str::<SourceForm>(&stored).unwrap(), form);
    }
    let (form, text) = detected(LINES.as_bytes());
    assert_eq!((form.json_values, form.is_seekable(), text.as_str()), (false, true, LINES));
}

#[test]
fn the_mark_of_utf_8_keeps_its_offset_and_others_are_dropped() {
    assert_eq!(detected("\u{feff}a,b\n".as_bytes()).1, "\u{feff}a,b\n");
    let marked: Vec<u8> = "\u{feff}a,ä\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(detected(&marked).1, "a,ä\n");
}

#[test]
fn a_file_that_breaks_off_gives_the_text_before_the_break_and_the_error() {
    let long: String = (0..40_000).map(|i| format!("{i},K\u{e4}se {}\n", i * 7_919 % 997)).collect();
    for (packed, container) in
        [(gzip(&latin(&long)), Container::Gzip), (archive(&[("a.csv", &latin(&long))], true), Container::Zip)]
    {
        let cut = &packed[..packed.len() / 2];
        let form = detect(cut).unwrap();
        assert_eq!((form.container, form.encoding.to_string().as_str()), (container, "Windows-1252"));
        let (mut text, mut source) = (Vec::new(), open(cut, &form).unwrap());
        assert_eq!(source.bytes.read_to_end(&mut text).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(text.len() > 10_000 && long.as_bytes().starts_with(&text));
    }
}

#[test]
fn an_error_behind_the_first_byte_is_reported_when_it_is_read() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::Error::other("the disk is on fire")) } else { self.0.read(into) }
        }
    }
    let form = detect(Failing(b"a,b\n")).unwrap();
    let (mut text, mut source) = (Vec::new(), open(Failing(b"a,b\n"), &form).unwrap());
    assert_eq!(source.bytes.read_to_end(&mut text).unwrap_err().to_string(), "the disk is on fire");
    assert_eq!(text, b"a,b\n");
    let failed = detect(Failing(b"")).unwrap_err().to_string();
    assert_eq!(failed, "cannot read the file: the disk is on fire");
    assert!(matches!(detect(&gzip(b"a,b\n")[..9]), Err(ImportError::Read(_))));
}

#[test]
fn the_first_sheet_with_rows_is_read() {
    let rows = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c>\
                <c r=\"C1\" t=\"inlineStr\"><is><t>Paid at</t></is></c><c r=\"D1\" t=\"str\"><v>Time</v></c></row>\
                <row r=\"2\"><c r=\"A2\"><v>123456789012345</v></c><c r=\"B2\" t=\"s\"><v>2</v></c>\
                <c r=\"C2\" s=\"1\"><v>45943.5</v></c><c r=\"D2\" s=\"2\"><v>0.25</v></c></row>\
                <row r=\"4\"><c r=\"A4\"><v>12.50</v></c><c r=\"B4\" t=\"e\"><v>#N/A</v></c>\
                <c r=\"C4\" t=\"b\"><v>1</v></c></row>";
    let texts = ["Order", "Item", "Käse &amp; \"Brot\", 1 kg"];
    let bytes = workbook(
        &[("Empty", "visible", ""), ("Hidden", "hidden", rows), ("Orders", "visible", rows)],
        &texts,
    );
    let (form, text) = detected(&bytes);
    assert_eq!((form.container, form.part.as_deref()), (Container::Workbook, Some("Orders")));
    insta::assert_snapshot!(text, @r#"
    Order,Item,Paid at,Time
    123456789012345,"Käse & ""Brot"", 1 kg",2025-10-13 12:00:00,06:00:00

    12.5,,true,
    "#);
    let hidden = workbook(&[("Hidden", "hidden", rows)], &texts);
    assert_eq!(detected(&hidden).0.part.as_deref(), Some("Hidden"));
}

#[test]
fn a_sheet_of_many_rows_is_read_in_pieces_and_may_be_left() {
    let rows: String = (1..=30_000)
        .map(|row| {
            format!("<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c><c r=\"B{row}\"><v>0.5</v></c></row>")
        })
        .collect();
    let bytes = workbook(&[("Orders", "visible", &rows)], &[]);
    let (form, text) = detected(&bytes);
    assert_eq!(text.lines().count(), 30_000);
    assert!(text.ends_with("30000,0.5\n"));
    let mut source = open(&bytes[..], &form).unwrap();
    let mut line = String::new();
    source.bytes.read_line(&mut line).unwrap();
    assert_eq!(line, "1,0.5\n");
}

#[test]
fn a_damaged_workbook_is_an_error() {
    let bytes = workbook(&[("Orders", "visible", "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>")], &["x"]);
    assert!(error(&bytes[..bytes.len() / 2]).starts_with("cannot read the file: the workbook is damaged: "));
    let unsorted = "<row r=\"2\"><c r=\"A2\"><v>1</v></c></row><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>";
    let bytes = workbook(&[("Orders", "visible", unsorted)], &[]);
    let failed = read(&bytes, &detect(&bytes[..]).unwrap()).unwrap_err().to_string();
    assert_eq!(failed, "the workbook is damaged: its cells are in no order");
    let huge = "<sst uniqueCount=\"99999999999999\"></sst>";
    let bytes =
        archive(&[("[Content_Types].xml", b"<Types/>"), ("xl/sharedStrings.xml", huge.as_bytes())], false);
    insta::assert_snapshot!(error(&bytes), @"cannot read the file: the workbook is damaged: its table of texts is shorter than it says");
}

#[test]
fn texts_that_unpack_to_more_than_memory_are_rejected() {
    let texts = vec![b' '; 260 << 20];
    let bytes = archive(&[("[Content_Types].xml", b"<Types/>"), ("xl/sharedStrings.xml", &texts)], false);
    insta::assert_snapshot!(error(&bytes), @"the file is a workbook of more than 256 megabytes. Save the sheet as CSV in UTF-8.");
}

#[test]
fn forms_that_are_not_read_are_named_with_what_helps() {
    insta::assert_snapshot!(error(b""), @"the file is empty");
    insta::assert_snapshot!(error(&gzip(b"")), @"the file is empty");
    insta::assert_snapshot!(error(&archive(&[("orders.csv", b"x"), ("items.csv", b"y")], true)), @"the file is a zip archive with several files: orders.csv, items.csv. Unpack it, and import those with purchases or products");
    insta::assert_snapshot!(error(&archive(&[("README.md", b"x")], false)), @"the file is a zip archive without a file of data. Use one with a CSV or JSON Lines file.");
    insta::assert_snapshot!(error(&archive(&[("orders.zip", &archive(&[("orders.csv", b"x")], false))], false)), @"the file is an archive within an archive, or a packed workbook. Unpack it.");
    insta::assert_snapshot!(error(&archive(&[("[Content_Types].xml", b"x"), ("word/document.xml", b"x")], false)), @"the file is an Office document without sheets. Use a CSV file, an Excel workbook (.xlsx) or JSON Lines.");
    insta::assert_snapshot!(error(&archive(&[("[Content_Types].xml", b"x"), ("xl/workbook.bin", b"x")], false)), @"the file is a binary Excel workbook (.xlsb). Save it as .xlsx, or as CSV in UTF-8.");
    insta::assert_snapshot!(error(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), @"the file is an OpenDocument file (.ods). Save it as .xlsx, or as CSV in UTF-8.");
    insta::assert_snapshot!(error(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"), @"the file is an old Excel workbook (.xls), or one with a password. Save it as .xlsx without a password, or as CSV in UTF-8.");
    insta::assert_snapshot!(error(b"\xff\xfe\0\0a\0\0\0"), @"the file is in UTF-32. Save it in UTF-8.");
    insta::assert_snapshot!(error(b"\x28\xb5\x2f\xfd\x04\x00"), @"the file has an unsupported compression. Unpack it first, or use gzip.");
    if !cfg!(feature = "parquet") {
        insta::assert_snapshot!(error(b"PAR1\x15\x04"), @"the file is a Parquet file, which this program is built without a reader for. Import it with the command `nextbasket import`, or export it as CSV or JSON Lines.");
    }
    insta::assert_snapshot!(error(b"ORC\x08"), @"the file is a table in a binary format. Export it as CSV or JSON Lines.");
    let tar = [&b"orders.csv"[..], &[0; 247], b"ustar\x0000"].concat();
    insta::assert_snapshot!(error(&tar), @"the file is a tar archive. Unpack it.");
    insta::assert_snapshot!(error(&gzip(&tar)), @"the file is a tar archive. Unpack it.");
    insta::assert_snapshot!(error(b"\xef\xbb\xbf\r\n<HTML xmlns:x=\"urn:schemas-microsoft-com:office:excel\">"), @"the file is an HTML page, whatever its name says. Open it in a spreadsheet and save it as .xlsx, or as CSV in UTF-8.");
    insta::assert_snapshot!(error(b"%PDF-1.7\n"), @"the file is a PDF document. Export the table as CSV.");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\x1f\x8b\x08\0", b"\xff\xfe", b"a,b\n"]),
                              bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let bytes = [start, &bytes].concat();
        if let Ok(form) = detect(&bytes[..]) {
            let _ = read(&bytes, &form);
        }
    }

    #[test]
    fn any_packed_text_comes_back(text in "[^\0\u{feff}]{1,300}", container in 0..4) {
        let packed = match container {
            0 => text.clone().into_bytes(),
            1 => gzip(text.as_bytes()),
            2 => archive(&[("a.csv", text.as_bytes())], true),
            _ => archive(&[("a.csv", text.as_bytes())], false),
        };
        prop_assume!(container > 0 || !text.starts_with("PK\u{3}\u{4}"));
        let form = match detect(&packed[..]) {
            Ok(form) => form,
            // A text may begin as a file of another form does.
            Err(ImportError::Unsupported { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assume!(!form.json_values);
        prop_assert_eq!(read(&packed, &form).unwrap(), text);
    }
}
