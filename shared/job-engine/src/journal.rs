//! What a batch has to remember beyond its checkpoint: an object with each checkpoint, so that a kill loses nothing;
//! and the removal of objects that nobody needs any more.

use serde::{Deserialize, Serialize};

use crate::{Work, WorkError};

/// The numbers of objects that one attempt has written, from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    fence: u64,
    first: u64,
    last: u64,
}

/// Objects of a batch, as they are stored in its checkpoint. Those of different attempts have different names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Journal(Vec<Range>);

impl Journal {
    /// Writes an object and notes it. It counts once the journal is in a checkpoint; what is written twice with no
    /// checkpoint between replaces what was there.
    ///
    /// # Errors
    /// [`WorkError`] if the bucket does not take it.
    pub async fn append(&mut self, work: &Work, what: &str, content: Vec<u8>) -> Result<(), WorkError> {
        // A checkpoint comes between any two objects that count.
        let (fence, number) = (work.fence(), work.saves());
        work.site().objects.put(&name(work, what, fence, number), content).await?;
        match self.0.last_mut() {
            Some(range) if range.fence == fence && range.last == number => {}
            Some(range) if range.fence == fence && range.last + 1 == number => range.last = number,
            _ => self.0.push(Range { fence, first: number, last: number }),
        }
        Ok(())
    }

    /// The names of its objects, in the order in which they were written.
    pub fn names(&self, work: &Work, what: &str) -> Vec<String> {
        let numbers = |range: &Range| {
            let fence = range.fence;
            (range.first..=range.last).map(move |number| (fence, number))
        };
        self.0.iter().flat_map(numbers).map(|(fence, number)| name(work, what, fence, number)).collect()
    }

    /// The content of its objects, in the order in which they were written.
    ///
    /// # Errors
    /// [`WorkError`] if one of them cannot be read.
    pub async fn read(&self, work: &Work, what: &str) -> Result<Vec<Vec<u8>>, WorkError> {
        let mut contents = Vec::new();
        for name in self.names(work, what) {
            contents.push(work.site().objects.get(&name).await?);
        }
        Ok(contents)
    }
}

impl Work {
    /// Removes those objects of the job below `prefix` that are left over, also of attempts that were cut off. Objects
    /// that cannot be removed are logged as a warning, and go when the job ends.
    pub async fn remove_leftovers(&self, prefix: &str, is_left_over: impl Fn(&str) -> bool) {
        let objects = &self.site().objects;
        let removed = async {
            let mut keys = objects.list(&self.job_object(prefix)).await?;
            keys.retain(|key| is_left_over(key));
            objects.delete_all(&keys).await
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, "objects stay until the job ends");
        }
    }
}

fn name(work: &Work, what: &str, fence: u64, number: u64) -> String {
    let task = work.task();
    let (stage, batch) = (task.stage, task.batch);
    work.job_object(&format!("stage-{stage:06}/batch-{batch:08}/{what}/{fence}-{number:08}"))
}
