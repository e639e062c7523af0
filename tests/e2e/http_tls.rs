//! HTTP in front over TLS: certificates of the listener, of clients, and their renewal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use warrantd_tests::harness::test;
use warrantd_tests::http::{Endpoint, initialize};
use warrantd_tests::needs::Need;
use warrantd_tests::records::await_record;

use crate::daemon::KEY;
use crate::http_world::{OTHER_KEY, World, refused};
use crate::rig::{NOTE, Rig, UNAUTHENTICATED};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
  - {id: other-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("http_tls::a_session_over_tls", KERNEL, plain),
        test("http_tls::a_client_certificate_is_a_credential", KERNEL, mutual),
        test("http_tls::certificates_of_others_do_not_count", KERNEL, foreign),
        test("http_tls::a_renewed_certificate_is_taken", KERNEL, renewed),
    ]
}

/// An authority of certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate in PEM and DER form, and its key.
    fn issue(&self, common: &str, names: Vec<SanType>) -> anyhow::Result<Issued> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate, key })
    }

    /// A client that trusts it, and shows a certificate.
    fn client(&self, shows: Option<&Issued>) -> anyhow::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        let (_, pem) = self.pem.split_once('\n').context("PEM")?;
        let text: String = pem.lines().take_while(|line| !line.starts_with('-')).collect();
        roots.add(base64(&text)?.into())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let key = PrivateKeyDer::try_from(issued.key.serialize_der());
                let key = key.map_err(anyhow::Error::msg)?;
                builder.with_client_auth_cert(vec![issued.certificate.der().clone()], key)?
            }
        };
        Ok(Arc::new(config))
    }
}

struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Issued {
    fn write(&self, dir: &Path) -> anyhow::Result<()> {
        std::fs::write(dir.join("tls.pem"), self.certificate.pem())?;
        std::fs::write(dir.join("tls.key"), self.key.serialize_pem())?;
        Ok(())
    }
}

fn base64(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => anyhow::bail!("no Base64: {c}"),
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff)?);
        }
    }
    Ok(bytes)
}

fn localhost() -> anyhow::Result<Vec<SanType>> {
    Ok(vec![SanType::DnsName("localhost".try_into()?)])
}

/// A daemon with a certificate of this authority, which accepts client certificates of another one.
fn world(
    servers: &Authority,
    clients: Option<(&Authority, &str)>,
) -> anyhow::Result<(World, PathBuf)> {
    let rig = Rig::new(POLICY)?;
    let dir = rig.scratch.path("")?;
    servers.issue("localhost", localhost()?)?.write(&dir)?;
    let mut tls = "certificate: tls.pem, key: tls.key".to_owned();
    let mut certificates = "[]";
    if let Some((clients, names)) = clients {
        std::fs::write(dir.join("clients.pem"), &clients.pem)?;
        tls.push_str(", client_ca: clients.pem");
        certificates = names;
    }
    let listen = format!("[{{address: '127.0.0.1:0', tls: {{{tls}}}}}]");
    let names = format!("- id: assistant-service\n    certificates: {certificates}");
    let world = World::start(rig, "rogue-server", &listen, "", |config| {
        config.replacen("- id: assistant-service", &names, 1)
    })?;
    Ok((world, dir))
}

fn plain() -> anyhow::Result<()> {
    let authority = Authority::new("servers")?;
    let (world, _) = world(&authority, None)?;
    let session = world.endpoint().secured(authority.client(None)?).session()?;
    let answer = session.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(answer.pointer("/result/content/0/text") == Some(&json!(NOTE)), "{answer}");
    // Neither without TLS nor under another name.
    ensure!(world.endpoint().session().is_err(), "plain text was answered");
    let stranger = Authority::new("strangers")?;
    ensure!(world.endpoint().secured(stranger.client(None)?).session().is_err());
    await_record(&world.daemon.rig.audit, |record| record.text("error").starts_with("TLS: "))?;
    Ok(())
}

