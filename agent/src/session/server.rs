//! A configured MCP server, ready to be started for a session.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use nix::unistd::{Gid, Uid};
use secrecy::SecretSlice;

use super::floor;
use super::pins::Pins;
use super::schemas::Schemas;
use super::succession::{pins, schemas, way};
use super::way::{Start, Way};
use crate::audit::{ContextRules, Sanitizer};
use crate::config::{ConfigError, Mode, PinningSection, PolicyFile, Problem, ProtocolChoice};
use crate::kernel::{Floor, User};
use crate::policy::{Policy, RateLimiter, Subject, TooSoon, method_remarks};
use crate::transport::Upstream;
use crate::warrant::{Ambient, Rules, Warrant};

/// What it takes to know a server.
#[derive(Debug)]
pub struct ServerSpec {
    /// Its name in audit records.
    pub id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its working directory.
    pub root: PathBuf,
    /// The user it runs as.
    pub user: RunAs,
    /// Environment beside the built-in one.
    pub env: BTreeMap<String, String>,
    /// How it is spoken to.
    pub way: Way,
    /// Which era is spoken to it.
    pub protocol: ProtocolChoice,
}

/// The user that a server runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunAs {
    /// A user of this host, by name or number.
    Named(String),
    /// The user that warrantd itself runs as.
    Same,
}

/// Why a server cannot be started as configured.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its program is not installed.
    #[error(
        "cannot find the program `{0}` of server `{1}`; install it first: a confined server has \
         no network to install itself with"
    )]
    NoProgram(String, String),
    /// No command was given.
    #[error("server `{0}` has no command")]
    NoCommand(String),
    /// Its user does not exist.
    #[error("there is no user `{0}` on this host for server `{1}`")]
    NoUser(String, String),
    /// It would run as root.
    #[error(
        "server `{0}` would run as root, which could undo its own confinement; name another user"
    )]
    AsRoot(String),
    /// It would run as warrantd's own user.
    #[error(
        "server `{0}` would run as warrantd's own user `{1}`, whose cgroups and audit log it could change; name \
         another user"
    )]
    AsOwn(String, String),
    /// Its directory cannot be used.
    #[error("the root `{}` of server `{id}` cannot be used: {source}", root.display())]
    Root {
        /// The server.
        id: String,
        /// The directory.
        root: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its policy does not fit.
    #[error("{}", .0.message)]
    Policy(Problem),
    /// The definitions of its tools that were accepted cannot be read.
    #[error(transparent)]
    Pins(ConfigError),
}

/// A server, its policy and everything that follows from both.
#[derive(Debug)]
pub struct Server {
    /// Its name in audit records.
    pub id: String,
    pub(super) argv: Vec<OsString>,
    pub(super) root: PathBuf,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) user: Option<User>,
    /// The name of that user.
    pub(super) principal: String,
    /// Who may call what.
    pub policy: Policy,
    pub(super) rules: Rules,
    pub(super) ambient: Ambient,
    /// What starting it may do.
    pub(super) startup: Warrant,
    /// What it may reach of the file system, if policy says so.
    pub(super) floor: Option<Floor>,
    /// The same, to be enforced by the kernel programs.
    pub(super) enforced: Option<Floor>,
    /// What is taken out of arguments before they are logged.
    pub(super) sanitizer: Sanitizer,
    /// What callers say of the circumstances of a call.
    pub(super) said: ContextRules,
    /// What the tools take.
    pub(super) schemas: Arc<Schemas>,
    /// What was accepted of what it says of its tools.
    pub(super) pins: Arc<Pins>,
    /// What the policy says of that.
    pub(super) pinning: Option<PinningSection>,
    pub(super) way: Way,
    pub(super) protocol: ProtocolChoice,
    /// Which configuration of the daemon it comes from: 1 is the first.
    pub generation: u32,
    pub(super) limiter: Arc<Mutex<RateLimiter>>,
    /// Where the limiter's clock starts.
    pub(super) prepared: Instant,
}

