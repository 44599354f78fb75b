//! Which jobs may do more than work on tables, objects and functions.
//!
//! Otherwise, anybody who can write a job's record could run commands with it. So a job that runs commands, touches
//! files of the machine or reaches endpoints of its own needs a process at the machine that vouches for it; a record
//! alone is no proof. On a data folder, the process that submits the job signs its id, kind and parameters with a key
//! that only the folder's owner can read, and the workers verify that. Elsewhere, the process that submitted a job
//! vouches for it as long as it runs, and another process only if the person at the machine asks it to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::job::{Job, JobId};

/// What a job may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// Work on tables, objects and functions. This is for jobs from HTTP and schedules, and for records without a
    /// voucher.
    #[default]
    Open,
    /// Also run commands, read and write files of this machine, and reach endpoints that it names. This is for jobs
    /// that a process at this machine vouches for.
    Machine,
}

/// How a process decides which jobs it vouches for.
#[derive(Clone)]
pub struct Vouching(Known);

#[derive(Clone)]
enum Known {
    /// Jobs whose record is signed with this key.
    Signed([u8; 32]),
    /// Jobs that it has submitted itself, with their kind and parameters.
    Submitted(Arc<Mutex<HashMap<JobId, (String, Value)>>>),
    /// All jobs: the person at the machine has asked for that.
    All,
}

impl Vouching {
    /// By a key that only processes at the machine can read: with it they create vouchers and verify those of others.
    pub fn signed(key: [u8; 32]) -> Self {
        Self(Known::Signed(key))
    }

    /// For jobs that this process submits itself.
    pub fn submitted() -> Self {
        Self(Known::Submitted(Arc::default()))
    }

    /// For every job that this process is asked to work on: the person at the machine vouches for it.
    pub fn all() -> Self {
        Self(Known::All)
    }

    /// Vouches for a job that is being submitted. Returns the voucher for its record, if vouchers are signed.
    pub(crate) fn vouch(&self, id: &JobId, kind: &str, parameters: &Value) -> Option<String> {
        match &self.0 {
            Known::Signed(key) => {
                Some(hex::encode(signing(key, id, kind, parameters).finalize().into_bytes()))
            }
            Known::Submitted(jobs) => {
                let submitted = (kind.to_owned(), parameters.clone());
                jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), submitted);
                None
            }
            Known::All => None,
        }
    }

    pub(crate) fn vouches(&self, job: &Job) -> bool {
        match &self.0 {
            Known::Signed(key) => {
                let Some(voucher) = job.voucher.as_deref().and_then(|voucher| hex::decode(voucher).ok())
                else {
                    return false;
                };
                // This comparison takes constant time.
                signing(key, &job.job_id, &job.kind, &job.parameters).verify_slice(&voucher).is_ok()
            }
            Known::Submitted(jobs) => {
                let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.get(&job.job_id)
                    .is_some_and(|(kind, parameters)| *kind == job.kind && *parameters == job.parameters)
            }
            Known::All => true,
        }
    }

    /// Whether no other process could vouch either for a job that this one does not vouch for.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.0, Known::Signed(_))
    }
}

impl std::fmt::Debug for Vouching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Known::Signed(_) => "Signed",
            Known::Submitted(_) => "Submitted",
            Known::All => "All",
        })
    }
}

/// The HMAC-SHA256 over id, kind and parameters, each prefixed with its length.
fn signing(key: &[u8; 32], id: &JobId, kind: &str, parameters: &Value) -> Hmac<Sha256> {
    // The same text before and after the job was stored, whatever order a map of JSON keeps.
    let mut parameters = parameters.clone();
    parameters.sort_all_objects();
    let parameters = parameters.to_string();
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mac = Hmac::<Sha256>::new(&block.into());
    [id.as_str(), kind, &parameters]
        .into_iter()
        .fold(mac, |mac, part| mac.chain_update(part.len().to_be_bytes()).chain_update(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use nextbasket_domain::Timestamp;

    fn job(id: &str, kind: &str, parameters: Value, voucher: Option<String>) -> Job {
        let job_id = JobId::parse(id).unwrap();
        Job { voucher, ..Job::new(job_id, kind.to_owned(), parameters, Timestamp::EPOCH) }
    }

    #[test]
    fn a_voucher_is_for_one_job_as_it_was_submitted() {
        let vouching = Vouching::signed([7; 32]);
        let id = JobId::parse("one").unwrap();
        let parameters = json!({ "command": ["id"], "b": { "y": 1.5, "x": [null, "ü\""] } });
        let voucher = vouching.vouch(&id, "map", &parameters);
        let good = |parameters: &Value| job("one", "map", parameters.clone(), voucher.clone());
        assert!(vouching.vouches(&good(&parameters)));
        let kept: Value = serde_json::from_str(&parameters.to_string()).unwrap();
        assert!(vouching.vouches(&good(&kept)));
        let reordered = r#"{"b":{"x":[null,"ü\""],"y":1.5},"command":["id"]}"#;
        assert!(vouching.vouches(&good(&serde_json::from_str(reordered).unwrap())));
        for changed in [
            good(&json!({ "command": ["rm"], "b": { "y": 1.5, "x": [null, "ü\""] } })),
            job("two", "map", parameters.clone(), voucher.clone()),
            job("one", "import", parameters.clone(), voucher.clone()),
            job("one", "map", parameters.clone(), None),
            job("one", "map", parameters.clone(), Some(String::new())),
            job("one", "map", parameters.clone(), voucher.as_ref().map(|voucher| voucher[2..].to_owned())),
            job("one", "map", parameters.clone(), Some("zz".repeat(32))),
        ] {
            assert!(!vouching.vouches(&changed), "{changed:?}");
        }
        assert!(!Vouching::signed([8; 32]).vouches(&good(&parameters)));
        assert!(!voucher.unwrap().is_empty());
    }

    #[test]
    fn without_a_key_a_process_vouches_for_what_it_submitted() {
        let (mine, another) = (Vouching::submitted(), Vouching::submitted());
        let id = JobId::parse("one").unwrap();
        assert_eq!(mine.vouch(&id, "map", &json!({})), None);
        let submitted = job("one", "map", json!({}), None);
        assert!(mine.clone().vouches(&submitted));
        assert!(!mine.vouches(&job("one", "map", json!({ "command": ["id"] }), None)), "changed since");
        assert!(!another.vouches(&submitted));
        assert!(Vouching::all().vouches(&submitted));
    }
}
