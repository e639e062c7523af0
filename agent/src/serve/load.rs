//! From the daemon's file and the policies it names to servers that are ready to start. Everything
//! is checked before anything starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fixed::Fixed;
use super::keyring::Keyring;
use super::{listen, shipping};
use crate::audit::FileHashes;
use crate::config::{
    AuthMethod, CertificateName, ConfigError, DaemonConfig, Instances, LimitsConfig,
    ListenerConfig, PolicyFile, Problem, ServerConfig, Source, Written, suggestion,
};
use crate::session::{RunAs, Server, ServerError, ServerSpec, Way};
use crate::transport::Upstream;
use crate::transport::upstream::UpstreamError;

/// A configuration that was checked whole.
#[derive(Debug)]
pub struct Loaded {
    /// Its number: 1 at the start, one more with each reload.
    pub generation: u32,
    /// The files that it was read from.
    pub files: FileHashes,
    /// What takes a restart to change.
    pub fixed: Fixed,
    /// The servers.
    pub servers: Vec<LoadedServer>,
    /// Where clients connect over HTTP.
    pub listen: Vec<ListenerConfig>,
    /// How much HTTP clients may take.
    pub limits: LimitsConfig,
}

/// A server and who may connect to it.
#[derive(Debug)]
pub struct LoadedServer {
    /// The server.
    pub server: Arc<Server>,
    /// The file of its policy.
    pub policy: PathBuf,
    /// Keys that it accepts.
    pub keys: Keyring,
    /// Users that it accepts, and who they are.
    pub uids: BTreeMap<u32, String>,
    /// Client certificates that it accepts, and whose they are.
    pub certificates: BTreeMap<CertificateName, String>,
}

/// Reads and checks the daemon's file and every policy it names.
pub fn load(file: &Path) -> Result<Loaded, ConfigError> {
    load_after(file, 1, &|_| None)
}

/// The same, to replace what runs: `running` are the servers as they are configured until now, and
/// `generation` is the number of the configuration.
pub(super) fn load_after(
    file: &Path,
    generation: u32,
    running: &dyn Fn(&str) -> Option<Arc<Server>>,
) -> Result<Loaded, ConfigError> {
    let (source, mut config) = Written::read(file)?;
    let mut files = FileHashes::default();
    source.sources().for_each(|source| files.add(source));
    let base = file.parent().unwrap_or(Path::new(""));
    config.place_files(base).map_err(|problem| source.error(problem))?;
    shipping::check(&mut config.audit.ship, base).map_err(|problem| source.error(problem))?;
    shipping::check_alerts(&config.audit).map_err(|problem| source.error(problem))?;
    let mut servers: Vec<LoadedServer> = Vec::new();
    let mut known = BTreeSet::new();
    let mut pin_files = BTreeMap::new();
    for (index, server) in config.servers.iter().enumerate() {
        let key = format!("servers[{index}]");
        if let Err(problem) = check_id(server, &key, &servers) {
            return Err(source.error(problem));
        }
        let policy_file = base.join(&server.policy);
        let (policy_source, mut policy) = load_policy(&policy_file).map_err(|error| {
            if error.line > 0 {
                return error;
            }
            let message = format!("{}: {}", policy_file.display(), error.message);
            source.error(Problem::new(format!("{key}.policy"), message))
        })?;
        server.check_policy(&policy).map_err(|problem| policy_source.error(problem))?;
        if let Some(pinning) = &mut policy.pinning {
            let file = pinning.file.get_or_insert_with(|| config.pin_file(&server.id));
            if let Some(other) = pin_files.insert(file.clone(), server.id.clone()) {
                let message = format!(
                    "server `{other}` keeps its tools in the same file; give each its own policy, or \
                     remove `file`"
                );
                return Err(policy_source.error(Problem::new("pinning.file", message)));
            }
        }
        let spec = spec(server, base).map_err(|error| {
            let field = error.field();
            let dot = if field.is_empty() { "" } else { "." };
            source.error(Problem::new(format!("{key}.upstream{dot}{field}"), error.to_string()))
        })?;
        files.add(&policy_source);
        let before = running(&server.id);
        let mut prepared =
            Server::prepare(&spec, &policy, before.as_deref()).map_err(|error| match error {
                ServerError::Policy(problem) => policy_source.error(problem),
                ServerError::Pins(error) => error,
                other => source
                    .error(Problem::new(format!("{key}.{}", field_of(&other)), other.to_string())),
            })?;
        prepared.generation = generation;
        known.extend(prepared.policy.actor_ids().map(str::to_owned));
        let (keys, uids) = callers(&config, server).map_err(|problem| source.error(problem))?;
        let certificates =
            listen::certificates(&config, server).map_err(|problem| source.error(problem))?;
        let (server, policy) = (Arc::new(prepared), policy_file);
        servers.push(LoadedServer { server, policy, keys, uids, certificates });
    }
    listen::check(&config, base, &known).map_err(|problem| source.error(problem))?;
    if let Some(metrics) = &config.metrics {
        metrics.check().map_err(|problem| source.error(problem))?;
    }
    for (index, actor) in config.actors.iter().enumerate() {
        if !known.contains(&actor.id) {
            let hint = suggestion(&actor.id, known.iter().map(String::as_str));
            let message = format!("no policy names actor `{}`{hint}", actor.id);
            return Err(source.error(Problem::new(format!("actors[{index}].id"), message)));
        }
    }
    Ok(Loaded {
        generation,
        files,
        fixed: Fixed {
            runtime_dir: config.runtime_dir,
            state_dir: config.state_dir,
            audit: config.audit,
            kernel: config.kernel,
            metrics: config.metrics,
        },
        servers,
        listen: config.listen.iter().map(|listener| listen::beside(listener, base)).collect(),
        limits: config.limits,
    })
}

