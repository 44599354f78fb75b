//! Writes the demonstration's purchases as CSV, to be looked at: `cargo run --example shop > shop.csv`.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufWriter, Write};

use nextbasket_domain::Timestamp;
use nextbasket_shop::{ShopSize, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let shop = generate(1, Timestamp::parse("2026-03-10T18:00:00Z")?, ShopSize::DEMO);
    let names: HashMap<_, _> =
        shop.products.iter().map(|product| (&product.product_id, &product.name)).collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "user_id,product_id,timestamp,quantity,price,product_name,basket_id")?;
    for purchase in &shop.purchases {
        for line in &purchase.lines {
            let cents = line.unit_price.map_or(0, |price| price.amount());
            let name = names.get(&line.product_id).map(|name| name.replace('"', "\"\"")).unwrap_or_default();
            writeln!(
                out,
                "{},{},{},{},{}.{:02},\"{name}\",{}",
                purchase.user_id,
                line.product_id,
                purchase.purchased_at,
                line.quantity,
                cents / 100,
                cents % 100,
                purchase.purchase_id
            )?;
        }
    }
    out.flush()?;
    Ok(())
}
