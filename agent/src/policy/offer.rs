//! Which tools an actor gets to see.

use super::compile::Policy;
use super::decide::entitled;

impl Policy {
    /// Whether the actor may call the tool with some arguments. What it may never call it need not see.
    pub fn offers(&self, actor: &str, tool: &str) -> bool {
        entitled(self, actor, tool).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PolicyFile;

    fn policy(text: &str) -> Policy {
        let file: PolicyFile = serde_yaml::from_str(text).expect("policy");
        Policy::compile(&file, "/srv").expect("compiles")
    }

    #[test]
    fn an_actor_sees_what_it_may_call() {
        let policy = policy(
            "
global_deny_list: [delete]
actors:
  - {id: reader, allowed_tools: [read, delete]}
  - {id: writer, allowed_tools: [read, write]}
",
        );
        assert!(policy.offers("reader", "read") && policy.offers("writer", "read"));
        assert!(policy.offers("writer", "write") && !policy.offers("reader", "write"));
        assert!(!policy.offers("reader", "delete"), "denied to everyone");
        assert!(!policy.offers("stranger", "read"));
    }

    #[test]
    fn where_everything_is_allowed_everything_is_seen_but_what_is_denied() {
        let policy =
            policy("default_action: ALLOW\nglobal_deny_list: [delete]\nactors: [{id: any}]\n");
        assert!(policy.offers("any", "whatever") && !policy.offers("any", "delete"));
    }
}
