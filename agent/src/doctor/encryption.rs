//! TLS wherever something leaves this host, and certificates that hold.

use jiff::Timestamp;
use url::{Host, Url};

use super::certificates;
use super::finding::Finding;
use super::site::{Site, SiteServer};
use crate::config::{ListenerConfig, ShipConfig, TlsConfig};

/// Looks at listeners, servers over HTTP and receivers of the audit log.
pub(super) fn check(site: &Site, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, listener) in site.config.listen.iter().enumerate() {
        listener_is_safe(site, &format!("listen[{index}]"), listener, now, &mut findings);
    }
    for server in site.servers() {
        upstream_is_safe(site, server, now, &mut findings);
    }
    for (index, receiver) in site.config.audit.ship.iter().enumerate() {
        receiver_is_safe(site, &format!("audit.ship[{index}]"), receiver, now, &mut findings);
    }
    if findings.is_empty() {
        findings.push(Finding::ok("nothing leaves this host over a network that warrantd speaks"));
    }
    findings
}

fn listener_is_safe(
    site: &Site,
    key: &str,
    listener: &ListenerConfig,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let Some(address) = listener.address else { return };
    if let Some(TlsConfig { certificate, client_ca, .. }) = &listener.tls {
        let what = format!("the certificate of {address},");
        let file = site.beside(certificate);
        let place = site.place(&format!("{key}.tls.certificate"));
        findings.push(certificates::check(&what, &file, &place, now));
        if let Some(ca) = client_ca {
            let what = format!("the client authority of {address},");
            let place = site.place(&format!("{key}.tls.client_ca"));
            findings.push(certificates::check(&what, &site.beside(ca), &place, now));
        }
    } else if address.ip().to_canonical().is_loopback() {
        findings.push(Finding::ok(format!("{address} is on loopback and needs no TLS")));
    } else {
        let what = format!("{address} takes keys and gives results without TLS");
        findings.push(
            Finding::bad(what)
                .at(site.place(&format!("{key}.insecure_plaintext")))
                .todo("add `tls: {certificate: …, key: …}` and remove `insecure_plaintext`"),
        );
    }
}

fn upstream_is_safe(site: &Site, server: SiteServer, now: Timestamp, findings: &mut Vec<Finding>) {
    let Some(upstream) = &server.config.upstream else { return };
    let Ok(url) = upstream.check("upstream") else { return };
    let id = &server.config.id;
    if upstream.is_in_the_clear(&url) {
        let headers =
            if upstream.headers.is_empty() { "" } else { ", with credentials in its headers" };
        findings.push(
            Finding::bad(format!(
                "server `{id}` is spoken to without TLS at {}{headers}",
                host(&url)
            ))
            .at(server.place("upstream.url"))
            .todo("give it https://, or a tunnel whose near end is on loopback"),
        );
    } else if url.scheme() == "https" {
        findings.push(Finding::ok(format!("server `{id}` is spoken to over TLS")));
    }
    if let Some(ca) = &upstream.ca {
        let what = format!("the authority of server `{id}`,");
        let place = server.place("upstream.ca");
        findings.push(certificates::check(&what, &site.beside(ca), &place, now));
    }
}

fn receiver_is_safe(
    site: &Site,
    key: &str,
    receiver: &ShipConfig,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let Ok(url) = receiver.check(key) else { return };
    let name = &receiver.name;
    let clear = matches!(url.scheme(), "udp" | "tcp" | "http" | "nats");
    if clear && !is_here(&url) {
        let token = if receiver.token_file.is_some() { ", and its token," } else { "" };
        findings.push(
            Finding::bad(format!(
                "the audit log{token} goes to `{name}` ({}) in the clear",
                host(&url)
            ))
            .at(site.place(&format!("{key}.url")))
            .todo("use tls:// or https://, or a forwarder on this host"),
        );
    } else {
        findings.push(Finding::ok(format!("the audit log goes to `{name}` unread by others")));
    }
    if let Some(ca) = &receiver.ca {
        let what = format!("the authority of receiver `{name}`,");
        let place = site.place(&format!("{key}.ca"));
        findings.push(certificates::check(&what, &site.beside(ca), &place, now));
    }
}

/// Whether a URL leads to this host.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.to_canonical().is_loopback(),
        // Schemes that `url` does not know have their addresses as names.
        Some(Host::Domain(name)) => {
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            name == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        None => true,
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or("this host").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::certificates::tests::{day, write};
    use super::super::finding::tests::{none_found, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    fn check(daemon: &str, server: &str) -> Vec<Finding> {
        let place = Place::new();
        super::check(&place.site(daemon, server, POLICY), day("2030-06-01"))
    }

    #[test]
    fn a_listener_off_loopback_needs_tls() {
        let clear = check("listen: [{address: '192.0.2.1:80', insecure_plaintext: true}]", "");
        only_finding(&clear, "without TLS");
        none_found(&check("listen: [{address: '127.0.0.1:80'}]", ""));
    }

    #[test]
    fn certificates_of_listeners_are_looked_at() {
        let place = Place::new();
        let (cert, key) = write(place.dir.path());
        let daemon = format!(
            "listen: [{{address: '192.0.2.1:443', tls: {{certificate: {}, key: {}}}}}]",
            cert.display(),
            key.display()
        );
        let site = place.site(&daemon, "", POLICY);
        none_found(&super::check(&site, day("2030-06-01")));
        only_finding(&super::check(&site, day("2031-06-01")), "has expired");
    }

    #[test]
    fn servers_elsewhere_are_spoken_to_over_tls() {
        let place = Place::new();
        let server = |url: &str| {
            let text = format!(
                "servers: [{{id: a, policy: p.yaml, upstream: {{url: '{url}', unobserved: true}}}}]"
            );
            place.file("p.yaml", POLICY);
            let site = Site::read(&place.file("warrantd.yaml", &text)).expect("a site");
            super::check(&site, day("2030-06-01"))
        };
        only_finding(&server("http://192.0.2.1/mcp"), "spoken to without TLS");
        none_found(&server("https://mcp.example.com/mcp"));
        none_found(&server("http://127.0.0.1:9000/mcp"));
    }

    #[test]
    fn the_audit_log_does_not_leave_in_the_clear() {
        let ship = |receiver: &str| check(&format!("audit: {{ship: [{receiver}]}}"), "");
        for clear in [
            "{name: a, to: syslog, url: 'udp://192.0.2.1:514'}",
            "{name: a, to: syslog, url: 'tcp://siem.example:601'}",
            "{name: a, to: http, url: 'http://192.0.2.1/in'}",
            "{name: a, to: nats, url: 'nats://192.0.2.1', subject: s}",
        ] {
            only_finding(&ship(clear), "in the clear");
        }
        for safe in [
            "{name: a, to: syslog, url: 'udp://127.0.0.1:514'}",
            "{name: a, to: syslog, url: 'tcp://[::1]:601'}",
            "{name: a, to: syslog, url: 'unix:///dev/log'}",
            "{name: a, to: journald}",
            "{name: a, to: http, url: 'https://192.0.2.1/in'}",
            "{name: a, to: syslog, url: 'tls://siem.example:6514'}",
        ] {
            none_found(&ship(safe));
        }
    }
}
