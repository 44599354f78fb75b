//! Which call meets which fault, by the seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nextbasket_testkit::{Fault, Seeded};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Proxied(Fault),
    /// Another transaction is changing the item; the call is not applied. The code is the reason that DynamoDB gives.
    Conflict(&'static str),
    /// The request takes a while to arrive.
    Delayed(Duration),
    /// The request arrives after a while, even if its sender has ended.
    Late(Duration),
}

impl Fate {
    /// The fault's name in journals.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Proxied(fault) => fault.name().unwrap_or("delay"),
            Self::Conflict(_) => "conflict",
            Self::Delayed(_) => "delayed",
            Self::Late(_) => "late",
        }
    }
}

/// When a process crashes or freezes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// The call at which it crashes, counted from 1; with `true`, after the call was applied, otherwise before it is
    /// sent.
    pub crash: Option<(u64, bool)>,
    /// The call at which it freezes, and for how long; with `true`, after the call was applied, otherwise before it
    /// is sent.
    pub freeze: Option<(u64, Duration, bool)>,
}

/// The faults of one schedule. They end after a number that the seed determines, so the system can recover.
#[derive(Debug)]
pub struct Weather {
    seed: u64,
    /// How many of a thousand calls meet a fault.
    per_mille: u64,
    /// How many consecutive calls meet the same fault.
    burst: u64,
    kinds: Vec<FaultKind>,
    faults_left: AtomicU64,
    /// How many of a thousand processes crash, and how many freeze.
    crashing: u64,
    freezing: u64,
    crashes_left: AtomicU64,
    freezes_left: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    Throttle,
    ServerError,
    DropBefore,
    DropAfter,
    Truncate,
    Unprocessed,
    Conflict,
    Delayed,
    Late,
}

const FAULT_KINDS: [FaultKind; 9] = [
    FaultKind::Throttle,
    FaultKind::ServerError,
    FaultKind::DropBefore,
    FaultKind::DropAfter,
    FaultKind::Truncate,
    FaultKind::Unprocessed,
    FaultKind::Conflict,
    FaultKind::Delayed,
    FaultKind::Late,
];

impl Weather {
    /// A schedule without faults.
    #[must_use]
    pub fn clear() -> Self {
        Self {
            seed: 0,
            per_mille: 0,
            burst: 1,
            kinds: FAULT_KINDS.to_vec(),
            faults_left: AtomicU64::new(0),
            crashing: 0,
            freezing: 0,
            crashes_left: AtomicU64::new(0),
            freezes_left: AtomicU64::new(0),
        }
    }

