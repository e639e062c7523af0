//! What a plan needs to know of this host.

use std::collections::BTreeSet;
use std::path::Path;

use super::processes::Processes;
use crate::discover::Host;

/// Where programs are looked for that have no path: as a login finds them, and where users install their own.
const PATH: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"];
const OWN_PATH: [&str; 4] = [".local/bin", "bin", ".cargo/bin", ".npm-global/bin"];

/// This host.
pub(super) struct ThisHost<'a>(pub(super) &'a Processes);

impl Host for ThisHost<'_> {
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

    fn service(&self, port: u16) -> Option<String> {
        let all = self.0.tcp();
        let (_, pids) = all.iter().find(|(address, _)| address.port() == port)?;
        let cgroups = pids.iter().filter_map(|pid| self.0.get(*pid));
        let cgroups: BTreeSet<_> = cgroups.map(|process| process.cgroup.as_str()).collect();
        // A service of the host's has a group to itself; users' programs share theirs.
        let mut cgroups = cgroups.into_iter();
        let own = cgroups.next().filter(|_| cgroups.next().is_none())?;
        let service = own.starts_with("/system.slice/") && own.ends_with(".service");
        service.then(|| own.to_owned())
    }
}
