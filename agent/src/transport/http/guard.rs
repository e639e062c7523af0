//! What is looked at before anything else: headers that count stand once, and the request is meant for
//! this host, not sent here by a web page (DNS rebinding).

use std::net::{IpAddr, SocketAddr};

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::{HeaderMap, StatusCode, Uri};
use secrecy::SecretString;

use super::refusal::Refusal;
use crate::config::ListenerConfig;

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(super) const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// Headers that two readers could read differently if they stood twice.
const ONCE: [HeaderName; 11] = [
    HOST,
    ORIGIN,
    AUTHORIZATION,
    API_KEY,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    SESSION,
    VERSION,
    METHOD,
    NAME,
    LAST_EVENT,
];

/// Refuses headers that stand twice, and values that are not visible ASCII.
pub(super) fn once(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in &ONCE {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        let routing = [VERSION, METHOD, NAME].contains(name);
        let refuse =
            |text: String| if routing { Refusal::mismatch(text) } else { Refusal::bad(text) };
        if values.next().is_some() {
            return Err(refuse(format!("the header `{name}` stands more than once")));
        }
        if first.is_some_and(|value| value.to_str().is_err()) {
            return Err(refuse(format!("the header `{name}` has characters that are not ASCII")));
        }
    }
    Ok(())
}

/// A header's value, without blanks around it.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim_matches([' ', '\t']))
}

/// What a listener takes for its own names.
#[derive(Debug, Clone)]
pub(super) struct Names {
    hosts: Vec<String>,
    origins: Vec<String>,
    scheme: &'static str,
}

impl Names {
    pub(super) fn new(config: &ListenerConfig) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self {
            hosts: lower(&config.allowed_hosts),
            origins: lower(&config.allowed_origins),
            scheme: if config.tls.is_some() { "https://" } else { "http://" },
        }
    }

    /// Refuses a request for another host. `local` is the address that the client reached; `None` on a
    /// Unix socket.
    pub(super) fn check_host(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        local: Option<SocketAddr>,
    ) -> Result<(), Refusal> {
        let Some(host) = text(headers, &HOST).filter(|host| !host.is_empty()) else {
            return Err(Refusal::bad("the header `Host` is missing"));
        };
        let host = host.to_ascii_lowercase();
        if uri.authority().is_some_and(|target| target.as_str().to_ascii_lowercase() != host) {
            return Err(Refusal::bad("`Host` is not the host of the request's target"));
        }
        if self.is_own_host(&host, local) {
            return Ok(());
        }
        let shown: String = host.chars().take(80).collect();
        let message = format!(
            "`{shown}` is not a name of this listener; an operator adds it to `allowed_hosts` if it is"
        );
        Err(Refusal::forbidden("host_not_allowed", message))
    }

    fn is_own_host(&self, host: &str, local: Option<SocketAddr>) -> bool {
        let name = without_port(host);
        if self.hosts.iter().any(|own| own == host || own == name) {
            return true;
        }
        let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
        let is_loopback =
            name == "localhost" || address.is_some_and(|ip| ip.to_canonical().is_loopback());
        match local {
            None => is_loopback,
            Some(local) => {
                let own = local.ip().to_canonical();
                (own.is_loopback() && is_loopback)
                    || address.is_some_and(|ip| ip.to_canonical() == own)
            }
        }
    }

    /// Refuses a request of a web page that came from elsewhere. One without `Origin` is of no web page.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = text(headers, &ORIGIN) else { return Ok(()) };
        let origin = origin.to_ascii_lowercase();
        // The host was found to be ours.
        let same = origin.strip_prefix(self.scheme).is_some_and(|host| {
            text(headers, &HOST).is_some_and(|own| own.eq_ignore_ascii_case(host))
        });
        if same || self.origins.contains(&origin) {
            return Ok(());
        }
        let shown: String = origin.chars().take(80).collect();
        let message = format!(
            "web pages from `{shown}` may not call; an operator adds it to `allowed_origins` if they may"
        );
        Err(Refusal::forbidden("origin_not_allowed", message))
    }
}

/// `host` without `:port`. The address in brackets of RFC 3986 keeps its colons.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => {
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

/// The key that a caller sent: `Authorization: Bearer` (RFC 6750, section 2.1) or `X-API-Key`.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<SecretString>, Refusal> {
    let bearer = match text(headers, &AUTHORIZATION) {
        None => None,
        Some(value) => match value.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => {
                Some(key.trim_matches(' '))
            }
            _ => {
                let text = "`Authorization` must be `Bearer` and the API key";
                return Err(Refusal::unauthenticated(text, true));
            }
        },
    };
    match (bearer, text(headers, &API_KEY)) {
        (Some(a), Some(b)) if a != b => {
            Err(Refusal::bad("`Authorization` and `X-API-Key` hold different keys; send one"))
        }
        (a, b) => Ok(a.or(b).map(SecretString::from)),
    }
}

