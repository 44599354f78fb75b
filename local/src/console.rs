//! The console over a deployment: what its handlers work with.
//!
//! * here: over the tables of this machine, served beside the HTTP API
//! * `stack`: over a deployed stack, whose functions' handlers run in this process
//! * `read_only`: which requests are answered where nothing may be written

mod read_only;
pub(crate) mod stack;

use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use nextbasket_console::metrics::{Recorder, StreamState, TableUnits};
use nextbasket_console::parts::{ResourceNames, ShopBuckets, ShopTables, TableScope};
use nextbasket_console::{Console, ConsoleParts, Place, SessionSecret};
use nextbasket_domain::Clock;
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::Engine;
use nextbasket_machine::Machine;
use nextbasket_machine::dynamodb::ConsumedUnits;
use nextbasket_machine::streams::EventSourceMapping;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use recommendations::reason_texts::ReasonTexts;
use serde::Deserialize;

use crate::Failure;
use crate::local_deployment::{random, table_names};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Over the tables of a machine, which are in this folder (`None`: in memory).
pub(crate) fn on_machine(
    machine: &Machine,
    data: Option<&Path>,
    tables: &Tables,
    engine: &Engine,
    texts: ReasonTexts,
    writable: bool,
    recorder: &Arc<Recorder>,
) -> Result<Console, Failure> {
    let site = engine.site();
    let (clock, random) = (Clock::system(), random()?);
    let place = data.map_or_else(Place::memory, Place::folder);
    let dumps = machine.template().bucket("DumpsBucket");
    let dumps = dumps.ok_or_else(|| Failure::other("template.yaml: bucket DumpsBucket not found"))?;
    Ok(Console::new(ConsoleParts {
        version: VERSION,
        place,
        writable,
        // The link to a data folder stays valid as long as its key does.
        session: SessionSecret::new(machine.key().derive("console")),
        names: ResourceNames {
            tables: shop_tables(table_names()?)?,
            buckets: ShopBuckets { jobs: site.objects.name().to_owned(), dumps: dumps.name.clone() },
        },
        tables: tables.clone(),
        dynamodb: Client::new(machine.sdk_config()),
        s3: aws_sdk_s3::Client::from_conf(machine.s3_config()),
        leases: site.leases(),
        engine: engine.clone(),
        lists: Arc::new(lists(tables, texts)?),
        clock,
        random,
        scope: TableScope::All,
        measurements: recorder.clone(),
        scheduled_dumps: scheduled_dumps(machine),
    }))
}

/// The tables that the template's schedules dump.
fn scheduled_dumps(machine: &Machine) -> Vec<String> {
    #[derive(Deserialize)]
    struct Input {
        kind: String,
        parameters: Parameters,
    }
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(default)]
        tables: Vec<String>,
    }
    let inputs = machine.template().schedules.iter().filter_map(|s| Input::deserialize(&s.input).ok());
    inputs.filter(|input| input.kind == "dump").flat_map(|input| input.parameters.tables).collect()
}

/// Lets the recorder see what calls to the machine's tables consume.
pub(crate) fn watch_units(recorder: &Recorder, machine: &Machine) {
    let consumed = machine.dynamodb().consumed().clone();
    recorder.watch_units(Box::new(move |since| {
        let of_table = |(table, units): (String, ConsumedUnits)| TableUnits {
            table,
            read_units: units.read,
            write_units: units.write,
        };
        consumed.since(since).into_iter().map(of_table).collect()
    }));
}

/// Lets the recorder see where the mapping stands.
pub(crate) fn watch_stream(recorder: &Recorder, mapping: EventSourceMapping) {
    recorder.watch_stream(Box::new(move || {
        let mapping = mapping.clone();
        Box::pin(async move {
            // In memory the stream cannot be counted; what was read and is under way is known.
            let under_way = u64::try_from(mapping.progress().under_way).unwrap_or(u64::MAX);
            let behind = mapping.behind().await.unwrap_or(under_way);
            let given_up = mapping.dead_letters().count().unwrap_or(0);
            StreamState { behind: Some(behind), age_ms: None, given_up }
        })
    }));
}

/// What makes the lists that the page tries out. They count no metrics.
fn lists(tables: &Tables, texts: ReasonTexts) -> Result<recommendations::State, Failure> {
    let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
    Ok(recommendations::State::new(service, tables, Clock::system(), random()?)?.with_texts(texts))
}

fn shop_tables(names: TableNames) -> Result<ShopTables, Failure> {
    let named = |name: Option<String>, table: &str| {
        name.ok_or_else(|| Failure::Other(format!("template.yaml: no function has the {table} table")))
    };
    Ok(ShopTables {
        products: named(names.products, "products")?,
        purchases: named(names.purchases, "purchases")?,
        history: named(names.history, "history")?,
        model: named(names.model, "model")?,
        operations: named(names.operations, "operations")?,
    })
}
