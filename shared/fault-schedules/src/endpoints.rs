//! The embedded services that a thread's schedules share.

use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nextbasket_domain::{Clock, Product, ProductId};
use nextbasket_job_engine::Site;
use nextbasket_machine::Machine;
use nextbasket_machine::dynamodb::create_tables;
use nextbasket_machine::lambda::{FunctionError, Functions, function};
use nextbasket_tables::{TableNames, Tables};
use nextbasket_testkit::{FAULT_HEADER, Fault, FaultProxy, TestStack};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::scenarios::shop;

/// The service that a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The tables and their streams.
    DynamoDb,
    /// The buckets.
    S3,
    /// The functions that a `map` calls.
    Lambda,
}

/// A call as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Call {
    /// The HTTP method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The headers, as they were signed.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// An answer as it came over the wire.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, or the part of it that arrived.
    pub body: Bytes,
    /// Whether the connection ended before the body did.
    pub cut_off: bool,
}

/// No answer came: the connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the connection ended without an answer: {0}")]
pub struct NoAnswer(pub String);

type Client = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// The names of tables and buckets.
#[derive(Debug, Clone)]
pub struct Names {
    /// The table of jobs, locks and claims.
    pub operations: String,
    /// The bucket of the plans and results of jobs.
    pub jobs_bucket: String,
    /// The shop's tables that handlers work on; they hold a trained model and its catalogue.
    pub live: TableNames,
    /// A second set of the shop's tables, empty at the beginning of a schedule: jobs work on it.
    pub work: TableNames,
}

/// A started machine with proxies in front of it, on a runtime in real time. Dropping it stops the machine.
pub struct Endpoints {
    runtime: Option<Runtime>,
    machine: Option<Machine>,
    proxies: Vec<FaultProxy>,
    urls: [String; 3],
    client: Client,
    names: Names,
    /// Where the next read of the purchases' stream begins.
    pub(crate) stream: Mutex<Option<String>>,
}

impl Endpoints {
    /// Starts the machine and its proxies.
    #[must_use]
    pub fn start() -> Arc<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("endpoints")
            .enable_all()
            .build()
            .expect("a runtime");
        let (machine, urls, proxies, names) = runtime.block_on(started());
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Arc::new(Self {
            runtime: Some(runtime),
            machine: Some(machine),
            proxies,
            urls,
            client,
            names,
            stream: Mutex::default(),
        })
    }

    /// The machine behind the proxies.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("it is there until this is dropped")
    }

    /// The names of the tables and buckets.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The URL that clients of a service use.
    #[must_use]
    pub fn url(&self, service: Service) -> &str {
        &self.urls[service as usize]
    }

    /// Makes a call, through the proxy that produces its fault if it has one, and waits for the answer; the thread
    /// does nothing else until then.
    ///
    /// # Errors
    /// [`NoAnswer`] if the connection ended.
    pub fn exchange(&self, service: Service, call: Call, fault: Option<&Fault>) -> Result<Answer, NoAnswer> {
        let proxied;
        let url = match fault {
            Some(_) => {
                proxied = self.proxies[service as usize].url();
                &proxied
            }
            None => self.url(service),
        };
        let mut request =
            hyper::Request::builder().method(call.method.as_str()).uri(format!("{url}{}", call.path));
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if !call.headers.iter().any(|(name, _)| name == "host") {
            // The one that was signed, also on the way through a proxy.
            request = request.header("host", self.url(service).trim_start_matches("http://"));
        }
        if let Some(name) = fault.and_then(Fault::name) {
            request = request.header(FAULT_HEADER, name);
        }
        let request = request.body(Full::new(call.body)).expect("the request was one");
        let client = self.client.clone();
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.as_ref().expect("it runs until this is dropped").spawn(async move {
            // The receiver is gone only if the thread has panicked.
            let _ = tell.send(send(&client, request).await);
        });
        told.recv().expect("the runtime answers")
    }
}

impl Endpoints {
    /// Waits in real time for a call that needs no fault and no virtual time.
    ///
    /// # Errors
    /// [`NoAnswer`] if it ended in a panic.
    pub fn wait<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.as_ref().expect("it runs until this is dropped").spawn(async move {
            let _ = tell.send(call.await);
        });
        told.recv().map_err(|error| NoAnswer(error.to_string()))
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let (machine, proxies) = (self.machine.take(), std::mem::take(&mut self.proxies));
        runtime.block_on(async move {
            drop(proxies);
            if let Some(machine) = machine {
                // The machine is in memory, so nothing has to be kept.
                let _ = machine.stop().await;
            }
        });
        runtime.shutdown_background();
    }
}

