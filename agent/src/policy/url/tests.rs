//! The judge as a whole: attacks with their benign twins, properties, and the labelled corpus.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn rules(allowed: &[&str], denied: &[&str]) -> UrlRules {
    let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    UrlRules::compile(Some(&own(allowed)), &own(denied)).unwrap()
}

fn anywhere() -> UrlRules {
    rules(&["https://**", "http://**"], &[])
}

fn limit(rules: &UrlRules, url: &str) -> Option<&'static str> {
    judge(rules, url).err().map(|denial| denial.limit)
}

#[test]
fn a_peer_is_what_the_url_reaches() {
    let peer = judge(&anywhere(), "HTTPS://API.Example.com./v1/../x?q=1#f").unwrap();
    assert_eq!(peer.host, Host::Name("api.example.com".into()));
    assert_eq!((peer.scheme.as_str(), peer.port), ("https", 443));
    assert_eq!(peer.url, "https://api.example.com./x?q=1#f");
}

#[test]
fn patterns_decide() {
    let rules = rules(
        &[
            "https://*.example.com/**",
            "https://api.example.org:8443/v1/*",
            "https://any.org:*/**",
            "https://v2.org/v2/**",
            "https://root.org/",
        ],
        &["https://secret.example.com", "*://**/admin/**"],
    );
    for (url, expected) in [
        ("https://a.example.com/x", None),
        ("https://example.com/x", Some("allowed_urls")),
        ("http://a.example.com/x", Some("allowed_urls")),
        ("https://a.example.com:8443/x", Some("allowed_urls")),
        ("https://secret.example.com/x", Some("denied_urls")),
        ("https://secret.example.com:444/x", Some("denied_urls")),
        ("https://secret.example.com./x", Some("denied_urls")),
        ("https://a.example.com/Admin/x", Some("denied_urls")),
        ("https://a.example.com//admin/x", Some("denied_urls")),
        ("https://a.example.com/x/..%2fadmin/", Some("denied_urls")),
        ("https://a.example.com/administrator", None),
        ("https://api.example.org:8443/v1/users", None),
        ("https://api.example.org:8443/v1/users/1", Some("allowed_urls")),
        ("https://api.example.org:8443/v1/..%2fkeys", Some("allowed_urls")),
        ("https://api.example.org/v1/users", Some("allowed_urls")),
        ("https://any.org:9999/", None),
        ("https://v2.org/v2", None),
        ("https://v2.org/v2/", None),
        ("https://v2.org/v2/a/b%20c", None),
        ("https://v2.org/v2/a%2Fb", None),
        ("https://v2.org/v2/%2e%2e/v1", Some("allowed_urls")),
        ("https://v2.org/v2/..%5c..%5cv1", Some("allowed_urls")),
        ("https://v2.org/v20", Some("allowed_urls")),
        ("https://root.org", None),
        ("https://root.org/x", Some("allowed_urls")),
    ] {
        assert_eq!(limit(&rules, url), expected, "{url}");
    }
}

