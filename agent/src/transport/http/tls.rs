//! TLS for listeners. Certificate and key are read anew when a file has changed, so that a renewal
//! needs no restart; what cannot be used then leaves the old ones in force.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// Why TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {why}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// Certificate and key do not go together.
    #[error("{} and {} do not go together: {why}", certificate.display(), key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why not.
        why: String,
    },
}

impl TlsError {
    /// The key of the configuration whose file cannot be used.
    pub fn field(&self, config: &TlsConfig) -> &'static str {
        match self {
            Self::Pair { .. } => "key",
            Self::Read { file, .. } | Self::Content { file, .. } => {
                if *file == config.certificate {
                    "certificate"
                } else if *file == config.key {
                    "key"
                } else {
                    "client_ca"
                }
            }
        }
    }
}

/// The certificate of a listener as its files have it.
#[derive(Debug)]
pub(super) struct Certificates {
    config: TlsConfig,
    current: Mutex<Current>,
}

struct Current {
    stamp: Stamp,
    acceptor: TlsAcceptor,
}

/// What tells one state of the files from another: device, inode, size and time of change of each.
type Stamp = Vec<Option<(u64, u64, u64, i64, i64)>>;

impl Certificates {
    pub(super) fn new(config: &TlsConfig) -> Result<Self, TlsError> {
        let stamp = stamp(config);
        let acceptor = TlsAcceptor::from(Arc::new(server_config(config)?));
        Ok(Self { config: config.clone(), current: Mutex::new(Current { stamp, acceptor }) })
    }

    /// What accepts the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.config);
        if now != current.stamp {
            // One attempt for each change, so that a broken file is told of once.
            current.stamp = now;
            let certificate = self.config.certificate.display();
            match server_config(&self.config) {
                Ok(config) => {
                    current.acceptor = TlsAcceptor::from(Arc::new(config));
                    tracing::info!("read the certificate {certificate} anew");
                }
                Err(error) => {
                    tracing::error!("the certificate that was read before stays in force: {error}");
                }
            }
        }
        current.acceptor.clone()
    }
}

fn stamp(config: &TlsConfig) -> Stamp {
    let files = [Some(&config.certificate), Some(&config.key), config.client_ca.as_ref()];
    let of = |file: &PathBuf| {
        let data = std::fs::metadata(file).ok()?;
        Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
    };
    files.into_iter().flatten().map(of).collect()
}

/// Reads and checks the files of a listener.
pub fn check_tls(config: &TlsConfig) -> Result<(), TlsError> {
    server_config(config).map(drop)
}

fn server_config(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&config.certificate)?;
    let pem = read(&config.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    let content = |file: &Path, why: String| TlsError::Content { file: file.to_owned(), why };
    let key = key.map_err(|_| content(&config.key, "no private key in PEM form".to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| content(&config.certificate, error.to_string()))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(|error| content(file, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| content(file, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|error| TlsError::Pair {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        why: error.to_string(),
    })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError::Content {
            file: file.to_owned(),
            why: "no certificate in PEM form".to_owned(),
        }),
        Err(error) => Err(TlsError::Content { file: file.to_owned(), why: error.to_string() }),
    }
}

fn read(file: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsError> {
    let content = std::fs::read(file);
    let content = content.map_err(|source| TlsError::Read { file: file.to_owned(), source })?;
    Ok(zeroize::Zeroizing::new(content))
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn write(dir: &Path) -> TlsConfig {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("made");
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&certificate, cert.pem()).expect("written");
        std::fs::write(&key, signing_key.serialize_pem()).expect("written");
        TlsConfig { certificate, key, client_ca: None }
    }

    #[test]
    fn files_that_cannot_be_used_are_told_with_their_key() {
        let dir = tempfile::tempdir().expect("dir");
        let good = write(dir.path());
        assert!(check_tls(&good).is_ok());
        let with_ca = TlsConfig { client_ca: Some(good.certificate.clone()), ..good.clone() };
        assert!(check_tls(&with_ca).is_ok());
        let other = tempfile::tempdir().expect("dir");
        let other = write(other.path());
        let missing = TlsConfig { certificate: dir.path().join("none"), ..good.clone() };
        let no_key = TlsConfig { key: good.certificate.clone(), ..good.clone() };
        let pair = TlsConfig { key: other.key, ..good.clone() };
        let copy = dir.path().join("copy.pem");
        std::fs::copy(&good.key, &copy).expect("copied");
        let no_ca = TlsConfig { client_ca: Some(copy), ..good.clone() };
        for (config, field) in
            [(missing, "certificate"), (no_key, "certificate"), (no_ca, "client_ca")]
        {
            let error = check_tls(&config).expect_err(field);
            assert!(error.field(&config) == field || config.key == config.certificate, "{error}");
        }
        assert!(check_tls(&pair).is_err());
    }

    #[test]
    fn a_renewal_is_taken_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().expect("dir");
        let config = write(dir.path());
        let certificates = Certificates::new(&config).expect("usable");
        let first = Arc::as_ptr(certificates.acceptor().config());
        assert_eq!(Arc::as_ptr(certificates.acceptor().config()), first, "nothing has changed");
        let kept = certificates.acceptor();
        std::fs::write(&config.certificate, "broken").expect("written");
        assert_eq!(Arc::as_ptr(certificates.acceptor().config()), Arc::as_ptr(kept.config()));
        write(dir.path());
        assert_ne!(Arc::as_ptr(certificates.acceptor().config()), Arc::as_ptr(kept.config()));
    }
}
