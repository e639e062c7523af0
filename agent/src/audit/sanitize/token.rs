//! Tokens in the known shapes of clouds and software services.
//!
//! A shape is a prefix and the class and number of the bytes after it, as the services and the
//! public secret scanners document them. Where a service does not promise a length, the shortest
//! that was issued counts, less a little.

use super::span::{Span, byte, byte_before, run};
use crate::config::Kind;

/// The shape of a token.
#[derive(Debug)]
pub(super) struct Shape {
    /// What it begins with. One that is shorter than four bytes must begin a word.
    pub(super) prefix: &'static str,
    /// What follows.
    body: Body,
    /// The fewest bytes that follow.
    min: usize,
    /// The most bytes that follow.
    max: usize,
}

/// What follows a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Letters and digits.
    Alnum,
    /// Upper-case letters and digits.
    Upper,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Letters, digits, `_` and `-`.
    Word,
    /// Letters, digits and `_-.~+/=`.
    Any,
    /// `Any`, and a word's beginning is before the prefix: Azure.
    Azure,
    /// `Word`, and digits are before the prefix: Telegram.
    Telegram,
    /// The three or five parts of a JSON web token.
    Jwt,
    /// Everything up to the end of the text.
    All,
}

/// Bytes of the shortest token.
pub(super) const SHORTEST: usize = 16;

/// No token is longer, so that the work for each place is bounded.
const LONGEST: usize = 400;

use Body::{All, Alnum, Any, Azure, Hex, Jwt, Telegram, Upper, Word};

const fn open(prefix: &'static str, body: Body, min: usize) -> Shape {
    Shape { prefix, body, min, max: LONGEST }
}

const fn exact(prefix: &'static str, body: Body, length: usize) -> Shape {
    Shape { prefix, body, min: length, max: length }
}

