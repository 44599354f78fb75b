//! The purchases of the tables: read, and nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use nextbasket_recommender::DatasetBuilder;
use nextbasket_tables::damaged::check;

use super::{PurchasesRead, push};
use crate::Failure;
use crate::stdio::errln;
use crate::target::Target;

/// How many segments a table is read in at a time.
const SEGMENTS: usize = 8;

/// Reads all purchases, and the categories of the products.
pub(super) async fn read(target: &Target) -> Result<PurchasesRead, Failure> {
    let purchases = Mutex::new((DatasetBuilder::new(), 0_u64, Ok(())));
    let take = |purchase| {
        let mut taken = purchases.lock().unwrap_or_else(PoisonError::into_inner);
        let (builder, read, result) = &mut *taken;
        *read += 1;
        if result.is_ok() {
            *result = push(builder, &purchase);
        }
    };
    let damaged = target.tables.purchases()?.scan(SEGMENTS, take).await?.len() as u64;
    let (builder, read, result) = purchases.into_inner().unwrap_or_else(PoisonError::into_inner);
    result?;
    check("purchases", damaged, read).map_err(Failure::other)?;
    let categories = Mutex::new(BTreeMap::new());
    let take = |product: nextbasket_domain::Product| {
        if !product.categories.is_empty() {
            let names = product.categories.iter().map(ToString::to_string).collect();
            let mut categories = categories.lock().unwrap_or_else(PoisonError::into_inner);
            categories.insert(product.product_id.to_string(), names);
        }
    };
    let of_products = target.tables.products()?.scan(SEGMENTS, take).await?.len() as u64;
    if damaged + of_products > 0 {
        errln!("{damaged} damaged purchases and {of_products} damaged products were skipped.");
    }
    let categories = categories.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(PurchasesRead { source: target.place.to_string(), builder, categories })
}