/// Refuses a body that is not JSON.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "`Content-Type` must be `application/json`";
    Err(Refusal::of_protocol(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// Refuses a client that does not take all of these media types (RFC 9110, section 12.5.1). MCP wants the
/// header, so one without it takes none.
pub(super) fn check_accept(headers: &HeaderMap, wanted: &[&str]) -> Result<(), Refusal> {
    let takes = |wanted: &str| {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            let family = wanted.split_once('/').map_or("", |(family, _)| family);
            !refused && (range == wanted || range == "*/*" || range == format!("{family}/*"))
        })
    };
    if wanted.iter().all(|wanted| takes(wanted)) {
        return Ok(());
    }
    let wanted: Vec<_> = wanted.iter().map(|kind| format!("`{kind}`")).collect();
    let message = format!("`Accept` must have {}", wanted.join(" and "));
    Err(Refusal::of_protocol(StatusCode::NOT_ACCEPTABLE, message))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        map
    }

    fn names(hosts: &[&str], origins: &[&str]) -> Names {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (allowed_hosts, allowed_origins) = (own(hosts), own(origins));
        Names::new(&ListenerConfig { allowed_hosts, allowed_origins, ..Default::default() })
    }

    #[test]
    fn a_host_is_ours_or_the_request_is_refused() {
        let loopback = Some("127.0.0.1:8080".parse().expect("address"));
        let outside = Some("10.0.0.7:443".parse().expect("address"));
        let v6 = Some("[2001:db8::1]:443".parse().expect("address"));
        let ours = |names: &Names, host: &str, local| {
            names.check_host(&headers(&[("host", host)]), &Uri::from_static("/mcp"), local).is_ok()
        };
        let plain = names(&[], &[]);
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.0.0.1:9", "[::1]:8080", "[::1]"]
        {
            assert!(ours(&plain, host, loopback) && ours(&plain, host, None), "{host}");
            assert!(!ours(&plain, host, outside), "{host}");
        }
        assert!(ours(&plain, "10.0.0.7", outside) && ours(&plain, "[2001:DB8::1]:1", v6));
        for host in [
            "evil.example.com",
            "localhost.evil.example.com",
            "localhost@evil",
            "0x7f.1",
            "",
            ":80",
        ] {
            assert!(!ours(&plain, host, loopback), "{host}");
        }
        let named = names(&["mcp.example.com", "b.example.com:8443"], &[]);
        assert!(
            ours(&named, "mcp.example.com:1", outside)
                && ours(&named, "b.example.com:8443", outside)
        );
        assert!(
            !ours(&named, "b.example.com", outside) && !ours(&named, "x.mcp.example.com", outside)
        );
        let uri = Uri::from_static("http://evil.example.com/mcp");
        assert!(plain.check_host(&headers(&[("host", "localhost")]), &uri, loopback).is_err());
    }

    #[test]
    fn web_pages_from_elsewhere_are_refused() {
        let may = |names: &Names, origin: &str| {
            let pairs = [("host", "localhost:8080"), ("origin", origin)];
            names.check_origin(&headers(&pairs)).is_ok()
        };
        let plain = names(&[], &[]);
        assert!(plain.check_origin(&headers(&[("host", "localhost")])).is_ok());
        assert!(may(&plain, "http://localhost:8080"));
        for origin in [
            "null",
            "https://localhost:8080",
            "http://localhost",
            "http://localhost:8081",
            "http://evil.example",
        ] {
            assert!(!may(&plain, origin), "{origin}");
        }
        assert!(may(&names(&[], &["https://App.example.com"]), "https://app.example.com"));
        assert!(!may(
            &names(&[], &["https://app.example.com"]),
            "https://app.example.com.evil.example"
        ));
    }

    #[test]
    fn one_key_is_taken() {
        let of = |pairs: &[(&str, &str)]| {
            key(&headers(pairs)).map(|key| key.map(|key| key.expose_secret().to_owned()))
        };
        assert_eq!(of(&[]).expect("none"), None);
        assert_eq!(of(&[("authorization", "bearer  k")]).expect("a key").as_deref(), Some("k"));
        assert_eq!(of(&[("x-api-key", "k")]).expect("a key").as_deref(), Some("k"));
        assert_eq!(
            of(&[("authorization", "Bearer k"), ("x-api-key", "k")]).expect("a key").as_deref(),
            Some("k")
        );
        let status = |pairs: &[(&str, &str)]| of(pairs).expect_err("refused").status;
        assert_eq!(
            status(&[("authorization", "Bearer k"), ("x-api-key", "l")]),
            StatusCode::BAD_REQUEST
        );
        assert_eq!(status(&[("authorization", "Basic k")]), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn what_counts_stands_once() {
        assert!(once(&headers(&[("accept", "a"), ("accept", "b"), ("host", "a")])).is_ok());
        for name in ONCE {
            let twice = headers(&[(name.as_str(), "1"), (name.as_str(), "1")]);
            assert!(once(&twice).is_err(), "{name}");
            assert!(once(&headers(&[(name.as_str(), "ü")])).is_err(), "{name}");
        }
    }

    #[test]
    fn media_types_are_negotiated() {
        let both = ["application/json", "text/event-stream"];
        let takes = |accept: &str| check_accept(&headers(&[("accept", accept)]), &both).is_ok();
        for accept in
            ["application/json, text/event-stream", "*/*", "text/*;q=0.5, Application/JSON"]
        {
            assert!(takes(accept), "{accept}");
        }
        for accept in ["application/json", "text/event-stream", "text/html", "", "*/*;q=0"] {
            assert!(!takes(accept), "{accept}");
        }
        let kind = |kind: &str| check_content_type(&headers(&[("content-type", kind)])).is_ok();
        assert!(kind("application/json") && kind("Application/JSON; charset=utf-8"));
        assert!(!kind("text/plain") && !kind("application/jsonx") && !kind(""));
    }
}
