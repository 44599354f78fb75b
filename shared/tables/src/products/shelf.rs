//! The shelves: ids of products in an order that no purchase, no training and no sale changes.
//!
//! The index `byShelf` holds every product once, under its first category, and once more for each further one. Its
//! partition key says whether the product is available and which of the [`SHARDS`] its category belongs to (`a2`,
//! `u2`); its sort key is the category and the product's id. So the available products of a category are one
//! query, however many others are sold out, and all available products are one query for each shard.

use std::collections::BTreeMap;

use nextbasket_domain::id::MAX_ID_BYTES;
use nextbasket_domain::product::MAX_CATEGORY_BYTES;
use nextbasket_domain::{Category, Product, ProductId, digest};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, text};
use serde::{Deserialize, Serialize};

use super::listing::POINTER;
use super::{BY_CATEGORY, KEYS, PRODUCT_ID, ProductsTable};
use crate::damaged::{Damaged, Readable};

const BY_SHELF: &str = "byShelf";
pub(super) const SHELF: &str = "shelf";
const SHELF_KEY: &str = "shelfKey";

/// Over how many partitions the categories are spread.
pub const SHARDS: u8 = 4;

/// Sorts behind every key that continues with [`POINTER`], and before every other that begins in the same way.
const AFTER_POINTER: char = '\u{2}';

/// No place is longer: a category, [`POINTER`] and an id.
const MAX_PLACE_BYTES: usize = MAX_CATEGORY_BYTES + 1 + MAX_ID_BYTES;

/// So many entries are read in a query at least and at most: more than a few cost no more than one, and as many as these,
/// with usual ids, no more than half a read unit.
const LEAST_PAGE: usize = 20;
const LARGEST_PAGE: usize = 50;

/// The bytes of an eventually consistent query that half a read unit covers.
const HALF_UNIT_BYTES: usize = 4_096;

fn shard(category: &str) -> u8 {
    let hash = digest(category, 1);
    u8::from_str_radix(&hash, 16).unwrap_or(0) % SHARDS
}

fn partition(shard: u8, available: bool) -> String {
    format!("{}{shard}", if available { 'a' } else { 'u' })
}

/// The partition of a product in the index.
pub(super) fn name(category: Option<&Category>, available: bool) -> String {
    partition(shard(category.map_or("", Category::as_str)), available)
}

/// The attributes of an item that list it in the index.
pub(super) fn place(id: &ProductId, category: Option<&Category>, available: bool) -> Item {
    let key = format!("{}{POINTER}{id}", category.map_or("", Category::as_str));
    Item::from([(SHELF.to_owned(), text(name(category, available))), (SHELF_KEY.to_owned(), text(key))])
}

/// One query: a partition of an index in the order of its sort key.
#[derive(Debug, Clone)]
enum Lane {
    /// The available products of a category.
    Available(Category),
    /// All products of a category.
    Whole(Category),
    /// A partition of `byShelf`.
    Shard(u8, bool),
}

impl Lane {
    /// The place of an entry in the order of the lanes' group, even of a damaged one.
    fn place(&self, key: &Item) -> Option<String> {
        let attribute = if matches!(self, Self::Shard(..)) { SHELF_KEY } else { PRODUCT_ID };
        let text = key.get(attribute)?.as_s().ok()?;
        let place = match self {
            Self::Shard(..) => text,
            Self::Available(_) | Self::Whole(_) => {
                text.split_once(POINTER).map_or(text.as_str(), |(id, _)| id)
            }
        };
        Some(place.to_owned())
    }
}

/// Which products a list may hold: those of some categories or all, available or not.
///
/// The products of categories are in the order of their ids, each once; all products in the order of their shard,
/// first category and id.
#[derive(Debug, Clone)]
pub struct Shelves {
    /// The lanes of a group are merged; the groups follow each other.
    groups: Vec<Vec<Lane>>,
}

impl Shelves {
    /// The shelves of these categories, or of the whole shop if there are none.
    #[must_use]
    pub fn new(categories: &[Category], with_unavailable: bool) -> Self {
        let of_category = |category: &Category| match with_unavailable {
            true => Lane::Whole(category.clone()),
            false => Lane::Available(category.clone()),
        };
        let of_shard = |shard| {
            let unavailable = with_unavailable.then_some(Lane::Shard(shard, false));
            [Lane::Shard(shard, true)].into_iter().chain(unavailable).collect()
        };
        Self {
            groups: if categories.is_empty() {
                (0..SHARDS).map(of_shard).collect()
            } else {
                let mut distinct: Vec<_> = categories.iter().collect();
                distinct.sort();
                distinct.dedup();
                vec![distinct.into_iter().map(of_category).collect()]
            },
        }
    }

    /// How many queries it takes at least to see that nothing is there: half a read unit each.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.groups.iter().map(Vec::len).sum()
    }

    /// How many queries read on at the position.
    #[must_use]
    pub fn queries_at(&self, position: &ShelfPosition) -> usize {
        self.groups.get(position.group).map_or(0, Vec::len)
    }

    /// Where the product, as it is given, belongs; `None` if it is not on these shelves.
    #[must_use]
    pub fn position_of(&self, product: &Product) -> Option<ShelfPosition> {
        let id = &product.product_id;
        let first = product.categories.first().map_or("", Category::as_str);
        let holds = |lane: &Lane| match lane {
            Lane::Available(category) => product.available && product.categories.contains(category),
            Lane::Whole(category) => product.categories.contains(category),
            Lane::Shard(number, available) => *number == shard(first) && *available == product.available,
        };
        let group = self.groups.iter().position(|lanes| lanes.iter().any(holds))?;
        let of_all = matches!(self.groups.get(group)?.first(), Some(Lane::Shard(..)));
        let place = if of_all { format!("{first}{POINTER}{id}") } else { id.to_string() };
        Some(ShelfPosition { group, place })
    }

    /// Whether the position can be one of this list.
    #[must_use]
    pub fn hold(&self, position: &ShelfPosition) -> bool {
        position.group < self.groups.len() && position.place.len() <= MAX_PLACE_BYTES
    }
}