    /// The faults that a seed determines.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut chance = Seeded(seed ^ 0x7765_6174_6865_7221);
        let (kinds, per_mille, burst): (Vec<FaultKind>, u64, u64) = match chance.below(9) {
            0 => (FAULT_KINDS.to_vec(), 0, 1),
            1 => (vec![FaultKind::Throttle, FaultKind::Unprocessed], 150, 1 + chance.below(8)),
            2 => (vec![FaultKind::DropBefore, FaultKind::DropAfter], 120, 1 + chance.below(3)),
            3 => (vec![FaultKind::DropAfter, FaultKind::Truncate], 100, 1),
            4 => (vec![FaultKind::Delayed, FaultKind::Late], 100, 1),
            5 => (
                vec![FaultKind::ServerError, FaultKind::Throttle, FaultKind::Conflict],
                150,
                1 + chance.below(6),
            ),
            6 => (vec![FaultKind::Unprocessed, FaultKind::Conflict, FaultKind::DropAfter], 250, 1),
            7 => (FAULT_KINDS.to_vec(), 60, 1),
            _ => (FAULT_KINDS.to_vec(), 250, 1),
        };
        let (crashing, freezing) = match chance.below(5) {
            0 => (0, 0),
            1 => (700, 0),
            2 => (0, 700),
            _ => (400, 300),
        };
        Self {
            seed,
            per_mille,
            burst,
            kinds,
            faults_left: AtomicU64::new(3 + chance.below(30)),
            crashing,
            freezing,
            crashes_left: AtomicU64::new(chance.below(5)),
            freezes_left: AtomicU64::new(chance.below(4)),
        }
    }

    /// When the process of this number crashes or freezes, if it does.
    #[must_use]
    pub fn mishaps(&self, process: u64) -> Mishaps {
        let mut chance = Seeded(mixed(&[self.seed, process, 0x6d69]));
        let within = [8, 30, 120][chance.below(3) as usize];
        let (crash, freeze) = (1 + chance.below(within), 1 + chance.below(within));
        let (crash_after, freeze_after) = (chance.below(2) == 0, chance.below(2) == 0);
        let length = Duration::from_millis(2_000 + chance.below(58_000));
        let mut mishaps = Mishaps::default();
        if chance.below(1_000) < self.crashing && taken(&self.crashes_left) {
            mishaps.crash = Some((crash, crash_after));
        }
        if chance.below(1_000) < self.freezing && taken(&self.freezes_left) {
            mishaps.freeze = Some((freeze, length, freeze_after));
        }
        mishaps
    }

    /// The fault of the `nth` call of an operation by a process. A request whose sender does not wait for the answer
    /// is never late: if it were applied after its outcome was settled, no client could know.
    #[must_use]
    pub fn fate(&self, process: u64, operation: &str, nth: u64, may_be_late: bool) -> Option<Fate> {
        if self.per_mille == 0 {
            return None;
        }
        let name = operation.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mut chance = Seeded(mixed(&[self.seed, process, name, nth / self.burst]));
        if chance.below(1_000) >= self.per_mille || !taken(&self.faults_left) {
            return None;
        }
        let kind = self.kinds[chance.below(self.kinds.len() as u64) as usize];
        // Each call of a burst has its own delay.
        let mut own = Seeded(mixed(&[self.seed, process, name, nth, 1]));
        let batch = operation.starts_with("Batch") && operation.ends_with("Item");
        let write = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems");
        Some(match kind {
            FaultKind::Throttle => Fate::Proxied(Fault::Throttle),
            FaultKind::ServerError => Fate::Proxied(Fault::ServerError),
            FaultKind::DropBefore => Fate::Proxied(Fault::DropBefore),
            FaultKind::DropAfter => Fate::Proxied(Fault::DropAfter),
            FaultKind::Truncate if operation.starts_with("HEAD") => Fate::Proxied(Fault::DropAfter),
            FaultKind::Truncate => Fate::Proxied(Fault::Truncate),
            FaultKind::Unprocessed if batch => Fate::Proxied(Fault::Unprocessed),
            FaultKind::Unprocessed => Fate::Proxied(Fault::Throttle),
            FaultKind::Conflict if write => {
                let codes = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
                Fate::Conflict(codes[own.below(3) as usize])
            }
            FaultKind::Conflict => Fate::Proxied(Fault::ServerError),
            FaultKind::Late if may_be_late => Fate::Late(Duration::from_millis(500 + own.below(50_000))),
            FaultKind::Delayed | FaultKind::Late => {
                Fate::Delayed(Duration::from_millis(20 + own.below(3_000)))
            }
        })
    }

    /// How long a request takes to arrive, and how long its answer takes.
    #[must_use]
    pub fn latency(&self, process: u64, total: u64) -> (Duration, Duration) {
        let mut chance = Seeded(mixed(&[self.seed, process, total, 0x6c61]));
        let mut some = |most| Duration::from_millis(1 + chance.below(most));
        (some(12), some(4))
    }
}

/// Takes one of the remaining faults, if there is one.
fn taken(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// Mixes several numbers into one.
#[must_use]
pub fn mixed(parts: &[u64]) -> u64 {
    parts
        .iter()
        .fold(0x9e37_79b9, |sum, part| Seeded(sum ^ part.wrapping_mul(0xff51_afd7_ed55_8ccd)).below(u64::MAX))
}
