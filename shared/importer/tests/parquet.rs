//! Parquet files: the same purchases as from a CSV file with the same rows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;
#[path = "common/parquet_files.rs"]
mod parquet_files;

use std::fmt::Write as _;

use bytes::Bytes;
use common::{HEADER, options, read_with, reasons};
use nextbasket_importer::{Container, ImportedPurchases, parse_timezone, read_products};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};

use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet_files::{Cells, parquet, texts};
use proptest::prelude::*;

/// The beginning of every file: a user and a product.
const IDS: &str = "required binary user_id (utf8); required binary product_id (utf8);";

/// The import of a file of one row, whose third column is the time.
fn read_time(column: &str, cells: Cells) -> (ImportedPurchases, String) {
    let schema = format!("message rows {{ {IDS} {column} }}");
    let cells = vec![texts(&["ada"]), texts(&["a"]), cells];
    read_with(&parquet(&schema, WriterProperties::new(), &[cells]), &options()).unwrap()
}

/// The import of a file of these rows, all at one time.
fn read_columns(columns: &str, cells: Vec<Cells>, rows: usize) -> (ImportedPurchases, String) {
    let schema = format!("message rows {{ required int32 timestamp (date); {columns} }}");
    let mut all = vec![Cells::I32(vec![Some(14_975); rows])];
    all.extend(cells);
    read_with(&parquet(&schema, WriterProperties::new(), &[all]), &options()).unwrap()
}

fn error(schema: &str, cells: Vec<Cells>) -> String {
    let bytes = parquet(schema, WriterProperties::new(), &[cells]);
    read_with(&bytes, &options()).unwrap_err().to_string()
}

fn time(import: &ImportedPurchases) -> String {
    import.purchases[0].purchased_at.to_string()
}

fn is_local(import: &ImportedPurchases) -> bool {
    import.summary.to_string().contains("times without a zone: UTC, assumed")
}

#[test]
fn times_have_the_zone_that_the_schema_says() {
    const MILLIS: i64 = 1_293_881_696_789;
    let nanos: u64 = (11 * 3_600 + 34 * 60 + 56) * 1_000_000_000 + 789_000_000;
    let (low, high) = (u32::try_from(nanos & 0xffff_ffff).unwrap(), u32::try_from(nanos >> 32).unwrap());
    for (column, cells, local) in [
        ("required int64 timestamp (timestamp(millis,true));", Cells::I64(vec![Some(MILLIS)]), false),
        ("required int64 timestamp (timestamp(millis,false));", Cells::I64(vec![Some(MILLIS)]), true),
        ("required int64 timestamp (timestamp(micros,true));", Cells::I64(vec![Some(MILLIS * 1_000)]), false),
        ("required int64 timestamp (timestamp(micros,false));", Cells::I64(vec![Some(MILLIS * 1_000)]), true),
        (
            "required int64 timestamp (timestamp(nanos,true));",
            Cells::I64(vec![Some(MILLIS * 1_000_000)]),
            false,
        ),
        (
            "optional int64 timestamp (timestamp(nanos,false));",
            Cells::I64(vec![Some(MILLIS * 1_000_000)]),
            true,
        ),
        ("required int64 timestamp (timestamp_millis);", Cells::I64(vec![Some(MILLIS)]), false),
        ("required int64 timestamp (timestamp_micros);", Cells::I64(vec![Some(MILLIS * 1_000)]), false),
        ("required int96 timestamp;", Cells::I96(vec![Some([low, high, 2_455_563])]), true),
        ("required int64 timestamp;", Cells::I64(vec![Some(MILLIS)]), false),
        ("required int64 timestamp (integer(64,false));", Cells::I64(vec![Some(MILLIS)]), false),
        ("required double timestamp;", Cells::F64(vec![Some(1_293_881_696_789.0)]), false),
        ("required binary timestamp (utf8);", texts(&["2011-01-01T11:34:56.789Z"]), false),
    ] {
        let (import, refused) = read_time(column, cells);
        assert_eq!(refused, "", "{column}");
        assert_eq!(
            (time(&import).as_str(), is_local(&import)),
            ("2011-01-01T11:34:56.789Z", local),
            "{column}"
        );
    }
}

