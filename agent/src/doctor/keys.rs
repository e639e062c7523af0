//! How old keys are. A hash tells no age: what is known is what the configuration says (`not_before`,
//! `expires`), and when a key's file was last written.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;
use secrecy::SecretString;

use super::certificates::date;
use super::finding::Finding;
use super::site::Site;
use crate::config::{ApiKeyConfig, HeaderSource, KeySource, key_file_hash};

/// A key that was in use for longer should be exchanged, in days.
const OLD: i64 = 365;
/// A key that ends so soon should be exchanged, in days.
const SOON: i64 = 14;
const DAY: i64 = 86_400;

/// Looks at the keys of actors, at what warrantd shows to others, and at what stands in the file itself.
pub(super) fn check(site: &Site, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, actor) in site.config.actors.iter().enumerate() {
        for (n, key) in actor.api_keys.iter().enumerate() {
            let place = site.place(&format!("actors[{index}].api_keys[{n}]"));
            findings.push(age(&actor.id, key, now).at(place));
        }
    }
    for (index, receiver) in site.config.audit.ship.iter().enumerate() {
        if let Some(file) = &receiver.token_file {
            let place = site.place(&format!("audit.ship[{index}].token_file"));
            let what = format!("the token for `{}`", receiver.name);
            findings.push(written(&what, &site.beside(file), now).at(place));
        }
    }
    for server in site.servers() {
        let id = &server.config.id;
        for (name, source) in server.config.upstream.iter().flat_map(|it| &it.headers) {
            let what = format!("header `{name}` for server `{id}`");
            let place = server.place(&format!("upstream.headers.{name}"));
            findings.push(match source {
                HeaderSource::File(file) => written(&what, &site.beside(file), now).at(place),
                HeaderSource::Value(_) => {
                    Finding::bad(format!("{what} stands in the configuration"))
                        .at(place)
                        .todo("put it into a file of its own and write `{file: …}`")
                }
            });
        }
        for name in server.config.env.keys().filter(|name| is_secret(name)) {
            let what = format!("variable `{name}` of server `{id}` stands in the configuration");
            findings.push(
                Finding::note(what)
                    .at(server.place(&format!("env.{name}")))
                    .todo("keep the file from everyone but root, or have the server read a file"),
            );
        }
    }
    findings
}

fn age(actor: &str, key: &ApiKeyConfig, now: Timestamp) -> Finding {
    let day = |at: Timestamp| date(at.as_second());
    let days = |from: Timestamp, to: Timestamp| (to.as_second() - from.as_second()) / DAY;
    let new =
        "make another with `warrantd key new`, list both, and remove this one when nobody uses it";
    if let Some(until) = key.validity.expires {
        if until <= now {
            let what = format!("a key of `{actor}` has expired on {}", day(until));
            return Finding::note(what).todo("remove it");
        }
        if days(now, until) < SOON {
            let what = format!("a key of `{actor}` expires on {}", day(until));
            return Finding::bad(what).todo(new);
        }
        if days(now, until) > OLD {
            let what = format!("a key of `{actor}` is valid until {}", day(until));
            return Finding::note(what).todo("let keys expire within a year");
        }
        return Finding::ok(format!("a key of `{actor}` expires on {}", day(until)));
    }
    let from = match &key.source {
        KeySource::File(file) => modified(file),
        KeySource::Hash(_) => None,
    };
    match key.validity.not_before.or(from) {
        Some(from) if days(from, now) > OLD => {
            let what = format!("a key of `{actor}` is of {} and never expires", day(from));
            Finding::bad(what).todo(new)
        }
        Some(from) => Finding::ok(format!("a key of `{actor}` is of {}", day(from))),
        None => Finding::note(format!(
            "how old a key of `{actor}` is cannot be known, nor when it ends"
        ))
        .todo("write it as `{sha256: …, not_before: …, expires: …}`"),
    }
}

