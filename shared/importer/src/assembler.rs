//! Combines records that may be anywhere in a file into purchases or products.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use nextbasket_domain::{Product, ProductId, Purchase};

use crate::baskets::Baskets;
use crate::columns::RecordKind;
use crate::error::ImportError;
use crate::file_layout::FileLayout;
use crate::line_reader::LineReader;
use crate::options::ImportOptions;
use crate::price::Price;
use crate::product_mentions::{ProductMention, ProductMentions};
use crate::record_parser::{LineDetails, ParsedRecord, RecordParser};
use crate::record_reader::{NextRecord, RecordReader};
use crate::refusal::RecordFault;
use crate::tally::ImportTally;
use crate::user_purchases::{UserCount, UserPurchases};

/// The result of some groups of a file's records.
#[derive(Debug, Default)]
pub struct Assembled {
    /// The purchases, oldest first; those of one time by user and id.
    pub purchases: Vec<Purchase>,
    /// The users of the purchases, sorted, with the number of their purchases. Other groups may have the same users: they
    /// are not counted in the tally.
    pub users: Vec<UserCount>,
    /// What the purchases' lines say about products, by product. Other groups may have the same products.
    pub mentions: Vec<ProductMention>,
    /// The products of a catalogue, by id.
    pub products: Vec<Product>,
    /// The counts, without lines and records.
    pub tally: ImportTally,
}

/// Combines records: all records of a group, in the file's order, for any number of groups. It keeps the results in
/// memory.
pub struct Assembler {
    records: RecordReader<'static>,
    parser: RecordParser,
    baskets: Baskets,
    mentions: ProductMentions,
    products: BTreeMap<ProductId, Product>,
    tally: ImportTally,
}

impl Assembler {
    /// An assembler for records of a file with this layout.
    ///
    /// # Errors
    /// [`ImportError`] if the layout does not belong to such a file.
    pub fn new(layout: &FileLayout, kind: RecordKind, options: &ImportOptions) -> Result<Self, ImportError> {
        let lines = LineReader::new(Box::new(io::empty()));
        let records = RecordReader::of(&layout.gathered(), lines, kind, Arc::default())?;
        Ok(Self {
            parser: RecordParser::new(kind, options, Arc::clone(records.rules())),
            records,
            baskets: Baskets::default(),
            mentions: ProductMentions::default(),
            products: BTreeMap::new(),
            tally: ImportTally::default(),
        })
    }

    /// Adds a record that a [`RecordScanner`](crate::RecordScanner) accepted. If it contradicts the others of its group, it is
    /// written to `refused`, as one JSON object on a line.
    pub fn add(&mut self, line: u64, record: &[u8], refused: &mut dyn Write) -> Result<(), ImportError> {
        let taken = match self.records.load(line, record) {
            NextRecord::Fault(fault) => Err(fault),
            _ => match self.parser.parse(&self.records) {
                Ok(parsed) => {
                    let into = (&mut self.baskets, &mut self.mentions, &mut self.products);
                    take(parsed, line, into, &mut self.tally)
                }
                Err(fault) => Err(fault),
            },
        };
        if let Err(fault) = taken {
            self.records.write_refusal(&fault, None, refused)?;
            self.tally.refuse(&fault, line);
        }
        Ok(())
    }

    /// The result of all added records.
    #[must_use]
    pub fn finish(self) -> Assembled {
        let Self { baskets, mentions, products, mut tally, .. } = self;
        let (purchases, samples) = baskets.into_purchases();
        let mut users = UserPurchases::default();
        for purchase in &purchases {
            users.add(UserCount { user_id: purchase.user_id.clone(), purchases: 1 });
        }
        tally.count_purchases(&purchases);
        tally.samples = samples;
        tally.products = count(products.len());
        Assembled {
            users: users.into_counts(),
            mentions: mentions.into_mentions(),
            products: products.into_values().collect(),
            purchases,
            tally,
        }
    }
}

type Into<'g> = (&'g mut Baskets, &'g mut ProductMentions, &'g mut BTreeMap<ProductId, Product>);

fn take(
    parsed: ParsedRecord<'_>,
    at_line: u64,
    into: Into<'_>,
    tally: &mut ImportTally,
) -> Result<(), RecordFault> {
    let (baskets, mentions, products) = into;
    match parsed {
        ParsedRecord::Line(loose, shown) => {
            let (product_id, price, at) = (loose.line.product_id.clone(), loose.line.unit_price, loose.at);
            tally.merged += u64::from(baskets.add_line(loose, shown.name.as_deref())?);
            mentions.note(&product_id, at, at_line, shown.name.as_deref(), price);
            count_price(&shown, tally);
        }
        ParsedRecord::Purchase(purchase, all_shown, left_out) => {
            let (lines, at) = (purchase.lines.clone(), purchase.purchased_at);
            let names: Vec<_> = all_shown.iter().map(|shown| shown.name.as_deref()).collect();
            baskets.add_purchase(purchase, &names)?;
            tally.skipped_lines += left_out;
            for (line, shown) in lines.iter().zip(all_shown) {
                mentions.note(&line.product_id, at, at_line, shown.name.as_deref(), line.unit_price);
                count_price(&shown, tally);
            }
        }
        ParsedRecord::Product(product, rounded) => {
            tally.prices.rounded += u64::from(rounded);
            tally.merged += u64::from(products.insert(product.product_id.clone(), product).is_some());
        }
    }
    Ok(())
}

fn count_price(shown: &LineDetails<'_>, tally: &mut ImportTally) {
    tally.weighed += u64::from(shown.weighed);
    match shown.price {
        Some(Price::Zero(_)) => tally.prices.zero += 1,
        Some(Price::Unreadable) => tally.prices.unreadable += 1,
        Some(Price::Rounded(_)) => tally.prices.rounded += 1,
        Some(Price::Exact(_) | Price::Negative) | None => {}
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
