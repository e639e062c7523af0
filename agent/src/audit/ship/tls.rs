//! TLS to receivers: version 1.2 or later, certificates always checked.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::ShipError;

/// How a receiver is recognised: by the certificates in `ca`, or by the host's own, and by its name.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads everything that TLS to the host of a URL needs. `alpn` is the protocol within, where it has a name.
pub(super) fn client(url: &Url, ca: Option<&Path>, alpn: &[&[u8]]) -> Result<Tls, ShipError> {
    let roots = roots(ca)?;
    let bad = |error: &dyn std::fmt::Display| ShipError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = match super::stream::host(url) {
        Some(Host::Domain(name)) => ServerName::try_from(name).map_err(|error| bad(&error))?,
        Some(Host::Ipv4(v4)) => ServerName::IpAddress(v4.into()),
        Some(Host::Ipv6(v6)) => ServerName::IpAddress(v6.into()),
        None => return Err(ShipError::Tls("the URL has no host".to_owned())),
    };
    Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, ShipError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = ca else {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = "this host trusts no certificates; install ca-certificates or give `ca`";
            return Err(ShipError::Tls(why.to_owned()));
        }
        return Ok(roots);
    };
    let bad = |why: String| ShipError::Ca { file: file.to_owned(), why };
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| bad(e.to_string()))? {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds no certificate in PEM".to_owned()));
    }
    Ok(roots)
}
