//! Keys fall into 4,096 buckets; each has a digest on either side.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use derive_more::{Add, Sum};
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::digest::{ItemsDigest, write_value};
use crate::error::FormatError;
use crate::parts::{Part, PartPage, PartPosition, PartReader, count_lines};
use crate::settings::ScanSettings;

/// How many of the hash's first bits tell the bucket.
const BITS: u32 = 12;
/// The time between two checkpoints.
const BETWEEN_SAVES: Duration = Duration::from_secs(5);
const ENTRY: usize = 1 + 2 + 16 + 8 + 8;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Add, Sum, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub only_left: u64,
    pub only_right: u64,
    pub differing: u64,
    /// Items that one side has twice: a file may.
    pub twice: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct DigestBucket {
    digest: ItemsDigest,
    bytes: u64,
}

/// Buckets of both sides, those that have something in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Buckets(BTreeMap<(u16, u8), DigestBucket>);

/// The bytes of an item's key: equal for equal keys.
pub(crate) fn key_of(keys: &[String], item: &Item) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(64);
    for name in keys {
        let value =
            item.get(name).ok_or_else(|| FormatError(format!("an item lacks the key attribute {name:?}")))?;
        write_value(value, &mut out)?;
    }
    Ok(out)
}

pub(crate) fn bucket_of(key: &[u8]) -> u16 {
    let hash = blake3::hash(key);
    let first = hash.as_bytes().first_chunk::<2>().copied().unwrap_or_default();
    u16::from_be_bytes(first) >> (u16::BITS - BITS)
}

impl Buckets {
    fn put(&mut self, side: u8, bucket: u16, digest: ItemsDigest, bytes: u64) {
        let entry = self.0.entry((bucket, side)).or_default();
        entry.digest += digest;
        entry.bytes += bytes;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (&(bucket, side), more) in &other.0 {
            self.put(side, bucket, more.digest, more.bytes);
        }
    }

    pub(crate) fn total(&self, side: u8) -> ItemsDigest {
        self.0.iter().filter(|((_, of), _)| *of == side).map(|(_, bucket)| bucket.digest).sum()
    }