fn mutual() -> anyhow::Result<()> {
    let (servers, clients) = (Authority::new("servers")?, Authority::new("clients")?);
    let by_hash = clients.issue("x", Vec::new())?;
    let hash = <sha2::Sha256 as sha2::Digest>::digest(by_hash.certificate.der());
    let names = format!(
        "['cn:assistant', 'dns:assistant.example.com', 'uri:spiffe://example.com/a', 'sha256:{hash:x}']"
    );
    let (world, _) = world(&servers, Some((&clients, &names)))?;
    let dns = SanType::DnsName("Assistant.example.com".try_into()?);
    let uri = SanType::URI("spiffe://example.com/a".try_into()?);
    for shown in [
        clients.issue("assistant", Vec::new())?,
        clients.issue("y", vec![dns])?,
        clients.issue("z", vec![uri])?,
        by_hash,
    ] {
        let session = world.bare().secured(servers.client(Some(&shown))?).session()?;
        let answer = session.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?;
        ensure!(answer.get("result").is_some(), "{answer}");
    }
    let record = await_record(&world.daemon.rig.audit, |record| record.text("event") == "call")?;
    ensure!(record.text("auth_method") == "client_certificate", "{record:#?}");
    ensure!(record.text("actor") == "assistant-service", "{record:#?}");
    // Without a certificate a key is wanted, and is enough.
    let without = world.bare().secured(servers.client(None)?);
    refused(without.post(&initialize("2025-11-25"))?, 401, UNAUTHENTICATED)?;
    without.with("X-API-Key", KEY).session()?;
    Ok(())
}

fn foreign() -> anyhow::Result<()> {
    let (servers, clients) = (Authority::new("servers")?, Authority::new("clients")?);
    let (world, _) = world(&servers, Some((&clients, "['dns:assistant.example.com']")))?;
    let hello = initialize("2025-11-25");
    let via = |shown: &Issued| -> anyhow::Result<Endpoint> {
        Ok(world.bare().secured(servers.client(Some(shown))?))
    };
    // A name of another kind is another name.
    let common = clients.issue("assistant.example.com", Vec::new())?;
    refused(via(&common)?.post(&hello)?, 401, UNAUTHENTICATED)?;
    ensure!(via(&common)?.with("X-API-Key", KEY).post(&hello)?.status == 200);
    // Key and certificate of different actors.
    let dns =
        || -> anyhow::Result<_> { Ok(vec![SanType::DnsName("assistant.example.com".try_into()?)]) };
    let right = clients.issue("x", dns()?)?;
    ensure!(via(&right)?.post(&hello)?.status == 200);
    refused(via(&right)?.with("X-API-Key", OTHER_KEY).post(&hello)?, 401, UNAUTHENTICATED)?;
    // Another authority says what it likes.
    let forged = Authority::new("forgers")?.issue("x", dns()?)?;
    ensure!(via(&forged)?.post(&hello).is_err(), "a forged certificate was accepted");
    Ok(())
}

fn renewed() -> anyhow::Result<()> {
    let (first, second) = (Authority::new("first")?, Authority::new("second")?);
    let (world, dir) = world(&first, None)?;
    let session = world.endpoint().secured(first.client(None)?).session()?;
    // What cannot be used changes nothing.
    std::fs::write(dir.join("tls.pem"), "broken")?;
    world.endpoint().secured(first.client(None)?).session()?;
    ensure!(world.daemon.process.stderr().contains("stays in force"), "nobody is told");
    second.issue("localhost", localhost()?)?.write(&dir)?;
    let renewed = world.endpoint().secured(second.client(None)?);
    let deadline = Instant::now() + Duration::from_secs(20);
    while renewed.session().is_err() {
        ensure!(Instant::now() < deadline, "{}", world.daemon.process.stderr());
    }
    ensure!(world.endpoint().secured(first.client(None)?).session().is_err());
    let open = session.secured(second.client(None)?);
    open.call(1, "read_text_file", &json!({"path": "public/note.txt"}))?;
    Ok(())
}
