//! The access key of a machine: who may use the embedded DynamoDB and S3, and who may vouch for jobs.
//!
//! Loopback alone is not safe: a web page in a browser and every other user of the computer can reach it. So a
//! machine has a random key of its own, and rejects calls that are not signed with it (Signature Version 4, as on
//! AWS). The key of a data folder is stored in the folder, in a file that only its owner can read; the key of a
//! machine in memory ends with the machine.

mod file;
mod signature;

use std::fmt;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::door::discard;

pub(crate) use file::open as open_key_file;
pub use file::{KeyError, read as read_key_file};
pub use signature::sign;
pub(crate) use signature::{Verdict, is_signed};
use signature::{claimed, verify};

/// An access key: an id, which is sent, and a secret, which is not.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// Generates a key from the system's random numbers: 61 bits of them in the id, 244 in the secret.
    #[must_use]
    pub fn random() -> Self {
        let bits = || Uuid::new_v4().simple().to_string();
        let mut id = bits().to_ascii_uppercase();
        id.truncate(16);
        Self { id: format!("NBKT{id}"), secret: bits() + &bits() }
    }

    /// A key from its two parts, as read from a file or from the environment.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into() }
    }

    /// The id, as in `AWS_ACCESS_KEY_ID`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret, as in `AWS_SECRET_ACCESS_KEY`.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Derives a key for another purpose, which does not reveal this one.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        mac(self.secret.as_bytes(), purpose.as_bytes())
    }
}

/// Why the body of a request was not accepted.
pub(crate) enum UnacceptedBody {
    Unsigned(Verdict),
    TooLarge,
    NotArrived,
}

/// Reads the body, up to `max_bytes`, of a request that must be signed with the key.
pub(crate) async fn signed_body(
    head: &Parts,
    body: Body,
    key: &AccessKey,
    max_bytes: usize,
) -> Result<Bytes, UnacceptedBody> {
    // The body of a sender who does not even know the key's id is not kept.
    if let Err(verdict) = claimed(head, key) {
        discard(body).await;
        return Err(UnacceptedBody::Unsigned(verdict));
    }
    let body = Limited::new(body, max_bytes).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { UnacceptedBody::TooLarge } else { UnacceptedBody::NotArrived }
    })?;
    let body = body.to_bytes();
    match verify(head, &body, key, SystemTime::now()) {
        Verdict::Good => Ok(body),
        verdict => Err(UnacceptedBody::Unsigned(verdict)),
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

/// An HMAC-SHA256 that is ready for its message. A key longer than a block is hashed first, a shorter one is padded.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    let hashed = Sha256::digest(key);
    let key = if key.len() > block.len() { hashed.as_slice() } else { key };
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_what_is_derived_tells_nothing() {
        let (one, other) = (AccessKey::random(), AccessKey::random());
        assert_ne!(one, other);
        assert_eq!((one.id().len(), one.secret().len()), (20, 64));
        assert_ne!(one.derive("a"), one.derive("b"));
        assert!(!format!("{one:?}").contains(one.secret()));
    }
}
