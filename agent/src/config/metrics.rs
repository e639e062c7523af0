//! Where metrics are read.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::listen::address;

/// The endpoint of `/metrics`, `/live` and `/ready`: `address` or `unix`, one of the two. It asks nobody who
/// they are, so it is of this host alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{"required": ["address"]}, {"required": ["unix"]}]))]
pub struct MetricsConfig {
    /// A loopback address and port, such as `127.0.0.1:9464`.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// Path of a Unix socket. Whoever may connect to it may read.
    pub unix: Option<PathBuf>,
}

impl MetricsConfig {
    /// Finds what does not go together.
    pub fn check(&self) -> Result<(), Problem> {
        let problem = |key: &str, text: &str| Err(Problem::new(key, text));
        match (&self.address, &self.unix) {
            (Some(_), Some(_)) => {
                problem("metrics.unix", "metrics have `address` or `unix`, not both")
            }
            (None, None) => problem(
                "metrics",
                "metrics need `address` (such as 127.0.0.1:9464) or `unix` (a path)",
            ),
            (Some(address), None) if !address.ip().to_canonical().is_loopback() => problem(
                "metrics.address",
                "metrics tell everybody what is called and how often; listen on 127.0.0.1 or a Unix \
                 socket, and let an agent on this host or a proxy with TLS read them",
            ),
            (None, Some(path)) if !path.is_absolute() => {
                problem("metrics.unix", &format!("`{}` is not an absolute path", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Problem> {
        serde_yaml::from_str::<MetricsConfig>(text).expect("it reads").check()
    }

    #[test]
    fn metrics_stay_on_this_host() {
        for fine in ["address: '127.0.0.1:9464'", "address: '[::1]:0'", "unix: /run/metrics.sock"] {
            assert!(check(fine).is_ok(), "{fine}");
        }
        for (wrong, key) in [
            ("address: '0.0.0.0:9464'", "metrics.address"),
            ("address: '192.0.2.1:9464'", "metrics.address"),
            ("{}", "metrics"),
            ("unix: metrics.sock", "metrics.unix"),
            ("{address: '127.0.0.1:1', unix: /a}", "metrics.unix"),
        ] {
            let problem = check(wrong).expect_err(wrong);
            assert_eq!(problem.key, key, "{wrong}");
        }
    }
}
