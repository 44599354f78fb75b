//! What a stack's functions and tables measured, from CloudWatch.
//!
//! Each reading is billed (a cent for a thousand metrics), so one is kept for two minutes.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use nextbasket_console::metrics::{
    Freshness, HOUR_MS, HourOfTraffic, MeasureError, Measured, Measurements, StreamState, TableUnits,
};
use nextbasket_domain::Timestamp;
use tokio::sync::Mutex;

use super::api::{Api, CLOUDWATCH, CallError};
use super::xml::Element;

const CACHED_MS: i64 = 120_000;

/// An hour, in the seconds of a period.
const HOUR: u32 = 3_600;

/// How far back it is looked how old the stream's oldest record is: its metric comes some minutes late.
const RECENT_MS: i64 = 15 * 60_000;

/// The routes that answer with recommendations, as the functions name them in metrics.
const ANSWERS: [&str; 5] = [
    "GET /users/{userId}/recommendations",
    "POST /recommendations",
    "GET /products/{productId}/related",
    "GET /products/related",
    "GET /products/popular",
];
const PURCHASES: &str = "POST /purchases";

/// The names that the stack's metrics have.
#[derive(Debug, Clone, Default)]
pub(crate) struct MetricNames {
    /// The namespace of the functions' own metrics.
    pub(crate) namespace: String,
    pub(crate) tables: Vec<String>,
    /// The products table and its index, which is metered by itself.
    pub(crate) index: Option<(String, String)>,
    pub(crate) api: Option<String>,
    pub(crate) history_function: Option<String>,
    pub(crate) failure_queue: Option<String>,
}

pub(crate) struct CloudWatch {
    api: Arc<Api>,
    names: MetricNames,
    last: Mutex<Option<(Timestamp, Measured)>>,
}

impl CloudWatch {
    pub(crate) fn new(api: Arc<Api>, names: MetricNames) -> Self {
        Self { api, names, last: Mutex::default() }
    }

    async fn read(&self, since: Timestamp, until: Timestamp) -> Result<Measured, CallError> {
        // Whole hours, as CloudWatch would cut them by itself.
        let first = since.as_millis().div_euclid(HOUR_MS) * HOUR_MS;
        let since = Timestamp::EPOCH.plus_millis(first);
        let questions = self.questions();
        let series = self.series(&questions, since, until).await?;
        let recent = until.as_millis() - RECENT_MS;
        Ok(measured(&questions, &series, (since.as_millis(), until.as_millis()), recent))
    }

    fn questions(&self) -> Vec<Question> {
        let MetricNames { namespace, tables, index, api, history_function, failure_queue } = &self.names;
        let own = |asks, name: &str, dimension: &str, value: &str, statistic| Question {
            asks,
            namespace: namespace.clone(),
            name: name.to_owned(),
            dimensions: vec![(dimension.to_owned(), value.to_owned())],
            statistic,
            period: HOUR,
        };
        let mut questions: Vec<Question> =
            ANSWERS.iter().map(|route| own(Asks::Answers, "Answers", "Route", route, "Sum")).collect();
        questions.push(own(Asks::Conversions, "Conversions", "Route", PURCHASES, "Sum"));
        questions.push(own(Asks::Purchases, "Purchases", "Route", PURCHASES, "Sum"));
        let freshness = |asks, statistic| own(asks, "Freshness", "Consumer", "purchase-history", statistic);
        questions.push(freshness(Asks::FreshnessMedian, "p50"));
        questions.push(freshness(Asks::FreshnessMaximum, "Maximum"));
        questions.push(freshness(Asks::FreshnessSamples, "SampleCount"));
        let mut of_aws =
            |asks, namespace: &str, name: &str, dimensions: &[(&str, &str)], statistic, period| {
                questions.push(Question {
                    asks,
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    dimensions: dimensions.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
                    statistic,
                    period,
                });
            };
        if let Some(api) = api {
            of_aws(Asks::Errors, "AWS/ApiGateway", "5xx", &[("ApiId", api)], "Sum", HOUR);
        }
        if let Some(function) = history_function {
            let dimension = [("FunctionName", function.as_str())];
            of_aws(Asks::StreamAge, "AWS/Lambda", "IteratorAge", &dimension, "Maximum", 60);
        }
        if let Some(queue) = failure_queue {
            let dimension = [("QueueName", queue.as_str())];
            let name = "ApproximateNumberOfMessagesVisible";
            of_aws(Asks::GivenUp, "AWS/SQS", name, &dimension, "Maximum", 300);
        }
        let units = [
            ("ConsumedReadCapacityUnits", Asks::ReadUnits as fn(usize) -> Asks),
            ("ConsumedWriteCapacityUnits", Asks::WriteUnits),
        ];
        for (name, asks) in units {
            for (n, table) in tables.iter().enumerate() {
                of_aws(asks(n), "AWS/DynamoDB", name, &[("TableName", table)], "Sum", HOUR);
                if let Some((_, index)) = index.as_ref().filter(|(of, _)| of == table) {
                    let dimensions = [("TableName", table.as_str()), ("GlobalSecondaryIndexName", index)];
                    of_aws(asks(n), "AWS/DynamoDB", name, &dimensions, "Sum", HOUR);
                }
            }
        }
        questions
    }