#[test]
fn times_without_a_zone_are_of_the_zone_that_is_given_and_others_are_not() {
    let berlin = nextbasket_importer::ImportOptions {
        timezone: Some(parse_timezone("Europe/Berlin").unwrap()),
        ..options()
    };
    for (utc, wanted) in [("true", "2011-01-01T11:34:56.000Z"), ("false", "2011-01-01T10:34:56.000Z")] {
        let schema = format!("message rows {{ {IDS} required int64 timestamp (timestamp(millis,{utc})); }}");
        let cells = vec![texts(&["ada"]), texts(&["a"]), Cells::I64(vec![Some(1_293_881_696_000)])];
        let bytes = parquet(&schema, WriterProperties::new(), &[cells]);
        assert_eq!(time(&read_with(&bytes, &berlin).unwrap().0), wanted);
    }
}

#[test]
fn dates_and_times_beyond_what_there_is_cost_their_row_only() {
    let (import, refused) = read_time("required int32 timestamp (date);", Cells::I32(vec![Some(14_975)]));
    assert_eq!((time(&import).as_str(), refused.as_str()), ("2011-01-01T00:00:00.000Z", ""));
    for (column, cells) in [
        ("required int32 timestamp (date);", Cells::I32(vec![Some(i32::MAX)])),
        ("required int64 timestamp (timestamp(millis,true));", Cells::I64(vec![Some(i64::MIN)])),
        ("required int64 timestamp (timestamp(millis,false));", Cells::I64(vec![Some(-1)])),
    ] {
        let (import, refused) = read_time(column, cells);
        assert_eq!(import.summary.taken, 0);
        assert_eq!(reasons(&refused), ["2 bad_time timestamp"], "{column}");
    }
}

#[test]
fn a_date_and_a_time_of_day_in_two_columns_are_one_time() {
    let schema = format!(
        "message rows {{ {IDS} required int32 timestamp (date); required int64 time_of_day (time(micros,false)); }}"
    );
    let cells = vec![
        texts(&["ada"]),
        texts(&["a"]),
        Cells::I32(vec![Some(14_975)]),
        Cells::I64(vec![Some(41_696_789_000)]),
    ];
    let bytes = parquet(&schema, WriterProperties::new(), &[cells]);
    assert_eq!(time(&read_with(&bytes, &options()).unwrap().0), "2011-01-01T11:34:56.789Z");
}

#[test]
fn prices_are_exact_whatever_stores_them() {
    let fixed = |number: i128| Cells::Fixed(vec![Some(number.to_be_bytes()[4..].to_vec())]);
    let wide = |number: i128| {
        let sign = if number < 0 { 0xff } else { 0 };
        Cells::Fixed(vec![Some([vec![sign; 16], number.to_be_bytes().to_vec()].concat())])
    };
    for (column, cells, wanted) in [
        ("required int32 price (decimal(9,2));", Cells::I32(vec![Some(123_450)]), 123_450),
        ("required int64 price (decimal(18,4));", Cells::I64(vec![Some(2_550_000)]), 25_500),
        ("required int64 price (decimal(18,0));", Cells::I64(vec![Some(12)]), 1_200),
        ("required binary price (decimal(20,3));", Cells::Bytes(vec![Some(vec![0x09, 0xf6])]), 255),
        ("required fixed_len_byte_array(12) price (decimal(28,10));", fixed(25_500_000_000), 255),
        ("required fixed_len_byte_array(32) price (decimal(76,2));", wide(9_999), 9_999),
        ("required double price;", Cells::F64(vec![Some(1_234.56)]), 123_456),
        ("required double price;", Cells::F64(vec![Some(12.0)]), 1_200),
        ("required float price;", Cells::F32(vec![Some(2.55)]), 255),
        ("required int32 price (integer(8,false));", Cells::I32(vec![Some(7)]), 700),
        ("required binary price (utf8);", texts(&["£2.55"]), 255),
    ] {
        let (import, refused) =
            read_columns(&format!("{IDS} {column}"), vec![texts(&["ada"]), texts(&["a"]), cells], 1);
        assert_eq!(refused, "", "{column}");
        let price = import.purchases[0].lines[0].unit_price.map(|price| price.amount());
        assert_eq!(price, Some(wanted), "{column}");
    }
    let negative = [
        ("required fixed_len_byte_array(12) price (decimal(28,2));", fixed(-255)),
        ("required fixed_len_byte_array(32) price (decimal(76,2));", wide(-255)),
        ("required int64 price (decimal(18,2));", Cells::I64(vec![Some(-255)])),
    ];
    for (column, cells) in negative {
        let (_, refused) =
            read_columns(&format!("{IDS} {column}"), vec![texts(&["ada"]), texts(&["a"]), cells], 1);
        assert_eq!(reasons(&refused), ["2 negative_price price"], "{column}");
    }
}

