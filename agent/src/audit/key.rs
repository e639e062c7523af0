//! The key that checkpoints are signed with: Ed25519 (RFC 8032).
//!
//! It is kept as PKCS#8 in PEM (RFC 5958, RFC 8410), as `openssl pkey` reads it; beside it, in `*.pub`, is the
//! public key as `SubjectPublicKeyInfo`, which is all that verification needs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What stands before the 32 bytes of a private key (RFC 8410, section 7).
const PRIVATE: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// What stands before the 32 bytes of a public key (RFC 8410, section 4).
const PUBLIC: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const LEN: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyError {
    /// A file cannot be read or made.
    #[error("cannot use the audit key {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no such key.
    #[error("{path} is no Ed25519 key in PEM ({expected})")]
    Form {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// Others could sign.
    #[error(
        "the audit key {0} can be read by others; `chmod 600` it, and make a new one if it was"
    )]
    Open(PathBuf),
    /// The public key beside it is another one's.
    #[error(
        "{0} is the public key of another key than the one beside it; move it away and keep it: what that \
         key signed is verified with it"
    )]
    Pair(PathBuf),
    /// There is no randomness.
    #[error("cannot make a key: {0}")]
    Random(String),
}

/// The key of a log.
#[derive(Debug)]
pub struct AuditKey {
    pair: Ed25519KeyPair,
    public: AuditPublicKey,
}

/// What verifies checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPublicKey {
    key: [u8; LEN],
    fingerprint: String,
}

impl AuditKey {
    /// Reads the key, or makes one with the public key beside it.
    pub fn open_or_make(path: &Path) -> Result<Self, AuditKeyError> {
        let failed = |source| AuditKeyError::Io { path: path.to_owned(), source };
        let key = match std::fs::metadata(path) {
            Ok(meta) if meta.mode() & 0o077 != 0 => {
                return Err(AuditKeyError::Open(path.to_owned()));
            }
            Ok(_) => Self::read(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path)?,
            Err(error) => return Err(failed(error)),
        };
        let beside = path.with_extension("pub");
        match AuditPublicKey::read(&beside) {
            Ok(public) if public == key.public => {}
            Err(AuditKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                write_new(&beside, key.public.pem().as_bytes(), 0o644)?;
            }
            Ok(_) => return Err(AuditKeyError::Pair(beside)),
            Err(error) => return Err(error),
        }
        Ok(key)
    }

    fn read(path: &Path) -> Result<Self, AuditKeyError> {
        let seed = read_pem(path, "PRIVATE KEY", PRIVATE, "PKCS#8 without the public key")?;
        Self::from_seed(&seed, path)
    }

    fn make(path: &Path) -> Result<Self, AuditKeyError> {
        let mut seed = Zeroizing::new([0; LEN]);
        getrandom::fill(&mut *seed).map_err(|error| AuditKeyError::Random(error.to_string()))?;
        let text = pem("PRIVATE KEY", PRIVATE, &seed);
        write_new(path, text.as_bytes(), 0o600)?;
        Self::from_seed(&seed, path)
    }

    fn from_seed(seed: &[u8; LEN], path: &Path) -> Result<Self, AuditKeyError> {
        let form =
            |_| AuditKeyError::Form { path: path.to_owned(), expected: "PKCS#8, PRIVATE KEY" };
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(form)?;
        let mut key = [0; LEN];
        key.copy_from_slice(pair.public_key().as_ref());
        Ok(Self { pair, public: AuditPublicKey::new(key) })
    }

    /// The public key.
    pub fn public(&self) -> &AuditPublicKey {
        &self.public
    }

    /// A signature in lower-case hexadecimal.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        HEXLOWER.encode(self.pair.sign(message).as_ref())
    }
}

impl AuditPublicKey {
    fn new(key: [u8; LEN]) -> Self {
        let digest = Sha256::new_with_prefix(PUBLIC).chain_update(key).finalize();
        Self { key, fingerprint: format!("sha256:{}", HEXLOWER.encode(&digest)) }
    }

    /// Reads a public key.
    pub fn read(path: &Path) -> Result<Self, AuditKeyError> {
        let expected = "SubjectPublicKeyInfo, PUBLIC KEY";
        Ok(Self::new(*read_pem(path, "PUBLIC KEY", PUBLIC, expected)?))
    }

    /// `sha256:` and the SHA-256 of the key's `SubjectPublicKeyInfo`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn pem(&self) -> String {
        pem("PUBLIC KEY", PUBLIC, &self.key).to_string()
    }

    /// Whether a signature of hexadecimal digits is this key's.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = HEXLOWER.decode(signature).unwrap_or_default();
        UnparsedPublicKey::new(&ED25519, self.key).verify(message, &signature).is_ok()
    }
}

fn pem(label: &str, prefix: &[u8], key: &[u8; LEN]) -> Zeroizing<String> {
    let der = Zeroizing::new([prefix, key].concat());
    let body = Zeroizing::new(BASE64.encode(&der));
    Zeroizing::new(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", *body))
}

/// The key in a file of this label; what stands around the block is passed over.
fn read_pem(
    path: &Path,
    label: &str,
    prefix: &[u8],
    expected: &'static str,
) -> Result<Zeroizing<[u8; LEN]>, AuditKeyError> {
    let source = |source| AuditKeyError::Io { path: path.to_owned(), source };
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(source)?);
    let key = || {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let der = Zeroizing::new(BASE64.decode(body.as_bytes()).ok()?);
        let key = <[u8; LEN]>::try_from(der.strip_prefix(prefix)?).ok()?;
        Some(Zeroizing::new(key))
    };
    key().ok_or_else(|| AuditKeyError::Form { path: path.to_owned(), expected })
}

/// Writes a file that is whole or not there, with its directory.
fn write_new(path: &Path, text: &[u8], mode: u32) -> Result<(), AuditKeyError> {
    let write = || -> io::Result<()> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&unfinished)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| AuditKeyError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("state/audit.key");
        let made = AuditKey::open_or_make(&path).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let read = AuditKey::open_or_make(&path).expect("read");
        assert_eq!(made.public(), read.public());
        let public = AuditPublicKey::read(&path.with_extension("pub")).expect("beside it");
        let signature = read.sign(b"a message");
        assert!(public.verifies(b"a message", signature.as_bytes()));
        assert!(!public.verifies(b"a massage", signature.as_bytes()));
        assert!(!public.verifies(b"a message", signature.to_uppercase().as_bytes()));
    }

    #[test]
    fn a_key_that_others_know_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("audit.key");
        AuditKey::open_or_make(&path).expect("made");
        let mode = std::fs::Permissions::from_mode;
        std::fs::set_permissions(&path, mode(0o640)).expect("set");
        assert!(matches!(AuditKey::open_or_make(&path), Err(AuditKeyError::Open(_))));
        std::fs::write(&path, "no key").expect("written");
        std::fs::set_permissions(&path, mode(0o600)).expect("set");
        assert!(matches!(AuditKey::open_or_make(&path), Err(AuditKeyError::Form { .. })));
        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(AuditKey::open_or_make(&path), Err(AuditKeyError::Pair(_))));
    }
}
