//! One run: clients that share a lease, and a schedule that decides, from a seed, what happens next.
//!
//! One thing happens at a time: a client makes a call, a request is applied or lost, an answer arrives or does not,
//! a client crashes. Between two things true time passes, and each client's clock shows it with an error of its own.
//! Requests and answers are real ones over HTTP; only when they are let through is the schedule's.

mod network;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client as Dynamodb;
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_locks::{LeaseKey, Leases};
use nextbasket_testkit::TestStack;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::{Agent, Conduct, Holding, RENEWALS, Task};
use crate::common::{LENGTH, SKEW, TABLE, key_of, retrying};
use crate::gate::{Arrival, Gate};
use crate::history::{Call, History, Hold, Op, Outcome, Seen};
use crate::model::{is_pure, millis};
use crate::seeded::Seeded;
use network::{Flight, Stray};

const CLIENTS: usize = 8;
/// True time at the beginning, ms since 1970.
const BEGIN: i64 = 1_800_000_000_000;
/// Longer than anything in a run takes.
const STUCK: Duration = Duration::from_secs(60);

/// What runs share: an endpoint, and lanes in each of which one run goes on at a time.
pub struct Lab {
    gate: Gate,
    /// Past the gate.
    direct: Dynamodb,
    /// Clients through the gate, for each lane.
    lanes: Vec<Vec<Dynamodb>>,
}

impl Lab {
    pub async fn new(stack: &TestStack, lanes: usize) -> Self {
        let gate =
            Gate::start(stack.machine().dynamodb().endpoint_url(), stack.machine().key().clone()).await;
        let client =
            |lane, n| retrying(&stack.sdk_config().to_builder().endpoint_url(gate.url(lane, n)).build());
        let lanes = (0..lanes).map(|lane| (0..CLIENTS).map(|n| client(lane, n)).collect()).collect();
        Self { gate, direct: stack.dynamodb(), lanes }
    }
}

/// What a call came to, told by the task that made it.
struct Done {
    from: (usize, u32),
    outcome: Outcome,
    holding: Option<Holding>,
}

struct Client {
    agent: Agent,
    /// How often it has begun anew.
    incarnation: u32,
    /// Its clock less true time, ms.
    error: i64,
    /// How many calls it will still make, not counting renewals.
    calls: u64,
    holding: Option<Holding>,
    /// The call that it waits for.
    busy: Option<Busy>,
    /// Its last time as the holder.
    hold: Option<usize>,
}

struct Busy {
    op: usize,
    /// Whether a request of it may have been applied unknown to the client.
    unsure: bool,
    known: Option<Known>,
    task: JoinHandle<()>,
}

/// What a process has written down of its lease, for the case that it crashes.
struct Known {
    holder: usize,
    owner: String,
    fence: u64,
}

impl Known {
    fn of(holding: &Holding) -> Self {
        let lease = &holding.lease;
        Self { holder: holding.holder, owner: lease.owner().to_owned(), fence: lease.fence() }
    }
}

/// What can happen next.
enum Thing {
    Call(usize),
    Crash(usize),
    Fly(usize),
    Land(usize),
}

struct Run<'a> {
    lab: &'a Lab,
    lane: usize,
    conduct: Conduct,
    random: Seeded,
    time: Arc<AtomicI64>,
    step: u32,
    clients: Vec<Client>,
    /// What clients wait for.
    flights: Vec<Flight>,
    /// What nobody waits for any more, and may still arrive.
    strays: Vec<Stray>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    done: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    history: History,
}

/// Runs the seed's schedule; each seed once in a lab.
pub async fn run(lab: &Lab, lane: usize, conduct: Conduct, seed: u64) -> History {
    let mut run = Run {
        lab,
        lane,
        conduct,
        random: Seeded(seed),
        time: Arc::new(AtomicI64::new(BEGIN)),
        step: 0,
        clients: Vec::new(),
        flights: Vec::new(),
        strays: Vec::new(),
        arrivals: lab.gate.open(lane),
        done: mpsc::unbounded_channel(),
        history: History::new(seed),
    };
    for n in 0..CLIENTS {
        let client = run.begin((n, 0));
        run.clients.push(client);
    }
    while run.happens().await {}
    run.look_at_the_end().await;
    run.history
}