    /// The points of each question, all pages of them.
    async fn series(
        &self,
        questions: &[Question],
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Vec<Point>>, CallError> {
        let mut parameters = vec![
            ("StartTime".to_owned(), since.to_string()),
            ("EndTime".to_owned(), until.to_string()),
            ("ScanBy".to_owned(), "TimestampAscending".to_owned()),
        ];
        for (n, question) in questions.iter().enumerate() {
            question.describe(n, &mut parameters);
        }
        let mut series = vec![Vec::new(); questions.len()];
        let mut token: Option<String> = None;
        loop {
            let mut asked = parameters.clone();
            asked.extend(token.map(|token| ("NextToken".to_owned(), token)));
            let answer = self.api.query(CLOUDWATCH, "GetMetricData", &asked).await?;
            for (n, points) in points(&answer) {
                if let Some(known) = series.get_mut(n) {
                    known.extend(points);
                }
            }
            let next = answer.find("NextToken").map(|token| token.text.trim().to_owned());
            token = next.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(series);
            }
        }
    }
}

impl Measurements for CloudWatch {
    fn measured(&self, since: Timestamp, until: Timestamp) -> BoxFuture<'_, Result<Measured, MeasureError>> {
        async move {
            let mut last = self.last.lock().await;
            if let Some((_, measured)) = last.as_ref().filter(|(at, _)| until <= at.plus_millis(CACHED_MS)) {
                return Ok(measured.clone());
            }
            let mut measured =
                self.read(since, until).await.map_err(|error| MeasureError(Box::new(error)))?;
            for (units, table) in measured.tables.iter_mut().zip(&self.names.tables) {
                units.table.clone_from(table);
            }
            *last = Some((until, measured.clone()));
            Ok(measured)
        }
        .boxed()
    }
}

/// What a series is for. Tables are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Answers,
    Conversions,
    Purchases,
    Errors,
    FreshnessMedian,
    FreshnessMaximum,
    FreshnessSamples,
    StreamAge,
    GivenUp,
    ReadUnits(usize),
    WriteUnits(usize),
}

#[derive(Debug, Clone)]
struct Question {
    asks: Asks,
    namespace: String,
    name: String,
    dimensions: Vec<(String, String)>,
    statistic: &'static str,
    /// In seconds.
    period: u32,
}

impl Question {
    fn describe(&self, n: usize, parameters: &mut Vec<(String, String)>) {
        let of = format!("MetricDataQueries.member.{}", n + 1);
        let metric = format!("{of}.MetricStat.Metric");
        parameters.push((format!("{of}.Id"), format!("m{n}")));
        parameters.push((format!("{metric}.Namespace"), self.namespace.clone()));
        parameters.push((format!("{metric}.MetricName"), self.name.clone()));
        for (d, (name, value)) in self.dimensions.iter().enumerate() {
            parameters.push((format!("{metric}.Dimensions.member.{}.Name", d + 1), name.clone()));
            parameters.push((format!("{metric}.Dimensions.member.{}.Value", d + 1), value.clone()));
        }
        parameters.push((format!("{of}.MetricStat.Period"), self.period.to_string()));
        parameters.push((format!("{of}.MetricStat.Stat"), self.statistic.to_owned()));
    }
}

/// When, in milliseconds since 1970, and what.
type Point = (i64, f64);

/// The points by the number of their question.
fn points(answer: &Element) -> Vec<(usize, Vec<Point>)> {
    let Some(results) = answer.find("MetricDataResults") else { return Vec::new() };
    let of = |result: &Element| {
        let n = result.text_of("Id")?.strip_prefix('m')?.parse().ok()?;
        let times = result.members("Timestamps").iter().map(|time| Timestamp::parse(time.text.trim()));
        let values = result.members("Values").iter().map(|value| value.text.trim().parse());
        let point = |(time, value): (Result<Timestamp, _>, Result<f64, _>)| {
            Some((time.ok()?.as_millis(), value.ok()?))
        };
        Some((n, times.zip(values).filter_map(point).collect()))
    };
    results.children.iter().filter_map(of).collect()
}

