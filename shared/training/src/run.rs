//! All stages in one process.

use std::cell::RefCell;
use std::num::NonZero;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nextbasket_domain::{Clock, Purchase};
use nextbasket_recommender::{Catalogue, Dataset, DatasetBuilder, Params, Priors};
use nextbasket_tables::damaged::check;
use nextbasket_tables::model::{ModelTable, Pointer};
use nextbasket_tables::purchases::PurchasesTable;
use nextbasket_tables::{Damaged, Tables};

use crate::count::{Cohort, CohortCounting, Sums};
use crate::error::{StageError, TrainingError};
use crate::evaluate::{Judged, NextRows, anchors, judge, live_anchors};
use crate::gate::{Compared, Live, Metrics, compare};
use crate::labels::Labels;
use crate::live::{LiveModel, live, pointer};
use crate::publish;
use crate::rank::{self, Known};
use crate::settings::Settings;
use crate::survey::{Survey, push};
use crate::terms::{Terms, blocks};

/// How many segments a table is read in at a time.
const SEGMENTS: usize = 4;

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
    /// The damaged purchases and products that were skipped.
    pub damaged: Vec<Damaged>,
    /// How good it is, if there was a basket to judge it by.
    pub metrics: Option<Metrics>,
    /// How it compared with the model that was live before, if it could be compared.
    pub compared: Option<Compared>,
    /// Time spent on reading.
    pub reading: Duration,
    /// Time spent on counting and judging.
    pub counting: Duration,
    /// Time spent on publishing.
    pub publishing: Duration,
}

/// Trains under these parameters, with what [`Settings`] has by default for the rest.
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
    let settings = Settings { params, ..Settings::default() };
    let (table, started) = (tables.model()?, Instant::now());
    let (data, damaged_purchases) = read_purchases(&tables.purchases()?, progress).await?;
    let (labels, damaged_products) = Labels::read(&tables.products()?).await?;
    check("products", damaged_products.len() as u64, labels.products())?;
    let damaged: Vec<Damaged> = damaged_purchases.into_iter().chain(damaged_products).collect();
    let read = Instant::now();
    progress(Progress::Counting);
    let gate = settings.gate;
    let made = blocking(move || Made::new(data, labels, &settings, threads)).await??;
    let (judged, made) = judged_beside(&table, made).await?;
    let compared = judged.as_ref().and_then(|(judged, live)| compare(judged, live.as_ref(), gate));
    if let Some(worse) = compared.filter(Compared::is_worse) {
        return Err(TrainingError::Worse(worse));
    }
    let metrics = judged.map(|(judged, _)| judged.methods.report()).filter(|metrics| metrics.model.users > 0);
    let counted = Instant::now();
    let products = made.catalogue.len() as u64;
    let seconds = started.elapsed().as_secs_f64();
    let info = publish::info(&made.survey, products, &made.terms.params, metrics.as_ref(), seconds)?;
    let draft = table.begin().await?;
    let written = RefCell::new(0);
    for block in &made.blocks {
        let rows = publish::rows(block.products.clone(), &block.rows, &made.catalogue, &made.labels)?;
        table
            .put_rows(&draft, rows, || {
                *written.borrow_mut() += 1;
                progress(Progress::Publishing(*written.borrow(), products));
            })
            .await?;
    }
    let pointer = table.publish(&draft, made.known.model, &info, clock.now()).await?;
    Ok(Trained {
        pointer,
        users: made.survey.users,
        purchases: made.survey.purchases,
        products,
        damaged,
        metrics,
        compared,
        reading: read - started,
        counting: counted - read,
        publishing: counted.elapsed(),
    })
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TrainingError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TrainingError::Crashed(error.to_string()))
}