/// Directories in which a server's programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Server {
    /// Checks the whole specification; starts nothing. What was known of the server as it was configured
    /// `before` goes over: what was called, how its tools are defined, which of them were accepted.
    pub fn prepare(
        spec: &ServerSpec,
        policy: &PolicyFile,
        before: Option<&Self>,
    ) -> Result<Self, ServerError> {
        for remark in policy.remarks().into_iter().chain(method_remarks(policy)) {
            tracing::warn!(server = spec.id, "{}: {}", remark.key, remark.message);
        }
        let bad_root =
            |source| ServerError::Root { id: spec.id.clone(), root: spec.root.clone(), source };
        let root = spec.root.canonicalize().map_err(bad_root)?;
        let root_text = root.to_str().ok_or_else(|| bad_root(invalid("its path is not UTF-8")))?;
        if !root.is_dir() {
            return Err(bad_root(invalid("it is not a directory")));
        }
        let path = spec.env.get("PATH").map_or(PATH, String::as_str);
        let Start { argv, install, user, principal, home } = Start::prepare(spec, path)?;
        let rules = Rules::of(policy, root_text).map_err(ServerError::Policy)?;
        let ambient = Ambient::new(&install.trees, &policy.effects.ambient.read, root_text)
            .and_then(|ambient| ambient.with_connect(&policy.effects.ambient.connect))
            .map_err(ServerError::Policy)?
            .with_unix(policy.network.unix.iter().cloned());
        let observed = policy.mode == Mode::Observe;
        let ambient =
            if observed { ambient.with_ports(policy.network.listen.clone()) } else { ambient };
        let whole = floor::of(policy, root_text, &install);
        let (floor, enforced) = (
            (policy.effects.landlock && !observed).then(|| whole.clone()),
            (policy.effects.enforce && !observed).then_some(whole),
        );
        let pins = pins(policy.pinning.as_ref(), before).map_err(ServerError::Pins)?;
        let own = || (Uid::effective().as_raw(), Gid::effective().as_raw());
        let (uid, gid) = user.as_ref().map_or_else(own, |user| (user.uid, user.gid));
        if let Some(file) = pins.writable_by(uid, gid) {
            tracing::warn!(
                "user `{principal}`, as whom server `{}` runs, can write {}: keep accepted definitions where \
                 it cannot, or give the server another user",
                spec.id,
                file.display()
            );
        }
        let compiled = Policy::compile(policy, root_text).map_err(ServerError::Policy)?;
        let way = way(spec, before);
        Ok(Self {
            id: spec.id.clone(),
            generation: 1,
            argv,
            env: environment(spec, path, &home),
            root: root.clone(),
            user,
            principal,
            // Starting the server runs its programs; reading its files is ambient.
            startup: rules.startup(&install.programs),
            rules,
            ambient,
            floor,
            enforced,
            sanitizer: sanitizer(policy)?,
            said: ContextRules::compile(&policy.context).map_err(ServerError::Policy)?,
            schemas: schemas(&compiled, before),
            pins,
            pinning: policy.pinning.clone(),
            way,
            protocol: spec.protocol,
            limiter: before.map(|before| before.limiter.clone()).unwrap_or_default(),
            prepared: before.map_or_else(Instant::now, |before| before.prepared),
            policy: compiled,
        })
    }

    /// Whether sessions share its process.
    pub fn is_shared(&self) -> bool {
        !matches!(self.way, Way::PerSession)
    }

    /// Whether it runs whether it has clients or not: what it does is watched all the time.
    pub fn is_kept(&self) -> bool {
        matches!(self.way, Way::Managed(_) | Way::Attached(..))
    }

    /// Where it is, if it is spoken to over HTTP.
    pub(super) fn upstream(&self) -> Option<&Arc<Upstream>> {
        self.way.upstream()
    }

    /// Counts a call against its limits, or says when to come again.
    pub(super) fn let_through(&self, actor: &str, subject: Subject) -> Result<(), TooSoon> {
        let now = self.prepared.elapsed();
        self.limiter().begin(&self.policy.rate_limits, actor, subject, now)
    }

    /// Ends a call that was let through.
    pub(super) fn let_go(&self, actor: &str, subject: Subject) {
        self.limiter().end(&self.policy.rate_limits, actor, subject);
    }

    fn limiter(&self) -> MutexGuard<'_, RateLimiter> {
        // A panic between two counts leaves counts that are still true.
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers, in lower case, whose values a transport has to keep for the audit record.
    pub fn headers_for_audit(&self) -> impl Iterator<Item = &str> {
        self.said.headers()
    }

    /// Whether its policy is only tried, and nothing is held back.
    pub fn is_observed(&self) -> bool {
        self.policy.mode == Mode::Observe
    }

    /// Says so, if its policy is only tried.
    pub fn warn_if_observed(&self) {
        if self.is_observed() {
            tracing::warn!(
                server = self.id,
                "only observed (mode: observe): calls that policy denies are forwarded, and no response \
                 is withheld"
            );
        }
    }

    /// The headers that must repeat arguments of a tool over HTTP, as the server last described it.
    pub fn param_headers(&self, tool: &str) -> Vec<crate::mcp::ParamHeader> {
        self.schemas.param_headers(tool)
    }

    /// Program and arguments, for people.
    pub fn command_line(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// Whether policy asks for a floor under its files, which not every kernel has.
    pub fn wants_floor(&self) -> bool {
        self.floor.is_some()
    }

    /// Whether policy asks for files to be enforced, which not every observer can.
    pub fn wants_enforcement(&self) -> bool {
        self.enforced.is_some()
    }

    /// The name of the user that the server runs as.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The id of the user that it runs as; `None` when something else runs it.
    pub(super) fn uid(&self) -> Option<u32> {
        match &self.user {
            Some(user) => Some(user.uid),
            None if self.principal.is_empty() => None,
            None => Some(nix::unistd::Uid::effective().as_raw()),
        }
    }
}

/// The policy's sanitizer. Its key for hashes is new with every start unless the policy names a
/// file: equal values are then recognisable within one run of the daemon.
fn sanitizer(policy: &PolicyFile) -> Result<Sanitizer, ServerError> {
    static OWN: OnceLock<SecretSlice<u8>> = OnceLock::new();
    let problem = |why: String| ServerError::Policy(Problem::new("sanitize", why));
    let key = if let Some(file) = &policy.sanitize_key_file {
        let read = std::fs::read(file)
            .map_err(|error| problem(format!("cannot read {}: {error}", file.display())))?;
        SecretSlice::from(read)
    } else {
        let mut fresh = vec![0; 32];
        getrandom::fill(&mut fresh).map_err(|error| problem(error.to_string()))?;
        OWN.get_or_init(|| SecretSlice::from(fresh)).clone()
    };
    Sanitizer::new(&policy.sanitize, key).map_err(|e| problem(e.to_string()))
}

fn invalid(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, why)
}

/// The whole environment of the server: nothing of warrantd's own gets in but the language and the
/// time zone.
fn environment(spec: &ServerSpec, path: &str, home: &Path) -> Vec<(OsString, OsString)> {
    let mut env: BTreeMap<OsString, OsString> = ["LANG", "LC_ALL", "TZ"]
        .into_iter()
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect();
    env.insert("PATH".into(), path.into());
    env.insert("HOME".into(), home.as_os_str().to_owned());
    env.extend(spec.env.iter().map(|(name, value)| (name.into(), value.into())));
    env.into_iter().collect()
}
