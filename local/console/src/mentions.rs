//! In which products' rows of the live model a product appears.
//!
//! A row says which products go with its own; nothing says in which rows a product is. So all rows of a model are read
//! once, some half a read unit each, when a page first asks, and turned around.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use nextbasket_domain::ProductId;
use nextbasket_http::ApiError;
use nextbasket_recommender::{NeighbourRow, ProductIx, ProductRows, Window};
use nextbasket_tables::Consistency;
use nextbasket_tables::model::{ModelRow, ModelTable};
use recommendations::LiveModel;
use serde::Serialize;
use tokio::sync::Mutex;

/// So many products' rows are read, the most popular ones first.
const MAX_ROWS: usize = 100_000;

/// The best places of a product in each list that are kept.
const KEPT: usize = 20;

/// How many rows a call asks for, and how many calls are made at a time.
const BATCH: usize = 100;
const CALLS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MentionList {
    Together,
    Similar,
    Next,
}

const LISTS: [MentionList; 3] = [MentionList::Together, MentionList::Similar, MentionList::Next];

impl MentionList {
    fn row(self, rows: &ProductRows) -> &NeighbourRow {
        match self {
            Self::Together => &rows.together,
            Self::Similar => &rows.similar,
            Self::Next => &rows.next,
        }
    }
}

/// A place of a product in another one's row.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mention {
    pub list: MentionList,
    /// Whose row it is.
    pub product_id: ProductId,
    pub name: String,
    /// From 1.
    pub rank: u16,
    /// How many shoppers, or baskets of the list `together`, speak for it.
    pub count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    of: ProductIx,
    rank: u16,
    count: u32,
}

impl Place {
    /// Best first.
    fn order(&self) -> (u16, u32, ProductIx) {
        (self.rank, u32::MAX - self.count, self.of)
    }
}

/// The rows of one version, turned around.
#[derive(Debug, Default)]
struct Index {
    version: u64,
    /// Per list and product.
    places: [HashMap<ProductIx, Vec<Place>>; LISTS.len()],
    names: HashMap<ProductIx, Box<str>>,
}

/// The newest version that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Mentions(Mutex<Option<Arc<Index>>>);

impl Mentions {
    /// The best places of the product, the list `together` first.
    pub(crate) async fn of(
        &self,
        table: &ModelTable,
        model: &LiveModel,
        product: ProductIx,
    ) -> Result<Vec<Mention>, ApiError> {
        let index = self.index(table, model).await?;
        let mut mentions = Vec::new();
        for (list, places) in LISTS.into_iter().zip(&index.places) {
            for place in places.get(&product).into_iter().flatten() {
                let Ok(product_id) = ProductId::parse(model.priors.id(place.of)) else { continue };
                let name =
                    index.names.get(&place.of).map_or_else(|| product_id.to_string(), |name| (**name).into());
                mentions.push(Mention { list, product_id, name, rank: place.rank, count: place.count });
            }
        }
        Ok(mentions)
    }

    /// Others wait for the one who reads the rows.
    async fn index(&self, table: &ModelTable, model: &LiveModel) -> Result<Arc<Index>, ApiError> {
        let mut known = self.0.lock().await;
        if let Some(index) = known.as_ref().filter(|index| index.version == model.pointer.version) {
            return Ok(index.clone());
        }
        let index = Arc::new(read(table, model).await?);
        *known = Some(index.clone());
        Ok(index)
    }
}

async fn read(table: &ModelTable, model: &LiveModel) -> Result<Index, ApiError> {
    let products = model.priors.popular(Window::Scoring);
    let products = products.get(..MAX_ROWS.min(products.len())).unwrap_or_default();
    let ids = |chunk: &[ProductIx]| -> Vec<ProductId> {
        chunk.iter().filter_map(|ix| ProductId::parse(model.priors.id(*ix)).ok()).collect()
    };
    let calls: Vec<_> = products
        .chunks(BATCH)
        .map(|chunk| {
            let ids = ids(chunk);
            async move { table.rows(&model.pointer, &ids, Consistency::Eventual).await }
        })
        .collect();
    let mut index = Index { version: model.pointer.version, ..Index::default() };
    let mut rows = stream::iter(calls).buffer_unordered(CALLS);
    while let Some(rows) = rows.try_next().await? {
        rows.items.into_iter().for_each(|row| index.add(row, model));
    }
    for places in index.places.iter_mut().flat_map(HashMap::values_mut) {
        places.sort_unstable_by_key(Place::order);
        places.truncate(KEPT);
        places.shrink_to_fit();
    }
    Ok(index)
}

impl Index {
    fn add(&mut self, row: ModelRow, model: &LiveModel) {
        let Some(of) = model.priors.index_of(row.product_id.as_str()) else { return };
        let Ok(rows) = ProductRows::decode(&row.row) else { return };
        if let Some(name) = row.name {
            self.names.insert(of, name.into());
        }
        for (list, places) in LISTS.into_iter().zip(&mut self.places) {
            for (rank, neighbour) in (1..).zip(list.row(&rows).iter()) {
                let places = places.entry(neighbour.product).or_default();
                places.push(Place { of, rank, count: neighbour.evidence });
                // Popular products are in nearly all rows.
                if places.len() >= 8 * KEPT {
                    places.sort_unstable_by_key(Place::order);
                    places.truncate(KEPT);
                }
            }
        }
    }
}
