//! The console over a deployed stack. The functions' handlers run in this process, over the stack's tables, with the
//! operator's credentials: on AWS nothing is opened.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use jobs_api::Driver;
use nextbasket_console::metrics::{Measurements, Recorder};
use nextbasket_console::parts::{ResourceNames, ShopBuckets, ShopTables, TableScope};
use nextbasket_console::session::session_required;
use nextbasket_console::{Console, ConsoleParts, Place, PlaceKind, SessionSecret};
use nextbasket_domain::Clock;
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::{Engine, Site};
use nextbasket_machine::gateway::{Admission, Gateway, GatewayOptions, Pages};
use nextbasket_machine::template::Template;
use nextbasket_objects::Bucket;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;

use super::read_only::read_only;
use super::{VERSION, lists, shop_tables};
use crate::Failure;
use crate::aws::api::{Api, CLOUDFORMATION};
use crate::aws::executions::starter;
use crate::aws::metrics::{CloudWatch, MetricNames};
use crate::aws::stack::Stack;
use crate::local_deployment::{TEMPLATE, http_functions, random, reason_texts, variables};
use crate::profiles::credentials_of;
use crate::target::{Elsewhere, TargetOptions};

/// The index that is metered beside its table.
const PRODUCTS_INDEX: &str = "byShelf";

pub(crate) struct StackConsoleOptions<'a> {
    pub(crate) target: &'a TargetOptions,
    pub(crate) stack: &'a str,
    pub(crate) listen: SocketAddr,
    pub(crate) writable: bool,
    /// Tables that the page may show beside the stack's.
    pub(crate) tables: Vec<String>,
}

/// A stack's physical names, and what only a deployed one has.
struct Resources {
    names: ResourceNames,
    driver: Driver,
    measurements: Arc<dyn Measurements>,
    scheduled_dumps: Vec<String>,
    account: Option<String>,
}

/// A console that is served until it is stopped.
pub(crate) struct StackConsole {
    gateway: Gateway,
    pub(crate) link: String,
    /// Where the tables are, for people.
    pub(crate) place: String,
}