/// Reads a policy file. The files it names beside it are named as seen from here.
pub fn load_policy(file: &Path) -> Result<(Source, PolicyFile), ConfigError> {
    let source = Source::read(file)?;
    let mut policy: PolicyFile = source.parse()?;
    if let Some(pins) = policy.pinning.as_mut().and_then(|pinning| pinning.file.as_mut()) {
        *pins = file.parent().unwrap_or(Path::new("")).join(&*pins);
    }
    Ok((source, policy))
}

fn spec(server: &ServerConfig, base: &Path) -> Result<ServerSpec, UpstreamError> {
    let way = match &server.upstream {
        None if server.instances == Some(Instances::Shared) => Way::Shared,
        None => Way::PerSession,
        Some(config) => {
            let managed = !server.command.is_empty();
            let upstream = Upstream::open(&server.id, config, base, managed)?;
            match &config.cgroup {
                _ if managed => Way::Managed(upstream),
                Some(cgroup) => Way::Attached(upstream, cgroup.clone()),
                None => Way::Unobserved(upstream),
            }
        }
    };
    Ok(ServerSpec {
        way,
        protocol: server.protocol,
        id: server.id.clone(),
        command: server.command.clone(),
        root: server.root().to_owned(),
        user: RunAs::Named(server.user().to_owned()),
        env: server.env.clone(),
    })
}

/// The id becomes a file name and part of a cgroup's name.
fn check_id(server: &ServerConfig, key: &str, before: &[LoadedServer]) -> Result<(), Problem> {
    let id = &server.id;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let problem = if id.is_empty() || id.len() > 32 || !id.chars().all(plain) {
        "a server's id has 1 to 32 letters, digits, `-` and `_`".to_owned()
    } else if id == "control" {
        "the socket `control.sock` is warrantd's own; choose another id".to_owned()
    } else if before.iter().any(|other| other.server.id == *id) {
        format!("server `{id}` stands twice")
    } else if server.auth.is_empty() {
        return Err(Problem::new(format!("{key}.auth"), "name at least one way to authenticate"));
    } else {
        return server.check(key);
    };
    Err(Problem::new(format!("{key}.id"), problem))
}

/// The key of the server's configuration that an error is about.
fn field_of(error: &ServerError) -> &'static str {
    match error {
        ServerError::NoProgram(..) | ServerError::NoCommand(_) => "command",
        ServerError::NoUser(..) | ServerError::AsRoot(_) | ServerError::AsOwn(..) => "user",
        ServerError::Root { .. } => "root",
        ServerError::Policy(_) | ServerError::Pins(_) => "policy",
    }
}

/// Who may connect to a server: the credentials of all actors, as far as it accepts their kind.
fn callers(
    config: &DaemonConfig,
    server: &ServerConfig,
) -> Result<(Keyring, BTreeMap<u32, String>), Problem> {
    let mut keys = Keyring::default();
    let mut uids = BTreeMap::new();
    for (index, actor) in config.actors.iter().enumerate() {
        for (n, key) in actor.api_keys.iter().enumerate() {
            let bad = |why: String| Problem::new(format!("actors[{index}].api_keys[{n}]"), why);
            if server.auth.contains(&AuthMethod::ApiKey) {
                keys.add(key, &actor.id).map_err(bad)?;
            }
        }
        for (n, uid) in actor.uids.iter().enumerate() {
            if server.auth.contains(&AuthMethod::PeerUid)
                && let Some(other) = uids.insert(*uid, actor.id.clone())
            {
                let message = format!("uid {uid} is actor `{other}` already");
                return Err(Problem::new(format!("actors[{index}].uids[{n}]"), message));
            }
        }
    }
    Ok((keys, uids))
}
