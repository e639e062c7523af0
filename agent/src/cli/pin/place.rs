//! Where the accepted definitions of a server are.

use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::config::{DaemonConfig, Source, suggestion};
use crate::serve::load_policy;
use crate::session::Store;

/// The daemon's configuration file, unless another is named.
pub(super) const CONFIG: &str = "/etc/warrantd/warrantd.yaml";

/// The files, and how a person names them.
pub(super) struct Place {
    /// What was accepted.
    pub(super) store: Store,
    /// What the definitions are of.
    pub(super) title: String,
    /// The command that leads here.
    pub(super) command: String,
}

impl Place {
    /// A file of its own.
    pub(super) fn file(file: &Path) -> Self {
        let title = file.display().to_string();
        let command = format!("warrantd pin --pins {title}");
        Self { store: Store::new(file.to_owned()), title, command }
    }

    /// The file of a configured server. Only what leads there is read, so that it can be found while
    /// something else of the configuration is broken.
    pub(super) fn configured(file: &Path, id: &str) -> Result<Self, Failure> {
        let config: DaemonConfig = Source::read(file)?.parse()?;
        let Some(server) = config.servers.iter().find(|server| server.id == id) else {
            let ids: Vec<_> = config.servers.iter().map(|server| server.id.as_str()).collect();
            let hint = suggestion(id, ids.iter().copied());
            let ids = ids.join(", ");
            let file = file.display();
            let text = format!("{file} has no server `{id}`{hint} (it has: {ids})");
            return Err(Failure::Usage(text));
        };
        let policy_file = file.parent().unwrap_or(Path::new("")).join(&server.policy);
        let (_, policy) = load_policy(&policy_file)?;
        let Some(pinning) = policy.pinning else {
            let text = format!(
                "server `{id}` pins no tools: write `pinning: {{}}` in {} to switch it on",
                policy_file.display()
            );
            return Err(Failure::Setup(text));
        };
        let pins: PathBuf = pinning.file.unwrap_or_else(|| config.pin_file(id));
        let elsewhere = if file == Path::new(CONFIG) {
            String::new()
        } else {
            format!(" --config {}", file.display())
        };
        let command = format!("warrantd pin {id}{elsewhere}");
        Ok(Self { store: Store::new(pins), title: id.to_owned(), command })
    }

    /// What was seen and not accepted.
    pub(super) fn seen(&self) -> Store {
        self.store.of_seen()
    }
}
