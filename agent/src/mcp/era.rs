//! Protocol revisions and the two eras they fall into.

/// Revisions that begin with a handshake, newest first.
pub const HANDSHAKE: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// Revisions without one, newest first.
pub const MODERN: [&str; 1] = ["2026-07-28"];

/// The key of `_meta` by which every request of the modern era says its revision.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// How client and server come to terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, then requests of one session (up to revision 2025-11-25).
    Handshake,
    /// Every request stands alone and says its revision (from revision 2026-07-28).
    Modern,
}

impl Era {
    /// The era of a revision, if it is a known one.
    pub fn of(revision: &str) -> Option<Self> {
        if HANDSHAKE.contains(&revision) {
            Some(Self::Handshake)
        } else {
            MODERN.contains(&revision).then_some(Self::Modern)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_revision_has_an_era() {
        assert_eq!(Era::of("2025-11-25"), Some(Era::Handshake));
        assert_eq!(Era::of("2026-07-28"), Some(Era::Modern));
        assert_eq!(Era::of("2026-07-29"), None);
    }
}