/// How old something in a file is.
fn written(what: &str, file: &Path, now: Timestamp) -> Finding {
    match modified(file) {
        Some(from) if (now.as_second() - from.as_second()) / DAY > OLD => {
            let what = format!("{what} is of {}", date(from.as_second()));
            Finding::note(what).todo("have its owner exchange it")
        }
        Some(from) => Finding::ok(format!("{what} is of {}", date(from.as_second()))),
        None => Finding::bad(format!("{what} cannot be read: {}", file.display()))
            .todo("make the file, readable by root alone"),
    }
}

fn modified(file: &Path) -> Option<Timestamp> {
    Timestamp::from_second(std::fs::metadata(file).ok()?.mtime()).ok()
}

/// Whether a variable of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"]
        .iter()
        .any(|word| name.split('_').any(|part| part.starts_with(word)))
}

/// Whether a key file holds the key itself, and not its hash.
pub(super) fn holds_key(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    !text.starts_with("sha256:") && key_file_hash(&SecretString::from(text)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::super::certificates::tests::day;
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    const HASH: &str = "abababababababababababababababababababababababababababababababab";

    fn check(key: &str) -> Vec<Finding> {
        let daemon = format!("actors: [{{id: ada, api_keys: [{key}]}}]");
        super::check(&Place::new().site(&daemon, "", POLICY), day("2030-06-01"))
    }

    fn of_hash(rest: &str) -> Vec<Finding> {
        check(&format!("{{sha256: '{HASH}', {rest}}}"))
    }

    #[test]
    fn old_keys_and_those_that_end_are_found() {
        only_finding(&of_hash("expires: 2030-06-10T00:00:00Z"), "expires on 2030-06-10");
        only_finding(&of_hash("not_before: 2029-01-01T00:00:00Z"), "never expires");
        none_found(&of_hash("expires: 2030-12-01T00:00:00Z"));
        none_found(&of_hash("not_before: 2030-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let note = |key: &str| of(Level::Note, &check(key)).concat();
        assert!(note(&format!("'sha256:{HASH}'")).contains("cannot be known"));
        let notes = |rest| of(Level::Note, &of_hash(rest)).concat();
        assert!(notes("expires: 2030-05-01T00:00:00Z").contains("has expired"));
        assert!(notes("expires: 2040-05-01T00:00:00Z").contains("valid until 2040"));
    }

    #[test]
    fn a_key_file_is_as_old_as_it_was_written() {
        let place = Place::new();
        let file = place.file("key", "wd_0123456789abcdefghijkl\n");
        assert!(holds_key(&file) && !holds_key(&place.file("hash", &format!("sha256:{HASH}"))));
        let daemon = format!("actors: [{{id: ada, api_keys: [{{key_file: {}}}]}}]", file.display());
        let site = place.site(&daemon, "", POLICY);
        let day = 86_400;
        for (age, found) in [(10, false), (400, true)] {
            let at = SystemTime::now() - Duration::from_secs(age * day);
            File::options().write(true).open(&file).expect("opened").set_modified(at).expect("set");
            let findings = super::check(&site, Timestamp::now());
            let bad = of(Level::Finding, &findings);
            assert_eq!(bad.len(), usize::from(found), "{age} days: {findings:#?}");
        }
    }

    #[test]
    fn secrets_in_the_configuration_are_named() {
        let place = Place::new();
        let server = "env: {API_TOKEN: abc, LANG: C, MONKEY: x}";
        let notes = super::check(&place.site("", server, POLICY), day("2030-06-01"));
        assert!(of(Level::Note, &notes).concat().contains("`API_TOKEN`"));
        assert_eq!(of(Level::Note, &notes).len(), 1, "{notes:#?}");
        let text = "servers: [{id: a, policy: policy.yaml, upstream: {url: 'https://a/', \
                    unobserved: true, headers: {Authorization: 'Bearer abc'}}}]";
        let site = Site::read(&place.file("warrantd.yaml", text)).expect("a site");
        only_finding(&super::check(&site, day("2030-06-01")), "stands in the configuration");
    }
}