/// The known shapes.
#[rustfmt::skip]
pub(super) static SHAPES: &[Shape] = &[
    open("eyJ", Jwt, 8),
    open("PuTTY-User-Key-File-", All, 1),
    open("AGE-SECRET-KEY-1", Upper, 50),
    // AWS: access key ids. The secret has no shape of its own; its name or its randomness tells.
    exact("AKIA", Upper, 16), exact("ASIA", Upper, 16), exact("ABIA", Upper, 16),
    exact("ACCA", Upper, 16), open("ABSK", Any, 100),
    // Google Cloud.
    exact("AIza", Word, 35), open("ya29.", Any, 20), open("GOCSPX-", Word, 24),
    open("1//0", Word, 30),
    // Azure.
    Shape { prefix: "8Q~", body: Azure, min: 31, max: 34 }, 
    // Other clouds.
    exact("LTAI", Alnum, 20), open("AQVN", Word, 35), exact("dop_v1_", Hex, 64),
    exact("doo_v1_", Hex, 64), exact("dor_v1_", Hex, 64), open("HRKU-", Word, 30),
    open("fo1_", Word, 40), open("fm2_", Any, 60), open("nfp_", Alnum, 36), open("rnd_", Alnum, 28),
    open("sbp_", Hex, 40), open("sb_secret_", Word, 20), open("pscale_tkn_", Any, 30),
    open("pscale_pw_", Any, 30), open("pscale_oauth_", Any, 30), open("dp.pt.", Alnum, 40),
    open("dp.st.", Any, 40), open("dp.ct.", Alnum, 40), open("dp.sa.", Alnum, 40),
    open("tskey-", Word, 20), open("ops_eyJ", Any, 100), open("pul-", Hex, 40),
    // HashiCorp.
    open("hvs.", Word, 20), open("hvb.", Word, 20), open("hvr.", Word, 20),
    open(".atlasv1.", Any, 50),
    // Code hosts.
    open("ghp_", Alnum, 30), open("gho_", Alnum, 30), open("ghu_", Alnum, 30),
    open("ghs_", Alnum, 30), open("ghr_", Alnum, 30), open("github_pat_", Word, 40),
    open("glpat-", Any, 18), open("gldt-", Word, 18), open("glrt-", Any, 18),
    open("glptt-", Word, 18), open("glft-", Word, 18), open("glsoat-", Word, 18),
    open("glcbt-", Word, 18), open("glimt-", Word, 18), open("glagent-", Word, 18),
    open("gloas-", Word, 18), open("GR1348941", Word, 20), open("ATBB", Alnum, 28),
    open("ATATT3", Any, 60), open("ATCTT3", Any, 60), open("sgp_", Word, 40),
    // Package registries.
    open("npm_", Alnum, 34), open("pypi-", Word, 50), exact("rubygems_", Hex, 48),
    exact("cio", Alnum, 32), exact("oy2", Alnum, 43), open("dckr_pat_", Word, 24),
    open("dckr_oat_", Word, 24), open("AKCp", Alnum, 60),
    // Chat.
    open("xoxb-", Word, 20), open("xoxp-", Word, 20), open("xoxa-", Word, 20),
    open("xoxr-", Word, 20), open("xoxs-", Word, 20), open("xoxo-", Word, 20),
    open("xoxc-", Word, 20), open("xoxd-", Any, 20), open("xoxe-", Word, 20),
    open("xoxe.xox", Word, 20), open("xapp-", Word, 20),
    Shape { prefix: ":AA", body: Telegram, min: 30, max: 40 },
    // Payment.
    open("sk_live_", Alnum, 16), open("sk_test_", Alnum, 16), open("rk_live_", Alnum, 16),
    open("rk_test_", Alnum, 16), open("whsec_", Any, 24), open("sq0atp-", Word, 20),
    open("sq0csp-", Word, 40), open("EAAA", Word, 56), open("rzp_live_", Alnum, 14),
    open("rzp_test_", Alnum, 14), open("FLWSECK", Word, 20), open("access_token$", Any, 30),
    open("shippo_live_", Hex, 40), open("EZAK", Alnum, 54), open("duffel_live_", Word, 40),
    // Mail and telephony.
    exact("AC", Hex, 32), exact("SK", Hex, 32), open("SG.", Any, 60), exact("key-", Hex, 32),
    open("xkeysib-", Word, 60), 
    // Models.
    open("sk-ant-", Word, 20), open("sk-proj-", Word, 20), open("sk-svcacct-", Word, 20),
    open("sk-admin-", Word, 20), open("sk-or-v1-", Hex, 40), open("sk-lf-", Word, 30),
    open("sk-", Alnum, 28), open("hf_", Alnum, 30), open("api_org_", Alnum, 30),
    open("gsk_", Alnum, 40), open("xai-", Alnum, 60), open("pplx-", Alnum, 40),
    open("r8_", Alnum, 34), exact("dapi", Hex, 32), open("nvapi-", Word, 50),
    open("lsv2_", Word, 36), open("fw_", Alnum, 22),
    // Shops, work, monitoring.
    exact("shpat_", Hex, 32), exact("shpss_", Hex, 32), exact("shpca_", Hex, 32),
    exact("shppa_", Hex, 32), open("lin_api_", Alnum, 32), open("lin_oauth_", Hex, 40),
    open("secret_", Alnum, 40), open("ntn_", Alnum, 40), open("figd_", Word, 36),
    exact("pat", Any, 79), open("PMAK-", Word, 50), open("CFPAT-", Word, 40), open("tfp_", Word, 40),
    open("glsa_", Word, 36), open("glc_", Any, 32), open("NRAK-", Upper, 24),
    open("NRII-", Word, 28), open("NRJS-", Alnum, 18), open("NRRA-", Hex, 38),
    open("sntrys_", Any, 40), open("sntryu_", Hex, 60), open("bkua_", Hex, 36),
    open("CCIPAT_", Any, 40), open("SWMTKN-1-", Word, 60), open("pnu_", Alnum, 32),
    open("rdme_", Alnum, 60), open("EAAC", Alnum, 60), open("sk.eyJ", Any, 60),
    open("aio_", Alnum, 26), open("sl.", Word, 120), open("dt0c01.", Any, 80),
    open("v2.local.", Word, 60), open("phx_", Alnum, 40), open("wd_", Word, 40),
];

/// Finds the token whose prefix is at `start`, if it is one.
pub(super) fn find(text: &str, start: usize, shape: &Shape, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let body = start + shape.prefix.len();
    if text.get(start..body) != Some(shape.prefix) {
        return;
    }
    if shape.body == Jwt {
        spans.extend(jwt(bytes, start));
        return;
    }
    if shape.body == All {
        spans.push(Span { start, end: text.len(), kind: Kind::PrivateKey });
        return;
    }
    let Some(start) = shape.start(bytes, start) else { return };
    let class = |b: u8| shape.body.holds(b);
    let rest = bytes.get(body..).unwrap_or_default();
    let rest = rest.get(..LONGEST + 1).unwrap_or(rest);
    let mut length = run(rest, 0, class);
    // A sentence's full stop or a query's sign is no part of the token.
    while length > 0 && matches!(byte(rest, length - 1), b'.' | b'=' | b'-') && length > shape.min {
        length -= 1;
    }
    let is_whole = shape.max == LONGEST || length <= shape.max;
    if length >= shape.min && is_whole && is_varied(rest.get(..length).unwrap_or_default()) {
        spans.push(Span { start, end: body + length, kind: Kind::Token });
    }
}

