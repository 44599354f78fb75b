//! What a client does when the schedule lets it: the shipped leases, or a planted mistake in their place.

use aws_sdk_dynamodb::Client;
use nextbasket_domain::Clock;
use nextbasket_dynamodb::item::number;
use nextbasket_locks::{Attempt, AttributeChanges, Lease, LeaseError, LeaseKey, LeaseRequest, Leases, Lost};

use crate::common::LENGTH;
use crate::history::{Outcome, Seen, holder};
use crate::planted;

/// The attribute that renewals count in.
pub const RENEWALS: &str = "renewals";

/// How clients behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// As the crate does.
    Shipped,
    /// A release deletes the item.
    DeletingRelease,
    /// An acquisition asks for no condition.
    UnconditionalAcquire,
    /// A renewal does not look at whose the lease is.
    FencelessRenew,
    /// A renewal looks at owner and fence, but not at whether a later one was applied.
    LateRenew,
    /// The same, and what it adds beside the lease is added again with each request that is made again.
    RepeatedRenew,
}

impl Conduct {
    /// Whether it counts its renewals.
    pub fn counts(self) -> bool {
        matches!(self, Self::Shipped | Self::RepeatedRenew)
    }
}

/// A lease that a client has.
pub struct Holding {
    /// The acquisition.
    pub holder: usize,
    pub lease: Lease,
    /// By the client's clock, ms.
    pub expires_at: i64,
}

/// A call to make.
pub enum Task {
    Acquire { holder: usize },
    Renew(Holding),
    Release(Holding),
    Show,
}

/// A client's own things.
#[derive(Clone)]
pub struct Agent {
    pub conduct: Conduct,
    pub leases: Leases,
    /// For planted mistakes.
    pub dynamodb: Client,
    pub clock: Clock,
    pub key: LeaseKey,
}

impl Agent {
    /// Makes the call; what came of it, and the lease that the client has now.
    pub async fn perform(self, task: Task) -> (Outcome, Option<Holding>) {
        match task {
            Task::Acquire { holder } => self.acquire(holder).await,
            Task::Renew(holding) => self.renew(holding).await,
            Task::Release(holding) => (self.release(holding).await, None),
            Task::Show => {
                let shown = self.leases.show(&self.key).await;
                (shown.map_or(Outcome::Unknown, |seen| Outcome::Shown(seen.as_ref().map(Seen::of))), None)
            }
        }
    }

    async fn acquire(&self, op: usize) -> (Outcome, Option<Holding>) {
        if self.conduct == Conduct::UnconditionalAcquire {
            return match planted::acquire_without_condition(self, op).await {
                Some(holding) => (held(&holding), Some(holding)),
                None => (Outcome::Unknown, None),
            };
        }
        match self.leases.try_acquire(&self.key, &LeaseRequest::new(holder(op), LENGTH)).await {
            Ok(Attempt::Held(lease)) => {
                let expires_at = lease.expires_at().as_millis();
                let holding = Holding { holder: op, lease, expires_at };
                (held(&holding), Some(holding))
            }
            Ok(Attempt::Busy(record)) => (Outcome::Busy(Seen::of(&record)), None),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                (Outcome::Unknown, None)
            }
        }
    }

    async fn renew(&self, mut holding: Holding) -> (Outcome, Option<Holding>) {
        let planted = match self.conduct {
            Conduct::FencelessRenew => Some(planted::renew_without_fence(self, &holding).await),
            Conduct::LateRenew | Conduct::RepeatedRenew => {
                Some(planted::renew_whenever(self, &holding).await)
            }
            _ => None,
        };
        if let Some(renewed) = planted {
            let Some(expires_at) = renewed else { return (Outcome::Unknown, Some(holding)) };
            holding.expires_at = expires_at;
            return (Outcome::Renewed { expires_at }, Some(holding));
        }
        match holding.lease.renew_with(AttributeChanges::new().add(RENEWALS, number(1))).await {
            Ok(()) => {
                holding.expires_at = holding.lease.expires_at().as_millis();
                (Outcome::Renewed { expires_at: holding.expires_at }, Some(holding))
            }
            Err(error) => match failed(&error) {
                Outcome::Unknown => (Outcome::Unknown, Some(holding)),
                lost => (lost, None),
            },
        }
    }

    async fn release(&self, holding: Holding) -> Outcome {
        if self.conduct == Conduct::DeletingRelease {
            let released = planted::release_by_deleting(self, &holding).await;
            return if released { Outcome::Released } else { Outcome::Unknown };
        }
        match holding.lease.release().await {
            Ok(()) => Outcome::Released,
            Err(error) => failed(&error),
        }
    }
}

fn held(holding: &Holding) -> Outcome {
    Outcome::Held { fence: holding.lease.fence(), expires_at: holding.expires_at }
}

fn failed(error: &LeaseError) -> Outcome {
    match error {
        LeaseError::Lost(Lost::Taken { by }) => Outcome::Taken(Seen::of(by)),
        LeaseError::Lost(Lost::Released) => Outcome::WasReleased,
        LeaseError::Lost(Lost::Gone) => Outcome::Gone,
        LeaseError::Lost(Lost::Expired) => panic!("only a keeper says so"),
        LeaseError::Table(table) => {
            assert!(table.is_transient(), "{table}");
            Outcome::Unknown
        }
    }
}
