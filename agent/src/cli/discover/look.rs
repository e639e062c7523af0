//! What a plan needs to know of this host.

use std::path::Path;

use crate::discover::Host;

/// Where programs are looked for that have no path: as a login finds them, and where users install their own.
const PATH: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"];
const OWN_PATH: [&str; 4] = [".local/bin", "bin", ".cargo/bin", ".npm-global/bin"];

/// This host.
pub(super) struct ThisHost;

impl Host for ThisHost {
    fn program(&self, name: &str, home: &str) -> Option<String> {
        let name = match name.strip_prefix("~/") {
            Some(rest) => &format!("{home}/{rest}"),
            None => name,
        };
        if name.contains('/') {
            return (name.starts_with('/') && Path::new(name).is_file()).then(|| name.to_owned());
        }
        let common = PATH.iter().map(|dir| format!("{dir}/{name}"));
        let own = OWN_PATH.iter().map(|dir| format!("{home}/{dir}/{name}"));
        common.chain(own).find(|path| Path::new(path).is_file())
    }

    fn is_directory(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }
}
