//! Reads a file and says what it holds: `cargo run --release --example import -- FILE [--products] [MAPPING]`.
//! What is refused is written to `refused.jsonl` in the folder for temporary files.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read};
use std::time::Instant;

use nextbasket_domain::{Clock, Currency};
use nextbasket_importer::{ImportOptions, read_products, read_purchases};

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let path = names.first().ok_or("which file?")?;
    let mut open = || Ok(Box::new(File::open(path)?) as Box<dyn Read + Send>);
    let mut options = ImportOptions::new(Clock::system().now(), Currency::parse("EUR")?);
    if let Some(mapping) = names.get(1) {
        options.mapping = mapping.parse()?;
    }
    let refused_path = std::env::temp_dir().join("refused.jsonl");
    let mut refused = BufWriter::new(File::create(&refused_path)?);
    let mut calls = 0;
    let mut progress = |_| calls += 1;
    let start = Instant::now();
    if flags.iter().any(|flag| flag == "--products") {
        let catalogue = read_products(&mut open, &options, &mut refused, &mut progress)?;
        print!("{}", catalogue.summary);
    } else {
        let import = read_purchases(&mut open, &options, &mut refused, &mut progress)?;
        print!("{}", import.summary);
        let lines = import.purchases.iter().flat_map(|purchase| &purchase.lines);
        let (mut count, mut quantity, mut turnover) = (0_u64, 0_u64, 0_i64);
        for line in lines {
            count += 1;
            quantity += u64::from(line.quantity);
            turnover += line.unit_price.map_or(0, |price| price.amount() * i64::from(line.quantity));
        }
        println!("lines {count}, quantity {quantity}, turnover {turnover} minor units");
    }
    println!("{:?}, {calls} calls of progress; refused: {}", start.elapsed(), refused_path.display());
    Ok(())
}
