//! Products as purchases show them.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};

use nextbasket_domain::{Money, Product, ProductId, Timestamp};

use crate::summary::CodeCount;

/// The most codes that are named as perhaps services.
const MAX_SERVICE_LIKE: usize = 20;

/// Of a hundred products, how many must have a digit in their code before one without is remarkable.
const CODED_PERCENT: usize = 90;

struct Seen {
    name: Option<(Timestamp, String)>,
    price: Option<(Timestamp, Money)>,
    newest: Timestamp,
    lines: u64,
}

/// For each product its newest name, its newest price and the number of its lines.
pub(crate) struct Found(HashMap<ProductId, Seen>);

impl Found {
    pub(crate) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Notes a line that is taken; of two at one time, the later in the file is the newer.
    pub(crate) fn note(
        &mut self,
        product: &ProductId,
        at: Timestamp,
        name: Option<&str>,
        price: Option<Money>,
    ) {
        let seen = match self.0.entry(product.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Seen { name: None, price: None, newest: at, lines: 0 }),
        };
        seen.lines += 1;
        seen.newest = seen.newest.max(at);
        if let Some(name) = name {
            match &mut seen.name {
                Some((when, _)) if *when > at => {}
                Some((when, same)) if same == name => *when = at,
                newest => *newest = Some((at, name.to_owned())),
            }
        }
        if let Some(price) = price
            && seen.price.is_none_or(|(when, _)| when <= at)
        {
            seen.price = Some((at, price));
        }
    }

    /// Codes without a digit, where nearly all others have one.
    pub(crate) fn service_like(&self) -> Vec<CodeCount> {
        let has_digit = |id: &ProductId| id.as_str().chars().any(char::is_numeric);
        let coded = self.0.keys().filter(|id| has_digit(id)).count();
        if coded * 100 < self.0.len() * CODED_PERCENT {
            return Vec::new();
        }
        let mut codes: Vec<_> = self
            .0
            .iter()
            .filter(|(id, _)| !has_digit(id))
            .map(|(id, seen)| CodeCount { product_id: id.clone(), lines: seen.lines })
            .collect();
        codes.sort_by(|a, b| (b.lines, &a.product_id).cmp(&(a.lines, &b.product_id)));
        codes.truncate(MAX_SERVICE_LIKE);
        codes
    }

    pub(crate) fn unnamed(&self) -> usize {
        self.0.values().filter(|seen| seen.name.is_none()).count()
    }

    /// The products by id, dated by their newest line.
    pub(crate) fn into_products(self) -> Vec<Product> {
        let mut products: Vec<_> = self
            .0
            .into_iter()
            .map(|(product_id, seen)| Product {
                name: seen.name.map_or_else(|| product_id.as_str().to_owned(), |(_, name)| name),
                product_id,
                categories: Vec::new(),
                price: seen.price.map(|(_, price)| price),
                available: true,
                attributes: BTreeMap::new(),
                updated_at: seen.newest,
            })
            .collect();
        products.sort_unstable_by(|a, b| a.product_id.cmp(&b.product_id));
        products
    }
}
