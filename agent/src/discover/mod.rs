//! Which MCP servers there are on a host: configured in the files of known clients, running, listening.
//!
//! Pure: texts of files and of `/proc` in, facts out; `cli::discover` reads and asks. What these texts say was
//! written by others and is taken for nothing but text: values of the environment and of headers are never
//! shown, secrets among arguments are masked, and whatever is printed is escaped.
#![forbid(unsafe_code)]

mod clients;
mod document;
mod entry;
mod inventory;
mod masked;
mod passwd;
mod plan;
mod process;
mod reading;
mod snippet;
mod socket;
mod written;

pub use clients::{ClientFile, HOME_FILES, PROJECT_FILES, SYSTEM_FILES, Syntax};
pub use entry::{Entry, Transport};
pub use inventory::{Configured, Inventory, Listening, Running, Unread};
pub use masked::Mask;
pub use passwd::{Account, accounts};
pub use plan::{Found, Host, LeftOut, Plan, Planned, Way, plan};
pub use process::{Process, Sign, sign};
pub use reading::{Placed, Reading, read};
pub use snippet::snippets;
pub use socket::{Socket, listening_tcp, listening_unix};
pub use written::{WrittenFile, files};
