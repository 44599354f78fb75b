//! What purchases say about products.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};

use nextbasket_domain::{Money, Product, ProductId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::group::group;
use crate::summary::CodeCount;
use crate::tally::Tally;

/// When something was seen: the later time is the newer; of two with the same time, the later line of the file.
type When = (Timestamp, u64);

/// What some lines of a file say about a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// The id of the product.
    pub product_id: ProductId,
    name: Option<(When, String)>,
    price: Option<(When, Money)>,
    newest: Timestamp,
    lines: u64,
}

impl Sighting {
    /// A number that all sightings of a product share; evenly distributed over all numbers.
    #[must_use]
    pub fn group(&self) -> u64 {
        group(&[self.product_id.as_str()])
    }
}

struct Seen {
    name: Option<(When, String)>,
    price: Option<(When, Money)>,
    newest: Timestamp,
    lines: u64,
}

/// The newest name, the newest price and the number of lines of each product.
#[derive(Default)]
pub struct Sightings(HashMap<ProductId, Seen>);

impl Sightings {
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
        let seen = match self.0.entry(product.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Seen { name: None, price: None, newest: at, lines: 0 }),
        };
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

    /// Adds a sighting from other lines of the file.
    pub fn add(&mut self, sighting: Sighting) {
        let Sighting { product_id, name, price, newest, lines } = sighting;
        match self.0.entry(product_id) {
            Entry::Vacant(entry) => drop(entry.insert(Seen { name, price, newest, lines })),
            Entry::Occupied(mut entry) => {
                let seen = entry.get_mut();
                seen.lines += lines;
                seen.newest = seen.newest.max(newest);
                if newer(&name, &seen.name) {
                    seen.name = name;
                }
                if newer(&price, &seen.price) {
                    seen.price = price;
                }
            }
        }
    }

    /// All sightings, sorted by product.
    pub(crate) fn into_sightings(self) -> Vec<Sighting> {
        let sighting = |(product_id, Seen { name, price, newest, lines })| Sighting {
            product_id,
            name,
            price,
            newest,
            lines,
        };
        let mut sightings: Vec<_> = self.0.into_iter().map(sighting).collect();
        sightings.sort_unstable_by(|a, b| a.product_id.cmp(&b.product_id));
        sightings
    }

    /// The products by id, dated by their newest line, and their counts.
    #[must_use]
    pub fn into_products(self) -> (Vec<Product>, Tally) {
        let mut tally = Tally::default();
        let mut products = Vec::with_capacity(self.0.len());
        for Sighting { product_id, name, price, newest, lines } in self.into_sightings() {
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
