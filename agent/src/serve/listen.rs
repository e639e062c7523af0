//! HTTP listeners of the daemon's file: what does not go together is found before anything starts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::config::{
    AuthMethod, CertificateName, DaemonConfig, ListenerConfig, Problem, ServerConfig, suggestion,
};
use crate::transport::http::check_tls;

/// Finds what is wrong with listeners and limits. `known` are the actors that policies name.
pub(super) fn check(
    config: &DaemonConfig,
    base: &Path,
    known: &BTreeSet<String>,
) -> Result<(), Problem> {
    config.limits.check()?;
    let mut places = BTreeSet::new();
    for (index, listener) in config.listen.iter().enumerate() {
        let key = format!("listen[{index}]");
        listener.check(&key)?;
        let place = match (&listener.address, &listener.unix) {
            (Some(address), _) => ("address", address.to_string()),
            (None, path) => {
                ("unix", path.as_deref().unwrap_or(Path::new("")).display().to_string())
            }
        };
        let fresh = listener.address.is_some_and(|address| address.port() == 0);
        if !fresh && !places.insert(place.clone()) {
            let (field, place) = place;
            let message = format!("another listener has {place} already");
            return Err(Problem::new(format!("{key}.{field}"), message));
        }
        if let Some(actor) = listener.actor.as_ref().filter(|actor| !known.contains(*actor)) {
            let hint = suggestion(actor, known.iter().map(String::as_str));
            let message = format!("no policy names actor `{actor}`{hint}");
            return Err(Problem::new(format!("{key}.actor"), message));
        }
        if let Some(tls) = beside(listener, base).tls {
            check_tls(&tls).map_err(|error| {
                Problem::new(format!("{key}.tls.{}", error.field(&tls)), error.to_string())
            })?;
        }
    }
    let asked = config.listen.iter().any(ListenerConfig::asks_for_certificates);
    for (index, actor) in config.actors.iter().enumerate() {
        if !actor.certificates.is_empty() && !asked {
            let message = "no listener asks for client certificates, so this can never count; give one \
                           `tls.client_ca`";
            return Err(Problem::new(format!("actors[{index}].certificates"), message));
        }
    }
    Ok(())
}

/// A listener with the files that it names as seen from here: they are relative to the configuration file.
pub(super) fn beside(listener: &ListenerConfig, base: &Path) -> ListenerConfig {
    let mut listener = listener.clone();
    if let Some(tls) = &mut listener.tls {
        let place = |file: &mut PathBuf| *file = base.join(&*file);
        place(&mut tls.certificate);
        place(&mut tls.key);
        tls.client_ca.as_mut().map(place);
    }
    listener
}

/// Whose certificates a server accepts.
pub(super) fn certificates(
    config: &DaemonConfig,
    server: &ServerConfig,
) -> Result<BTreeMap<CertificateName, String>, Problem> {
    let mut certificates = BTreeMap::new();
    if !server.auth.contains(&AuthMethod::ClientCertificate) {
        return Ok(certificates);
    }
    for (index, actor) in config.actors.iter().enumerate() {
        for (n, name) in actor.certificates.iter().enumerate() {
            let before = certificates.insert(name.clone(), actor.id.clone());
            if let Some(other) = before.filter(|other| *other != actor.id) {
                let message = format!("`{name}` is actor `{other}` already");
                let key = format!("actors[{index}].certificates[{n}]");
                return Err(Problem::new(key, message));
            }
        }
    }
    Ok(certificates)
}
