//! Leases with fencing tokens on a DynamoDB table: one holder at a time, across machines, for as long as it says it
//! is there.
//!
//! A lease is one item. Every acquisition raises the item's `fence` by one; nothing else changes the fence, and
//! nothing deletes the item. What the lease protects can therefore tell an old holder from the present one by the
//! fence alone, whatever clocks and networks do.
//!
//! **It guarantees**
//! * that fences are unique and rise by one per acquisition, across release, expiry, takeover and crash;
//! * that two holders never believe in the same lease at the same time, as long as their clocks differ by no more
//!   than the skew (2 s by default) and each stops when [`Lease::is_expired`] or its [`Keeper`] says so;
//! * that a call whose answer was lost is answered right: we recognise what we wrote ourselves;
//! * that [`Lease::renew_with`] and [`Lease::release_with`] apply what they carry once, in the order of the calls,
//!   though the network repeats, delays or reorders their requests.
//!
//! **It does not** stop a holder that sleeps through its expiry from writing elsewhere: what is written under a lease
//! has to check the fence, with [`Lease::guard`] on the lease's own item or by comparing fences where it is written.
//! It gives no order among those who wait, and knows no shared (reading) leases.
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | [`LeaseKey`]: which item |
//! | [`leases`] | [`Leases`]: try, look, list, resume |
//! | [`waiting`] | [`Leases::acquire`], [`Leases::acquire_observing`] |
//! | [`request`] | [`LeaseRequest`] and its [`Attempt`] |
//! | [`record`] | [`LeaseRecord`]: what a lease's item says |
//! | [`lease`] | [`Lease`]: renew, release |
//! | [`attribute_changes`] | [`AttributeChanges`]: changes of other attributes in the same write |
//! | [`guard`] | [`Guard`]: the condition that a lease is still ours |
//! | [`keeper`] | [`Keeper`]: renews in the background, tells the loss |
//! | [`error`] | [`LeaseError`], [`Lost`], [`Unreleased`] |

#![warn(missing_docs)]

pub mod attribute_changes;
pub mod error;
mod expression;
pub mod guard;
pub mod keeper;
pub mod key;
pub mod lease;
pub mod leases;
pub mod record;
pub mod request;
pub mod waiting;

pub use attribute_changes::{AcquisitionTerms, AttributeChanges};
pub use error::{LeaseError, Lost, Unreleased};
pub use guard::Guard;
pub use keeper::Keeper;
pub use key::{BadName, LeaseKey};
pub use lease::Lease;
pub use leases::Leases;
pub use record::{LeaseRecord, LeaseState};
pub use request::{Attempt, LeaseRequest};
