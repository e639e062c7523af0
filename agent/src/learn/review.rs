//! What a person must look at before a learned policy is used.

use std::net::IpAddr;

use crate::policy::url::special;

/// Programs that run whatever they are told.
const SHELLS: [&str; 10] =
    ["sh", "bash", "dash", "zsh", "ash", "fish", "busybox", "env", "python3", "node"];

/// Why a path needs eyes, whatever is done to it.
pub(super) fn path(path: &str) -> Option<&'static str> {
    if is_secret(path) {
        return Some("looks like a secret");
    }
    path.contains('\u{fffd}').then_some("its name is not UTF-8")
}

/// Whether a path is one at which secrets are kept.
fn is_secret(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    let directories =
        [".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".config/gcloud", "secrets"];
    let names = [
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".pgpass",
        ".my.cnf",
        ".git-credentials",
        ".htpasswd",
        "credentials",
        "credentials.json",
        "shadow",
        "gshadow",
        "sudoers",
        "environ",
        "authorized_keys",
    ];
    let endings = [".pem", ".key", ".p12", ".pfx", ".kdbx", ".jks", ".keystore", ".ppk"];
    let public = name.rsplit_once('.').is_some_and(|(_, ending)| ending == "pub");
    let private = name.starts_with("id_") && !public;
    name == ".env"
        || name.starts_with(".env.")
        || private
        || names.contains(&name)
        || endings.iter().any(|ending| name.ends_with(ending))
        || directories.iter().any(|dir| lower.contains(&format!("/{dir}/")))
}

/// Why a program needs eyes.
pub(super) fn program(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    if SHELLS.contains(&name) {
        return format!("runs {name}, which runs whatever it is told");
    }
    "runs a program".to_owned()
}

/// Why a peer needs eyes.
pub(super) fn peer(ip: IpAddr) -> Option<&'static str> {
    match special(ip) {
        None => Some("a public network peer"),
        Some("metadata") => Some("a metadata address, where clouds hand out credentials"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_noticed_and_other_files_are_not() {
        for secret in [
            "/srv/.env",
            "/srv/.env.local",
            "/home/a/.ssh/config",
            "/home/a/.ssh/id_rsa",
            "/x/id_ed25519",
            "/etc/shadow",
            "/srv/tls.KEY",
            "/home/a/.aws/config",
            "/proc/7/environ",
        ] {
            assert_eq!(path(secret), Some("looks like a secret"), "{secret}");
        }
        for plain in
            ["/srv/.envrc.md", "/srv/id_rsa.pub", "/etc/hosts", "/srv/keys.md", "/srv/ssh/a"]
        {
            assert_eq!(path(plain), None, "{plain}");
        }
    }

    #[test]
    fn peers_are_told_apart() {
        let of = |address: &str| peer(address.parse().expect("an address")).unwrap_or_default();
        assert!(of("8.8.8.8").contains("public"));
        assert!(of("169.254.169.254").contains("metadata"));
        assert_eq!(of("10.0.0.1"), "");
    }
}