impl Shape {
    /// Where the token begins whose prefix is at `start`.
    fn start(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let before = byte_before(bytes, start);
        match self.body {
            Azure => {
                let from = start.checked_sub(3)?;
                bytes.get(from..start)?.iter().all(u8::is_ascii_alphanumeric).then_some(from)
            }
            Telegram => {
                let head = bytes.get(..start)?;
                let digits = head.iter().rev().take(11).take_while(|b| b.is_ascii_digit()).count();
                (8..=10).contains(&digits).then_some(start - digits)
            }
            _ => (self.prefix.len() >= 4
                || !before.is_ascii_alphanumeric()
                || is_escape(bytes, start))
            .then_some(start),
        }
    }
}

impl Body {
    fn holds(self, b: u8) -> bool {
        match self {
            Alnum => b.is_ascii_alphanumeric(),
            Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Hex => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            Word | Telegram | Jwt => is_base64_url(b),
            Any | Azure => is_base64_url(b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'='),
            All => true,
        }
    }
}

/// Whether a byte is of the base64url alphabet, RFC 4648.
fn is_base64_url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
}

/// Whether the two bytes before are the end of a percent escape, such as `%3D`.
fn is_escape(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(3).is_some_and(|at| byte(bytes, at) == b'%')
}

/// Whether a body is no word or placeholder: it has a digit, or letters of both cases.
fn is_varied(body: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| body.iter().any(class);
    let all_one = body.first().is_some_and(|first| body.iter().all(|b| b == first));
    !all_one
        && (has(u8::is_ascii_digit) || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)))
}

/// A JSON web token: header, payload and signature, or the five parts of an encrypted one
/// (RFC 7515 and RFC 7516, section 3.1). The signature may be empty.
fn jwt(bytes: &[u8], start: usize) -> Option<Span> {
    let before = byte_before(bytes, start);
    if is_base64_url(before) && !is_escape(bytes, start) {
        return None;
    }
    let mut end = start + run(bytes, start, is_base64_url);
    if end - start < 10 {
        return None;
    }
    let mut dots = 0;
    while dots < 4 && byte(bytes, end) == b'.' {
        let part = run(bytes, end + 1, is_base64_url);
        if part < 2 && dots == 0 {
            return None;
        }
        dots += 1;
        end += 1 + part;
    }
    (dots >= 2).then_some(Span { start, end, kind: Kind::Jwt })
}

#[cfg(test)]
mod tests {
    use super::super::literals::Literals;
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        Literals::new()
            .expect("builds")
            .tokens(text, |shape, at| find(text, at, shape, &mut spans));
        super::super::span::join(&mut spans);
        spans.iter().map(|s| &text[s.start..s.end]).collect()
    }

    /// A body that no scanner of this file could take for a real token.
    fn body(length: usize) -> String {
        "a1B2c3D4e5".chars().cycle().take(length).collect()
    }

    #[test]
    fn every_shape_is_found_in_any_surroundings() {
        for shape in SHAPES {
            if matches!(shape.body, Jwt | All | Azure | Telegram) {
                continue;
            }
            let body = match shape.body {
                Hex => body(shape.min).to_lowercase(),
                Upper => body(shape.min).to_uppercase(),
                _ => body(shape.min),
            };
            let token = format!("{}{body}", shape.prefix);
            for text in [
                token.clone(),
                format!("a {token}, b"),
                format!("key=\"{token}\""),
                format!("?t={token}&u=1"),
                format!("%3D{token}"),
            ] {
                let found = found(&text);
                assert!(found.iter().any(|f| f.contains(&token)), "{text}: {found:?}");
            }
            let short = format!("{}ab", shape.prefix);
            assert_eq!(self::found(&short), [""; 0], "{short}");
        }
    }

    #[test]
    fn tokens_without_a_fixed_start_are_found() {
        let azure = format!("abc8Q~{}", body(34));
        assert_eq!(found(&format!("x={azure} ")), [&azure]);
        let telegram = format!("123456789:AA{}", body(33));
        assert_eq!(found(&format!("bot{telegram}/getMe")), [&telegram]);
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln";
        assert_eq!(found(&format!("a {jwt} b")), [jwt]);
        assert_eq!(
            found("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
            ["eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."]
        );
    }

    #[test]
    fn words_and_identifiers_are_left() {
        for text in [
            "sk-learn",
            "npm_config_registry",
            "hf_hub_download",
            "glpat-your-token-goes-here",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "eyJ",
            "eyJhbGciOiJub25lIn0",
            "key-value-store",
            "pattern matching in patterns",
            "task-force-of-the-international-organisation",
            "secret_management",
            "AKIA",
            "accumulator",
            "disk",
            "sl.",
            "pypi-publish-action",
            "SG.1",
            "version v2.local.build",
            "XAKIAIOSFODNN7EXAMPLEX0",
            "cio",
            "fw_update_status_flag",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