/// The user ids of a file with this column, one purchase a row.
fn users(column: &str, cells: Cells, rows: usize) -> Vec<String> {
    let names: Vec<String> = (0..rows).map(|row| format!("b{row}")).collect();
    let baskets = texts(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let columns = format!("{column} required binary product_id (utf8); required binary basket_id (utf8);");
    let (import, _) = read_columns(&columns, vec![cells, texts(&vec!["a"; rows]), baskets], rows);
    let mut found: Vec<_> =
        import.purchases.iter().map(|p| (p.purchase_id.to_string(), p.user_id.to_string())).collect();
    found.sort();
    found.into_iter().map(|(_, user)| user).collect()
}

#[test]
fn ids_are_what_the_column_stores() {
    let uuid =
        [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    assert_eq!(
        users("required int64 user_id;", Cells::I64(vec![Some(i64::MAX), Some(-5)]), 2),
        ["9223372036854775807", "-5"]
    );
    assert_eq!(
        users("required int64 user_id (integer(64,false));", Cells::I64(vec![Some(-1)]), 1),
        ["18446744073709551615"]
    );
    assert_eq!(users("required int32 user_id (uint_32);", Cells::I32(vec![Some(-1)]), 1), ["4294967295"]);
    assert_eq!(
        users("optional double user_id;", Cells::F64(vec![Some(13_085.0), None, Some(f64::NAN)]), 3),
        ["13085"]
    );
    assert_eq!(
        users(
            "required fixed_len_byte_array(16) user_id (uuid);",
            Cells::Fixed(vec![Some(uuid.to_vec())]),
            1
        ),
        ["01234567-89ab-cdef-0123-456789abcdef"]
    );
    assert_eq!(
        users(
            "required binary user_id;",
            Cells::Bytes(vec![Some(b"ada".to_vec()), Some(vec![0xff, 0x00])]),
            2
        ),
        ["ada", "ff00"]
    );
    assert_eq!(
        users("required boolean user_id;", Cells::Bool(vec![Some(true), Some(false)]), 2),
        ["true", "false"]
    );
}

#[test]
fn ids_that_are_no_longer_exact_are_refused() {
    let (_, refused) = read_columns(
        "required double user_id; required float product_id;",
        vec![Cells::F64(vec![Some(4e17), Some(5.0)]), Cells::F32(vec![Some(5.0), Some(4e9)])],
        2,
    );
    assert_eq!(reasons(&refused), ["2 imprecise_id user_id", "3 imprecise_id product_id"]);
}

#[test]
fn cells_without_a_value_are_blank_and_rows_keep_their_numbers() {
    let (import, refused) = read_columns(
        "optional binary user_id (utf8); optional binary product_id (utf8); optional int32 quantity; \
         optional binary product_name (utf8);",
        vec![
            texts(&["ada", "", "bob", "cy"]),
            texts(&["a", "b", "", "d"]),
            Cells::I32(vec![None, Some(2), Some(3), Some(4)]),
            texts(&["Cup,\n \"large\"\n", "x", "y", "NULL"]),
        ],
        4,
    );
    assert_eq!(reasons(&refused), ["3 missing_user user_id", "4 missing_product product_id"]);
    let quantities: Vec<u32> = import.purchases.iter().map(|purchase| purchase.lines[0].quantity).collect();
    assert_eq!(quantities, [1, 4]);
    assert_eq!(import.products[0].name, "Cup,  \"large\"");
    assert_eq!(import.products[1].name, "d");
}

#[test]
fn text_that_is_none_costs_its_row_and_no_other() {
    let names = Cells::Bytes(vec![Some(b"K\xe4se".to_vec()), Some(b"Cup".to_vec())]);
    let (import, refused) = read_columns(
        &format!("{IDS} required binary product_name (utf8);"),
        vec![texts(&["ada", "ada"]), texts(&["a", "b"]), names],
        2,
    );
    assert_eq!(reasons(&refused), ["2 invalid_utf8 -"]);
    assert_eq!(import.products[0].name, "Cup");
    let long = "x\n".repeat(2_000_000);
    let (import, refused) = read_columns(
        &format!("{IDS} required binary product_name (utf8);"),
        vec![texts(&["ada", "ada"]), texts(&["a", "b"]), texts(&[&long, "Cup"])],
        2,
    );
    assert_eq!(reasons(&refused), ["2 too_long -"]);
    assert_eq!(import.summary.taken, 1);
}

#[test]
fn columns_in_structures_are_named_with_points() {
    let schema = "message rows { required group buyer { optional binary id (utf8); } \
                  required binary product_id (utf8); required int32 timestamp (date); }";
    let cells = vec![texts(&["ada", ""]), texts(&["a", "b"]), Cells::I32(vec![Some(14_975), Some(14_975)])];
    let mut options = options();
    options.mapping = "user_id=buyer.id".parse().unwrap();
    let bytes = parquet(schema, WriterProperties::new(), &[cells]);
    let (import, refused) = read_with(&bytes, &options).unwrap();
    assert_eq!(import.purchases[0].user_id.as_str(), "ada");
    assert_eq!(reasons(&refused), ["3 missing_user buyer.id"]);
}

#[test]
fn columns_without_a_text_form_are_refused_by_name() {
    let schema = format!(
        "message rows {{ {IDS} required int32 timestamp (date); \
         required group items (list) {{ repeated group list {{ required binary sku (utf8); required int32 count; }} }} \
         repeated int32 tags; required fixed_len_byte_array(12) span (interval); \
         required fixed_len_byte_array(2) score (float16); }}"
    );
    let bytes = {
        use parquet::file::writer::SerializedFileWriter;
        use parquet::schema::parser::parse_message_type;
        let schema = parse_message_type(&schema).unwrap().into();
        let file = SerializedFileWriter::new(Vec::new(), schema, WriterProperties::new().into()).unwrap();
        file.into_inner().unwrap()
    };
    let failed = read_with(&bytes, &options()).unwrap_err().to_string();
    insta::assert_snapshot!(failed, @"the columns items (list), tags (list), span (interval), score (float16) of the Parquet file cannot be read. Write each element of a list in a row of its own, and values of other types as text; or leave these columns out");
}

#[test]
fn missing_columns_are_named_as_of_any_file() {
    let failed = error(
        "message rows { required binary customer (utf8); required int32 count; }",
        vec![texts(&["ada"]), Cells::I32(vec![Some(1)])],
    );
    insta::assert_snapshot!(failed, @"columns not found in the file: user_id, product_id, timestamp. Its columns are customer, count. Say which column is which, for example: --map user_id=customer,product_id=NAME,timestamp=NAME");
}

/// The rows of a file with row groups of these sizes, as CSV and as Parquet.
fn purchases(groups: &[usize], properties: WriterProperties) -> (String, Vec<u8>) {
    let schema = "message rows { required binary user_id (utf8); required int32 product_id; \
                  required int64 timestamp (timestamp(millis,true)); optional int32 quantity; \
                  optional double price; optional binary product_name (utf8); required int64 basket_id; }";
    let (mut csv, mut all, mut row) = (HEADER.to_owned(), Vec::new(), 0_i32);
    for size in groups {
        let rows: Vec<i32> = (row..).take(*size).collect();
        row += i32::try_from(*size).unwrap();
        let user = |row: i32| format!("user{}", row % 13);
        let product = |row: i32| row * 7_919 % 97;
        let quantity = |row: i32| (row % 5 > 0).then_some(row % 5);
        let price = |row: i32| (row % 3 > 0).then(|| f64::from(row % 1_000) / 100.0);
        let name =
            |row: i32| if row % 4 == 0 { String::new() } else { format!("Käse \"{}\", 1 kg", product(row)) };
        for row in &rows {
            let (user, product, name) = (user(*row), product(*row), name(*row).replace('"', "\"\""));
            let quantity = quantity(*row).map_or(String::new(), |quantity| quantity.to_string());
            let price = price(*row).map_or(String::new(), |price| price.to_string());
            let time = 1_293_881_696_000 + i64::from(*row) * 1_000;
            writeln!(csv, "{user},{product},{time},{quantity},{price},\"{name}\",{row}").unwrap();
        }
        let names: Vec<String> = rows.iter().map(|row| name(*row)).collect();
        let users: Vec<String> = rows.iter().map(|row| user(*row)).collect();
        all.push(vec![
            texts(&users.iter().map(String::as_str).collect::<Vec<_>>()),
            Cells::I32(rows.iter().map(|row| Some(product(*row))).collect()),
            Cells::I64(rows.iter().map(|row| Some(1_293_881_696_000 + i64::from(*row) * 1_000)).collect()),
            Cells::I32(rows.iter().map(|row| quantity(*row)).collect()),
            Cells::F64(rows.iter().map(|row| price(*row)).collect()),
            texts(&names.iter().map(String::as_str).collect::<Vec<_>>()),
            Cells::I64(rows.iter().map(|row| Some(i64::from(*row))).collect()),
        ]);
    }
    (csv, parquet(schema, properties, &all))
}

#[test]
fn row_groups_pages_dictionaries_and_compressions_do_not_matter() {
    let groups = [3_000, 1, 0, 1_025];
    let forms = [
        WriterProperties::builder(),
        WriterProperties::builder().set_compression(Compression::SNAPPY),
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())),
        WriterProperties::builder().set_compression(Compression::GZIP(GzipLevel::default())),
        WriterProperties::builder().set_dictionary_enabled(false),
        WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0),
        WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(false)
            .set_compression(Compression::SNAPPY),
        WriterProperties::builder().set_data_page_row_count_limit(100).set_write_batch_size(50),
    ];
    let csv = purchases(&groups, WriterProperties::new()).0;
    let (wanted, refused) = read_with(csv.as_bytes(), &options()).unwrap();
    assert_eq!((wanted.summary.taken, refused.as_str()), (4_026, ""));
    for (number, properties) in forms.into_iter().enumerate() {
        let (import, refused) = read_with(&purchases(&groups, properties.build()).1, &options()).unwrap();
        assert!(import.purchases == wanted.purchases, "form {number}");
        assert!(import.products == wanted.products, "form {number}");
        assert_eq!(refused, "");
        assert_eq!(import.summary.form.source.container, Container::Parquet);
        assert_eq!(import.summary.form.to_string(), "Parquet table");
    }
}

