//! Items of a table or an index for somebody who looks at them: by a query where the condition pins the partition key,
//! by a scan otherwise; sorted or not; no more than are wanted.

mod sorted;

use std::collections::{BTreeSet, VecDeque};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::Refusal;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;

use crate::expression::{Condition, Order, Path};
use crate::index::{IndexKind, TableIndex};
use crate::query::Query;
use crate::scan::{Projection, Scan, ScanPage};
use crate::segment::{Segment, segments};
use crate::table::Table;
use sorted::SortedItems;

/// How many items are sorted at most: they are kept in memory.
pub const MAX_SORTED: u64 = 100_000;
/// How many items are looked at in the first page, where a condition decides which of them count; each further page is
/// twice as large.
const FIRST_PAGE: u64 = 100;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Which items; all of them without one.
    pub condition: Option<Condition>,
    /// The index to read in place of the table.
    pub index: Option<String>,
    /// What of the items; everything without it.
    pub columns: Option<Vec<Path>>,
    /// In which order; without one as they are read.
    pub order: Option<Order>,
    /// How many at most.
    pub limit: Option<u64>,
    /// Whether to read strongly consistent.
    pub consistent: bool,
}

/// A search, ready to be run.
#[derive(Debug)]
pub struct Find {
    access: Access,
    /// What of the condition is decided here.
    rest: Option<Condition>,
    /// Whether DynamoDB decides by a part of the condition that is not a key.
    filters: bool,
    now: Timestamp,
    /// The order, unless items are read in it.
    sort: Option<Order>,
    limit: Option<u64>,
    keys: Vec<String>,
    mean_bytes: u64,
    source: String,
}

#[derive(Debug)]
enum Access {
    Scan { scan: Box<Scan>, segments: u32 },
    Query(Box<Query>),
}

/// What a search has read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FindTotals {
    /// How many items it has found.
    pub found: u64,
    /// How many items DynamoDB has read for it.
    pub read: u64,
    /// The read units that this consumed.
    pub read_units: f64,
}

/// Why a search has no result.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// DynamoDB does not answer, or refuses the request.
    #[error("{0}")]
    Call(String),
    /// More items would have to be sorted than are kept in memory.
    #[error(
        "more than {} items meet the condition: they cannot be sorted in memory. Give a limit of at most {}, a narrower \
         condition or no order.",
        MAX_SORTED,
        MAX_SORTED
    )]
    TooManyToSort,
    /// Whoever is given the items does not take more.
    #[error("{0}")]
    Taker(String),
}

impl From<CallError> for FindError {
    fn from(error: CallError) -> Self {
        Self::Call(match error {
            CallError::Stopped => "the search was stopped".to_owned(),
            CallError::Refused(refused) => refused.reason(),
            CallError::Failed(error) => error.to_string(),
        })
    }
}

