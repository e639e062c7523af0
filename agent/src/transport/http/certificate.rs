//! Names in a client certificate (RFC 5280), which rustls has verified by then.

use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::config::CertificateName;

/// What a client certificate is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// All its names, and its hash.
    pub names: Vec<CertificateName>,
}

impl ClientCertificate {
    /// Reads a certificate in DER form. One that cannot be read has its hash alone.
    pub fn read(der: &[u8]) -> Self {
        let mut names = vec![CertificateName::Sha256(Sha256::digest(der).into())];
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            let common = certificate.subject().iter_common_name();
            let common = common.filter_map(|name| name.as_str().ok());
            names.extend(common.map(|name| CertificateName::CommonName(name.to_owned())));
            if let Ok(Some(extension)) = certificate.subject_alternative_name() {
                names.extend(extension.value.general_names.iter().filter_map(name));
            }
        }
        Self { names }
    }
}

fn name(name: &GeneralName<'_>) -> Option<CertificateName> {
    match name {
        GeneralName::DNSName(name) => Some(CertificateName::Dns(name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(CertificateName::Uri((*uri).to_owned())),
        GeneralName::RFC822Name(mail) => Some(CertificateName::Email((*mail).to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_has_its_names_by_kind() {
        let mut params =
            CertificateParams::new(vec!["Host.example.com".to_owned()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, "assistant");
        let uri = "spiffe://example.com/a".try_into().expect("ascii");
        params.subject_alt_names.push(SanType::URI(uri));
        let mail = "a@example.com".try_into().expect("ascii");
        params.subject_alt_names.push(SanType::Rfc822Name(mail));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let read = ClientCertificate::read(certificate.der());
        let shown: Vec<_> = read.names.iter().skip(1).map(ToString::to_string).collect();
        let wanted = [
            "cn:assistant",
            "dns:host.example.com",
            "uri:spiffe://example.com/a",
            "email:a@example.com",
        ];
        assert_eq!(shown, wanted);
        assert!(matches!(read.names.first(), Some(CertificateName::Sha256(_))));
        assert_eq!(ClientCertificate::read(b"no certificate").names.len(), 1);
    }
}
