//! The configuration is read anew while the daemon runs.
//!
//! Everything that can fail comes first, and changes nothing: files are read and checked, new sockets made,
//! certificates read. Then everything is exchanged. Sessions go on: each adopts what its server has now
//! before it hears its next message, kernel tables included, and ends where that cannot be done.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::accept::bind;
use super::daemon::DaemonError;
use super::load::{Loaded, LoadedServer, load_after};
use super::notify;
use super::running::Running;
use crate::audit::{ConfigurationRecord, Event, Record, Status};
use crate::config::{ConfigError, KernelMode, ListenerConfig};
use crate::kernel::floor_shortcomings;
use crate::transport::activation;
use crate::transport::http::{ListenError, Listener, Manner};

/// Where reloads are ordered.
pub type Orders = mpsc::Sender<Order>;

/// An order to read the configuration anew.
#[derive(Debug)]
pub struct Order {
    /// The user who gave it, if that is known.
    pub by: Option<u32>,
    /// Who waits for what came of it, if anybody does.
    pub answer: Option<oneshot::Sender<Result<Reloaded, ReloadError>>>,
}

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The number of the configuration that is in force now.
    pub generation: u32,
    /// Files that are not as they were before.
    pub changed: Vec<String>,
    /// Servers that there were not before.
    pub added: Vec<String>,
    /// Servers that there are no more.
    pub removed: Vec<String>,
    /// Sessions that go on.
    pub sessions: usize,
    /// Sessions that do not answer: they wait for clients that do not read, and adopt it before they hear
    /// anything more.
    pub pending: usize,
}

