//! What purchases say about products.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};

use nextbasket_domain::{Money, Product, ProductId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::group_hash::group_hash;
use crate::tally::{CodeCount, ImportTally};

/// When something was seen: the later time is the newer; of two with the same time, the later line of the file.
type When = (Timestamp, u64);

/// What some lines of a file say about a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductMention {
    /// The id of the product.
    pub product_id: ProductId,
    name: Option<(When, String)>,
    price: Option<(When, Money)>,
    newest: Timestamp,
    lines: u64,
}

impl ProductMention {
    /// A number that all mentions of a product share; evenly distributed over all numbers.
    #[must_use]
    pub fn group(&self) -> u64 {
        group_hash(&[self.product_id.as_str()])
    }
}

/// The newest name, the newest price and the number of lines of each product.
#[derive(Default)]
pub struct ProductMentions(HashMap<ProductId, ProductMention>);

impl ProductMentions {
    /// Notes a line that is accepted.
    pub(crate) fn note(
        &mut self,
        product: &ProductId,
        at: Timestamp,
        line: u64,
        name: Option<&str>,
        price: Option<Money>,
    ) {
        let when = (at, line);
        let new = |product_id| ProductMention { product_id, name: None, price: None, newest: at, lines: 0 };
        let seen = self.0.entry(product.clone()).or_insert_with_key(|product_id| new(product_id.clone()));
        seen.lines += 1;
        seen.newest = seen.newest.max(at);
        if let Some(name) = name {
            match &mut seen.name {
                Some((before, _)) if *before > when => {}
                Some((before, same)) if same == name => *before = when,
                newest => *newest = Some((when, name.to_owned())),
            }
        }
        if let Some(price) = price
            && seen.price.is_none_or(|(before, _)| before <= when)
        {
            seen.price = Some((when, price));
        }
    }

    /// Adds what other lines of the file say about a product.
    pub fn add(&mut self, mention: ProductMention) {
        match self.0.entry(mention.product_id.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(mention)),
            Entry::Occupied(mut entry) => {
                let seen = entry.get_mut();
                seen.lines += mention.lines;
                seen.newest = seen.newest.max(mention.newest);
                if newer(&mention.name, &seen.name) {
                    seen.name = mention.name;
                }
                if newer(&mention.price, &seen.price) {
                    seen.price = mention.price;
                }
            }
        }
    }

    /// One mention for each product, sorted by product.
    pub(crate) fn into_mentions(self) -> Vec<ProductMention> {
        let mut mentions: Vec<_> = self.0.into_values().collect();
        mentions.sort_unstable_by(|a, b| a.product_id.cmp(&b.product_id));
        mentions
    }

    /// The products by id, dated by their newest line, and their counts.
    #[must_use]
    pub fn into_products(self) -> (Vec<Product>, ImportTally) {
        let mut tally = ImportTally::default();
        let mut products = Vec::with_capacity(self.0.len());
        for ProductMention { product_id, name, price, newest, lines } in self.into_mentions() {
            tally.products += 1;
            tally.unnamed_products += u64::from(name.is_none());
            if product_id.as_str().chars().any(char::is_numeric) {
                tally.coded_products += 1;
            } else {
                tally.uncoded.push(CodeCount { product_id: product_id.clone(), lines });
            }
            products.push(Product {
                name: name.map_or_else(|| product_id.as_str().to_owned(), |(_, name)| name),
                product_id,
                categories: Vec::new(),
                price: price.map(|(_, price)| price),
                available: true,
                attributes: BTreeMap::new(),
                updated_at: newest,
            });
        }
        tally.cut_uncoded();
        (products, tally)
    }
}

fn newer<T>(one: &Option<(When, T)>, other: &Option<(When, T)>) -> bool {
    let when = |seen: &Option<(When, T)>| seen.as_ref().map(|(when, _)| *when);
    when(one) > when(other)
}
