//! API keys, kept as SHA-256 hashes.
//!
//! A key is 128 or more random bits, so a plain hash is enough: there is nothing to guess that a
//! slow hash would protect.
//!
//! An actor may have several keys, each with the time in which it is valid, so that a new one can be
//! handed out before the old one ends.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::{KeyHash, Validity};

/// The known keys.
#[derive(Default)]
pub struct ApiKeys {
    entries: Vec<Entry>,
}

struct Entry {
    hash: KeyHash,
    validity: Validity,
    actor: String,
}

/// Says how many keys there are and nothing of them.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}

impl ApiKeys {
    /// Adds a key of an actor.
    pub fn add(&mut self, hash: KeyHash, validity: Validity, actor: impl Into<String>) {
        self.entries.push(Entry { hash, validity, actor: actor.into() });
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The actor of a hash that is known already. Two actors with one key could not be told apart.
    pub fn owner(&self, hash: &KeyHash) -> Option<&str> {
        self.entries.iter().find(|entry| entry.hash == *hash).map(|entry| entry.actor.as_str())
    }

    /// Whose key this is, if it is valid at `now`. Looks at every known key and its times whatever it
    /// finds, so that the time it takes tells neither how much of a key was right, nor whose it is,
    /// nor whether one has expired.
    pub fn actor_of(&self, key: &SecretString, now: Timestamp) -> Option<&str> {
        let presented = KeyHash::of(key);
        self.find(now, |known| known.bytes().ct_eq(presented.bytes()))
    }

    /// The search, apart from the comparison, so that a test can count what is compared.
    fn find(&self, now: Timestamp, mut same: impl FnMut(&KeyHash) -> Choice) -> Option<&str> {
        let mut found = Choice::from(0);
        let mut at = 0_u64;
        for (index, entry) in (0_u64..).zip(&self.entries) {
            let valid = same(&entry.hash) & contains(&entry.validity, now);
            at.conditional_assign(&index, valid);
            found |= valid;
        }
        if !bool::from(found) {
            return None;
        }
        self.entries.get(usize::try_from(at).ok()?).map(|entry| entry.actor.as_str())
    }
}

/// Whether `now` is within, as a choice that takes the same time either way.
fn contains(validity: &Validity, now: Timestamp) -> Choice {
    let now = now.as_nanosecond();
    let from = validity.not_before.map_or(i128::MIN, Timestamp::as_nanosecond);
    let until = validity.expires.map_or(i128::MAX, Timestamp::as_nanosecond);
    Choice::from(u8::from(from <= now)) & Choice::from(u8::from(now < until))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::KeyHashError;

    fn key(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("time")
    }

    fn valid(from: Option<i64>, until: Option<i64>) -> Validity {
        Validity { not_before: from.map(at), expires: until.map(at) }
    }

    #[test]
    fn a_key_is_recognised_by_its_hash() -> Result<(), KeyHashError> {
        // echo -n secret_key_here | sha256sum
        let hash = "sha256:6d0e5471cfcac3c22e9b6136d384684fc86adb6a4bbcf54f719e2f280aa4246e";
        let mut keys = ApiKeys::default();
        keys.add(KeyHash::of(&key("other")), Validity::default(), "other");
        keys.add(hash.parse()?, Validity::default(), "assistant-service");
        keys.add(KeyHash::of(&key("third")), Validity::default(), "third");
        assert_eq!(keys.actor_of(&key("secret_key_here"), at(0)), Some("assistant-service"));
        assert_eq!(keys.actor_of(&key("secret_key_herf"), at(0)), None);
        assert_eq!(keys.actor_of(&key(""), at(0)), None);
        assert_eq!(keys.owner(&hash.parse()?), Some("assistant-service"));
        assert_eq!(hash.parse::<KeyHash>()?.to_string(), hash);
        Ok(())
    }

    #[test]
    fn keys_overlap_while_they_are_changed() {
        let mut keys = ApiKeys::default();
        keys.add(KeyHash::of(&key("old")), valid(None, Some(200)), "a");
        keys.add(KeyHash::of(&key("new")), valid(Some(100), None), "a");
        for (now, old, new) in
            [(99, true, false), (100, true, true), (199, true, true), (200, false, true)]
        {
            assert_eq!(keys.actor_of(&key("old"), at(now)).is_some(), old, "old at {now}");
            assert_eq!(keys.actor_of(&key("new"), at(now)).is_some(), new, "new at {now}");
        }
    }

    #[test]
    fn an_expired_entry_does_not_hide_a_valid_one() {
        let mut keys = ApiKeys::default();
        keys.add(KeyHash::of(&key("k")), valid(Some(100), None), "later");
        keys.add(KeyHash::of(&key("k")), Validity::default(), "now");
        keys.add(KeyHash::of(&key("k")), valid(None, Some(0)), "before");
        assert_eq!(keys.actor_of(&key("k"), at(50)), Some("now"));
    }

    proptest! {
        #[test]
        fn every_key_is_compared_whatever_is_found(
            windows in prop::collection::vec((any::<Option<i16>>(), any::<Option<i16>>()), 0..20),
            presented in 0_usize..25,
            now in any::<i16>(),
        ) {
            let mut keys = ApiKeys::default();
            for (index, (from, until)) in windows.iter().enumerate() {
                let hash = KeyHash::of(&key(&index.to_string()));
                keys.add(hash, valid(from.map(i64::from), until.map(i64::from)), index.to_string());
            }
            let wanted = KeyHash::of(&key(&presented.to_string()));
            let mut compared = 0;
            let found = keys.find(at(i64::from(now)), |known| {
                compared += 1;
                known.bytes().ct_eq(wanted.bytes())
            });
            prop_assert_eq!(compared, windows.len());
            let expected = windows.get(presented).is_some_and(|(from, until)| {
                from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
            });
            prop_assert_eq!(found.is_some(), expected);
            prop_assert_eq!(keys.actor_of(&key(&presented.to_string()), at(i64::from(now))), found);
        }
    }
}
