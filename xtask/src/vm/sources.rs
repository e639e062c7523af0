//! What apt is told: where Debian's archives are, and to keep its state to itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::series::Series;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ARCHIVE: &str = "http://deb.debian.org/debian";
const SECURITY_ARCHIVE: &str = "http://deb.debian.org/debian-security";

/// Where the archives are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirrors {
    archive: String,
    security: String,
}

impl Mirrors {
    /// Those that the machine's own configuration names, else the public ones.
    pub(super) fn of_this_machine() -> Self {
        let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
        for part in parts {
            text.push('\n');
            text.push_str(&fs::read_to_string(part.path()).unwrap_or_default());
        }
        Self::named_in(&text)
    }

    /// Reads both formats of sources.list(5): an archive is a URL that ends in `/debian` or
    /// `/debian-security`.
    fn named_in(text: &str) -> Self {
        let words = || {
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            lines.flat_map(str::split_whitespace).map(|word| word.trim_end_matches('/'))
        };
        let ending = |end: &str, otherwise: &str| {
            let found = words().find(|word| {
                (word.starts_with("http://") || word.starts_with("https://")) && word.ends_with(end)
            });
            found.unwrap_or(otherwise).to_owned()
        };
        Self {
            archive: ending("/debian", ARCHIVE),
            security: ending("/debian-security", SECURITY_ARCHIVE),
        }
    }
}

/// The sources of one series.
pub(super) fn list(series: Series, mirrors: &Mirrors) -> String {
    let line = |archive: &str, suite: String| {
        format!("deb [arch=amd64 signed-by={KEYRING}] {archive} {suite} main\n")
    };
    let mut list = String::new();
    for suite in series.suites() {
        list.push_str(&line(&mirrors.archive, (*suite).to_owned()));
        if series.has_security_updates() {
            list.push_str(&line(&mirrors.security, format!("{suite}-security")));
        }
    }
    list
}

/// How the machine's own configuration reaches a mirror (by a proxy, say). What else it has, such as hooks,
/// is not taken over.
pub(super) fn access() -> anyhow::Result<String> {
    let dump = Command::new("apt-config").args(["dump", "--no-empty", "Acquire"]).output();
    String::from_utf8(dump.context("cannot run apt-config")?.stdout).context("apt-config")
}

/// A configuration that keeps all state below one directory, and takes over how to reach a mirror.
pub(super) fn configuration(place: &Path, access: &str) -> String {
    let place = place.display();
    format!(
        "{access}\n\
         Dir::Etc::main \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::sourcelist \"{place}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::preferences \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::State \"{place}\";\n\
         Dir::State::lists \"{place}/lists\";\n\
         Dir::State::status \"{place}/status\";\n\
         Dir::Cache \"{place}\";\n\
         Dir::Cache::archives \"{place}/archives\";\n\
         APT::Architecture \"amd64\";\n\
         APT::Architectures \"amd64\";\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}

/// The packages of a `Depends` field; of alternatives, the first.
pub(super) fn names(depends: &str) -> Vec<String> {
    let names = depends.split(',').filter_map(|dependency| dependency.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The versions in what `apt-cache madison` says, newest first.
pub(super) fn versions(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.split('|').nth(1)).map(|word| word.trim().into()).collect()
}

/// The first of these that is of the series.
pub(super) fn newest_of(series: Series, versions: &[String]) -> Option<&String> {
    versions.iter().find(|version| {
        version.strip_prefix(series.name()).is_some_and(|rest| rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read_in_both_formats() {
        let expected = |archive: &str, security: &str| Mirrors {
            archive: archive.into(),
            security: security.into(),
        };
        let old = "# deb http://old.example/debian x main\n\
                   deb [arch=amd64] https://mirror.example/debian/ bookworm main\n\
                   deb http://mirror.example/debian-security bookworm-security main\n";
        assert_eq!(
            Mirrors::named_in(old),
            expected("https://mirror.example/debian", "http://mirror.example/debian-security")
        );
        let new = "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n";
        assert_eq!(
            Mirrors::named_in(new),
            expected("http://mirror.example/debian", SECURITY_ARCHIVE)
        );
        let other = "deb http://archive.example/ubuntu noble main\n";
        assert_eq!(Mirrors::named_in(other), expected(ARCHIVE, SECURITY_ARCHIVE));
    }

    #[test]
    fn dependencies_are_names() {
        let depends = "linux-base (= 7.2.13-1), linux-binary-7.2 (= 7.2.13-1), kmod | busybox";
        assert_eq!(names(depends), ["linux-base", "linux-binary-7.2", "kmod"]);
    }

    #[test]
    fn releases_with_security_updates_have_both_sources() {
        let mirrors = Mirrors::named_in("");
        assert_eq!(list(Series::V5_10, &mirrors).lines().count(), 2);
        assert!(!list(Series::V7_2, &mirrors).contains("security"));
    }

    #[test]
    fn the_newest_of_a_series_is_found() {
        let text = "p |   7.4.1-1 | http://m.example/debian sid/main amd64 Packages\n\
                    p | 7.2.13-1 | http://m.example/debian forky/main amd64 Packages\n\
                    p | 7.2.9-1 | http://m.example/debian forky/main amd64 Packages\n";
        let versions = versions(text);
        assert_eq!(newest_of(Series::V7_2, &versions).map(String::as_str), Some("7.2.13-1"));
        assert_eq!(newest_of(Series::V6_1, &["6.12.1-1".to_owned()]), None);
    }
}