fn measured(
    questions: &[Question],
    series: &[Vec<Point>],
    (since, until): (i64, i64),
    recent: i64,
) -> Measured {
    let first = since.div_euclid(HOUR_MS);
    let mut hours: Vec<HourOfTraffic> = (first..=until.div_euclid(HOUR_MS))
        .map(|hour| HourOfTraffic { at: hour * HOUR_MS, ..HourOfTraffic::default() })
        .collect();
    let (mut medians, mut samples, mut max_ms) = (Vec::new(), Vec::new(), 0.0_f64);
    let (mut age_ms, mut given_up) = (None, None);
    let mut tables: Vec<TableUnits> = Vec::new();
    for (question, points) in questions.iter().zip(series) {
        let newest = || points.iter().max_by_key(|(at, _)| *at);
        let sum = || points.iter().map(|(_, value)| value).sum::<f64>();
        match question.asks {
            Asks::FreshnessMedian => medians.clone_from(points),
            Asks::FreshnessSamples => samples.clone_from(points),
            Asks::FreshnessMaximum => {
                max_ms = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            }
            Asks::StreamAge => {
                age_ms = newest().filter(|(at, _)| *at >= recent).map(|(_, value)| *value);
            }
            Asks::GivenUp => given_up = newest().map(|(_, value)| *value),
            Asks::ReadUnits(n) => table(&mut tables, n, |units| units.read_units += sum()),
            Asks::WriteUnits(n) => table(&mut tables, n, |units| units.write_units += sum()),
            Asks::Answers | Asks::Conversions | Asks::Purchases | Asks::Errors => {
                for (at, value) in points {
                    let hour = usize::try_from(at.div_euclid(HOUR_MS) - first).ok();
                    let Some(hour) = hour.and_then(|hour| hours.get_mut(hour)) else { continue };
                    match question.asks {
                        Asks::Conversions => hour.conversions += value,
                        Asks::Purchases => hour.purchases += value,
                        Asks::Errors => hour.errors += value,
                        _ => hour.answers += value,
                    }
                }
            }
        }
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, not negative")]
    let whole = |count: f64| count.round() as u64;
    Measured {
        since,
        hours,
        freshness: median(&medians, &samples).map(|(median_ms, samples)| Freshness {
            median_ms,
            max_ms,
            samples: whole(samples),
        }),
        stream: StreamState { behind: None, age_ms, given_up: given_up.map_or(0, whole) },
        tables,
    }
}

/// The units of the table of this number.
fn table(tables: &mut Vec<TableUnits>, n: usize, add: impl FnOnce(&mut TableUnits)) {
    while tables.len() <= n {
        tables.push(TableUnits { table: String::new(), read_units: 0.0, write_units: 0.0 });
    }
    if let Some(units) = tables.get_mut(n) {
        add(units);
    }
}

/// The median of the hours' medians, each as often as it has samples, and the number of samples.
fn median(medians: &[Point], samples: &[Point]) -> Option<(f64, f64)> {
    let weight = |at: i64| samples.iter().find(|(of, _)| *of == at).map_or(0.0, |(_, count)| *count);
    let mut weighted: Vec<(f64, f64)> = medians.iter().map(|(at, value)| (*value, weight(*at))).collect();
    weighted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let mut passed = 0.0;
    let middle = weighted.iter().find(|(_, weight)| {
        passed += weight;
        passed * 2.0 >= total
    });
    middle.filter(|_| total > 0.0).map(|(value, _)| (*value, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts_each_hour_as_often_as_it_has_samples() {
        let medians = [(0, 10.0), (1, 500.0), (2, 20.0)];
        assert_eq!(median(&medians, &[(0, 1.0), (1, 1.0), (2, 7.0)]), Some((20.0, 9.0)));
        assert_eq!(median(&medians, &[(0, 1.0), (1, 9.0), (2, 1.0)]), Some((500.0, 11.0)));
        assert_eq!(median(&medians, &[]), None);
        assert_eq!(median(&[], &[]), None);
    }

    #[test]
    fn an_answer_of_cloudwatch_becomes_hours_freshness_and_units() {
        let answer = "<GetMetricDataResponse><GetMetricDataResult><MetricDataResults>\
            <member><Id>m0</Id><Timestamps><member>1970-01-01T01:00:00Z</member><member>1970-01-01T02:00:00Z</member></Timestamps>\
            <Values><member>2.0</member><member>3.5</member></Values></member>\
            <member><Id>m1</Id><Timestamps><member>1970-01-01T02:00:00Z</member></Timestamps><Values><member>4</member></Values></member>\
            <member><Id>m2</Id><Timestamps/><Values/></member>\
            </MetricDataResults></GetMetricDataResult></GetMetricDataResponse>";
        let found = points(&Element::parse(answer).unwrap());
        assert_eq!(found[0], (0, vec![(HOUR_MS, 2.0), (2 * HOUR_MS, 3.5)]));
        let question = |asks| Question {
            asks,
            namespace: String::new(),
            name: String::new(),
            dimensions: Vec::new(),
            statistic: "Sum",
            period: HOUR,
        };
        let questions = [Asks::Answers, Asks::WriteUnits(1), Asks::GivenUp].map(question);
        let series: Vec<_> = found.into_iter().map(|(_, points)| points).collect();
        let measured = measured(&questions, &series, (HOUR_MS, 2 * HOUR_MS + 1), 0);
        let answers: Vec<_> = measured.hours.iter().map(|hour| (hour.at, hour.answers)).collect();
        assert_eq!(answers, [(HOUR_MS, 2.0), (2 * HOUR_MS, 3.5)]);
        assert_eq!((measured.tables.len(), measured.tables[1].write_units), (2, 4.0));
        assert_eq!((measured.stream.given_up, measured.freshness), (0, None));
    }
}
