//! How much HTTP clients may take.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;

/// Bounds for HTTP clients. What is beyond them is refused, and recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections at once. A quarter as many again may be open that have not authenticated yet; the
    /// oldest of those gives way to a new one.
    pub max_connections: usize,
    /// Sessions at once, and requests of revision 2026-07-28 in flight.
    pub max_sessions: usize,
    /// The same of one actor.
    pub max_sessions_per_actor: usize,
    /// Bytes of a request's headers, its first line included.
    pub header_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Seconds in which a new connection must have sent its first request's headers, and done its TLS
    /// handshake.
    pub header_timeout_seconds: u64,
    /// Seconds in which a body must have arrived.
    pub body_timeout_seconds: u64,
    /// Seconds without a request or an open stream after which a session ends.
    pub idle_session_seconds: u64,
    /// Requests of one actor in a second, on average; twice as many at once.
    pub requests_per_second: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_sessions: 256,
            max_sessions_per_actor: 64,
            header_bytes: 16 << 10,
            body_bytes: 4 << 20,
            header_timeout_seconds: 10,
            body_timeout_seconds: 30,
            idle_session_seconds: 30 * 60,
            requests_per_second: 100,
        }
    }
}

impl LimitsConfig {
    /// Finds limits that cannot be kept.
    pub fn check(&self) -> Result<(), Problem> {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let ranges = [
            ("max_connections", number(self.max_connections), 1, 1 << 20),
            ("max_sessions", number(self.max_sessions), 1, 1 << 16),
            ("max_sessions_per_actor", number(self.max_sessions_per_actor), 1, 1 << 16),
            // hyper needs as much to begin with.
            ("header_bytes", number(self.header_bytes), 8 << 10, 1 << 20),
            ("body_bytes", number(self.body_bytes), 1 << 10, 64 << 20),
            ("header_timeout_seconds", self.header_timeout_seconds, 1, 3600),
            ("body_timeout_seconds", self.body_timeout_seconds, 1, 3600),
            ("idle_session_seconds", self.idle_session_seconds, 1, 7 * 24 * 3600),
            ("requests_per_second", self.requests_per_second.into(), 1, 1_000_000),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                let text = format!("{value} is not from {least} to {most}");
                return Err(Problem::new(format!("limits.{name}"), text));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_ranges() {
        assert_eq!(LimitsConfig::default().check(), Ok(()));
        let none = LimitsConfig { max_sessions: 0, ..LimitsConfig::default() };
        assert!(none.check().is_err_and(|problem| problem.key == "limits.max_sessions"));
        let read: LimitsConfig = serde_yaml::from_str("{body_bytes: 1024}").expect("limits");
        assert_eq!((read.body_bytes, read.max_sessions), (1024, 256));
    }
}