async fn send(client: &Client, request: hyper::Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
    let response = client.request(request).await.map_err(|error| NoAnswer(error.to_string()))?;
    let (head, mut body) = response.into_parts();
    let (mut content, mut cut_off) = (Vec::new(), false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => content.extend_from_slice(frame.data_ref().map_or(&[], Bytes::as_ref)),
            Err(_) => {
                cut_off = true;
                break;
            }
        }
    }
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), body: content.into(), cut_off })
}

async fn started() -> (Machine, [String; 3], Vec<FaultProxy>, Names) {
    let stack = TestStack::start().await;
    let site = stack.site();
    let mut machine = stack.into_machine();
    let lambda = machine.lambda(functions()).await.expect("a port for functions");
    let urls = [machine.dynamodb().endpoint_url(), machine.s3().endpoint_url(), format!("http://{lambda}")];
    let mut proxies = Vec::new();
    for url in &urls {
        proxies.push(FaultProxy::start(url, machine.key()).await);
    }
    let names = names(&machine);
    let client = aws_sdk_dynamodb::Client::new(machine.sdk_config());
    let mut second = machine.template().tables.clone();
    second.retain(|table| table.logical_id != "OperationsTable");
    for table in &mut second {
        table.name = work_name(&table.name);
        table.stream = None;
    }
    create_tables(&client, &second).await.expect("a second set of the shop's tables");
    train(site, &Tables::new(client, names.live.clone())).await;
    (machine, urls, proxies, names)
}

fn work_name(name: &str) -> String {
    format!("{name}-work")
}

fn names(machine: &Machine) -> Names {
    let template = machine.template();
    let table = |id: &str| template.table(id).map(|table| table.name.clone());
    let live = TableNames {
        products: table("ProductsTable"),
        purchases: table("PurchasesTable"),
        history: table("HistoryTable"),
        model: table("ModelTable"),
        operations: table("OperationsTable"),
    };
    let work = |name: &Option<String>| name.as_deref().map(work_name);
    Names {
        operations: table("OperationsTable").expect("the template has a table of operations"),
        jobs_bucket: template.bucket("JobsBucket").expect("the template has a bucket of jobs").name.clone(),
        work: TableNames {
            products: work(&live.products),
            purchases: work(&live.purchases),
            history: work(&live.history),
            model: work(&live.model),
            operations: live.operations.clone(),
        },
        live,
    }
}

/// The function `upper` returns its records in capitals.
fn functions() -> Functions {
    let upper = function(|payload: Bytes| async move {
        let payload: Value = serde_json::from_slice(&payload)
            .map_err(|error| FunctionError::new("ValueError", error.to_string()))?;
        let records = payload["records"].as_array().cloned().unwrap_or_default();
        let upper: Vec<String> =
            records.iter().map(|record| record.as_str().unwrap_or_default().to_uppercase()).collect();
        Ok(json!({ "records": upper }).to_string().into_bytes())
    });
    Functions::from([("upper".to_owned(), upper)])
}

/// A catalogue and a model, made from a few shoppers' purchases.
async fn train(site: Site, tables: &Tables) {
    let (products, purchases) = (tables.products().expect("a name"), tables.purchases().expect("a name"));
    for n in 0..shop::PRODUCTS {
        let product = Product {
            product_id: ProductId::parse(&shop::product(n)).expect("an id"),
            name: format!("Product {n}"),
            categories: Vec::new(),
            price: None,
            available: true,
            attributes: Default::default(),
            updated_at: nextbasket_domain::Timestamp::EPOCH,
        };
        products.put_new(&product).await.expect("a product is put");
    }
    let mut chance = nextbasket_testkit::Seeded(1);
    let now = Clock::system().now().as_millis();
    for user in 0..30 {
        for n in 0..4 {
            let bought = shop::purchase(&mut chance, &format!("base-{user}"), &format!("b{n}"), now);
            purchases.record(&bought).await.expect("a purchase is put");
        }
    }
    nextbasket_testkit::jobs::train_with(site, tables, false).await;
}
