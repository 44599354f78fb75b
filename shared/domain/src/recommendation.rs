//! The ids that our answers carry: `scenario.modelVersion.proof`.
//!
//! The id of an answer contains where it was shown and by which model, so no answer has to be stored for when a
//! purchase carries its id. The last part, 32 hexadecimal digits, proves that this stack issued the id: the day (2
//! bytes, since 1970), random bits (6 bytes), and a message authentication code (8 bytes) over all of that and, if
//! the answer was for a user, the user. Its key belongs to the stack alone.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::DAY_MS;
use crate::{Random, RecommendationId, Timestamp, UserId};

/// The longest scenario, in bytes.
pub const MAX_SCENARIO_BYTES: usize = 32;

/// For how many days purchases are counted as conversions of an answer.
pub const MAX_AGE_DAYS: u16 = 30;

/// The numbers of hexadecimal digits of the day, the random bits and the code.
const DAY_DIGITS: usize = 4;
const RANDOM_DIGITS: usize = 12;
const CODE_DIGITS: usize = 16;

/// The key that authenticates ids.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerKey([u8; 32]);

impl AnswerKey {
    #[must_use]
    pub fn draw(random: &Random) -> Self {
        Self(random.draw_key())
    }

    /// A key from its stored bytes; `None` if they are not a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The authentication code for an id without it, issued to this user or without a user.
    fn code(&self, id: &str, user: Option<&UserId>) -> [u8; 8] {
        // HMAC accepts keys of any length, and this one is as long as the hash.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return [0; 8] };
        mac.update(id.as_bytes());
        // Ids contain no control characters, so the input is unambiguous.
        mac.update(b"\n");
        mac.update(user.map(|user| user.as_str().as_bytes()).unwrap_or_default());
        let mut code = [0; 8];
        code.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(code, byte)| *code = byte);
        code
    }
}

/// The key must not appear in logs.
impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey")
    }
}

/// The parts of an id, not yet authenticated.
struct Parts<'a> {
    /// Everything except the code.
    signed: &'a str,
    scenario: &'a str,
    day: u16,
    code: u64,
}

impl RecommendationId {
    /// Creates an id for an answer shown in this scenario, to this user or without a user. `model_version` is `None`
    /// before the first training. Without a key, the id has the same form but cannot be authenticated.
    #[must_use]
    pub fn of_answer(
        key: Option<&AnswerKey>,
        scenario: &str,
        model_version: Option<u64>,
        user: Option<&UserId>,
        now: Timestamp,
        random: &Random,
    ) -> String {
        let (version, bits) = (model_version.unwrap_or(0), random.draw() >> 16);
        let signed = format!("{scenario}.{version}.{:04x}{bits:012x}", day(now));
        let code = key.map_or_else(|| random.draw(), |key| u64::from_be_bytes(key.code(&signed, user)));
        format!("{signed}{code:016x}")
    }

    /// The scenario that the answer was shown in, if the id was issued under this key in the last [`MAX_AGE_DAYS`]
    /// days, to this user or without a user.
    #[must_use]
    pub fn proved(&self, key: &AnswerKey, user: &UserId, now: Timestamp) -> Option<&str> {
        let parts = self.parts()?;
        let age = day(now).checked_sub(parts.day)?;
        let ours = self.is_of(key, Some(user)) || self.is_of(key, None);
        (age <= MAX_AGE_DAYS && ours).then_some(parts.scenario)
    }

    /// Whether the id was issued under this key at any time, to this user or without a user.
    #[must_use]
    pub fn is_of(&self, key: &AnswerKey, user: Option<&UserId>) -> bool {
        self.parts().is_some_and(|parts| u64::from_be_bytes(key.code(parts.signed, user)) == parts.code)
    }

    /// Whether the id has the form of ours, so that reading the key is worthwhile.
    #[must_use]
    pub fn has_our_form(&self) -> bool {
        self.parts().is_some()
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let text = self.as_str();
        let mut parts = text.splitn(3, '.');
        let (scenario, version, proof) = (parts.next()?, parts.next()?, parts.next()?);
        let hexadecimal = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let ours = (1..=MAX_SCENARIO_BYTES).contains(&scenario.len())
            && scenario.chars().all(fits)
            && !version.is_empty()
            && version.bytes().all(|c| c.is_ascii_digit())
            && proof.len() == DAY_DIGITS + RANDOM_DIGITS + CODE_DIGITS
            && proof.bytes().all(hexadecimal);
        if !ours {
            return None;
        }
        let (signed, code) = text.split_at_checked(text.len() - CODE_DIGITS)?;
        Some(Parts {
            signed,
            scenario,
            day: u16::from_str_radix(proof.get(..DAY_DIGITS)?, 16).ok()?,
            code: u64::from_str_radix(code, 16).ok()?,
        })
    }
}

/// The number of days since 1970; later days than a day in 2149 count as that day.
fn day(at: Timestamp) -> u16 {
    u16::try_from(at.as_millis() / DAY_MS).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_780_000_000_000;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_millis(NOW + days * DAY_MS).unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn key(seed: u64) -> AnswerKey {
        AnswerKey::draw(&Random::new(move || seed))
    }

    fn issued(key: Option<&AnswerKey>, to: Option<&UserId>) -> RecommendationId {
        let id = RecommendationId::of_answer(key, "home", Some(41), to, at(0), &Random::new(|| u64::MAX / 3));
        RecommendationId::parse(&id).unwrap()
    }

    #[test]
    fn an_id_of_ours_names_its_scenario_for_as_long_as_it_counts() {
        let (ada, key) = (user("ada"), key(7));
        for to in [Some(&ada), None] {
            let id = issued(Some(&key), to);
            assert!(id.as_str().starts_with("home.41.") && id.as_str().len() == 8 + 32, "{id}");
            for days in [0, 1, 30] {
                assert_eq!(id.proved(&key, &ada, at(days)), Some("home"), "after {days} days");
            }
            for days in [-1, 31, 4_000] {
                assert_eq!(id.proved(&key, &ada, at(days)), None, "after {days} days");
            }
        }
    }

    #[test]
    fn an_id_of_another_user_another_stack_or_nobody_proves_nothing() {
        let (ada, grace) = (user("ada"), user("grace"));
        assert_eq!(issued(Some(&key(7)), Some(&grace)).proved(&key(7), &ada, at(0)), None);
        assert_eq!(issued(Some(&key(8)), Some(&ada)).proved(&key(7), &ada, at(0)), None);
        assert_eq!(issued(None, Some(&ada)).proved(&key(7), &ada, at(0)), None);
        assert!(issued(None, None).has_our_form());
        for other in [
            "home",
            "home.41",
            "home.x.3c9d6eeda3edef4878fcb72d06ceeded",
            "home.41.3c9d6eeda3edef4878fcb72d06ceeded",
            "é.1.0",
        ] {
            let other = RecommendationId::parse(other).unwrap();
            assert_eq!(other.proved(&key(7), &ada, at(0)), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn an_id_with_another_character_proves_nothing(place in 0_usize..40, character in "[0-9a-zA-Z._-]") {
            let (ada, key) = (user("ada"), key(7));
            let id = issued(Some(&key), Some(&ada));
            let mut forged = id.as_str().to_owned();
            forged.replace_range(place..=place, &character);
            prop_assume!(forged != id.as_str());
            let forged = RecommendationId::parse(&forged).unwrap();
            prop_assert_eq!(forged.proved(&key, &ada, at(0)), None);
        }
    }
}