#[test]
fn special_hosts_open_only_by_name() {
    for (url, pattern) in [
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/**"),
        ("http://169.254.169.254/x", "http://169.254.169.254"),
        ("http://[::1]:80/", "http://[::1]/**"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("http://redis:6379/", "http://redis:6379"),
        ("https://db.apps.internal/", "https://*.apps.internal"),
        ("https://metadata.google.internal/", "https://metadata.google.internal/**"),
        ("https://127.0.0.1.nip.io/", "https://127.0.0.1.nip.io"),
    ] {
        assert_eq!(limit(&rules(&[pattern], &[]), url), None, "{url}");
        assert_eq!(limit(&rules(&["https://*:*", "http://*:*"], &[]), url), Some("url"), "{url}");
        assert_eq!(limit(&UrlRules::compile(None, &[]).unwrap(), url), Some("url"), "{url}");
        assert_eq!(limit(&rules(&[pattern], &[pattern]), url), Some("denied_urls"), "{url}");
    }
    let rules = rules(&["https://*.internal", "http://127.0.0.1:8080"], &[]);
    assert_eq!(limit(&rules, "https://metadata.google.internal/"), Some("url"));
    assert_eq!(limit(&rules, "http://127.0.0.1:8081/"), Some("url"));
    assert_eq!(limit(&rules, "http://127.0.0.2:8080/"), Some("url"));
}

#[test]
fn schemes_beyond_http_must_be_named() {
    let any = anywhere();
    for url in [
        "file:///etc/passwd",
        "gopher://x.com/_a",
        "data:text/html,x",
        "jar:http://x.com!/",
        "sftp://x.com/",
        "javascript:alert(1)",
        "php://filter",
        "netdoc:///x",
        "LDAP://x.com",
    ] {
        assert_eq!(limit(&any, url), Some("url"), "{url}");
    }
    assert_eq!(
        limit(&rules(&["sftp://files.example.com"], &[]), "sftp://files.example.com/a"),
        None
    );
    assert_eq!(limit(&rules(&["sftp://**"], &[]), "sftp://127.0.0.1/a"), Some("url"));
    assert_eq!(limit(&rules(&["sftp://**"], &[]), "sftp://localhost/a"), Some("url"));
    assert_eq!(limit(&rules(&["sftp://**"], &[]), "sftp://0x7f000001/a"), Some("url"));
}

#[test]
fn attacks_have_benign_twins() {
    let any = anywhere();
    for (attack, twin) in [
        ("http://0x7f.1/", "http://0x7f.example.com/"),
        ("http://127.0.0.1.nip.io/", "http://8.8.8.8.nip.io/"),
        ("http://10.0.0.1/", "http://11.0.0.1/"),
        ("http://user@example.com/", "http://example.com/user@example.com"),
        ("http://example.com#@evil.com", "http://example.com/#@evil.com"),
        ("http://example.com\\@evil.com", "http://example.com/%5C@evil.com"),
        ("http://ⓔxample.com/", "http://éxample.com/"),
        ("http://exa%6dple.com/", "http://example.com/exa%6dple"),
        ("http://x.com/a%0d%0aHost:%20y", "http://x.com/a%20b?text=a%0D%0Ab"),
        ("http://x.com /", "http://x.com/%20"),
        ("http:/x.com", "http://x.com"),
        ("http://x.com:00080/", "http://x.com:80/"),
        ("http://[::ffff:8.8.8.8]/", "http://[2001:4860:4860::8888]/"),
        ("http://x..com/", "http://x.com./"),
    ] {
        assert!(limit(&any, attack).is_some(), "allowed {attack}");
        assert_eq!(limit(&any, twin), None, "denied {twin}: {:?}", judge(&any, twin));
    }
}

/// Spellings of an IPv4 address that some readers take for it.
fn spellings([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let number = u32::from_be_bytes([a, b, c, d]);
    let low = number & 0x00ff_ffff;
    let circled = |text: &str| -> String {
        let digit = |c| match c {
            '0' => '⓪',
            '1'..='9' => char::from_u32('①' as u32 + c as u32 - '1' as u32).unwrap(),
            other => other,
        };
        text.chars().map(digit).collect()
    };
    let wide = |text: &str| -> String {
        let digit = |c: char| char::from_u32(c as u32 - 0x20 + 0xff00).unwrap();
        text.chars().map(|c| if c.is_ascii_digit() { digit(c) } else { c }).collect()
    };
    let plain = format!("{a}.{b}.{c}.{d}");
    vec![
        number.to_string(),
        format!("{number:#x}"),
        format!("0{number:o}"),
        format!("{a}.{low}"),
        format!("{a}.{b}.{}", low & 0xffff),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.{b}.{c:#x}.{d}"),
        format!("{}.{}.{}.{}", u32::from(a) + 256, u32::from(b) + 256, c, d),
        format!("[::{plain}]"),
        format!("[::ffff:{plain}]"),
        format!("[64:ff9b::{plain}]"),
        format!("[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::]"),
        format!("[::{plain}%25eth0]"),
        format!("{plain}."),
        format!("{plain}.nip.io"),
        format!("{a}-{b}-{c}-{d}.sslip.io"),
        plain.replace('.', "。"),
        plain.replace('.', "%2e"),
        circled(&plain),
        wide(&plain),
        plain,
    ]
}

proptest! {
    #[test]
    fn no_spelling_of_a_special_address_passes(
        (first, rest) in (
            prop::sample::select(vec![[127u8, 0], [10, 1], [192, 168], [169, 254], [172, 16], [0, 0]]),
            any::<[u8; 2]>(),
        ),
        wrap in prop::sample::select(vec!["http://H", "http://H/", "https://H:443/x", "http://x@H/",
            "http://H#@ok.com/", "http://ok.com@H", "http://H:80\\@ok.com", "http://ok.com\\@H",
            "http://H:80%09ok.com/", "http://H:80:80/", "http://x@H:80@ok.com/", "http://H:80;x/",
            "http://ok.com+&@H#+@ok.com/", "http://H:80+&@ok.com#+@ok.com/", "http://H:80\tok.com/",
            "http://ok.com+&@ok.com#+@H:80/", "http://H:80?@ok.com/", "http:/H/", "http:H/",
            "http:///H/", "//H/", "url:http://H/", "http://H /", "jar:http://H!/", "h\ttp://H",
            "http://ok.com@@H/", "http://H%00.ok.com/", "http://H%2f@ok.com/", "gopher://H:80/_x",
            "http://ok.com\u{ff20}H/", "http://ok.com\u{ff0f}@H/", "http://[H]/", "http://.H/"]),
    ) {
        let any = anywhere();
        for host in spellings([first[0], first[1], rest[0], rest[1]]) {
            let url = wrap.replace('H', &host);
            prop_assert!(judge(&any, &url).is_err(), "allowed {}", url);
        }
    }

    #[test]
    fn whatever_is_allowed_is_public_and_read_alike_again(
        url in "(https?|HTTP|ftp|file)?[:/]{0,3}[a-z0-9.@:\\[\\]%\\\\/?#\u{24d0}\u{3002} -]{0,24}",
    ) {
        if let Ok(peer) = judge(&anywhere(), &url) {
            if let Host::Ip(address) = peer.host {
                prop_assert_eq!(special(address), None);
            }
            let again = judge(&anywhere(), &peer.url);
            prop_assert_eq!(again.map(|p| (p.scheme, p.host, p.port)),
                Ok((peer.scheme, peer.host, peer.port)));
        }
    }

    #[test]
    fn plain_names_pass(name in "[a-z][a-z0-9]{0,8}\\.[a-z][a-z0-9]{1,8}\\.example", path in "[a-zA-Z0-9/_.~@:=+,-]{0,20}") {
        let url = format!("https://{name}/{path}");
        prop_assert!(judge(&anywhere(), &url).is_ok(), "{url}");
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,64}", pattern in "(https?://)?[*a-z0-9.:/\\[\\]{}?-]{0,32}") {
        let own = [pattern];
        if let Ok(rules) = UrlRules::compile(Some(&own), &own) {
            prop_assert!(judge(&rules, &text).is_err());
        }
    }
}

#[test]
fn work_grows_with_the_text() {
    let any = anywhere();
    for unit in ["a.", "@", "%25", "[", "/../", "xn--", "é", "1.", ":"] {
        let url = format!("http://{}", unit.repeat(100_000));
        assert!(judge(&any, &url).is_err());
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn the_labelled_corpus() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora");
    let place = std::env::var("WARRANTD_CORPORA").unwrap_or_else(|_| place.to_owned());
    let Ok(corpus) = std::fs::read_to_string(format!("{place}/ssrf_labelled.jsonl")) else {
        println!("skipped: corpus not present");
        return;
    };
    let any = anywhere();
    let mut figures = std::collections::BTreeMap::<String, (usize, usize)>::new();
    let mut wrong = Vec::new();
    for line in corpus.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (url, label) = (row["url"].as_str().unwrap(), row["expect"].as_str().unwrap());
        let verdict = judge(&any, url);
        let (allowed, total) = figures.entry(label.to_owned()).or_default();
        *allowed += usize::from(verdict.is_ok());
        *total += 1;
        let right = match label {
            "allow" => verdict.is_ok(),
            "depends_on_allowlist" => true,
            _ => verdict.is_err(),
        };
        if !right {
            wrong.push(format!("{label} {url}: {verdict:?}"));
        }
    }
    println!("label: (allowed, total) {figures:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
