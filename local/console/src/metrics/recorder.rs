//! The metrics of this process's functions, by the minute, for the last two days.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use nextbasket_domain::{Clock, Timestamp};
use nextbasket_telemetry::Metrics;
use serde::Deserialize;

use super::{
    Freshness, HOUR_MS, HourOfTraffic, MeasureError, Measured, Measurements, StreamState, TableUnits,
};

const MINUTE_MS: i64 = 60_000;

/// How long minutes are kept.
const KEPT_MS: i64 = 48 * HOUR_MS;

/// How many measurements of freshness are kept: the newest.
const KEPT_SAMPLES: usize = 10_000;

/// Tells where the stream stands.
pub type StreamProbe = Box<dyn Fn() -> BoxFuture<'static, StreamState> + Send + Sync>;

/// Tells what calls to the tables have consumed since a time, in milliseconds since 1970.
pub type UnitsProbe = Box<dyn Fn(i64) -> Vec<TableUnits> + Send + Sync>;

/// Takes the records that functions write as metrics. What they count is forgotten with the process.
pub struct Recorder {
    clock: Clock,
    began: Timestamp,
    recorded: Mutex<Recorded>,
    stream: OnceLock<StreamProbe>,
    units: OnceLock<UnitsProbe>,
}

#[derive(Default)]
struct Recorded {
    /// By the minute, in minutes since 1970.
    minutes: BTreeMap<i64, HourOfTraffic>,
    /// When, and how many milliseconds.
    freshness: VecDeque<(i64, f64)>,
}

/// The part of a record in CloudWatch's embedded metric format that is kept.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Answers", default)]
    answers: f64,
    #[serde(rename = "Conversions", default)]
    conversions: f64,
    #[serde(rename = "Purchases", default)]
    purchases: f64,
    #[serde(rename = "Freshness")]
    freshness: Option<f64>,
    status: Option<String>,
}

impl Recorder {
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            began: clock.now(),
            clock,
            recorded: Mutex::default(),
            stream: OnceLock::new(),
            units: OnceLock::new(),
        })
    }

    /// Metrics that are recorded here.
    #[must_use]
    pub fn metrics(self: &Arc<Self>) -> Metrics {
        let recorder = Arc::clone(self);
        Metrics::new("nextbasket", self.clock.clone(), move |line| recorder.record(line))
    }

    /// Asks this from now on where the stream stands.
    pub fn watch_stream(&self, probe: StreamProbe) {
        let _only_the_first = self.stream.set(probe);
    }

    /// Asks this from now on what was consumed.
    pub fn watch_units(&self, probe: UnitsProbe) {
        let _only_the_first = self.units.set(probe);
    }

    /// Forgets what was measured so far: how long purchases waited that were loaded all at once says nothing of those to
    /// come.
    pub fn forget(&self) {
        *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) = Recorded::default();
    }

    fn record(&self, line: &str) {
        let Ok(Line { answers, conversions, purchases, freshness, status }) = serde_json::from_str(line)
        else {
            return;
        };
        let errors = if status.is_some_and(|status| status.starts_with('5')) { 1.0 } else { 0.0 };
        let now = self.clock.now().as_millis();
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if answers + conversions + purchases + errors > 0.0 {
            let minute = recorded.minutes.entry(now.div_euclid(MINUTE_MS)).or_default();
            minute.answers += answers;
            minute.conversions += conversions;
            minute.purchases += purchases;
            minute.errors += errors;
            recorded.minutes = recorded.minutes.split_off(&(now - KEPT_MS).div_euclid(MINUTE_MS));
        }
        if let Some(freshness) = freshness {
            recorded.freshness.push_back((now, freshness));
            if recorded.freshness.len() > KEPT_SAMPLES {
                recorded.freshness.pop_front();
            }
        }
    }

    fn hours(&self, since: i64, until: i64) -> Vec<HourOfTraffic> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let first = since.div_euclid(HOUR_MS);
        let mut hours: Vec<HourOfTraffic> = (first..=until.div_euclid(HOUR_MS))
            .map(|hour| HourOfTraffic { at: hour * HOUR_MS, ..HourOfTraffic::default() })
            .collect();
        for (minute, counts) in recorded.minutes.range(since.div_euclid(MINUTE_MS)..) {
            let hour = (minute * MINUTE_MS).div_euclid(HOUR_MS) - first;
            let Some(hour) = usize::try_from(hour).ok().and_then(|hour| hours.get_mut(hour)) else {
                continue;
            };
            hour.answers += counts.answers;
            hour.conversions += counts.conversions;
            hour.purchases += counts.purchases;
            hour.errors += counts.errors;
        }
        hours
    }

    fn freshness(&self, since: i64) -> Option<Freshness> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut samples: Vec<f64> =
            recorded.freshness.iter().filter(|(at, _)| *at >= since).map(|(_, value)| *value).collect();
        drop(recorded);
        samples.sort_by(f64::total_cmp);
        let median_ms = *samples.get(samples.len() / 2)?;
        let max_ms = samples.last().copied().unwrap_or(median_ms);
        Some(Freshness { median_ms, max_ms, samples: u64::try_from(samples.len()).unwrap_or(u64::MAX) })
    }
}

