//! The stage `load`: a file's items into the table.
//!
//! A file is compared with the manifest's MD5 before anything of it is written: one that does not agree fails by name,
//! and the table has nothing of it. Then its lines go in chunks, shuffled, since items of a dump stand in the order of
//! their partitions, which would make one of them hot. Lines with the same key keep their order.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use derive_more::{Add, Sum};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::expression::Condition;
use nextbasket_items::key::{KeySchema, to_json};
use nextbasket_items::transform::Transform;
use nextbasket_items::write::delete::Delete;
use nextbasket_items::write::encoded::PutEncoded;
use nextbasket_items::write::put::Put;
use nextbasket_items::write::{OnConflict, WriteGuard};
use nextbasket_items::write::{WriteGroup, WriteOutcome, Writer, write_all};
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::csv::ColumnTypes;
use crate::digest::hash_of_key;
use crate::error::FormatError;
use crate::format::SourceFormat;
use crate::json::checked::{Checker, key_in};
use crate::json::{LineChange, read_line};
use crate::manifest::same_md5;
use crate::records::{FileReading, Piece, Record, Records, md5_of};
use crate::restore::parameters::RestoreTask;
use crate::source::SourceFile;

/// The most lines between two checkpoints: written 25 a call, or one a call.
const TOGETHER: f64 = 1_000.0;
const ONE_BY_ONE: f64 = 100.0;
/// The fewest, at a low rate, and how many seconds a part may take otherwise.
const LEAST: f64 = 25.0;
const SECONDS: f64 = 2.0;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadInput {
    pub file: SourceFile,
    pub format: SourceFormat,
    pub incremental: bool,
    pub keys: KeySchema,
    /// What `now()` stands for: the same for all items, however often the job is resumed.
    #[serde(default = "epoch")]
    pub now: Timestamp,
}

/// Of jobs that were planned before items could be changed.
fn epoch() -> Timestamp {
    Timestamp::EPOCH
}

#[derive(Debug, Clone, Copy, Default, Add, Sum, Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub lines: u64,
    pub written: u64,
    pub deleted: u64,
    pub skipped: u64,
    /// Items that do not meet the condition.
    #[serde(default)]
    pub omitted: u64,
    /// Items of erased users, which the table must not get.
    #[serde(default)]
    pub erased: u64,
    pub refused: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Checkpoint {
    line: u64,
    loaded: Loaded,
}

#[derive(Debug)]
enum Load {
    /// To put an item, as it stands in the file; with the hash of its key.
    Encoded(Bytes, u128),
    Put(Item),
    Delete(Item),
}

impl From<LineChange> for Load {
    fn from(change: LineChange) -> Self {
        match change {
            LineChange::Put(item) => Self::Put(item),
            LineChange::Delete(key) => Self::Delete(key),
        }
    }
}

/// What an item's key is told from when the item is gone.
enum Known {
    Key(Item),
    Text(Bytes),
}

impl Known {
    fn key(&self, keys: &KeySchema) -> Value {
        match self {
            Self::Key(key) => to_json(key),
            Self::Text(text) => key_in(keys, text),
        }
    }
}

struct RunningLoad<'a> {
    input: &'a LoadInput,
    calls: Calls,
    limiter: Limiter,
    put_encoded: Arc<PutEncoded>,
    put: Arc<Writer>,
    delete: Arc<Writer>,
    condition: Option<&'a Condition>,
    transform: Option<Transform>,
    state: Checkpoint,
}

/// Why a line is not written, with its key if it has one.
type NotWritten = (Option<Value>, String);

pub(crate) async fn work(
    work: &mut Work,
    files: &Files,
    task: &RestoreTask,
    guard: &WriteGuard,
) -> Result<Outcome, CallError> {
    let input: LoadInput = work.input()?;
    let state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    let name = &input.file.name;
    let found = input.file.found()?;
    if state.line == 0 {
        check_md5(files, &input.file).await?;
    }
    let guard = guard.of(&task.table).await.map_err(WorkError::from)?;
    let is_guarded = guard.is_some();
    let put = Put::new(&task.table, &input.keys, task.on_conflict.clone()).guarded(guard);
    let mut running = RunningLoad {
        calls: Calls::new(work),
        limiter: work.limits().write.clone(),
        put_encoded: Arc::new(PutEncoded::new(&task.table)),
        put: Arc::new(Writer::Put(put)),
        delete: Arc::new(Writer::Delete(Delete::new(
            &task.table,
            &input.keys,
            None,
            work.site().clock.now(),
        ))),
        condition: task.r#where.as_ref(),
        transform: task.set.clone().map(|change| Transform::new(change, input.keys.clone(), input.now)),
        state,
        input: &input,
    };
    // What is asked of the item that is there, or of the new one, needs its values.
    let as_text = task.on_conflict == OnConflict::Overwrite && !is_guarded && !task.looks_at_items();
    let mut checker = as_text.then(|| Checker::new(input.keys.clone()));
    let read = move |line, text: &[u8]| match checker.as_mut().and_then(|checker| checker.item(text)) {
        Some((item, key)) => Ok(Load::Encoded(item, key)),
        None => read_line(line, text).map(Load::from).map_err(|error| error.problem),
    };
    let types = ColumnTypes {
        given: task.types.clone(),
        keys: input.keys.clone(),
        // A change may make the key of other columns.
        requires_keys: task.set.is_none(),
    };
    let reading = FileReading { format: input.format, types: Some(types) };
    let mut records = Records::open_with(files, found, reading, state.line, read).await?;
    while let Piece::Chunk(chunk) = records.next().await.map_err(|error| named(name, error.into()))? {
        if running.chunk(work, chunk).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
    }
    let read = running.state.loaded.lines;
    if let Some(items) = input.file.items.filter(|items| *items != read) {
        let problem = format!("{name}: has {read} items, but the manifest says {items}");
        return Err(WorkError::Failed(problem).into());
    }
    Ok(Outcome::done(&running.state.loaded)?)
}

