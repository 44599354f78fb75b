//! Purchases from a CSV with the columns `user_id`, `product_id`, `timestamp` and `basket_id`.

use nextbasket_recommender::{Dataset, DatasetBuilder};
use std::error::Error;
use std::fs::File;
use std::io::Read;

/// Reads a CSV, gzip or not.
pub(crate) fn read(path: &str) -> Result<Dataset, Box<dyn Error>> {
    let file = File::open(path)?;
    let input: Box<dyn Read> = if path.ends_with(".gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(input);
    let headers = reader.headers()?.clone();
    let column =
        |name: &str| headers.iter().position(|h| h == name).ok_or(format!("{path}: no column {name}"));
    let (user, product) = (column("user_id")?, column("product_id")?);
    let (time, basket) = (column("timestamp")?, column("basket_id")?);
    let mut builder = DatasetBuilder::new();
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let field = |at: usize| std::str::from_utf8(record.get(at).unwrap_or_default());
        let time_ms = milliseconds(field(time)?).ok_or("a timestamp is not like 2011-12-09T12:50:00")?;
        builder.push(field(user)?, field(basket)?, time_ms, [field(product)?])?;
    }
    Ok(builder.build()?)
}

/// Milliseconds since 1970 of `2011-12-09T12:50:00`, UTC. Days after Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms".
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let year = if month <= 2 { year - 1 } else { year };
    let in_era = year.rem_euclid(400);
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468;
    Some((days * 86_400 + seconds) * 1000)
}