impl StackConsole {
    /// # Errors
    /// [`Failure`] if the stack cannot be found or described, or the address cannot be listened on.
    pub(crate) async fn start(options: StackConsoleOptions<'_>) -> Result<Self, Failure> {
        let Elsewhere { dynamodb, s3, place, region, shared, .. } = options.target.elsewhere().await?;
        let template = Template::parse(TEMPLATE, options.stack).map_err(Failure::other)?;
        let api = Arc::new(Api::new(shared));
        // Other endpoints than AWS have no stacks, unless the environment says where.
        let is_described = options.target.endpoint.is_none() || api.has_endpoint(CLOUDFORMATION);
        let resources =
            if is_described { deployed(&api, options.stack).await? } else { as_templated(&template)? };
        let Resources { mut names, driver, measurements, scheduled_dumps, account } = resources;
        names.tables.operations = options.target.operations.clone().unwrap_or(names.tables.operations);
        names.buckets.jobs = options.target.bucket.clone().unwrap_or(names.buckets.jobs);
        let tables = Tables::new(dynamodb.clone(), table_names(&names.tables));
        let site = site(&names, &dynamodb, &s3)?;
        let engine = Engine::new(site.clone(), nextbasket_job_kinds::kinds(&tables, None));
        let random = random()?;
        let console = Console::new(ConsoleParts {
            version: VERSION,
            place: Place {
                kind: PlaceKind::Aws,
                name: place.clone(),
                region: Some(region).filter(|region| !region.is_empty()),
                account,
                stack: Some(options.stack.to_owned()),
            },
            writable: options.writable,
            session: SessionSecret::new(random.draw_key()),
            names,
            tables: tables.clone(),
            dynamodb,
            s3,
            leases: site.leases(),
            engine: engine.clone(),
            lists: Arc::new(lists(&tables, reason_texts(None)?)?),
            clock: Clock::system(),
            random,
            scope: TableScope::Named(options.tables),
            measurements,
            scheduled_dumps,
        });
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let mut functions = http_functions(service, &tables, engine, driver, reason_texts(None)?)?;
        if !options.writable {
            functions = functions.into_iter().map(|(name, function)| (name, read_only(function))).collect();
        }
        let pages = Pages { router: Some(console.router()), admission: Some(admission(&console)) };
        let settings = GatewayOptions { pages, ..GatewayOptions::default() };
        let gateway = Gateway::start(&template, &functions, options.listen, settings).await?;
        let link = console.session.link(gateway.address());
        Ok(Self { gateway, link, place })
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// The API acts with the operator's credentials here, so it answers the page alone.
fn admission(console: &Console) -> Admission {
    let session = console.session.clone();
    Arc::new(move |head| (!session.is_in(&head.headers)).then(session_required))
}

/// What CloudFormation says of the stack.
async fn deployed(api: &Arc<Api>, name: &str) -> Result<Resources, Failure> {
    let stack = Stack::describe(api, name).await?;
    let output = |key| stack.output(key).map(str::to_owned);
    let tables = ShopTables {
        products: output("ProductsTableName")?,
        purchases: output("PurchasesTableName")?,
        history: output("HistoryTableName")?,
        model: output("ModelTableName")?,
        operations: output("OperationsTableName")?,
    };
    let buckets = ShopBuckets { jobs: output("JobsBucketName")?, dumps: output("DumpsBucketName")? };
    // Without it the age of the stream is not shown, and everything else is.
    let history_function = stack.resource(api, "PurchaseHistoryFunction").await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the age of the stream is not known");
        None
    });
    let metrics = MetricNames {
        namespace: name.to_owned(),
        tables: tables.all().map(str::to_owned).into(),
        index: Some((tables.products.clone(), PRODUCTS_INDEX.to_owned())),
        // https://ID.execute-api.REGION.amazonaws.com
        api: stack
            .output("ApiUrl")
            .ok()
            .and_then(|url| Some(url.split_once("://")?.1.split_once('.')?.0.to_owned())),
        history_function,
        failure_queue: stack
            .output("PurchaseHistoryFailuresUrl")
            .ok()
            .and_then(|url| Some(url.rsplit_once('/')?.1.to_owned())),
    };
    let dumps = stack.parameter("DumpSchedule").is_some_and(|schedule| !schedule.is_empty());
    let dumped = [&tables.products, &tables.purchases, &tables.history, &tables.model];
    Ok(Resources {
        scheduled_dumps: dumped.into_iter().filter(|_| dumps).cloned().collect(),
        driver: Driver::Starter(starter(api.clone(), output("JobStateMachineArn")?)),
        measurements: Arc::new(CloudWatch::new(api.clone(), metrics)),
        account: stack.account.clone(),
        names: ResourceNames { tables, buckets },
    })
}

/// The names that the template gives a stack on one machine, for endpoints without CloudFormation. Their jobs are left
/// to the workers of other processes.
fn as_templated(template: &Template) -> Result<Resources, Failure> {
    let named = |logical_id: &str| template.bucket(logical_id).map(|bucket| bucket.name.clone());
    let missing = || Failure::other("template.yaml: bucket JobsBucket or DumpsBucket not found");
    let jobs = named("JobsBucket").ok_or_else(missing)?;
    let dumps = named("DumpsBucket").ok_or_else(missing)?;
    let variables = variables(template.clone());
    let tables = shop_tables(TableNames::from_lookup(|variable| variables.get(variable).cloned()))?;
    Ok(Resources {
        names: ResourceNames { tables, buckets: ShopBuckets { jobs, dumps } },
        driver: Driver::Workers(Arc::default()),
        measurements: Recorder::new(Clock::system()),
        scheduled_dumps: Vec::new(),
        account: None,
    })
}

fn site(names: &ResourceNames, dynamodb: &Client, s3: &aws_sdk_s3::Client) -> Result<Site, Failure> {
    let objects = Bucket::new(s3.clone(), names.buckets.jobs.clone());
    let site = Site::new(dynamodb.clone(), names.tables.operations.clone(), objects, random()?);
    Ok(Site { profiles: Some(credentials_of), ..site })
}

fn table_names(tables: &ShopTables) -> TableNames {
    TableNames {
        products: Some(tables.products.clone()),
        purchases: Some(tables.purchases.clone()),
        history: Some(tables.history.clone()),
        model: Some(tables.model.clone()),
        operations: Some(tables.operations.clone()),
    }
}
