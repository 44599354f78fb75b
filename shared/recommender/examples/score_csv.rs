//! Trains on a CSV of purchases and prints one JSON line per user: the best products with their scores.
//!
//! `score_csv TRAIN.csv[.gz] TRUTH.json [--params JSON] [--anchors N|all] [--history N] [--limit N]
//!            [--ranker] [--seed N] [--at TIMES.json] [--delay DAYS]`
//!
//! Of TRUTH, a JSON object, only the keys count: the users to answer for. The neighbour rows, the priors and the ranker
//! go through their bytes first, as they do where the model is stored.
//!
//! With `--ranker` a ranker is learned from baskets that are hidden from the model, and orders the candidates; what it
//! makes of them is printed to the error output. It is asked at the newest purchase of TRAIN, or at the user's time in
//! TIMES (`{"USER": "2017-11-26T09:30:00Z"}`), in both cases so many days later as `--delay` says.

use nextbasket_recommender::ranker::{Folds, HiddenBaskets, NewestBaskets, Ranker, hidden_baskets};
use nextbasket_recommender::{
    ANCHORS, Dataset, History, Params, Priors, ProductIx, ProductRows, ScoreRequest, Scorer, ScratchBuffers,
    train,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufWriter, Write};
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Instant;

mod common;

const DAY_MS: i64 = 86_400_000;
/// The most users of a fold.
const FOLD_USERS: u32 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let [path, truth, ..] = arguments.as_slice() else {
        return Err("usage: score_csv TRAIN.csv[.gz] TRUTH.json [--params JSON] [--ranker] …".into());
    };
    let params: Params = serde_json::from_str(option("--params").unwrap_or("{}"))?;
    let anchors = match option("--anchors") {
        None => ANCHORS,
        Some("all") => usize::MAX,
        Some(number) => number.parse()?,
    };
    let history: usize = option("--history").map_or(Ok(100), str::parse)?;
    let limit: usize = option("--limit").map_or(Ok(20), str::parse)?;
    let delay: i64 = option("--delay").map_or(Ok(0), str::parse)?;
    let users: BTreeMap<String, serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(truth)?)?;
    let times = option("--at").map_or(Ok(BTreeMap::new()), times)?;

    let data = common::read(path)?;
    let threads = available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let model = train(&data, &params, threads, &|_| Vec::new())?;
    let priors = Priors::decode(&model.priors.encode(380_000)?)?;
    let rows: Vec<ProductRows> =
        model.rows.iter().map(|row| ProductRows::decode(&row.encode())).collect::<Result<_, _>>()?;
    let wanted = arguments.iter().any(|argument| argument == "--ranker");
    let seed: u64 = option("--seed").map_or(Ok(0), str::parse)?;
    let ranker = if wanted { learn(&data, &params, seed, threads)? } else { None };
    let scorer = Scorer::new(&priors).with_ranker(ranker.as_ref());
    let mut scratch = ScratchBuffers::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for user in users.keys() {
        let known = data.user_of(user);
        let history = known.map(|user| History::of_user(&data, user, history)).unwrap_or_default();
        let anchors = scorer.anchors(&mut scratch, &history, anchors);
        let rows = |product: ProductIx| rows.get(product.get() as usize);
        let next_row = |product| rows(product).map(|rows| &rows.next);
        let together_row = |product| rows(product).map(|rows| &rows.together);
        let request = ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &next_row,
            cart: &[],
            together_row: &together_row,
            exclude: &[],
            filter: None,
            at_ms: times.get(user).copied().unwrap_or_else(|| priors.now_ms()) + delay * DAY_MS,
            limit,
        };
        let answer = scorer.score(&mut scratch, &request);
        let items: Vec<&str> = answer.iter().map(|item| priors.id(item.product)).collect();
        let scores: Vec<f64> = answer.iter().map(|item| item.total).collect();
        serde_json::to_writer(
            &mut out,
            &serde_json::json!({"user": user, "items": items, "scores": scores}),
        )?;
        writeln!(out)?;
    }
    Ok(())
}

fn times(path: &str) -> Result<BTreeMap<String, i64>, Box<dyn Error>> {
    let times: BTreeMap<String, String> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let milliseconds = |(user, text): (String, String)| {
        let time_ms = common::milliseconds(&text).ok_or_else(|| {
            format!("{path}: invalid time {text:?} of user {user:?}: expected 2017-11-26T09:30:00Z")
        })?;
        Ok((user, time_ms))
    };
    times.into_iter().map(milliseconds).collect()
}

/// A ranker of this shop, after a round through its bytes; `None` if there is too little to learn from.
fn learn(
    data: &Dataset,
    params: &Params,
    seed: u64,
    threads: NonZero<usize>,
) -> Result<Option<Ranker>, Box<dyn Error>> {
    let start = Instant::now();
    let folds = Folds::new(&NewestBaskets::of(data), FOLD_USERS);
    let hidden = hidden_baskets(data, params, folds, threads)?;
    let mut baskets = HiddenBaskets::default();
    baskets.reserve(hidden.len(), hidden.iter().map(|basket| basket.candidates.len()).sum());
    for basket in hidden {
        baskets.push(basket)?;
    }
    let hiding = start.elapsed().as_secs_f64();
    let learned = baskets.learn(seed, threads)?;
    let bytes = learned.as_ref().map(|learned| learned.ranker.encode());
    let report = serde_json::json!({
        "hiddenBaskets": baskets.len(), "hidingSeconds": hiding, "seconds": start.elapsed().as_secs_f64(),
        "rankerBytes": bytes.as_ref().map(Vec::len), "time": learned.map(|learned| learned.time),
    });
    eprintln!("{report}");
    Ok(bytes.map(|bytes| Ranker::decode(&bytes)).transpose()?)
}
