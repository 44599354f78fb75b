//! What a lease's item says.

use std::time::Duration;

use nextbasket_domain::{Timestamp, TimestampError};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, ItemReader};

use crate::LeaseKey;

/// The attribute that names the holder: a string.
pub const HOLDER: &str = "holder";
pub(crate) const OWNER: &str = "owner";
/// The attribute with the fencing token: a number.
pub const FENCE: &str = "fence";
/// The attribute with the time of expiry: a number of milliseconds since 1970.
pub const EXPIRES_AT: &str = "expiresAt";
pub(crate) const LENGTH: &str = "lease";
/// The attribute with the time of the acquisition: a number of milliseconds since 1970.
pub const ACQUIRED_AT: &str = "acquiredAt";
/// The attribute that says whether the holder gave the lease up: a boolean.
pub const RELEASED: &str = "released";
pub(crate) const NOTE: &str = "note";
pub(crate) const NAME: &str = "name";
/// The mark of the last write of a holder's: random, unlike any other's.
pub(crate) const MARK: &str = "mark";
/// The mark before that.
pub(crate) const PREVIOUS: &str = "previous";

/// What others may not change.
pub(crate) const OURS: [&str; 10] =
    [HOLDER, OWNER, FENCE, EXPIRES_AT, LENGTH, ACQUIRED_AT, RELEASED, NOTE, MARK, PREVIOUS];

/// What a lease's item says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// The item's key.
    pub key: LeaseKey,
    /// Who holds it, for people.
    pub holder: String,
    /// The acquisition, unlike any other: the holder and a random part.
    pub owner: String,
    /// The number of the acquisition.
    pub fence: u64,
    /// When it was acquired, by the holder's clock.
    pub acquired_at: Timestamp,
    /// Until when the holder may count on it, by the holder's clock.
    pub expires_at: Timestamp,
    /// How long it holds without being renewed.
    pub length: Duration,
    /// Whether the holder gave it up.
    pub released: bool,
    /// The holder's payload.
    pub note: Option<String>,
    /// The lock's name; none for a lease on another item.
    pub name: Option<String>,
    pub(crate) mark: String,
    pub(crate) previous: String,
}

/// Whether a lease can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Given up.
    Free,
    /// Somebody's.
    Held,
    /// Nobody renewed it in time: the next who asks gets it.
    Expired,
}

impl LeaseRecord {
    /// Whether it can be had at this time of the caller's clock.
    #[must_use]
    pub fn state(&self, now: Timestamp, skew: Duration) -> LeaseState {
        if self.released {
            LeaseState::Free
        } else if now > self.expires_at.plus_millis(millis(skew)) {
            LeaseState::Expired
        } else {
            LeaseState::Held
        }
    }

    /// From an item; none if no lease was ever put on it.
    pub(crate) fn read(table: &str, key: &LeaseKey, item: Item) -> Result<Option<Self>, TableError> {
        if !item.contains_key(OWNER) {
            return Ok(None);
        }
        let mut reader = ItemReader { table, key: key.to_string(), item };
        Ok(Some(Self {
            key: key.clone(),
            holder: reader.text(HOLDER)?,
            owner: reader.text(OWNER)?,
            fence: reader.number(FENCE)?,
            acquired_at: time(&mut reader, ACQUIRED_AT)?,
            expires_at: time(&mut reader, EXPIRES_AT)?,
            length: Duration::from_millis(reader.number(LENGTH)?),
            released: reader.truth(RELEASED)?,
            note: reader.optional(NOTE, ItemReader::text)?,
            name: key.name().map(str::to_owned),
            mark: reader.text(MARK)?,
            previous: reader.text(PREVIOUS)?,
        }))
    }
}

fn time(reader: &mut ItemReader<'_>, attribute: &'static str) -> Result<Timestamp, TableError> {
    let millis = reader.number(attribute)?;
    Timestamp::from_millis(millis)
        .map_err(|error: TimestampError| reader.corrupt(attribute, error.to_string()))
}

/// Whole milliseconds as times count them.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LeaseRecord {
        LeaseRecord {
            key: LeaseKey::lock("train").unwrap(),
            holder: "host/1".to_owned(),
            owner: "host/1/x".to_owned(),
            fence: 3,
            acquired_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH.plus_millis(10_000),
            length: Duration::from_secs(10),
            released: false,
            note: None,
            name: None,
            mark: "b".to_owned(),
            previous: "a".to_owned(),
        }
    }

    #[test]
    fn a_lease_is_expired_when_more_than_the_skew_has_passed_since_its_expiry() {
        let skew = Duration::from_secs(2);
        let state = |millis| record().state(Timestamp::EPOCH.plus_millis(millis), skew);
        assert_eq!([state(0), state(10_000), state(12_000)], [LeaseState::Held; 3]);
        assert_eq!(state(12_001), LeaseState::Expired);
    }

    #[test]
    fn a_released_lease_is_free_before_and_after_its_expiry() {
        let record = LeaseRecord { released: true, ..record() };
        for millis in [0, 20_000] {
            let now = Timestamp::EPOCH.plus_millis(millis);
            assert_eq!(record.state(now, Duration::ZERO), LeaseState::Free);
        }
    }
}