#[test]
fn a_file_without_rows_has_no_records() {
    let (import, refused) = read_with(&purchases(&[], WriterProperties::new()).1, &options()).unwrap();
    assert_eq!((import.summary.tally.records, refused.as_str()), (0, ""));
}

/// Written by pandas with pyarrow: an index, a column of categories, a user that is a number with a fraction since one is
/// missing, times of Berlin, decimals.
#[test]
fn a_file_of_pandas_is_read() {
    let bytes = include_bytes!("files/pandas.parquet");
    let (import, refused) = read_with(bytes, &options()).unwrap();
    let lines: Vec<String> = import
        .purchases
        .iter()
        .flat_map(|purchase| purchase.lines.iter().map(move |line| (purchase, line)))
        .map(|(purchase, line)| {
            let price = line.unit_price.unwrap().amount();
            format!(
                "{} {} {} {} {price}",
                purchase.purchased_at, purchase.user_id, line.product_id, line.quantity
            )
        })
        .collect();
    let wanted = [
        "2011-01-01T11:34:56.789Z 13085 85123A 6 255",
        "2011-01-01T11:34:56.789Z 13085 22041 1 125000",
        "2011-06-01T06:00:00.000Z 17 85123A 2 250",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(import.products[0].name, "Käse, gerieben");
    assert_eq!(reasons(&refused), ["4 missing_user user_id"]);
    assert_eq!(import.summary.ignored_columns, ["country", "__index_level_0__"]);
}

#[test]
fn a_catalogue_may_be_a_parquet_file() {
    let schema = "message rows { required int32 product_id; required binary name (utf8); required boolean available; }";
    let cells = vec![
        Cells::I32(vec![Some(1), Some(2)]),
        texts(&["Cup", "Box"]),
        Cells::Bool(vec![Some(true), Some(false)]),
    ];
    let bytes = parquet(schema, WriterProperties::new(), &[cells]);
    let import = read_products(&mut common::opens(&bytes), &options(), &mut Vec::new(), &mut |_| {}).unwrap();
    let products: Vec<_> =
        import.products.iter().map(|p| (p.product_id.as_str(), p.name.as_str(), p.available)).collect();
    assert_eq!(products, [("1", "Cup", true), ("2", "Box", false)]);
}

#[test]
fn other_encodings_are_of_text_files_and_do_not_garble_a_table() {
    let mut options = options();
    options.encoding = Some("windows-1252".parse().unwrap());
    let (csv, bytes) = purchases(&[20], WriterProperties::new());
    let import = read_with(&bytes, &options).unwrap().0;
    options.encoding = None;
    assert_eq!(import.products, read_with(csv.as_bytes(), &options).unwrap().0.products);
}

#[test]
fn a_damaged_file_is_an_error_or_gives_what_stands_before_the_damage() {
    let bytes = purchases(
        &[500, 500],
        WriterProperties::builder().set_data_page_row_count_limit(100).set_write_batch_size(100).build(),
    )
    .1;
    for length in [4, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        let failed = read_with(&bytes[..length], &options()).unwrap_err().to_string();
        assert!(failed.starts_with("cannot read the file: the Parquet file is damaged: "), "{failed}");
    }
    let mut damaged = bytes.clone();
    let metadata = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    let (at, _) = metadata.metadata().row_group(1).column(2).byte_range();
    damaged[usize::try_from(at).unwrap()..][..20].fill(0xff);
    let (import, _) = read_with(&damaged, &options()).unwrap();
    assert!(import.summary.taken == 500, "{}", import.summary.taken);
    let why = import.summary.ended_early.unwrap();
    assert!(why.starts_with("the Parquet file is damaged: "), "{why}");
}

#[test]
fn a_packed_or_encrypted_file_is_refused_with_what_helps() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&purchases(&[3], WriterProperties::new()).1).unwrap();
    let failed = read_with(&gzip.finish().unwrap(), &options()).unwrap_err().to_string();
    assert_eq!(failed, "the file is a packed Parquet file. Unpack it.");
    let failed = read_with(b"PARE\x00\x00\x00\x00PARE", &options()).unwrap_err().to_string();
    assert_eq!(failed, "the file is an encrypted Parquet file. Decrypt it, or export it as CSV.");
}