impl Find {
    /// Decides how to find what is wanted; `now` is what `now()` stands for.
    ///
    /// # Errors
    /// [`Refusal`] of the field of [`Wanted`] that does not fit the table.
    pub fn new(table: &Table, wanted: Wanted, now: Timestamp) -> Result<Self, Refusal> {
        let Wanted { condition, index, columns, order, limit, consistent } = wanted;
        let refusal = |field: &str, problem: String| Refusal { field: field.to_owned(), problem };
        let index = index.map(|name| table.index(&name)).transpose();
        let index = index.map_err(|problem| refusal("index", problem))?;
        if let Some(index) = index {
            check_index(index, condition.as_ref(), consistent)?;
            for path in columns.iter().flatten() {
                index.check_projects(path.root()).map_err(|problem| refusal("columns", problem))?;
            }
            for path in order.iter().flat_map(Order::paths) {
                index.check_projects(path.root()).map_err(|problem| refusal("order-by", problem))?;
            }
        }
        if order.is_some() && limit.is_some_and(|limit| limit > MAX_SORTED) {
            let problem =
                format!("must be at most {MAX_SORTED} with an order: sorted items are kept in memory");
            return Err(refusal("limit", problem));
        }
        let keys = index.map_or(&table.keys, |index| &index.keys);
        let keyed = condition.as_ref().and_then(|condition| condition.keyed(keys, now));
        let rest = keyed.as_ref().and_then(|keyed| keyed.rest.clone());
        let mut names: BTreeSet<&str> = table.keys.names().chain(keys.names()).collect();
        let all_keys: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.extend(order.iter().flat_map(Order::paths).map(Path::root));
        names.extend(rest.iter().flat_map(Condition::paths).map(Path::root));
        names.extend(columns.iter().flatten().map(Path::root));
        let names: Vec<&str> = names.into_iter().collect();
        let projection = if columns.is_some() { Projection::Attributes(&names) } else { Projection::Whole };
        let index_name = index.map(|index| index.name.as_str());
        let of = index_name.map_or_else(|| "the table".to_owned(), |name| format!("index {name}"));
        let (items, bytes, mean_bytes) = match index {
            Some(index) => (index.items, index.bytes, index.mean_bytes()),
            None => (table.items, table.bytes, table.mean_bytes()),
        };
        let by_sort_key = keys.sort.as_ref().zip(order.as_ref());
        let by_sort_key = by_sort_key.and_then(|(sort, order)| order.by_attribute_alone(&sort.name));
        let (access, sort, filters, source) = if let Some(keyed) = &keyed {
            let query = Query::new(&table.name, keyed, projection, now)
                .on_index(index_name)
                .consistent(consistent)
                .ascending(by_sort_key.unwrap_or(true));
            let sort = order.filter(|_| by_sort_key.is_none());
            (Access::Query(Box::new(query)), sort, keyed.filter.is_some(), format!("by a query of {of}"))
        } else {
            let scan = Scan::new(&table.name, condition.as_ref(), projection, now)
                .on_index(index_name)
                .consistent(consistent);
            let access = Access::Scan { scan: Box::new(scan), segments: segments(None, bytes, items).max(1) };
            (access, order, condition.is_some(), format!("by a scan of {of}"))
        };
        Ok(Self { access, rest, filters, now, sort, limit, keys: all_keys, mean_bytes, source })
    }

    /// How the items are found, for people: `by a query of index by-city`.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many pages are read at a time, if nobody says so: a search that ends early reads no page that it may not
    /// need.
    #[must_use]
    pub fn default_workers(&self) -> usize {
        if self.limit.is_some() && self.sort.is_none() { 1 } else { 8 }
    }

    /// Reads up to `workers` pages of a scan at a time, and passes the items to `take`: in their order, or page by page.
    /// Ends as soon as there are as many as were asked for.
    ///
    /// # Errors
    /// [`FindError`].
    pub async fn run(
        &self,
        calls: &Calls,
        limiter: &Limiter,
        workers: usize,
        take: impl FnMut(Vec<Item>) -> Result<(), String>,
    ) -> Result<FindTotals, FindError> {
        let mut running = Running {
            find: self,
            take,
            sorted: self.sort.as_ref().map(|order| SortedItems::new(order, &self.keys, self.limit)),
            totals: FindTotals::default(),
            pages: 0,
        };
        if self.limit != Some(0) {
            match &self.access {
                Access::Query(query) => running.query(calls, limiter, query).await?,
                Access::Scan { scan, segments } => {
                    let segments = if workers > 1 { *segments } else { 1 };
                    running.scan(calls, limiter, (scan.as_ref(), segments), workers.max(1)).await?;
                }
            }
        }
        running.finish()
    }
}

