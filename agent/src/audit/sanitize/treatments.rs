//! What happens to each kind.

use std::collections::BTreeMap;

use crate::config::{Kind, Treatment};

/// The treatment of every kind.
#[derive(Debug, Clone)]
pub(super) struct Treatments([Treatment; Kind::ALL.len()]);

impl Default for Treatments {
    fn default() -> Self {
        let mut treatments = Self([Treatment::Redact; Kind::ALL.len()]);
        treatments.set(Kind::Ip, Treatment::Keep);
        treatments
    }
}

impl Treatments {
    /// These, with some changed.
    pub(super) fn with(mut self, changes: &BTreeMap<Kind, Treatment>) -> Self {
        for (kind, treatment) in changes {
            self.set(*kind, *treatment);
        }
        self
    }

    pub(super) fn of(&self, kind: Kind) -> Treatment {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    pub(super) fn keeps(&self, kind: Kind) -> bool {
        self.of(kind) == Treatment::Keep
    }

    /// Whether any kind is hashed.
    pub(super) fn hash(&self) -> bool {
        self.0.contains(&Treatment::Hash)
    }

    fn set(&mut self, kind: Kind, treatment: Treatment) {
        if let Some(place) = self.0.get_mut(kind as usize) {
            *place = treatment;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SanitizeConfig;

    #[test]
    fn kinds_are_listed_in_their_order() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn configuration_reads_as_documented() {
        let text = "kinds: {email: hash, ip: redact}\nkeys: [badge]\ntools:\n  whois:\n    kinds: {ip: keep}\n";
        let config: SanitizeConfig = serde_yaml::from_str(text).expect("reads");
        let all = Treatments::default().with(&config.kinds);
        assert_eq!(all.of(Kind::Email), Treatment::Hash);
        assert_eq!(all.of(Kind::Ip), Treatment::Redact);
        assert_eq!(all.of(Kind::Card), Treatment::Redact);
        let whois = all.with(&config.tools["whois"].kinds);
        assert!(whois.keeps(Kind::Ip));
        for bad in ["kinds: {mail: hash}", "kinds: {email: drop}", "kind: {}"] {
            assert!(serde_yaml::from_str::<SanitizeConfig>(bad).is_err(), "accepted {bad}");
        }
    }
}
