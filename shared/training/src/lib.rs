//! Training over the tables: read the purchases, count, publish the model.
//!
//! The three steps are functions of their own, so that a distributed job can run each on its share of the users or
//! products; [`run`] is all of them in one process.
//!
//! It guarantees that the live model stays whole until the new one is, whatever fails or is killed on the way, and
//! that of two trainings at once at most the later one is published.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nextbasket_domain::{Clock, Product, Purchase};
use nextbasket_recommender::{Dataset, DatasetBuilder, DatasetError, Model, Params, TrainError};
use nextbasket_tables::model::{ModelRow, ModelTable, Pointer};
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::purchases::PurchasesTable;
use nextbasket_tables::{ConfigError, TableError, Tables};

/// How many segments a table is read in at a time.
const SEGMENTS: usize = 4;

/// The most bytes of one item of priors: DynamoDB takes 400 KB with key and names.
const PRIORS_BYTES: usize = 380_000;

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The purchases table is empty.
    #[error("there are no purchases to train on")]
    NoPurchases,
    /// A table has no name.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The purchases are too many for one process.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A parameter is out of its range, or the counts do not fit.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A product's id and categories do not fit in an item.
    #[error("the priors do not fit in the model table: {0}")]
    Priors(#[from] nextbasket_recommender::PieceTooSmall),
    /// The counting crashed.
    #[error("the counting crashed: {0}")]
    Crashed(String),
}

/// How far a training has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many purchases are read.
    Reading(u64),
    /// The purchases are being counted.
    Counting,
    /// So many of the products' rows are written.
    Publishing(u64, u64),
}

/// What a training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model, live now.
    pub pointer: Pointer,
    /// Users with purchases.
    pub users: u64,
    /// Purchases.
    pub purchases: u64,
    /// Products in them.
    pub products: u64,
    /// Time spent on reading.
    pub reading: Duration,
    /// Time spent on counting.
    pub counting: Duration,
    /// Time spent on publishing.
    pub publishing: Duration,
}

/// What the catalogue adds to the purchases.
#[derive(Debug, Default)]
pub struct Labels {
    names: HashMap<String, String>,
    categories: HashMap<String, Vec<String>>,
}

/// Reads, counts and publishes.
///
/// # Errors
/// [`TrainingError`]; the live model is then what it was before.
pub async fn run(
    tables: &Tables,
    params: Params,
    threads: NonZero<usize>,
    clock: &Clock,
    progress: &dyn Fn(Progress),
) -> Result<Trained, TrainingError> {
    let (model_table, started) = (tables.model()?, Instant::now());
    let data = read_purchases(&tables.purchases()?, progress).await?;
    let labels = read_labels(&tables.products()?).await?;
    let read = Instant::now();
    progress(Progress::Counting);
    let (model, labels) = count(data, params, threads, labels).await?;
    let counted = Instant::now();
    let pointer = publish(&model_table, &model, &labels, clock, progress).await?;
    Ok(Trained {
        pointer,
        users: model.priors.users(),
        purchases: model.priors.baskets(),
        products: model.rows.len() as u64,
        reading: read - started,
        counting: counted - read,
        publishing: counted.elapsed(),
    })
}

/// Reads all purchases.
///
/// # Errors
/// [`TrainingError::NoPurchases`] if there are none, and as for any read.
pub async fn read_purchases(
    table: &PurchasesTable,
    progress: &dyn Fn(Progress),
) -> Result<Dataset, TrainingError> {
    let builder = RefCell::new((DatasetBuilder::new(), 0, Ok(())));
    table
        .scan(SEGMENTS, |purchase: Purchase| {
            let (builder, read, result) = &mut *builder.borrow_mut();
            let products = purchase.lines.iter().map(|line| line.product_id.as_str());
            let (user, id) = (purchase.user_id.as_str(), purchase.purchase_id.as_str());
            if result.is_ok() {
                *result = builder.push(user, id, purchase.purchased_at.as_millis(), products);
            }
            *read += 1;
            progress(Progress::Reading(*read));
        })
        .await?;
    let (builder, read, result) = builder.into_inner();
    result?;
    if read == 0 {
        return Err(TrainingError::NoPurchases);
    }
    Ok(builder.build()?)
}

/// Reads the names and categories of all products.
///
/// # Errors
/// As for any read.
pub async fn read_labels(table: &ProductsTable) -> Result<Labels, TrainingError> {
    let labels = RefCell::new(Labels::default());
    table
        .scan(SEGMENTS, |product: Product| {
            let Labels { names, categories } = &mut *labels.borrow_mut();
            let id = product.product_id.to_string();
            if !product.categories.is_empty() {
                let named = product.categories.iter().map(ToString::to_string);
                categories.insert(id.clone(), named.collect());
            }
            names.insert(id, product.name);
        })
        .await?;
    Ok(labels.into_inner())
}

/// Counts and ranks, on threads of its own.
///
/// # Errors
/// [`TrainingError`] if a parameter is out of its range or the counts do not fit.
pub async fn count(
    data: Dataset,
    params: Params,
    threads: NonZero<usize>,
    labels: Labels,
) -> Result<(Model, Labels), TrainingError> {
    let labels = Arc::new(labels);
    let shared = labels.clone();
    let counting = tokio::task::spawn_blocking(move || {
        let categories = |id: &str| shared.categories.get(id).cloned().unwrap_or_default();
        nextbasket_recommender::train(&data, &params, threads, &categories)
    });
    let model = counting.await.map_err(|error| TrainingError::Crashed(error.to_string()))??;
    Ok((model, Arc::into_inner(labels).unwrap_or_default()))
}

/// Writes the model into the idle slot and makes it the live one.
///
/// # Errors
/// [`TableError::Overtaken`] if another training began meanwhile, and as for any write.
pub async fn publish(
    table: &ModelTable,
    model: &Model,
    labels: &Labels,
    clock: &Clock,
    progress: &dyn Fn(Progress),
) -> Result<Pointer, TrainingError> {
    let priors = model.priors.encode(PRIORS_BYTES)?;
    let draft = table.begin().await?;
    let all = model.rows.len() as u64;
    let rows = model.rows.iter().filter_map(|rows| {
        let id = model.priors.id(rows.product);
        Some(ModelRow {
            product_id: id.parse().ok()?,
            name: labels.names.get(id).cloned(),
            row: rows.encode(),
        })
    });
    let written = RefCell::new(0);
    table
        .put_rows(&draft, rows, || {
            *written.borrow_mut() += 1;
            progress(Progress::Publishing(*written.borrow(), all));
        })
        .await?;
    Ok(table.publish(&draft, priors, clock.now()).await?)
}