/// Rejects what an index cannot answer truly.
///
/// # Errors
/// [`Refusal`] of the field that it cannot answer.
pub fn check_index(
    index: &TableIndex,
    condition: Option<&Condition>,
    consistent: bool,
) -> Result<(), Refusal> {
    let refusal = |field: &str, problem: String| Refusal { field: field.to_owned(), problem };
    if consistent && index.kind == IndexKind::Global {
        let problem =
            format!("not accepted for the global index \"{}\": it is read eventually consistent", index.name);
        return Err(refusal("consistent", problem));
    }
    for path in condition.iter().flat_map(|condition| condition.paths()) {
        index.check_projects(path.root()).map_err(|problem| refusal("where", problem))?;
    }
    Ok(())
}

/// Whether a search goes on.
#[derive(PartialEq)]
enum Search {
    On,
    Enough,
}

struct Running<'a, F> {
    find: &'a Find,
    take: F,
    sorted: Option<SortedItems<'a>>,
    totals: FindTotals,
    pages: u32,
}

impl<F: FnMut(Vec<Item>) -> Result<(), String>> Running<'_, F> {
    async fn query(&mut self, calls: &Calls, limiter: &Limiter, query: &Query) -> Result<(), FindError> {
        let mut start = None;
        loop {
            let page = query.page(calls, limiter, self.page_limit(), start.as_ref()).await?;
            start.clone_from(&page.next);
            if self.page(page)? == Search::Enough || start.is_none() {
                return Ok(());
            }
        }
    }

    async fn scan(
        &mut self,
        calls: &Calls,
        limiter: &Limiter,
        (scan, of): (&Scan, u32),
        workers: usize,
    ) -> Result<(), FindError> {
        let mut open: VecDeque<(Segment, Option<Item>)> =
            (0..of).map(|number| (Segment { number, of }, None)).collect();
        let mut reading = FuturesUnordered::new();
        loop {
            while reading.len() < workers
                && let Some((segment, start)) = open.pop_front()
            {
                let scan = scan.clone().pages_of(self.page_limit(), self.find.mean_bytes);
                reading.push(async move {
                    let page = scan.page(calls, limiter, segment, start.as_ref()).await;
                    (segment, page)
                });
            }
            let Some((segment, page)) = reading.next().await else { return Ok(()) };
            let page = page?;
            if let Some(next) = page.next.clone() {
                open.push_front((segment, Some(next)));
            }
            if self.page(page)? == Search::Enough {
                return Ok(());
            }
        }
    }

    /// How many items a page may have, so that little is read that is not wanted.
    fn page_limit(&self) -> Option<u32> {
        let limit = self.find.limit.filter(|_| self.sorted.is_none())?;
        let left = limit.saturating_sub(self.totals.found).max(1);
        let items = if self.find.filters || self.find.rest.is_some() {
            left.max(FIRST_PAGE) << self.pages.min(20)
        } else {
            left
        };
        u32::try_from(items).ok()
    }

    fn page(&mut self, page: ScanPage) -> Result<Search, FindError> {
        let ScanPage { mut items, scanned, units, .. } = page;
        self.pages += 1;
        self.totals.read += scanned;
        self.totals.read_units += units;
        if let Some(rest) = &self.find.rest {
            items.retain(|item| rest.holds(item, self.find.now));
        }
        if let Some(sorted) = &mut self.sorted {
            sorted.add(items)?;
            return Ok(Search::On);
        }
        if let Some(limit) = self.find.limit {
            items.truncate(usize::try_from(limit - self.totals.found).unwrap_or(usize::MAX));
        }
        self.give(items)?;
        let enough = self.find.limit.is_some_and(|limit| self.totals.found >= limit);
        Ok(if enough { Search::Enough } else { Search::On })
    }

    fn give(&mut self, items: Vec<Item>) -> Result<(), FindError> {
        self.totals.found += u64::try_from(items.len()).unwrap_or(0);
        if items.is_empty() { Ok(()) } else { (self.take)(items).map_err(FindError::Taker) }
    }

    fn finish(mut self) -> Result<FindTotals, FindError> {
        if let Some(sorted) = self.sorted.take() {
            self.give(sorted.into_items())?;
        }
        Ok(self.totals)
    }
}