impl Measurements for Recorder {
    fn measured(&self, since: Timestamp, until: Timestamp) -> BoxFuture<'_, Result<Measured, MeasureError>> {
        let since = since.max(self.began).as_millis();
        async move {
            let stream = match self.stream.get() {
                Some(probe) => probe().await,
                None => StreamState::default(),
            };
            Ok(Measured {
                since,
                hours: self.hours(since, until.as_millis()),
                freshness: self.freshness(since),
                stream,
                tables: self.units.get().map(|probe| probe(since)).unwrap_or_default(),
            })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use nextbasket_telemetry::Unit;

    use super::*;

    fn clock(now: &Arc<AtomicI64>) -> Clock {
        let now = Arc::clone(now);
        Clock::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed)).unwrap())
    }

    #[tokio::test]
    async fn counts_are_summed_by_the_hour_and_forgotten_after_two_days() {
        let now = Arc::new(AtomicI64::new(10 * HOUR_MS));
        let recorder = Recorder::new(clock(&now));
        let metrics = recorder.metrics();
        let answer = || metrics.put(&[("Route", "GET /x")], &[("Answers", 1.0, Unit::Count)], &[]);
        answer();
        answer();
        now.store(11 * HOUR_MS + 1, Ordering::Relaxed);
        answer();
        metrics.put(&[("Route", "GET /x")], &[("Latency", 1.0, Unit::Milliseconds)], &[("status", "503")]);
        metrics.put(&[("Route", "GET /x")], &[("Latency", 1.0, Unit::Milliseconds)], &[("status", "404")]);
        let at = |hours: i64| Timestamp::from_millis(hours * HOUR_MS).unwrap();
        let measured = recorder.measured(at(0), at(12)).await.unwrap();
        assert_eq!(measured.since, 10 * HOUR_MS, "measurements began then");
        let counted: Vec<_> =
            measured.hours.iter().map(|hour| (hour.at, hour.answers, hour.errors)).collect();
        assert_eq!(counted, [(10 * HOUR_MS, 2.0, 0.0), (11 * HOUR_MS, 1.0, 1.0), (12 * HOUR_MS, 0.0, 0.0)]);
        now.store(100 * HOUR_MS, Ordering::Relaxed);
        answer();
        assert_eq!(recorder.recorded.lock().unwrap().minutes.len(), 1);
    }

    #[tokio::test]
    async fn freshness_is_the_median_and_the_maximum_of_the_period() {
        let now = Arc::new(AtomicI64::new(0));
        let recorder = Recorder::new(clock(&now));
        let metrics = recorder.metrics();
        let period =
            |from: i64| (Timestamp::from_millis(from).unwrap(), Timestamp::from_millis(10_000).unwrap());
        let (since, until) = period(0);
        assert_eq!(recorder.measured(since, until).await.unwrap().freshness, None);
        for (at, value) in [(1, 900.0), (2, 5.0), (3, 7.0), (4, 30.0)] {
            now.store(at, Ordering::Relaxed);
            metrics.put(&[("Consumer", "c")], &[("Freshness", value, Unit::Milliseconds)], &[]);
        }
        let (since, until) = period(2);
        let freshness = recorder.measured(since, until).await.unwrap().freshness;
        assert_eq!(freshness, Some(Freshness { median_ms: 7.0, max_ms: 30.0, samples: 3 }));
    }
}