    /// Buckets that differ, in groups of about so many bytes.
    pub(crate) fn groups(&self, bytes: u64) -> Vec<Vec<u16>> {
        let (mut groups, mut group, mut size) = (Vec::new(), Vec::new(), 0);
        for bucket in 0..1 << BITS {
            let at = |side| self.0.get(&(bucket, side)).copied().unwrap_or_default();
            let (left, right) = (at(0), at(1));
            if left.digest == right.digest {
                continue;
            }
            group.push(bucket);
            size += left.bytes + right.bytes;
            if size >= bytes {
                groups.push(std::mem::take(&mut group));
                size = 0;
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
        groups
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * ENTRY);
        for ((bucket, side), DigestBucket { digest, bytes }) in &self.0 {
            out.push(*side);
            out.extend_from_slice(&bucket.to_be_bytes());
            out.extend_from_slice(&digest.sum.to_be_bytes());
            out.extend_from_slice(&digest.count.to_be_bytes());
            out.extend_from_slice(&bytes.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(content: &[u8]) -> Result<Self, String> {
        let mut buckets = Self::default();
        let mut rest = content;
        while let Some((&side, after)) = rest.split_first() {
            let decoded = take::<2>(after).and_then(|(bucket, after)| {
                let (sum, after) = take::<16>(after)?;
                let (count, after) = take::<8>(after)?;
                let (bytes, after) = take::<8>(after)?;
                let digest = ItemsDigest { count: u64::from_be_bytes(count), sum: u128::from_be_bytes(sum) };
                buckets.put(side, u16::from_be_bytes(bucket), digest, u64::from_be_bytes(bytes));
                Some(after)
            });
            rest = decoded.ok_or("the digests of buckets are cut off")?;
        }
        Ok(buckets)
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    Some((*first, rest))
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    at: PartPosition,
    object: Option<String>,
}

pub(crate) async fn work(
    work: &mut Work,
    files: &Files,
    keys: &[String],
    scan: ScanSettings,
) -> Result<Outcome, CallError> {
    let part: Part = work.input()?;
    let state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    let mut buckets = match &state.object {
        Some(object) => {
            let content = work.site().objects.get(object).await?;
            Buckets::decode(&content).map_err(WorkError::Failed)?
        }
        None => Buckets::default(),
    };
    let mut reader = PartReader::open(work, files, &part, &state.at, scan).await?;
    let (mut saved, mut scratch) = (Instant::now(), Vec::new());
    loop {
        match reader.next(work).await? {
            PartPage::Items { items, problems, at } => {
                refuse_problems(&part, &problems)?;
                count_lines(work, &part, items.len(), 0);
                for item in &items {
                    let key = key_of(keys, item).map_err(|error| unreadable(&part, &error.0))?;
                    let digest =
                        ItemsDigest::of(item, &mut scratch).map_err(|error| unreadable(&part, &error.0))?;
                    let bytes = u64::try_from(scratch.len()).unwrap_or(0);
                    buckets.put(part.side, bucket_of(&key), digest, bytes);
                }
                let due = saved.elapsed() >= BETWEEN_SAVES || work.must_stop();
                if due && !reader.is_at_end() {
                    let name = format!("buckets-{}", work.saves());
                    let object = work.put_own(&name, buckets.encode()).await?;
                    if work.save(&Checkpoint { at, object: Some(object) }).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                    saved = Instant::now();
                }
            }
            PartPage::End(_) => return Ok(Outcome::Done(buckets.encode())),
            PartPage::Broken(problem) => return Err(unreadable(&part, &problem).into()),
        }
    }
}

/// A comparison has no use for a dump that cannot be read as a whole.
pub(crate) fn refuse_problems(part: &Part, problems: &[String]) -> Result<(), WorkError> {
    problems.first().map_or(Ok(()), |problem| Err(unreadable(part, problem)))
}

pub(crate) fn unreadable(part: &Part, problem: &str) -> WorkError {
    WorkError::Failed(format!("{}: {problem}", part.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(sum: u128) -> ItemsDigest {
        ItemsDigest { count: 1, sum }
    }

    #[test]
    fn buckets_that_differ_are_grouped_by_their_size() {
        let mut buckets = Buckets::default();
        for bucket in [1, 2, 3, 4000] {
            buckets.put(0, bucket, digest(7), 10);
            buckets.put(1, bucket, digest(if bucket == 2 { 7 } else { 8 }), 10);
        }
        buckets.put(1, 5, digest(1), 100);
        assert_eq!(buckets.groups(40), [vec![1, 3], vec![5], vec![4000]]);
        assert_eq!(buckets.groups(1), [vec![1], vec![3], vec![5], vec![4000]]);
        assert_eq!(buckets.total(0), ItemsDigest { count: 4, sum: 28 });
    }

    #[test]
    fn their_bytes_are_read_back_and_added_up() {
        let mut one = Buckets::default();
        one.put(0, 9, digest(u128::MAX), 10);
        one.put(1, 9, digest(3), 11);
        let encoded = one.encode();
        assert_eq!(encoded.len(), 2 * ENTRY);
        assert_eq!(Buckets::decode(&encoded), Ok(one.clone()));
        Buckets::decode(&encoded[..ENTRY + 3]).unwrap_err();
        one.add(&Buckets::decode(&encoded).unwrap());
        assert_eq!(one.total(1), ItemsDigest { count: 2, sum: 6 });
    }

    #[test]
    fn keys_fall_into_all_buckets() {
        let buckets: std::collections::BTreeSet<u16> =
            (0..100_000_u32).map(|n| bucket_of(&n.to_be_bytes())).collect();
        assert_eq!((buckets.len(), buckets.first(), buckets.last()), (4096, Some(&0), Some(&4095)));
    }
}