impl Run<'_> {
    /// A client that begins, on a machine with a clock of its own.
    fn begin(&mut self, (n, incarnation): (usize, u32)) -> Client {
        // Of any two, the errors differ by the skew at most.
        let error = self.random.between(-millis(SKEW) / 2, millis(SKEW) / 2);
        let time = Arc::clone(&self.time);
        let clock = Clock::new(move || Timestamp::from_millis(time.load(Ordering::SeqCst) + error).unwrap());
        let dynamodb = self.lab.lanes[self.lane][n].clone();
        let draws = Mutex::new(Seeded(self.random.next()));
        let random = Random::new(move || draws.lock().unwrap().next());
        let leases = Leases::new(dynamodb.clone(), TABLE.to_owned(), clock.clone(), random).with_skew(SKEW);
        let agent = Agent { conduct: self.conduct, leases, dynamodb, clock, key: self.key() };
        let calls = 3 + self.random.below(3);
        Client { agent, incarnation, error, calls, holding: None, busy: None, hold: None }
    }

    fn key(&self) -> LeaseKey {
        LeaseKey::lock(&format!("run {}", self.history.seed)).unwrap()
    }

    /// One thing; false if there is nothing left to happen.
    async fn happens(&mut self) -> bool {
        let idle = |client: &Client| client.busy.is_none() && (client.calls > 0 || client.holding.is_some());
        if !self.clients.iter().any(idle) && self.flights.is_empty() && self.strays.is_empty() {
            return false;
        }
        self.pass_time();
        let mut things = Vec::new();
        for (n, client) in self.clients.iter().enumerate() {
            let has_lease =
                client.holding.is_some() || client.busy.as_ref().is_some_and(|busy| busy.known.is_some());
            // Who has the lease goes on to use it.
            let calls = if has_lease { 40 } else { 10 };
            let crashes = if has_lease { 4 } else { u64::from(client.busy.is_some()) };
            things.push((if idle(client) { calls } else { 0 }, Thing::Call(n)));
            things.push((crashes, Thing::Crash(n)));
        }
        things.extend((0..self.flights.len()).map(|place| (40, Thing::Fly(place))));
        things.extend((0..self.strays.len()).map(|place| (5, Thing::Land(place))));
        let mut pick = self.random.below(things.iter().map(|(weight, _)| weight).sum());
        let (_, thing) = things
            .into_iter()
            .find(|(weight, _)| match pick.checked_sub(*weight) {
                Some(rest) => {
                    pick = rest;
                    false
                }
                None => true,
            })
            .unwrap();
        match thing {
            Thing::Call(n) => self.call(n).await,
            Thing::Fly(place) => self.fly(place).await,
            Thing::Land(place) => self.land(place).await,
            Thing::Crash(n) => self.crash(n),
        }
        true
    }

    fn pass_time(&mut self) {
        self.step += 1;
        let longest = millis(LENGTH);
        let passes = match self.random.below(40) {
            0 => self.random.between(1, 2 * longest),
            1..4 => self.random.between(1, longest / 2),
            _ => self.random.between(1, longest / 50),
        };
        self.time.fetch_add(passes, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    /// Writes down what happened, for people, and how often such things do.
    fn note(&mut self, what: &'static str, whose: impl std::fmt::Display) {
        *self.history.tally.entry(what).or_default() += 1;
        let line = format!("[{}] after {} ms: {whose} {what}", self.step, self.now() - BEGIN);
        self.history.log.push(line);
    }

    /// The client makes its next call.
    async fn call(&mut self, n: usize) {
        let (op, now, draw) = (self.history.ops.len(), self.now(), self.random.below(20));
        let client = &mut self.clients[n];
        let local = now + client.error;
        let known = client.holding.as_ref().map(Known::of);
        let (task, call) = match client.holding.take() {
            Some(holding) if draw < 12 => {
                let until = holding.expires_at.max(local + millis(LENGTH));
                let call = Call::Renew { holder: holding.holder, fence: holding.lease.fence(), until };
                (Task::Renew(holding), call)
            }
            Some(holding) if draw < 18 => {
                let call = Call::Release { holder: holding.holder, fence: holding.lease.fence() };
                (Task::Release(holding), call)
            }
            // One that has a lease forgets it.
            _ if draw < 2 || draw == 19 => (Task::Show, Call::Show),
            _ => (Task::Acquire { holder: op }, Call::Acquire { holder: op }),
        };
        if !matches!(call, Call::Renew { .. }) {
            // Its time as the holder ends before it gives the lease up.
            self.end_hold(n);
        }
        let client = &mut self.clients[n];
        if !matches!(call, Call::Renew { .. }) {
            client.calls = client.calls.saturating_sub(1);
        }
        let from = (n, client.incarnation);
        let (agent, done) = (client.agent.clone(), self.done.0.clone());
        let task = tokio::spawn(async move {
            let (outcome, holding) = agent.perform(task).await;
            let _the_run_is_over = done.send(Done { from, outcome, holding });
        });
        client.busy = Some(Busy { op, unsure: false, known, task });
        self.history.ops.push(Op {
            client: from,
            call,
            local,
            invoked: self.step,
            returned: None,
            outcome: Outcome::Unknown,
        });
        self.note("was called", format!("op{op}"));
        self.settle(n).await;
    }

    /// Waits until the client has heard what became of its call, or waits for an answer itself.
    async fn settle(&mut self, n: usize) {
        let heard = async {
            tokio::select! {
                arrival = self.arrivals.recv() => Ok(arrival.unwrap()),
                done = self.done.1.recv() => Err(done.unwrap()),
            }
        };
        let Ok(heard) = tokio::time::timeout(STUCK, heard).await else {
            panic!("client {n} hangs\n{}", self.history);
        };
        let others = "nobody else was let go on";
        match heard {
            Ok(arrival) => {
                assert_eq!(arrival.from, n, "{others}\n{}", self.history);
                self.depart(n, arrival);
            }
            Err(done) => {
                assert_eq!(done.from, (n, self.clients[n].incarnation), "{others}\n{}", self.history);
                self.finish(n, done);
            }
        }
    }

    /// The client has heard.
    fn finish(&mut self, n: usize, done: Done) {
        let now = self.now();
        let Busy { op, unsure, .. } = self.clients[n].busy.take().unwrap();
        self.clients[n].holding = done.holding;
        let until = |expires_at: i64| expires_at - self.clients[n].error;
        match (done.outcome, self.history.ops[op].call) {
            (Outcome::Held { fence, expires_at }, _) => self.begin_hold(n, fence, until(expires_at)),
            (Outcome::Renewed { expires_at }, Call::Renew { fence, .. }) => {
                let to = until(expires_at);
                match self.clients[n].hold {
                    Some(hold) if now < self.history.holds[hold].to => self.history.holds[hold].to = to,
                    _ => self.begin_hold(n, fence, to),
                }
            }
            (Outcome::Taken(_) | Outcome::WasReleased | Outcome::Gone, _) => self.end_hold(n),
            _ => {}
        }
        if unsure && is_pure(done.outcome) {
            // What was applied had its effect before the last request found that there is none to be had any more.
            let call = self.history.ops[op].clone();
            self.history.ops.push(Op { returned: Some(self.step), outcome: Outcome::Unknown, ..call });
        }
        self.history.ops[op].outcome = done.outcome;
        self.close(op);
        self.note("has its outcome", format!("op{op}"));
    }

    /// From now on the call has no effect, unless a request of it may still arrive.
    fn close(&mut self, op: usize) {
        let waited_for = self.clients.iter().any(|client| client.busy.as_ref().is_some_and(|b| b.op == op));
        let astray = self.strays.iter().any(|stray| stray.op == op);
        let known = self.history.ops[op].outcome != Outcome::Unknown;
        if self.history.ops[op].returned.is_none() && (known || !(waited_for || astray)) {
            self.history.ops[op].returned = Some(self.step);
        }
    }

    fn begin_hold(&mut self, n: usize, fence: u64, to: i64) {
        let client = &mut self.clients[n];
        client.hold = Some(self.history.holds.len());
        let hold =
            Hold { client: (n, client.incarnation), fence, from: self.time.load(Ordering::SeqCst), to };
        self.history.holds.push(hold);
    }

    fn end_hold(&mut self, n: usize) {
        let now = self.now();
        if let Some(hold) = self.clients[n].hold.take() {
            let hold = &mut self.history.holds[hold];
            hold.to = hold.to.min(now);
        }
    }

    /// The client's process is gone, whatever it was about; another takes its place, on a machine of its own. It may
    /// take up the lease that was written down.
    fn crash(&mut self, n: usize) {
        self.end_hold(n);
        self.note("crashed", format!("client {n}"));
        let busy = self.clients[n].busy.take();
        let mut known = self.clients[n].holding.as_ref().map(Known::of);
        if let Some(busy) = busy {
            busy.task.abort();
            self.abandon(busy.op);
            self.close(busy.op);
            known = busy.known;
        }
        let calls = self.clients[n].calls;
        let next = self.begin((n, self.clients[n].incarnation + 1));
        self.clients[n] = Client { calls, ..next };
        if let Some(known) = known.filter(|_| self.random.below(2) == 0) {
            let client = &mut self.clients[n];
            let agent = &client.agent;
            let lease = agent.leases.resume(&agent.key, known.owner, known.fence, LENGTH);
            let expires_at = lease.expires_at().as_millis();
            client.holding = Some(Holding { holder: known.holder, lease, expires_at });
            self.note("took up its lease", format!("client {n}"));
        }
    }

    /// What is stored when all is over.
    async fn look_at_the_end(&mut self) {
        let direct = &self.lab.direct;
        let leases = Leases::new(direct.clone(), TABLE.to_owned(), Clock::system(), Random::new(|| 0));
        let shown = leases.show(&self.key()).await.unwrap();
        self.saw(Call::Show, Outcome::Shown(shown.as_ref().map(Seen::of)));
        if self.conduct.counts() {
            let get = direct.get_item().table_name(TABLE).set_key(Some(key_of(&self.key())));
            let item = get.send().await.unwrap().item.unwrap_or_default();
            let counted = item.get(RENEWALS).map_or(0, |count| count.as_n().unwrap().parse().unwrap());
            self.saw(Call::Count, Outcome::Counted(counted));
        }
    }

    fn saw(&mut self, call: Call, outcome: Outcome) {
        let (local, invoked, returned) = (self.now(), self.step + 1, Some(self.step + 2));
        self.step += 2;
        self.history.ops.push(Op { client: (CLIENTS, 0), call, local, invoked, returned, outcome });
    }
}