#[test]
fn progress_follows_the_rows() {
    let bytes = purchases(&[20_000, 20_000], WriterProperties::new()).1;
    let mut calls = Vec::new();
    nextbasket_importer::read_purchases(
        &mut common::opens(&bytes),
        &options(),
        &mut std::io::sink(),
        &mut |progress| {
            calls.push(progress.bytes_read);
        },
    )
    .unwrap();
    assert!(calls.is_sorted() && calls[0] < bytes.len() as u64 / 2, "{calls:?}");
    assert_eq!(*calls.last().unwrap(), bytes.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_texts_come_back(cells in prop::collection::vec(("[a\",; é\r]{0,4}", "[ -~]{1,6}"), 1..30)) {
        let users: Vec<&str> = cells.iter().map(|(user, _)| user.as_str()).collect();
        let products: Vec<&str> = cells.iter().map(|(_, product)| product.as_str()).collect();
        let columns = "optional binary user_id (utf8); optional binary product_id (utf8);";
        let (import, refused) = read_columns(columns, vec![texts(&users), texts(&products)], cells.len());
        let mut wanted: Vec<_> = cells
            .iter()
            .filter(|(user, _)| !user.trim().is_empty())
            .map(|(user, product)| (user.trim().to_owned(), product.trim().to_owned()))
            .filter(|(user, product)| !product.is_empty() && !user.contains('\r'))
            .collect();
        wanted.sort();
        wanted.dedup();
        let mut found: Vec<_> = import
            .purchases
            .iter()
            .flat_map(|purchase| purchase.lines.iter().map(|line| (purchase.user_id.to_string(), line.product_id.to_string())))
            .collect();
        found.sort();
        found.dedup();
        prop_assert!(found.iter().all(|line| wanted.contains(line)), "{:?} {:?} {}", found, wanted, refused);
        prop_assert_eq!(import.summary.tally.records, cells.len() as u64);
    }

    #[test]
    fn wrong_bytes_make_it_neither_panic_nor_hang(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), version in any::<bool>(),
    ) {
        let version = if version { WriterVersion::PARQUET_1_0 } else { WriterVersion::PARQUET_2_0 };
        let properties = WriterProperties::builder().set_writer_version(version).set_compression(Compression::SNAPPY);
        let mut bytes = purchases(&[60, 30], properties.build()).1;
        for (index, byte) in at {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok((import, _)) = read_with(&bytes, &options()) {
            prop_assert!(import.summary.tally.records <= 90);
        }
    }
}
