//! Host names on their own, outside of URLs: the same names and globs as in URL patterns.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Host;
use super::pattern::{HostGlob, compile_host};
use super::strict::read_host;

/// A host name, or a glob of names, as URL patterns write them. It never covers an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    glob: HostGlob,
}

/// As it was written.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl HostPattern {
    /// Compiles a pattern, or says what is wrong with it. Names may be in Unicode or in their ASCII
    /// form (`xn--…`), globs are in ASCII.
    pub fn compile(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        if text.parse::<IpNet>().is_ok() {
            return Err(format!("`{shown}` is a range of addresses; write `cidr: {shown}`"));
        }
        if let Ok(address) = text.trim_end_matches('.').parse::<IpAddr>() {
            return Err(format!("`{shown}` is an address; write `cidr: {}`", IpNet::from(address)));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || ":/@".contains(c)) {
            return Err(format!(
                "`{shown}` is no host name; write the name alone, such as api.example.com, and its \
                 ports in `ports`"
            ));
        }
        if !text.contains(['*', '?', '[', '{']) && host_name(text).is_none() {
            return Err(format!(
                "`{shown}` is no host name; write letters, digits and inner hyphens between dots, \
                 or its ASCII form (`xn--…`)"
            ));
        }
        Ok(Self { text: text.to_owned(), glob: compile_host(text)? })
    }

    /// The name, when the pattern has no wildcard.
    pub fn exact(&self) -> Option<&str> {
        match &self.glob {
            HostGlob::Exact(Host::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether the pattern covers every name.
    pub fn is_any(&self) -> bool {
        self.glob == HostGlob::Any
    }

    /// Whether the pattern covers a name in the form of [`host_name`].
    pub fn covers(&self, name: &str) -> bool {
        self.glob.covers(&Host::Name(name.to_owned()))
    }

    /// How many bytes of a covered name the leading `*` stands for; 0 without one.
    pub fn freedom(&self, name: &str) -> usize {
        match &self.glob {
            HostGlob::Labels { reversed, more: true } => {
                let fixed = name.rsplit('.').take(reversed.len()).map(|label| label.len() + 1);
                name.len().saturating_sub(fixed.sum())
            }
            _ => 0,
        }
    }
}

/// A name in the one form that is compared: ASCII, lower case, without a dot at the end. `None` for
/// addresses, for what some reader may take for one (a number as its last label), and for what is
/// no host name (RFC 1123, section 2.1, and `_`).
pub fn host_name(text: &str) -> Option<String> {
    match read_host(text) {
        Ok(Host::Name(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs_compile_and_addresses_do_not() {
        for text in ["api.github.com", "*.example.com", "*", "bücher.example", "xn--a-ecp.ru", "db"]
        {
            assert!(HostPattern::compile(text).is_ok(), "{text}");
        }
        for (text, hint) in [
            ("10.0.0.1", "cidr: 10.0.0.1/32"),
            ("2001:db8::1", "cidr: 2001:db8::1/128"),
            ("[2001:db8::1]", "write the name alone"),
            ("10.0.0.0/8", "cidr: 10.0.0.0/8"),
            ("127.1", "no host name"),
            ("ba-d-.com", "inner hyphens"),
            ("https://api.github.com", "write the name alone"),
            ("api.github.com:443", "write the name alone"),
            ("", "no host"),
            ("*.*", "leaves the end of the name open"),
            ("*.bücher.example", "in ASCII"),
            ("a..b", "no host"),
        ] {
            let why = HostPattern::compile(text).expect_err(text);
            assert!(why.contains(hint), "{text}: {why}");
        }
    }

    #[test]
    fn the_wildcard_part_is_measured() {
        let glob = HostPattern::compile("*.s3.example.com").unwrap();
        assert_eq!(glob.freedom("bucket.s3.example.com"), 6);
        assert_eq!(glob.freedom("a.bc.s3.example.com"), 4);
        assert_eq!(HostPattern::compile("s3.example.com").unwrap().freedom("s3.example.com"), 0);
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(host_name("API.Example.COM.").as_deref(), Some("api.example.com"));
        for text in ["10.0.0.1", "1", "0x7f.1", "a b", "", ".", "a..b", "a.0x1"] {
            assert_eq!(host_name(text), None, "{text}");
        }
    }
}