/// A place in [`Shelves`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShelfPosition {
    group: usize,
    /// The id of the product, with its first category before it if the list is of all categories; empty at the
    /// beginning.
    place: String,
}

/// Products on the shelves, by their ids.
#[derive(Debug, Default)]
pub struct ShelfPage {
    /// The products and their places, in order. Eventually consistent: one may be gone or sold out meanwhile.
    pub products: Vec<(ShelfPosition, ProductId)>,
    pub damaged: Vec<Damaged>,
    /// Where the page ended, if there may be more.
    pub end: Option<ShelfPosition>,
    /// Half read units that this took.
    pub half_units: usize,
}

/// What a query gave: the places in order, and where it stopped if more may follow.
struct LanePage {
    /// Without an id: the pointer of a further category, which a list of all products does not show.
    entries: Vec<(String, Option<ProductId>)>,
    damaged: Vec<Damaged>,
    stopped: Option<String>,
    half_units: usize,
}

impl ProductsTable {
    /// Some of the products after a position, about `limit` at most; none, too, if the page has an end. It takes one
    /// query for each of the [`Shelves::queries_at`] the position.
    pub async fn shelf_page(
        &self,
        shelves: &Shelves,
        after: &ShelfPosition,
        limit: usize,
    ) -> Result<ShelfPage, TableError> {
        let group = after.group;
        let lanes = shelves.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        let limit = limit.div_ceil(lanes.len().max(1)).clamp(LEAST_PAGE, LARGEST_PAGE);
        let reads = lanes.iter().map(|lane| self.lane_page(lane, &after.place, limit));
        let read = futures::future::try_join_all(reads).await?;
        // What lies behind the end of one lane's page may not be all that is there.
        let bound = read.iter().filter_map(|lane| lane.stopped.clone()).min();
        let mut page = ShelfPage::default();
        let mut merged = BTreeMap::new();
        for lane in read {
            page.half_units += lane.half_units;
            page.damaged.extend(lane.damaged);
            let known = |place: &String| bound.as_ref().is_none_or(|bound| place <= bound);
            merged.extend(lane.entries.into_iter().filter(|(place, _)| known(place)));
        }
        let product = |(place, id): (String, Option<ProductId>)| Some((ShelfPosition { group, place }, id?));
        page.products = merged.into_iter().filter_map(product).collect();
        page.end = match bound {
            Some(place) => Some(ShelfPosition { group, place }),
            None if group + 1 < shelves.groups.len() => {
                Some(ShelfPosition { group: group + 1, place: String::new() })
            }
            None => None,
        };
        Ok(page)
    }

    async fn lane_page(&self, lane: &Lane, after: &str, limit: usize) -> Result<LanePage, TableError> {
        let query = self.table.query().limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let query = match lane {
            Lane::Available(category) => {
                let from = if after.is_empty() { String::new() } else { format!("{after}{POINTER}") };
                query
                    .index_name(BY_SHELF)
                    .key_condition_expression("shelf = :shelf AND shelfKey BETWEEN :from AND :to")
                    .expression_attribute_values(":shelf", text(name(Some(category), true)))
                    .expression_attribute_values(":from", text(format!("{category}{POINTER}{from}")))
                    .expression_attribute_values(":to", text(format!("{category}{AFTER_POINTER}")))
            }
            Lane::Whole(category) => {
                let query = query
                    .index_name(BY_CATEGORY)
                    .expression_attribute_values(":category", text(category.as_str()));
                if after.is_empty() {
                    query.key_condition_expression("category = :category")
                } else {
                    query
                        .key_condition_expression("category = :category AND productId > :after")
                        .expression_attribute_values(":after", text(format!("{after}{AFTER_POINTER}")))
                }
            }
            Lane::Shard(shard, available) => {
                let shelf = text(partition(*shard, *available));
                let query = query.index_name(BY_SHELF).expression_attribute_values(":shelf", shelf);
                if after.is_empty() {
                    query.key_condition_expression("shelf = :shelf")
                } else {
                    query
                        .key_condition_expression("shelf = :shelf AND shelfKey > :after")
                        .expression_attribute_values(":after", text(after))
                }
            }
        };
        let output = self.table.read(query.send().await)?;
        let stopped = output.last_evaluated_key.as_ref().and_then(|key| lane.place(key));
        let items = output.items.unwrap_or_default();
        let bytes: usize = items.iter().map(key_bytes).sum();
        let listed = Readable::of(&self.table, KEYS, Some(items), |item| {
            let place = lane.place(&item);
            let mut reader = self.table.reader("place", item);
            let place = place.ok_or_else(|| reader.corrupt(PRODUCT_ID, "is not a string"))?;
            let (id, pointer) = reader.parsed(PRODUCT_ID, |key| {
                let (id, pointer) = key.split_once(POINTER).map_or((key, false), |(id, _)| (id, true));
                ProductId::parse(id).map(|id| (id, pointer))
            })?;
            // In a list of all products each stands where its first category is.
            let shown = !(pointer && matches!(lane, Lane::Shard(..)));
            Ok((place, shown.then_some(id)))
        });
        Ok(LanePage {
            entries: listed.items,
            damaged: listed.damaged,
            stopped,
            half_units: bytes.div_ceil(HALF_UNIT_BYTES).max(1),
        })
    }
}

/// The size of an entry of a keys-only index.
fn key_bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.as_s().map_or(0, String::len)).sum()
}