/// Compares a file with the MD5 of its manifest, if there is one.
pub(crate) async fn check_md5(files: &Files, file: &SourceFile) -> Result<(), WorkError> {
    let Some(md5) = &file.md5 else { return Ok(()) };
    if same_md5(md5, &STANDARD.encode(md5_of(files, file.found()?).await?)) {
        return Ok(());
    }
    let problem = "its MD5 differs from the manifest; nothing of it was written";
    Err(WorkError::Failed(format!("{}: {problem}", file.name)))
}

fn named(name: &str, error: WorkError) -> WorkError {
    match error {
        WorkError::Failed(problem) => WorkError::Failed(format!("{name}: {problem}")),
        other => other,
    }
}

impl RunningLoad<'_> {
    /// Writes the chunk, in parts that take some seconds at most each, and saves behind each of them.
    async fn chunk(&mut self, work: &mut Work, mut records: Vec<Record<Load>>) -> Result<Go, CallError> {
        while !records.is_empty() {
            let most = if self.put.group() == 1 { ONE_BY_ONE } else { TOGETHER };
            let most = work.limits().write.items_in(SECONDS, LEAST, most);
            let rest = records.split_off(records.len().min(most));
            if self.part(work, records).await? == Go::Stop {
                return Ok(Go::Stop);
            }
            records = rest;
        }
        Ok(Go::On)
    }

    async fn part(&mut self, work: &mut Work, records: Vec<Record<Load>>) -> Result<Go, CallError> {
        let mut rounds = Rounds::default();
        for Record { line, change } in records {
            self.state.line = line;
            self.state.loaded.lines += 1;
            let added = match change.map_err(|problem| (None, problem)).and_then(|load| self.taken(load)) {
                Ok(Some(load)) => rounds.add(&self.input.keys, line, load).map_err(|error| (None, error.0)),
                Ok(None) => {
                    self.state.loaded.omitted += 1;
                    Ok(())
                }
                Err(not_written) => Err(not_written),
            };
            if let Err((key, problem)) = added {
                self.refuse(work, line, key, &problem);
            }
        }
        for round in rounds.0 {
            self.round(work, round).await?;
        }
        work.progress.processed = self.state.loaded.lines;
        work.progress.matched = self.state.loaded.lines;
        Ok(work.save(&self.state).await?)
    }

    /// What is written of a line; `None` if it is not meant.
    fn taken(&self, load: Load) -> Result<Option<Load>, NotWritten> {
        match load {
            Load::Delete(_) if !self.input.incremental => Err((None, "no \"Item\" in the line".to_owned())),
            Load::Put(item) if self.condition.is_some_and(|met| !met.holds(&item, self.input.now)) => {
                Ok(None)
            }
            Load::Put(item) => match &self.transform {
                Some(transform) => {
                    let not_written = |problem| (Some(to_json(&self.input.keys.of(&item))), problem);
                    transform.of(&item).map(|changed| Some(Load::Put(changed))).map_err(not_written)
                }
                None => Ok(Some(Load::Put(item))),
            },
            load => Ok(Some(load)),
        }
    }

    async fn round(&mut self, work: &mut Work, mut round: Round) -> Result<(), CallError> {
        let seed = format!("{}/{}/{}", work.job().job_id, self.input.file.name, self.state.line);
        shuffle(&mut round.encoded, &seed);
        shuffle(&mut round.puts, &seed);
        let (encoded, puts, deletes) =
            (self.put_encoded.clone(), Arc::clone(&self.put), Arc::clone(&self.delete));
        let keys = &self.input.keys;
        let text = |item: &Bytes| Known::Text(item.clone());
        let key = |item: &Item| Known::Key(keys.of(item));
        self.write(work, &encoded, round.encoded, text, |loaded| &mut loaded.written).await?;
        self.write(work, &puts, round.puts, key, |loaded| &mut loaded.written).await?;
        self.write(work, &deletes, round.deletes, key, |loaded| &mut loaded.deleted).await?;
        work.progress.changed = self.state.loaded.written + self.state.loaded.deleted;
        Ok(())
    }

    /// Writes lines in one way, and notes what became of them: `known` is what an item's key is told from later,
    /// `changed` are those that are counted as changed.
    async fn write<W: WriteGroup>(
        &mut self,
        work: &mut Work,
        writer: &Arc<W>,
        lines: Vec<(u64, W::Item)>,
        known: impl Fn(&W::Item) -> Known,
        changed: impl Fn(&mut Loaded) -> &mut u64,
    ) -> Result<(), CallError> {
        if lines.is_empty() {
            return Ok(());
        }
        let known: Vec<(u64, Known)> = lines.iter().map(|(line, item)| (*line, known(item))).collect();
        let items = lines.into_iter().map(|(_, item)| item).collect();
        let (became, units) = write_all(&self.calls, &self.limiter, writer, items).await?;
        work.progress.write_units += units;
        for ((line, known), became) in known.into_iter().zip(became) {
            match became {
                WriteOutcome::Changed => *changed(&mut self.state.loaded) += 1,
                WriteOutcome::Skipped => self.state.loaded.skipped += 1,
                WriteOutcome::Barred => self.state.loaded.erased += 1,
                WriteOutcome::Refused(reason) => {
                    let key = known.key(&self.input.keys);
                    self.refuse(work, line, Some(key), &reason);
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, work: &mut Work, line: u64, key: Option<Value>, reason: &str) {
        let mut what = json!({ "file": self.input.file.name, self.input.format.position(): line });
        if let (Some(key), Some(what)) = (key, what.as_object_mut()) {
            what.insert("key".to_owned(), key);
        }
        work.refuse(&what, reason);
        self.state.loaded.refused += 1;
    }
}

/// Lines of which no two have the same key.
#[derive(Default)]
struct Round {
    encoded: Vec<(u64, Bytes)>,
    puts: Vec<(u64, Item)>,
    deletes: Vec<(u64, Item)>,
}

/// Lines with the same key go one after the other, in rounds.
#[derive(Default)]
struct Rounds(Vec<Round>, HashMap<u128, usize>);

impl Rounds {
    fn add(&mut self, keys: &KeySchema, line: u64, load: Load) -> Result<(), FormatError> {
        let key = match &load {
            Load::Encoded(_, key) => *key,
            Load::Put(item) | Load::Delete(item) => hash_of_key(keys, item)?,
        };
        let next = self.1.entry(key).and_modify(|round| *round += 1).or_insert(0);
        if self.0.len() <= *next {
            self.0.push(Round::default());
        }
        let Some(round) = self.0.get_mut(*next) else { return Ok(()) };
        match load {
            Load::Encoded(item, _) => round.encoded.push((line, item)),
            Load::Put(item) => round.puts.push((line, item)),
            Load::Delete(key) => round.deletes.push((line, keys.of(&key))),
        }
        Ok(())
    }
}

/// The same order for the same seed (Fisher and Yates, with BLAKE3's output as the source of chance).
fn shuffle<T>(items: &mut [T], seed: &str) {
    let mut chance = blake3::Hasher::new().update(seed.as_bytes()).finalize_xof();
    let mut bytes = [0; 8];
    for at in (1..items.len()).rev() {
        chance.fill(&mut bytes);
        let bound = u64::try_from(at).unwrap_or(0) + 1;
        let other = usize::try_from(u64::from_le_bytes(bytes) % bound).unwrap_or(0);
        items.swap(at, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::text;
    use nextbasket_items::key::{KeyAttribute, KeyKind};

    #[test]
    fn a_shuffle_keeps_all_and_is_the_same_for_the_same_seed() {
        let shuffled = |seed: &str| {
            let mut numbers: Vec<u32> = (0..1_000).collect();
            shuffle(&mut numbers, seed);
            numbers
        };
        assert_eq!(shuffled("a"), shuffled("a"));
        assert_ne!(shuffled("a"), shuffled("b"));
        let mut sorted = shuffled("a");
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn lines_of_one_key_are_written_one_after_the_other() {
        let keys =
            KeySchema { partition: KeyAttribute { name: "id".to_owned(), kind: KeyKind::S }, sort: None };
        let item = |id: &str, n: &str| Item::from([("id".to_owned(), text(id)), ("n".to_owned(), text(n))]);
        let key = hash_of_key(&keys, &item("a", "")).unwrap();
        let mut rounds = Rounds::default();
        for (line, change) in [
            (1, Load::Put(item("a", "1"))),
            (2, Load::Put(item("b", "1"))),
            (3, Load::Delete(item("a", ""))),
            (4, Load::Encoded(Bytes::new(), key)),
        ] {
            rounds.add(&keys, line, change).unwrap();
        }
        let lines = |round: &Round| {
            let numbers = |lines: &[(u64, Item)]| lines.iter().map(|(line, _)| *line).collect::<Vec<_>>();
            let encoded: Vec<u64> = round.encoded.iter().map(|(line, _)| *line).collect();
            (encoded, numbers(&round.puts), numbers(&round.deletes))
        };
        let all: Vec<_> = rounds.0.iter().map(lines).collect();
        assert_eq!(all, [(vec![], vec![1, 2], vec![]), (vec![], vec![], vec![3]), (vec![4], vec![], vec![])]);
    }
}