async fn read_purchases(
    table: &PurchasesTable,
    progress: &dyn Fn(Progress),
) -> Result<(Dataset, Vec<Damaged>), TrainingError> {
    let reading = RefCell::new((DatasetBuilder::new(), 0, Ok(())));
    let damaged = table
        .scan(SEGMENTS, |purchase: Purchase| {
            let (builder, read, result) = &mut *reading.borrow_mut();
            if result.is_ok() {
                *result = push(builder, &(&purchase).into());
            }
            *read += 1;
            progress(Progress::Reading(*read));
        })
        .await?;
    let (builder, read, result) = reading.into_inner();
    result.map_err(StageError::from)?;
    check("purchases", damaged.len() as u64, read)?;
    if read == 0 {
        return Err(TrainingError::NoPurchases);
    }
    Ok((builder.build().map_err(StageError::from)?, damaged))
}

/// A model that nobody has judged yet.
struct Made {
    survey: Survey,
    terms: Terms,
    catalogue: Catalogue,
    labels: Labels,
    cohort: Cohort,
    blocks: Vec<Packed>,
    known: Known,
}

impl Made {
    /// With all users as one cohort: a block's counts are there only while it is ranked.
    fn new(
        data: Dataset,
        labels: Labels,
        settings: &Settings,
        threads: NonZero<usize>,
    ) -> Result<Self, StageError> {
        let survey = Survey::of(&data);
        let terms = Terms::new(settings, &survey);
        let catalogue = data.catalogue().clone();
        let cohort = Cohort::new(data, &catalogue, &terms)?;
        let counting = cohort.counting(&terms)?;
        let sums = counting.sums()?;
        let blocks = blocks(settings, &survey, catalogue.len());
        let blocks = ranked(blocks, &counting, &sums, &terms, threads)?;
        let known = rank::known(&catalogue, &sums, &terms, &labels)?;
        drop(counting);
        Ok(Self { survey, terms, catalogue, labels, cohort, blocks, known })
    }
}

/// A block of products, ranked and packed.
struct Packed {
    products: Range<u32>,
    rows: Vec<u8>,
    trial: Vec<u8>,
}

/// Counts and ranks block by block, several at a time; of the counts no more is held than of these.
fn ranked(
    blocks: Vec<Range<u32>>,
    counting: &CohortCounting<'_>,
    sums: &Sums,
    terms: &Terms,
    threads: NonZero<usize>,
) -> Result<Vec<Packed>, StageError> {
    let queue = Mutex::new(blocks.into_iter());
    let work = || -> Result<Vec<Packed>, StageError> {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(products) = next else { return Ok(done) };
            let part = counting.part(products.clone());
            let ranked = rank::block(products.clone(), &[part], sums, terms)?;
            let trial = ranked.trial.map(|rows| rank::pack(&rows)).unwrap_or_default();
            done.push(Packed { products, rows: rank::pack(&ranked.model), trial });
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        let mut done = work()?;
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, StageError>(done)
    })?;
    done.sort_unstable_by_key(|block| block.products.start);
    Ok(done)
}

/// Judges a model beside the live one; `None` if users are not judged.
async fn judged_beside(
    table: &ModelTable,
    made: Made,
) -> Result<(Option<(Judged, Option<Live>)>, Made), TrainingError> {
    let Some(pieces) = &made.known.trial else { return Ok((None, made)) };
    let trial = Priors::decode(pieces).map_err(StageError::from)?;
    let known_live = live(table).await?;
    let live = match pointer(table).await? {
        Some(pointer) => Some(LiveModel::read(table, pointer).await?),
        None => None,
    };
    let live_priors = live.as_ref().and_then(|live| live.priors.as_ref());
    let live_rows = match (&live, live_priors) {
        (Some(live), Some(priors)) => live.rows(table, &live_anchors(&made.cohort, priors)).await?,
        _ => NextRows::default(),
    };
    blocking(move || {
        let mut rows = NextRows::default();
        let wanted = anchors(&made.cohort, &trial);
        for block in &made.blocks {
            rows.add_block(block.products.clone(), &block.trial, &wanted)?;
        }
        let live = live.as_ref().and_then(|live| live.priors.as_ref()).map(|priors| (priors, &live_rows));
        let judged = judge(&made.cohort, &trial, &rows, live);
        Ok::<_, StageError>((Some((judged, known_live)), made))
    })
    .await?
    .map_err(TrainingError::from)
}
