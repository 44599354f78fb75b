//! Erased users, remembered by keyed hashes, and the secret of the stack that keys them.
//!
//! | `pk` | `sk` | item of the operations table |
//! |---|---|---|
//! | `secrets` | `current` | the secret in use: `secretId`, `key`, `createdAt` |
//! | `secrets` | `retired/ID` | an earlier one that erased users are still remembered with |
//! | `erased` | `ID/HASH` | an erased user: `erasedAt` in milliseconds since 1970 |
//!
//! Neither of them expires. A hash is the first 16 bytes of the HMAC-SHA-256 of the user's id, so it says nothing to
//! somebody who has the table's items but not the secret, and a known id is not recognised. All erased users are one
//! partition: a job reads them with one query, some eight thousand to a page.
//!
//! * [`secret`]: the secret, made on first use, and its rotation
//! * [`erased_users`]: who was erased, and until when their purchases are not to come back

#![warn(missing_docs)]

pub mod erased_users;
pub mod secret;

pub use erased_users::{ErasedUsers, Erasures};
pub use secret::{Rotation, Secret, Secrets};
