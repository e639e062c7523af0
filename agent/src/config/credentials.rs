//! Secrets that the service manager passes to the daemon (systemd.exec(5), "CREDENTIALS").
//!
//! Wherever the daemon's file names a file with a key, token or certificate, `credential:NAME` is the file of
//! that name in `$CREDENTIALS_DIRECTORY`: what `LoadCredential=NAME:…` or `LoadCredentialEncrypted=NAME:…` in the
//! unit gave. Only the daemon can read it there, and it need not lie on a disk.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::api_key::KeySource;
use super::daemon::DaemonConfig;
use super::error::Problem;
use super::upstream::HeaderSource;

/// What such a name begins with.
const SCHEME: &[u8] = b"credential:";
/// Where systemd keeps the credentials of the packaged unit: `warrantd check` looks there when it is not run by
/// the service manager itself.
const OF_THE_UNIT: &str = "/run/credentials/warrantd.service";

/// Puts the files themselves where the configuration says `credential:NAME`.
pub(super) fn resolve(config: &mut DaemonConfig) -> Result<(), Problem> {
    let given = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let dir = given.unwrap_or_else(|| PathBuf::from(OF_THE_UNIT));
    for (key, file) in files(config) {
        if let Some(found) = find(&dir, file).map_err(|why| Problem::new(key, why))? {
            *file = found;
        }
    }
    Ok(())
}

/// The files that may be credentials, each with its place in the configuration.
fn files(config: &mut DaemonConfig) -> Vec<(String, &mut PathBuf)> {
    let mut files = Vec::new();
    if let Some(key) = &mut config.audit.checkpoint.key {
        files.push(("audit.checkpoint.key".to_owned(), key));
    }
    for (index, receiver) in config.audit.ship.iter_mut().enumerate() {
        let named = [(&mut receiver.ca, "ca"), (&mut receiver.token_file, "token_file")];
        for (file, field) in named {
            files.extend(file.as_mut().map(|f| (format!("audit.ship[{index}].{field}"), f)));
        }
    }
    for (index, actor) in config.actors.iter_mut().enumerate() {
        for (n, key) in actor.api_keys.iter_mut().enumerate() {
            if let KeySource::File(file) = &mut key.source {
                files.push((format!("actors[{index}].api_keys[{n}]"), file));
            }
        }
    }
    for (index, listener) in config.listen.iter_mut().enumerate() {
        if let Some(tls) = &mut listener.tls {
            let key = format!("listen[{index}].tls");
            files.push((format!("{key}.certificate"), &mut tls.certificate));
            files.push((format!("{key}.key"), &mut tls.key));
            files.extend(tls.client_ca.as_mut().map(|file| (format!("{key}.client_ca"), file)));
        }
    }
    for (index, server) in config.servers.iter_mut().enumerate() {
        let Some(upstream) = &mut server.upstream else { continue };
        let key = format!("servers[{index}].upstream");
        files.extend(upstream.ca.as_mut().map(|file| (format!("{key}.ca"), file)));
        for (name, source) in &mut upstream.headers {
            if let HeaderSource::File(file) = source {
                files.push((format!("{key}.headers.{name}"), file));
            }
        }
    }
    files
}

/// The file of a credential in `dir`; `None` for what is the path of a file.
fn find(dir: &Path, file: &Path) -> Result<Option<PathBuf>, String> {
    let Some(name) = file.as_os_str().as_bytes().strip_prefix(SCHEME) else { return Ok(None) };
    let shown = String::from_utf8_lossy(name);
    if name.is_empty() || name.contains(&b'/') || name == b"." || name == b".." {
        return Err(format!("`{shown}` is no name of a credential; it is a file's, without `/`"));
    }
    let found = dir.join(OsStr::from_bytes(name));
    if !found.exists() {
        return Err(format!(
            "the service manager gave no credential `{shown}` (there is no {}); add \
             `LoadCredential={shown}:/path/of/the/file` under [Service] (`systemctl edit warrantd`) and restart \
             warrantd",
            found.display()
        ));
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_of_its_directory_and_other_names_are_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("hec"), "token").expect("written");
        let found = |name: &str| find(dir.path(), Path::new(name));
        assert_eq!(found("credential:hec"), Ok(Some(dir.path().join("hec"))));
        for file in ["hec", "/etc/hec", "credentials/hec", "./credential:hec"] {
            assert_eq!(found(file), Ok(None), "{file}");
        }
    }

    #[test]
    fn one_that_was_not_given_or_leaves_the_directory_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("hec"), "token").expect("written");
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).expect("made");
        for (name, says) in [
            ("credential:hec", "LoadCredential=hec:"),
            ("credential:../hec", "without `/`"),
            ("credential:..", "no name"),
            ("credential:", "no name"),
            ("credential:/etc/shadow", "no name"),
        ] {
            let error = find(&inner, Path::new(name)).expect_err(name);
            assert!(error.contains(says), "{name}: {error}");
        }
    }

    #[test]
    fn every_file_of_a_secret_can_be_one() {
        let text = "
audit:
  checkpoint: {key: credential:signing}
  ship: [{name: a, to: splunk, url: 'https://h', token_file: credential:hec, ca: credential:ca}]
actors: [{id: a, api_keys: [{key_file: credential:a}]}]
listen:
  - {address: '127.0.0.1:1', tls: {certificate: credential:c, key: credential:k, client_ca: credential:cc}}
servers:
  - {id: a, policy: p, upstream: {url: 'https://h', ca: credential:u, headers: {Authorization: {file: credential:h}}}}
";
        let mut config: DaemonConfig = serde_yaml::from_str(text).expect("it reads");
        let keys: Vec<_> = files(&mut config)
            .into_iter()
            .filter(|(_, file)| file.to_string_lossy().starts_with("credential:"))
            .map(|(key, _)| key)
            .collect();
        assert_eq!(
            keys,
            [
                "audit.checkpoint.key",
                "audit.ship[0].ca",
                "audit.ship[0].token_file",
                "actors[0].api_keys[0]",
                "listen[0].tls.certificate",
                "listen[0].tls.key",
                "listen[0].tls.client_ca",
                "servers[0].upstream.ca",
                "servers[0].upstream.headers.Authorization",
            ]
        );
    }
}
