//! How a server is spoken to, and how its processes are started.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::{self, Uid};
use serde::{Deserialize, Serialize};

use super::install::{self, Install};
use super::server::{RunAs, Server, ServerError, ServerSpec};
use crate::kernel::{User, can_drop};
use crate::transport::Upstream;

/// How a server is spoken to, and who runs it.
#[derive(Debug, Clone, Default)]
pub enum Way {
    /// Over its standard streams; each session has a process of its own.
    #[default]
    PerSession,
    /// Over its standard streams; sessions share a process.
    Shared,
    /// Over HTTP; warrantd runs it.
    Managed(Arc<Upstream>),
    /// Over HTTP; it runs in this cgroup, below the mount.
    Attached(Arc<Upstream>, PathBuf),
    /// Over HTTP; nobody watches it.
    Unobserved(Arc<Upstream>),
}

/// How a server is run and spoken to, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// Standard streams, a process for each session.
    #[default]
    PerSession,
    /// Standard streams, one process for all.
    Shared,
    /// HTTP, run by warrantd.
    Managed,
    /// HTTP, run by something else and watched in its cgroup.
    Attached,
    /// HTTP, seen by nobody.
    Unobserved,
}

impl Server {
    /// How it is run and spoken to.
    pub fn manner(&self) -> Manner {
        match self.way {
            Way::PerSession => Manner::PerSession,
            Way::Shared => Manner::Shared,
            Way::Managed(_) => Manner::Managed,
            Way::Attached(..) => Manner::Attached,
            Way::Unobserved(_) => Manner::Unobserved,
        }
    }
}

impl Way {
    /// Where it is, if it is spoken to over HTTP.
    pub(super) fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::PerSession | Self::Shared => None,
            Self::Managed(upstream) | Self::Attached(upstream, _) | Self::Unobserved(upstream) => {
                Some(upstream)
            }
        }
    }

    /// Whether it leads to the same place in the same manner.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::PerSession, Self::PerSession) | (Self::Shared, Self::Shared) => true,
            (Self::Managed(one), Self::Managed(other))
            | (Self::Unobserved(one), Self::Unobserved(other)) => one.is(other),
            (Self::Attached(one, cgroup), Self::Attached(other, there)) => {
                one.is(other) && cgroup == there
            }
            _ => false,
        }
    }

    /// Whether warrantd starts its processes.
    fn is_run(&self) -> bool {
        matches!(self, Self::PerSession | Self::Shared | Self::Managed(_))
    }
}

/// How a server's processes are started.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) argv: Vec<OsString>,
    pub(super) install: Install,
    pub(super) user: Option<User>,
    /// The name of that user.
    pub(super) principal: String,
    pub(super) home: PathBuf,
}

impl Start {
    /// Looks for its program and its user. `path` is the server's `PATH`.
    pub(super) fn prepare(spec: &ServerSpec, path: &str) -> Result<Self, ServerError> {
        if !spec.way.is_run() {
            return Ok(Self {
                argv: Vec::new(),
                install: Install::default(),
                user: None,
                principal: String::new(),
                home: PathBuf::from("/"),
            });
        }
        let name = spec.command.first().ok_or_else(|| ServerError::NoCommand(spec.id.clone()))?;
        // As the caller finds it, then as the server would.
        let program = std::env::var("PATH")
            .ok()
            .and_then(|own| install::which(name, &own))
            .or_else(|| install::which(name, path))
            .ok_or_else(|| ServerError::NoProgram(name.clone(), spec.id.clone()))?;
        let program = std::path::absolute(&program).unwrap_or(program);
        let (user, principal, home) = user(spec)?;
        let install = install::find(&program, &spec.command, path);
        let arguments = spec.command.iter().skip(1).map(OsString::from);
        let argv = std::iter::once(program.into_os_string()).chain(arguments).collect();
        Ok(Self { argv, install, user, principal, home })
    }
}

/// The ids to change to, the user's name and home directory.
fn user(spec: &ServerSpec) -> Result<(Option<User>, String, PathBuf), ServerError> {
    let (found, name) = match &spec.user {
        RunAs::Same => {
            let uid = Uid::effective();
            (unistd::User::from_uid(uid).ok().flatten(), uid.to_string())
        }
        RunAs::Named(name) => {
            let by_name = unistd::User::from_name(name).ok().flatten();
            let by_uid = || {
                name.parse().ok().and_then(|uid| unistd::User::from_uid(Uid::from_raw(uid)).ok()?)
            };
            let user = by_name.or_else(by_uid);
            if user.is_none() {
                return Err(ServerError::NoUser(name.clone(), spec.id.clone()));
            }
            (user, name.clone())
        }
    };
    if found.as_ref().is_some_and(|user| user.uid.is_root()) {
        return Err(ServerError::AsRoot(spec.id.clone()));
    }
    if let (RunAs::Named(name), Some(user)) = (&spec.user, &found)
        && user.uid == Uid::effective()
        && can_drop()
    {
        return Err(ServerError::AsOwn(spec.id.clone(), name.clone()));
    }
    let home = found.as_ref().map_or_else(|| PathBuf::from("/"), |user| user.dir.clone());
    let principal = found.as_ref().map_or(name, |user| user.name.clone());
    let ids = found.filter(|user| user.uid != Uid::effective());
    // No supplementary groups: a server gets what its user itself has and nothing more.
    let ids =
        ids.map(|user| User { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups: Vec::new() });
    Ok((ids, principal, home))
}
