//! How bad an event is.

/// How bad an event is, in the words of OCSF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing needs to be done.
    Informational,
    /// Somebody may want to look.
    Low,
    /// Somebody should look.
    Medium,
    /// Somebody must look.
    High,
}

impl Severity {
    /// OCSF's `severity_id`.
    pub fn ocsf(self) -> u8 {
        match self {
            Self::Informational => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
        }
    }

    /// Its name in OCSF.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }

    /// CEF's severity, from 0 to 10.
    pub fn cef(self) -> u8 {
        match self {
            Self::Informational => 2,
            Self::Low => 4,
            Self::Medium => 6,
            Self::High => 8,
        }
    }

    /// The severity of RFC 5424, section 6.2.1: 6 informational, 5 notice, 4 warning, 3 error.
    pub fn syslog(self) -> u8 {
        match self {
            Self::Informational => 6,
            Self::Low => 5,
            Self::Medium => 4,
            Self::High => 3,
        }
    }

    /// `SeverityNumber` of OpenTelemetry's log data model: INFO, INFO2, WARN, ERROR.
    pub fn otlp(self) -> u8 {
        match self {
            Self::Informational => 9,
            Self::Low => 10,
            Self::Medium => 13,
            Self::High => 17,
        }
    }
}