/// Why the configuration stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of it takes a restart.
    #[error("`{0}` is settled when the daemon starts; restart it, or set this back")]
    Restart(&'static str),
    /// This kernel cannot do what a policy asks for.
    #[error("{0}")]
    Kernel(String),
    /// A socket cannot be made.
    #[error(transparent)]
    Listen(#[from] DaemonError),
    /// An HTTP listener cannot listen.
    #[error(transparent)]
    Http(#[from] ListenError),
}

/// What was made for a new configuration and is not in force yet.
struct Staged {
    loaded: Loaded,
    /// Sockets of servers that there were not before.
    sockets: Vec<(String, UnixListener)>,
    listeners: Vec<Listen>,
}

/// What becomes of a listener's configuration.
enum Listen {
    /// The running one of this number stays.
    Kept(usize),
    /// It takes in connections otherwise.
    Renewed(usize, ListenerConfig, Box<Manner>),
    /// It is a new one.
    New(ListenerConfig, Box<Listener>),
}

impl Running {
    /// Reads the configuration anew, records what came of it and answers.
    pub(super) async fn obey(&mut self, order: Order) {
        notify::reloading();
        let done = self.reload(order.by).await;
        notify::ready();
        match &done {
            Ok(reloaded) => {
                let Reloaded { generation, sessions, .. } = reloaded;
                tracing::info!(generation, sessions, "the new configuration is in force");
            }
            Err(error) => tracing::error!("the configuration stays as it was: {error}"),
        }
        if let Some(answer) = order.answer {
            let _ = answer.send(done); // Nobody may wait any more.
        }
    }

    async fn reload(&mut self, by: Option<u32>) -> Result<Reloaded, ReloadError> {
        let staged = match self.stage().await {
            Ok(staged) => staged,
            Err(error) => {
                let _ = self.record(&Record {
                    operator_uid: by,
                    status: Some(Status::Failure),
                    error: Some(one_line(&error.to_string())),
                    policy_generation: Some(self.generation),
                    ..Record::new(Event::Reload)
                }); // Nothing has changed.
                return Err(error);
            }
        };
        let before: BTreeSet<String> = self.roster.ids().into_iter().collect();
        let loaded = &staged.loaded;
        let now: BTreeSet<String> = loaded.servers.iter().map(|s| s.server.id.clone()).collect();
        let configuration = ConfigurationRecord {
            files: loaded.files.clone(),
            changed: loaded.files.changed_since(&self.files),
            added: now.difference(&before).cloned().collect(),
            removed: before.difference(&now).cloned().collect(),
        };
        // What is not recorded does not happen.
        self.record(&Record {
            operator_uid: by,
            status: Some(Status::Success),
            policy_generation: Some(loaded.generation),
            configuration: Some(configuration.clone()),
            ..Record::new(Event::Reload)
        })?;
        self.exchange(staged);
        let told = self.common.sessions.status().await;
        let pending = told.iter().filter(|session| session.server.is_empty()).count();
        Ok(Reloaded {
            generation: self.generation,
            changed: configuration.changed,
            added: configuration.added,
            removed: configuration.removed,
            sessions: told.len(),
            pending,
        })
    }

    fn record(&self, record: &Record) -> Result<(), ReloadError> {
        Ok(self.common.log.append(record).map_err(DaemonError::Audit)?)
    }

    /// Everything that can fail.
    async fn stage(&self) -> Result<Staged, ReloadError> {
        let (file, roster) = (self.file.clone(), self.roster.clone());
        let generation = self.generation.saturating_add(1);
        let read = tokio::task::spawn_blocking(move || {
            let running = |id: &str| roster.get(id).map(|served| served.loaded().server.clone());
            load_after(&file, generation, &running)
        });
        let loaded = read.await.map_err(|error| ReloadError::Kernel(error.to_string()))??;
        if let Some(key) = self.fixed.difference(&loaded.fixed) {
            return Err(ReloadError::Restart(key));
        }
        self.check_kernel(&loaded.servers)?;
        let mut sockets = Vec::new();
        for LoadedServer { server, .. } in &loaded.servers {
            if self.roster.get(&server.id).is_none() {
                sockets.push((server.id.clone(), bind(&self.fixed.socket(&server.id)).await?));
            }
        }
        let listeners = match self.stage_listeners(&loaded.listen).await {
            Ok(listeners) => listeners,
            Err(error) => {
                for (id, _) in &sockets {
                    activation::remove(&self.fixed.socket(id)); // It was made just now.
                }
                return Err(error.into());
            }
        };
        Ok(Staged { loaded, sockets, listeners })
    }

    /// Whether this kernel can do what policies ask for.
    fn check_kernel(&self, servers: &[LoadedServer]) -> Result<(), ReloadError> {
        let servers = || servers.iter().map(|loaded| &loaded.server);
        if servers().any(|server| server.wants_floor()) {
            floor_shortcomings().map_err(|error| ReloadError::Kernel(error.to_string()))?;
        }
        let enforces = match (&self.common.kernel, self.fixed.kernel) {
            (Some(kernel), KernelMode::On) => kernel.backend().enforces_files(),
            _ => false,
        };
        if servers().any(|server| server.wants_enforcement()) && !enforces {
            let why = "a policy has `effects.enforce`, which needs the `lsm` observer; `warrantd doctor` \
                       says why this host does not have it";
            return Err(ReloadError::Kernel(why.to_owned()));
        }
        Ok(())
    }

    async fn stage_listeners(
        &self,
        configs: &[ListenerConfig],
    ) -> Result<Vec<Listen>, ListenError> {
        let mut free: BTreeSet<usize> = (0..self.listeners.len()).collect();
        let mut staged = Vec::new();
        for config in configs {
            let place = |config: &ListenerConfig| (config.address, config.unix.clone());
            let running = |n: &usize| self.listeners.get(*n);
            let at = |n: &usize| running(n).is_some_and(|r| place(&r.config) == place(config));
            let same = |n: &usize| running(n).is_some_and(|r| r.config == *config);
            let found = free.iter().copied().find(same).or_else(|| free.iter().copied().find(at));
            let Some(number) = found else {
                let listener = Box::new(Listener::bind(config).await?);
                staged.push(Listen::New(config.clone(), listener));
                continue;
            };
            staged.push(if same(&number) {
                Listen::Kept(number)
            } else {
                Listen::Renewed(number, config.clone(), Box::new(Manner::new(config)?))
            });
            free.remove(&number);
        }
        Ok(staged)
    }

    /// Puts in force what was staged.
    fn exchange(&mut self, staged: Staged) {
        let Staged { loaded, mut sockets, listeners } = staged;
        let ids: BTreeSet<String> = loaded.servers.iter().map(|s| s.server.id.clone()).collect();
        for id in self.roster.ids() {
            if !ids.contains(&id) {
                self.dismiss(&id);
            }
        }
        self.generation = loaded.generation;
        self.files = loaded.files;
        self.front.limit(loaded.limits);
        for server in loaded.servers {
            server.server.warn_if_observed();
            let id = server.server.id.clone();
            match (self.roster.get(&id), sockets.iter().position(|(new, _)| *new == id)) {
                (Some(served), _) => {
                    let begins = server.server.is_kept() && !served.loaded().server.is_kept();
                    served.replace(server);
                    if begins {
                        self.keep(&served);
                    }
                }
                (None, Some(index)) => self.serve(sockets.swap_remove(index).1, server),
                // Every server has one or the other.
                (None, None) => {}
            }
        }
        self.exchange_listeners(listeners);
    }

    fn exchange_listeners(&mut self, listeners: Vec<Listen>) {
        let mut before: Vec<_> =
            std::mem::take(&mut self.listeners).into_iter().map(Some).collect();
        for listen in listeners {
            let mut take = |number: usize| before.get_mut(number).and_then(Option::take);
            match listen {
                Listen::Kept(number) => self.listeners.extend(take(number)),
                Listen::Renewed(number, config, manner) => {
                    if let Some(mut listening) = take(number) {
                        listening.listener.renew(*manner);
                        listening.config = config;
                        self.listeners.push(listening);
                    }
                }
                Listen::New(config, listener) => self.listen(config, *listener),
            }
        }
        before.iter().flatten().for_each(super::running::Listening::end);
    }
}

/// The first line of an error with the place that its second line names.
fn one_line(text: &str) -> String {
    text.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ")
}
