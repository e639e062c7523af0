//! The keys that a server accepts, as configuration names them.
//!
//! Key files are read anew for every connection, so a key is changed by writing its file: nothing
//! need be restarted, and sessions that are open go on.

use secrecy::SecretString;

use crate::auth::ApiKeys;
use crate::config::{ApiKeyConfig, KeyHash, KeySource, key_file_hash};

/// Keys and whose they are.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: Vec<(ApiKeyConfig, String)>,
}

impl Keyring {
    /// Adds a key of an actor. The error says why it cannot be used now.
    pub(super) fn add(&mut self, key: &ApiKeyConfig, actor: &str) -> Result<(), String> {
        let hash = hash_of(key)?;
        if let Some(owner) = self.current().owner(&hash).filter(|owner| *owner != actor) {
            return Err(format!("actor `{owner}` has the same key; give each its own"));
        }
        self.keys.push((key.clone(), actor.to_owned()));
        Ok(())
    }

    /// The keys as they are now. One whose file cannot be used is left out, so nobody gets in by it.
    pub fn current(&self) -> ApiKeys {
        let mut keys = ApiKeys::default();
        for (key, actor) in &self.keys {
            match hash_of(key) {
                Ok(hash) => keys.add(hash, key.validity, actor.clone()),
                Err(why) => tracing::warn!(actor, "a key does not count: {why}"),
            }
        }
        keys
    }
}

/// The hash by which a key is known, from the configuration itself or from the file that it names.
fn hash_of(key: &ApiKeyConfig) -> Result<KeyHash, String> {
    match &key.source {
        KeySource::Hash(hash) => Ok(hash.clone()),
        KeySource::File(file) => {
            let content = std::fs::read_to_string(file)
                .map_err(|error| format!("cannot read the key file {}: {error}", file.display()))?;
            key_file_hash(&SecretString::from(content))
                .map_err(|error| format!("the key file {}: {error}", file.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::config::Validity;

    fn in_file(path: &std::path::Path) -> ApiKeyConfig {
        ApiKeyConfig { source: KeySource::File(path.to_owned()), validity: Validity::default() }
    }

    #[test]
    fn a_key_is_changed_by_writing_its_file() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("key");
        let (old, new) = ("wd_old_0123456789abcdefghij", "wd_new_0123456789abcdefghij");
        let actor = |ring: &Keyring, key: &str| {
            let keys = ring.current();
            keys.actor_of(&SecretString::from(key), Timestamp::now()).map(str::to_owned)
        };
        std::fs::write(&file, old).expect("written");
        let mut ring = Keyring::default();
        ring.add(&in_file(&file), "a").expect("usable");
        assert_eq!(actor(&ring, old).as_deref(), Some("a"));
        std::fs::write(&file, new).expect("written");
        assert_eq!(actor(&ring, old), None);
        assert_eq!(actor(&ring, new).as_deref(), Some("a"));
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(actor(&ring, new), None, "a key that is gone opens nothing");
    }

    #[test]
    fn two_actors_cannot_share_a_key() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("key");
        std::fs::write(&file, "wd_0123456789abcdefghijkl").expect("written");
        let mut ring = Keyring::default();
        ring.add(&in_file(&file), "a").expect("usable");
        assert!(ring.add(&in_file(&file), "a").is_ok());
        assert!(ring.add(&in_file(&file), "b").is_err());
        assert!(ring.add(&in_file(&dir.path().join("missing")), "a").is_err());
    }
}
