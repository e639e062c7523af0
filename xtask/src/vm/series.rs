//! The kernels of the matrix: one of each Debian release that warrantd runs on.

use clap::ValueEnum;

/// A kernel series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Series {
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    #[value(name = "7.2")]
    V7_2,
}

/// The security modules that all these kernels start with, in Debian's order.
const SECURITY_MODULES: &str =
    "lockdown,yama,loadpin,safesetid,integrity,apparmor,selinux,smack,tomoyo";

impl Series {
    /// As the kernel's version begins.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7_2 => "7.2",
        }
    }

    /// The Debian releases that have it. What is not released moves on, so there are two to look in.
    pub(super) fn suites(self) -> &'static [&'static str] {
        match self {
            Self::V5_10 => &["bullseye"],
            Self::V6_1 => &["bookworm"],
            Self::V6_12 => &["trixie"],
            Self::V7_2 => &["sid", "forky"],
        }
    }

    /// Whether it is of a release with an archive of security updates.
    pub(super) fn has_security_updates(self) -> bool {
        self != Self::V7_2
    }

    /// The `lsm=` parameter that has `bpf` in the list of security modules, or has not; none when the
    /// kernel's own list is already so.
    pub(super) fn security_modules(self, bpf: bool) -> Option<String> {
        let own = self != Self::V5_10;
        (bpf != own).then(|| {
            let bpf = if bpf { ",bpf" } else { "" };
            format!("lsm={SECURITY_MODULES}{bpf}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_other_list_is_asked_for() {
        assert!(Series::V5_10.security_modules(false).is_none());
        assert!(Series::V6_1.security_modules(true).is_none());
        assert!(Series::V5_10.security_modules(true).is_some_and(|list| list.ends_with(",bpf")));
        assert!(Series::V7_2.security_modules(false).is_some_and(|list| !list.contains("bpf")));
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        for series in Series::value_variants() {
            let value = series.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(value.as_deref(), Some(series.name()));
        }
    }
}
