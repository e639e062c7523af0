//! `warrantd run`: one server on standard input and output.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use nix::unistd::{Uid, User};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Failure, kernel, signals};
use crate::audit::{AuditKey, Keeping, Log, Options, Reason, keep};
use crate::auth::{Identity, Method};
use crate::config::{
    CheckpointConfig, KernelMode, Mode, PolicyFile, Problem, ProtocolChoice, Source,
};
use crate::kernel::Kernel;
use crate::serve::{
    Configuration, Control, Overseer, PlacedServer, Tally, load_policy, record_gaps,
};
use crate::session::{
    Context, Ending, MAX_REQUEST, RunAs, Server, ServerError, ServerSpec, Sessions, Way, converse,
};
use crate::transport::{Inbox, Outbox};

/// Wrap one MCP server on standard input and output
///
/// Put this in front of the server's command in a client's configuration. The server must be
/// installed: confined, it has no network to install itself with (as `npx -y` would).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  warrantd run --policy files.yaml -- mcp-server-filesystem /srv/data
  warrantd run --observe -- mcp-server-filesystem /srv/data"
)]
pub(super) struct Run {
    /// Policy file
    #[arg(long, value_name = "FILE", required_unless_present = "observe")]
    policy: Option<PathBuf>,
    /// Record without holding anything back, with the policy or without one (then one call at a time);
    /// see `warrantd learn`
    #[arg(long)]
    observe: bool,
    /// Who calls, as the policy names it [default: the policy's only actor; `client` without policy]
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Directory of the audit log
    #[arg(long, value_name = "DIR", default_value = "/var/log/warrantd")]
    audit: PathBuf,
    /// Key to sign the audit log with, made when missing [default: /var/lib/warrantd/audit.key where that
    /// is; without a key the log has no signed checkpoints, and `audit verify` finds its end open]
    #[arg(long, value_name = "FILE")]
    audit_key: Option<PathBuf>,
    /// File of the definitions of tools that were accepted; switches pinning on
    #[arg(long, value_name = "FILE")]
    pins: Option<PathBuf>,
    /// Directory of the socket by which `warrantd status`, `thaw` and `kill` reach this session
    #[arg(long, value_name = "DIR", env = "WARRANTD_RUNTIME_DIR", default_value = "/run/warrantd")]
    runtime_dir: PathBuf,
    /// The server's working directory, from which relative paths count [default: here]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// User that the server runs as [default: the user of sudo, else nobody]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Environment variable for the server
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Whether the kernel enforces and observes; `off` must be explicit
    #[arg(long, value_enum, default_value_t = KernelMode::On)]
    kernel: KernelMode,
    /// The server's command
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Run {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let (server, identity) = self.prepare()?;
        // One log for each run: a chain of hashes has one writer.
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let instance = format!("run-{}", std::process::id());
        let options = Options { key: self.signing_key()?, ..Options::default() };
        let log =
            Log::open_with(&self.audit, &format!("run-{stamp}-{}", std::process::id()), options)
                .map_err(Failure::other)?;
        let log = Arc::new(log);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Failure::other)?;
        let ending = runtime.block_on(async {
            let stop = signals::end_or_hangup().map_err(Failure::other)?;
            kernel::check_floor(server.wants_floor())?;
            let layer = kernel::start(self.kernel, instance)?;
            kernel::check_enforcement(server.wants_enforcement(), layer.kernel.as_ref())?;
            if let Some(kernel) = &layer.kernel {
                record_gaps(kernel, &log).map_err(Failure::other)?;
            }
            tracing::info!(
                actor = identity.actor,
                user = server.principal(),
                audit = %log.path().display(),
                "{}",
                server.command_line()
            );
            server.warn_if_observed();
            let client = Inbox::lines(tokio::io::stdin(), MAX_REQUEST);
            let writer = Outbox::lines(tokio::io::stdout(), 16);
            let (server, kernel) = (Arc::new(server), layer.kernel.clone());
            let sessions = Arc::new(Sessions::default());
            let overseer = self.overseer((&server, kernel.as_deref()), &sessions, &log);
            let control = self.control(sessions.clone(), overseer, &stop);
            let keeping = Keeping {
                interval: CheckpointConfig::default().interval.0,
                keep: None,
                delivered: Arc::new(|| None),
            };
            let keeper = tokio::spawn(keep(log.clone(), keeping));
            // Nothing is reloaded: what it runs was given on the command line.
            let latest = watch::channel(server.clone()).1;
            let context = Context { server, latest, kernel, log: log.clone(), sessions };
            let ending = converse(context, identity, client, writer, stop).await;
            if let Some(control) = control {
                control.abort();
                let _ = control.await; // Called off.
            }
            layer.close().await;
            keeper.abort();
            let ending = ending.map_err(Failure::other)?;
            log.checkpoint(Reason::Stop).map_err(Failure::other)?;
            Ok::<_, Failure>(ending)
        });
        // A read of standard input cannot be called off; it must not delay the end.
        runtime.shutdown_background();
        self.exit(ending?)
    }

    /// What the log is signed with, if there is something.
    fn signing_key(&self) -> Result<Option<Arc<AuditKey>>, Failure> {
        let usual = Path::new("/var/lib/warrantd/audit.key");
        let given = self.audit_key.as_deref();
        // Whoever may not look whether there is one has none.
        let Some(path) = given.or_else(|| File::open(usual).is_ok().then_some(usual)) else {
            return Ok(None);
        };
        let key = AuditKey::open_or_make(path).map_err(|e| Failure::Setup(e.to_string()))?;
        Ok(Some(Arc::new(key)))
    }

    /// Tells operators of the whole, as `warrantd status` does of a daemon.
    fn overseer(
        &self,
        (server, kernel): (&Arc<Server>, Option<&Kernel>),
        sessions: &Arc<Sessions>,
        log: &Arc<Log>,
    ) -> Overseer {
        let id = server.id.clone();
        let tally = Arc::new(Tally::new(move |server| server == id));
        log.observe(tally.clone());
        let placed = PlacedServer {
            server: server.clone(),
            policy: self.policy.clone().unwrap_or_default(),
        };
        let configuration = Configuration { servers: vec![placed], ..Configuration::default() };
        let now = move || configuration.clone();
        Overseer::new(sessions.clone(), kernel, log.clone(), tally, now)
    }

    /// Answers operators, where that can be done: who runs without privileges has no directory for it.
    fn control(
        &self,
        sessions: Arc<Sessions>,
        overseer: Overseer,
        stop: &watch::Receiver<bool>,
    ) -> Option<JoinHandle<()>> {
        match Control::of_run(&self.runtime_dir, sessions) {
            Ok(control) => Some(tokio::spawn(control.with_overseer(overseer).serve(stop.clone()))),
            Err(error) => {
                let dir = self.runtime_dir.display();
                tracing::warn!(
                    "no control socket in {dir} ({error}): `warrantd status` will not show this"
                );
                None
            }
        }
    }

    /// Checks everything; starts nothing.
    fn prepare(&self) -> Result<(Server, Identity), Failure> {
        let (source, mut policy) = self.policy()?;
        if let Some(pins) = &self.pins {
            policy.pinning.get_or_insert_default().file = Some(pins.clone());
        }
        if policy.pinning.as_ref().is_some_and(|pinning| pinning.file.is_none()) {
            let message = "say where accepted definitions of tools are kept: write `file` here, or give \
                           `--pins FILE`";
            return Err(Failure::Config(source.error(Problem::new("pinning", message))));
        }
        let root = match &self.root {
            Some(root) => root.clone(),
            None => std::env::current_dir().map_err(Failure::other)?,
        };
        let spec = ServerSpec {
            id: self.server_id(),
            command: self.command.clone(),
            root,
            user: self.run_as(),
            env: self.environment()?,
            way: Way::PerSession,
            protocol: ProtocolChoice::Auto,
        };
        let server = Server::prepare(&spec, &policy, None).map_err(|error| match error {
            ServerError::Policy(problem) => Failure::Config(source.error(problem)),
            ServerError::Pins(error) => Failure::Config(error),
            other => Failure::Setup(other.to_string()),
        })?;
        let actor = match &self.actor {
            Some(actor) => {
                if self.policy.is_some() {
                    server.policy.expect_actor(actor).map_err(|problem| source.error(problem))?;
                }
                actor.clone()
            }
            None if self.policy.is_none() => "client".to_owned(),
            None => match server.policy.actor_ids().collect::<Vec<_>>().as_slice() {
                [only] => (*only).to_owned(),
                all => {
                    let all = all.join(", ");
                    let text = format!("say who calls with --actor (the policy names: {all})");
                    return Err(Failure::Usage(text));
                }
            },
        };
        let uid = Some(Uid::current().as_raw());
        Ok((server, Identity { actor, method: Method::Invoker, uid }))
    }

    /// The policy to run with. Without a file it knows nobody and allows nothing, which only an
    /// observed server can be run with.
    fn policy(&self) -> Result<(Source, PolicyFile), Failure> {
        let (source, mut policy) = if let Some(file) = &self.policy {
            load_policy(file)?
        } else {
            let mut policy = PolicyFile::default();
            // What each call does can be learned only when it is alone in flight.
            policy.effects.serialize_calls = true;
            (Source::new(Path::new("--observe"), String::new()), policy)
        };
        if self.observe {
            policy.mode = Mode::Observe;
        }
        Ok((source, policy))
    }

    /// The server's name in records: that of its program.
    fn server_id(&self) -> String {
        let program = self.command.first().map(PathBuf::from);
        let name = program.as_ref().and_then(|program| program.file_stem());
        name.map_or_else(|| "server".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    fn run_as(&self) -> RunAs {
        if let Some(user) = &self.user {
            return RunAs::Named(user.clone());
        }
        if !Uid::effective().is_root() {
            return RunAs::Same;
        }
        let invoker = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
        let invoker = invoker.filter(|uid| *uid != 0).map(Uid::from_raw);
        match invoker.and_then(|uid| User::from_uid(uid).ok().flatten()) {
            Some(user) => RunAs::Named(user.name),
            None => RunAs::Named("nobody".to_owned()),
        }
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, Failure> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::Usage(format!("--env takes NAME=VALUE, not `{text}`"))),
        };
        self.env.iter().map(pair).collect()
    }

    fn exit(&self, ending: Ending) -> Result<ExitCode, Failure> {
        match ending {
            Ending::ClientLeft => Ok(ExitCode::SUCCESS),
            Ending::Terminated => {
                let why = "the server was killed: it did more than it may; the audit log says what";
                Err(Failure::Other(why.to_owned()))
            }
            Ending::Killed => {
                Err(Failure::Other("the server was killed by an operator's order".to_owned()))
            }
            Ending::ServerGone { status, early } => {
                let how =
                    status.map_or_else(|| "for an unknown reason".to_owned(), |s| s.to_string());
                let program = self.command.first().map_or("", String::as_str);
                let installs = ["npx", "uvx", "bunx", "pipx", "uv", "pnpm", "yarn"]
                    .iter()
                    .any(|name| PathBuf::from(program).ends_with(name));
                let hint = if early && installs {
                    format!(
                        "; `{program}` installs what it runs, and a confined server has no network \
                         for that: install the server first and name its own program"
                    )
                } else if early {
                    "; it had not answered a single request: see what it wrote above".to_owned()
                } else {
                    String::new()
                };
                Err(Failure::Other(format!("the server ended by itself ({how}){hint}")))
            }
        }
    }
}
