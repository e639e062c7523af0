//! What is valid in a policy and can hardly be meant.

use super::effects::NetworkOpening;
use super::policy::PolicyFile;
use super::{Mode, Problem};

impl PolicyFile {
    /// Remarks on the policy, each with the way out.
    pub fn remarks(&self) -> Vec<Problem> {
        let lists = !self.network.allow.is_empty() && self.mode == Mode::Enforce;
        if !lists || self.opens_peers() {
            return Vec::new();
        }
        let message = "nothing ever opens these peers: name them under `effects` (`tools.NAME.connect`, \
                       `startup.connect` or `ambient.connect`), limit a tool by `allowed_urls`, or set \
                       `effects.network: always`";
        vec![Problem::new("network.allow", message)]
    }

    /// Whether a warrant or anything else can open a peer.
    fn opens_peers(&self) -> bool {
        let effects = &self.effects;
        let own = self.actors.iter().flat_map(|actor| &actor.constraints);
        let derived = self.constraints.iter().chain(own).any(|(tool, limits)| {
            limits.allowed_urls.is_some() && !effects.tools.contains_key(tool)
        });
        derived
            || effects.network == NetworkOpening::Always
            || !effects.ambient.connect.is_empty()
            || !effects.startup.connect.is_empty()
            || effects.tools.values().any(|tool| !tool.connect.is_empty())
            || self
                .methods
                .by_method()
                .iter()
                .any(|(_, effects, _)| effects.is_some_and(|effects| !effects.connect.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks(rest: &str) -> usize {
        let text = format!("network: {{allow: [{{cidr: 10.0.0.0/8}}]}}\n{rest}");
        let policy: PolicyFile = serde_yaml::from_str(&text).expect("a policy");
        policy.remarks().len()
    }

    #[test]
    fn peers_that_nothing_opens_are_remarked_on() {
        assert_eq!(remarks(""), 1);
        assert_eq!(remarks("effects: {tools: {t: {read: [a]}}}"), 1);
        assert_eq!(remarks("constraints: {t: {allowed_paths: [a]}}"), 1);
        for opens in [
            "effects: {network: always}",
            "effects: {ambient: {connect: [10.0.0.1]}}",
            "effects: {startup: {connect: [10.0.0.1]}}",
            "effects: {tools: {t: {connect: ['${arguments.host}']}}}",
            "constraints: {t: {allowed_urls: ['https://**']}}",
            "actors: [{id: a, constraints: {t: {allowed_urls: ['https://**']}}}]",
            "mode: observe",
            "methods: {resources/read: {effects: {connect: [10.0.0.1]}}}",
        ] {
            assert_eq!(remarks(opens), 0, "{opens}");
        }
        // What the tool's effects say takes the place of its URLs.
        let rest =
            "constraints: {t: {allowed_urls: ['https://**']}}\neffects: {tools: {t: {read: [a]}}}";
        assert_eq!(remarks(rest), 1);
    }
}
