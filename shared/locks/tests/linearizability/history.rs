//! What the clients of one run asked for and heard, and when.

use std::collections::BTreeMap;
use std::fmt;

use nextbasket_locks::LeaseRecord;

/// The calls of one run, in the order in which they were made. An acquisition is known by its place here.
pub struct History {
    pub seed: u64,
    pub ops: Vec<Op>,
    pub holds: Vec<Hold>,
    /// What the schedule did, for people.
    pub log: Vec<String>,
    /// How often it did what.
    pub tally: BTreeMap<&'static str, u64>,
}

impl History {
    pub fn new(seed: u64) -> Self {
        Self { seed, ops: Vec::new(), holds: Vec::new(), log: Vec::new(), tally: BTreeMap::new() }
    }
}

/// One call of a client.
#[derive(Clone)]
pub struct Op {
    /// The client, and how often it had begun anew.
    pub client: (usize, u32),
    pub call: Call,
    /// The client's clock when it made the call, ms.
    pub local: i64,
    /// The step of the schedule at which it was made.
    pub invoked: u32,
    /// The step from which on it can have no effect any more; none if its request may still arrive.
    pub returned: Option<u32>,
    pub outcome: Outcome,
}

/// A lease is named by the acquisition that made it and its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Of the acquisition of that number: its own, but for requests that arrive when nobody waits for them.
    Acquire {
        holder: usize,
    },
    /// To hold until then, ms of the client's clock.
    Renew {
        holder: usize,
        fence: u64,
        until: i64,
    },
    Release {
        holder: usize,
        fence: u64,
    },
    Show,
    /// How many renewals were applied.
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Held {
        fence: u64,
        expires_at: i64,
    },
    Busy(Seen),
    Renewed {
        expires_at: i64,
    },
    Released,
    Taken(Seen),
    WasReleased,
    Gone,
    Shown(Option<Seen>),
    Counted(u64),
    /// It may have been applied or not.
    Unknown,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub holder: usize,
    pub fence: u64,
    pub expires_at: i64,
    pub released: bool,
}

/// When a careful client took itself for the holder: true time, ms, the end not included.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    pub client: (usize, u32),
    pub fence: u64,
    pub from: i64,
    pub to: i64,
}

/// What the acquisition calls itself.
pub fn holder(op: usize) -> String {
    format!("op{op}")
}

impl Seen {
    pub fn of(record: &LeaseRecord) -> Self {
        Self {
            holder: record.holder.trim_start_matches("op").parse().expect("an acquisition's number"),
            fence: record.fence,
            expires_at: record.expires_at.as_millis(),
            released: record.released,
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (number, op) in self.ops.iter().enumerate() {
            let returned = op.returned.map_or("open".to_owned(), |step| step.to_string());
            writeln!(
                f,
                "op{number} client {}.{} [{} .. {returned}] at {}: {:?} -> {:?}",
                op.client.0, op.client.1, op.invoked, op.local, op.call, op.outcome
            )?;
        }
        for line in &self.log {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}
