//! Trains on a CSV of purchases and prints one JSON line per user: the best products with their scores.
//!
//! `score_csv TRAIN.csv[.gz] TRUTH.json [--params JSON] [--anchors N|all] [--history N] [--limit N]`
//! Of TRUTH, a JSON object, only the keys count: the users to answer for. The neighbour rows and the priors go
//! through their bytes first, as they do where the model is stored.

use nextbasket_recommender::{
    ANCHORS, History, NeighbourRow, Params, Priors, ProductIx, ProductRows, ScoreRequest, Scorer,
    ScratchBuffers, train,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufWriter, Write};
use std::num::NonZero;
use std::thread::available_parallelism;

mod common;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let [path, truth, ..] = arguments.as_slice() else {
        return Err("usage: score_csv TRAIN.csv[.gz] TRUTH.json [--params JSON] [--anchors N|all] …".into());
    };
    let params: Params = serde_json::from_str(option("--params").unwrap_or("{}"))?;
    let anchors = match option("--anchors") {
        None => ANCHORS,
        Some("all") => usize::MAX,
        Some(number) => number.parse()?,
    };
    let history: usize = option("--history").map_or(Ok(100), str::parse)?;
    let limit: usize = option("--limit").map_or(Ok(20), str::parse)?;
    let users: BTreeMap<String, serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(truth)?)?;

    let data = common::read(path)?;
    let model =
        train(&data, &params, available_parallelism().unwrap_or(NonZero::<usize>::MIN), &|_| Vec::new())?;
    let priors = Priors::decode(&model.priors.encode(380_000)?)?;
    let rows: Vec<ProductRows> =
        model.rows.iter().map(|row| ProductRows::decode(&row.encode())).collect::<Result<_, _>>()?;
    let scorer = Scorer::new(&priors);
    let mut scratch = ScratchBuffers::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for user in users.keys() {
        let known = data.user_of(user);
        let history = known.map(|user| History::of_user(&data, user, history)).unwrap_or_default();
        let anchors = scorer.anchors(&mut scratch, &history, anchors);
        let next_row = |product: ProductIx| rows.get(product.get() as usize).map(|rows| &rows.next);
        let no_row = |_: ProductIx| None::<&NeighbourRow>;
        let request = ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &next_row,
            cart: &[],
            together_row: &no_row,
            exclude: &[],
            filter: None,
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
