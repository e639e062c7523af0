//! Colour on a terminal, none in a pipe or where `NO_COLOR` is set (no-color.org).

use std::env;
use std::io::{IsTerminal, stdout};

/// Colours, or none.
pub(super) struct Paint {
    colour: bool,
}

impl Paint {
    pub(super) fn for_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: stdout().is_terminal() && !refused }
    }

    fn sgr(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn title(&self, text: &str) -> String {
        self.sgr("1", text)
    }

    pub(super) fn quiet(&self, text: &str) -> String {
        self.sgr("2", text)
    }

    pub(super) fn good(&self, text: &str) -> String {
        self.sgr("1;32", text)
    }

    pub(super) fn bad(&self, text: &str) -> String {
        self.sgr("1;31", text)
    }

    /// A word of a record in the colour of what it says.
    pub(super) fn word(&self, word: &str) -> String {
        match word {
            "ALLOW" | "WITHIN" | "SUCCESS" | "allowed" => self.good(word),
            "DENY" | "EXCEEDED" | "FAILURE" | "denied" => self.bad(word),
            _ => self.title(word),
        }
    }
}
