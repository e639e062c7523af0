//! The methods of MCP, of all revisions up to 2026-07-28: who sends them, and whether they can act.

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What a method is to policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// No session can do without it.
    Core,
    /// It cannot act.
    Passive,
    /// It can act, or reaches the client's model or user.
    Acting,
    /// `tools/call`, which is judged by tool.
    Tool,
}

/// A method of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it is to policy.
    pub nature: Nature,
    senders: &'static [Side],
}

const CLIENT: &[Side] = &[Side::Client];
const SERVER: &[Side] = &[Side::Server];
const BOTH: &[Side] = &[Side::Client, Side::Server];

/// All of them.
pub const METHODS: [Method; 34] = [
    of(CLIENT, Nature::Core, "initialize"),
    of(CLIENT, Nature::Core, "server/discover"),
    of(BOTH, Nature::Core, "ping"),
    of(CLIENT, Nature::Tool, "tools/call"),
    of(CLIENT, Nature::Passive, "tools/list"),
    of(CLIENT, Nature::Passive, "resources/list"),
    of(CLIENT, Nature::Passive, "resources/templates/list"),
    of(CLIENT, Nature::Acting, "resources/read"),
    of(CLIENT, Nature::Acting, "resources/subscribe"),
    of(CLIENT, Nature::Acting, "resources/unsubscribe"),
    of(CLIENT, Nature::Passive, "subscriptions/listen"),
    of(CLIENT, Nature::Passive, "prompts/list"),
    of(CLIENT, Nature::Acting, "prompts/get"),
    of(CLIENT, Nature::Acting, "completion/complete"),
    of(CLIENT, Nature::Passive, "logging/setLevel"),
    of(CLIENT, Nature::Passive, "tasks/list"),
    of(CLIENT, Nature::Passive, "tasks/get"),
    of(CLIENT, Nature::Passive, "tasks/result"),
    of(CLIENT, Nature::Passive, "tasks/cancel"),
    of(SERVER, Nature::Acting, "sampling/createMessage"),
    of(SERVER, Nature::Acting, "elicitation/create"),
    of(SERVER, Nature::Acting, "roots/list"),
    of(CLIENT, Nature::Core, "notifications/initialized"),
    of(BOTH, Nature::Core, "notifications/cancelled"),
    of(BOTH, Nature::Passive, "notifications/progress"),
    of(CLIENT, Nature::Passive, "notifications/roots/list_changed"),
    of(SERVER, Nature::Passive, "notifications/message"),
    of(SERVER, Nature::Passive, "notifications/tools/list_changed"),
    of(SERVER, Nature::Passive, "notifications/resources/list_changed"),
    of(SERVER, Nature::Passive, "notifications/resources/updated"),
    of(SERVER, Nature::Passive, "notifications/prompts/list_changed"),
    of(SERVER, Nature::Passive, "notifications/subscriptions/acknowledged"),
    of(SERVER, Nature::Passive, "notifications/elicitation/complete"),
    of(SERVER, Nature::Passive, "notifications/tasks/status"),
];

const fn of(senders: &'static [Side], nature: Nature, name: &'static str) -> Method {
    Method { name, nature, senders }
}

/// The method of this name, if MCP has one.
pub fn known(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

impl Method {
    /// Whether this side sends it.
    pub fn is_sent_by(&self, side: Side) -> bool {
        self.senders.contains(&side)
    }

    /// Whether nobody answers it.
    pub fn is_notification(&self) -> bool {
        is_notification(self.name)
    }
}

/// Whether a name is that of a notification, in every revision of MCP and by custom.
pub fn is_notification(name: &str) -> bool {
    name.starts_with("notifications/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_stands_once_and_has_a_sender() {
        for (index, method) in METHODS.iter().enumerate() {
            assert_eq!(METHODS.iter().position(|m| m.name == method.name), Some(index));
            assert!(method.is_sent_by(Side::Client) || method.is_sent_by(Side::Server));
        }
    }

    #[test]
    fn what_a_server_asks_can_act_and_notifications_cannot() {
        for method in &METHODS {
            let asked = !method.is_sent_by(Side::Client) && !method.is_notification();
            assert!(!asked || method.nature == Nature::Acting, "{}", method.name);
            assert!(!method.is_notification() || method.nature != Nature::Acting);
        }
    }
}
