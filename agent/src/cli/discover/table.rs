//! What was found, for people.

use std::collections::BTreeMap;

use crate::cli::plain::safe;
use crate::discover::{Configured, Inventory, Listening, Running};

/// The inventory, line by line. Whatever others wrote is escaped.
pub(super) fn lines(inventory: &Inventory) -> Vec<String> {
    let mut lines = Vec::new();
    let mut files: BTreeMap<(&str, Option<&str>), Vec<&Configured>> = BTreeMap::new();
    for server in &inventory.configured {
        let file = (server.file.as_str(), server.project.as_deref());
        files.entry(file).or_default().push(server);
    }
    for ((file, project), servers) in files {
        let Some(first) = servers.first() else { continue };
        let user = first.user.as_deref().unwrap_or("every user");
        let project = project.map_or(String::new(), |dir| format!(", for {}", safe(dir)));
        lines.push(format!("{} of {}: {}{project}", first.client, safe(user), safe(file)));
        lines.extend(servers.iter().flat_map(|server| configured(server)));
        lines.push(String::new());
    }
    if !inventory.running.is_empty() {
        lines.push("Running".to_owned());
        inventory.running.iter().for_each(|process| lines.extend(running(process)));
        lines.push(String::new());
    }
    if !inventory.listening.is_empty() {
        lines.push("Listening".to_owned());
        inventory.listening.iter().for_each(|socket| lines.extend(listening(socket)));
        lines.push(String::new());
    }
    if !inventory.unread.is_empty() {
        lines.push("Not read".to_owned());
        let each = inventory.unread.iter();
        lines.extend(each.map(|unread| format!("  {}: {}", safe(&unread.file), safe(&unread.why))));
        lines.push(String::new());
    }
    lines.push(sums(inventory));
    lines
}

fn configured(server: &Configured) -> Vec<String> {
    let what = match &server.url {
        Some(url) => safe(url),
        None => command(&server.command),
    };
    let mut lines = vec![format!("  {:<20} {what}", safe(&server.name))];
    let mut notes = Vec::new();
    if server.behind_warrantd {
        notes.push("behind warrantd".to_owned());
    }
    if server.disabled {
        notes.push("disabled".to_owned());
    }
    let mut names = |what: &str, map: &BTreeMap<String, &'static str>| {
        if !map.is_empty() {
            let names: Vec<_> = map.keys().map(|name| safe(name)).collect();
            notes.push(format!("{what}: {}", names.join(", ")));
        }
    };
    names("environment", &server.env);
    names("headers", &server.headers);
    if !server.pids.is_empty() {
        let pids: Vec<_> = server.pids.iter().map(u32::to_string).collect();
        notes.push(format!("runs: {}", pids.join(", ")));
    }
    if !notes.is_empty() {
        lines.push(format!("  {:<20} ({})", "", notes.join("; ")));
    }
    lines
}

fn running(process: &Running) -> Vec<String> {
    let state = if process.behind_warrantd { "behind warrantd; " } else { "" };
    vec![
        format!("  {:<7} {:<12} {}", process.pid, safe(&process.user), command(&process.command)),
        format!("  {:<20} ({state}{})", "", safe(&process.why)),
    ]
}

fn listening(socket: &Listening) -> Vec<String> {
    let exposed = if socket.exposed { "; OTHER HOSTS CAN REACH IT" } else { "" };
    let answer = socket.answer.as_deref().map_or("not asked".to_owned(), safe);
    let pids: Vec<_> = socket.pids.iter().map(u32::to_string).collect();
    let who = if pids.is_empty() { "somebody".to_owned() } else { pids.join(", ") };
    vec![
        format!("  {:<20} {who}: {}", safe(&socket.address), command(&socket.command)),
        format!("  {:<20} ({answer}{exposed})", ""),
    ]
}

fn sums(inventory: &Inventory) -> String {
    let guarded = inventory.configured.iter().filter(|server| server.behind_warrantd).count();
    format!(
        "{} configured, {guarded} of them behind warrantd; {} running; {} listening",
        inventory.configured.len(),
        inventory.running.len(),
        inventory.listening.len()
    )
}

/// A command line as a person would type it, cut where it is long.
fn command(words: &[String]) -> String {
    const WIDTH: usize = 160;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-+=:@,%*".contains(c);
    let word = |word: &String| {
        let simple = !word.is_empty() && word.chars().all(plain);
        if simple { word.clone() } else { format!("'{}'", safe(word)) }
    };
    let line = words.iter().map(word).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= WIDTH {
        return line;
    }
    line.chars().take(WIDTH).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plain::is_invisible;
    use crate::discover::Unread;

    fn configured(name: &str, command: &[&str]) -> Configured {
        Configured {
            user: Some("ada".into()),
            client: "Cursor".into(),
            file: "/home/ada/.cursor/mcp.json".into(),
            project: None,
            name: name.into(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            url: None,
            env: BTreeMap::new(),
            headers: BTreeMap::new(),
            behind_warrantd: false,
            disabled: false,
            pids: Vec::new(),
        }
    }

    #[test]
    fn an_inventory_reads_well() {
        let files = Configured {
            env: BTreeMap::from([("API_KEY".into(), "***")]),
            pids: vec![42],
            ..configured("files", &["npx", "-y", "@scope/server", "/srv/my data"])
        };
        let guarded = Configured {
            behind_warrantd: true,
            ..configured("mail", &["warrantd", "connect", "mail"])
        };
        let inventory = Inventory {
            configured: vec![files, guarded],
            running: vec![Running {
                pid: 42,
                user: "ada".into(),
                command: vec!["node".into(), "server".into()],
                why: "configured".into(),
                behind_warrantd: false,
            }],
            listening: vec![Listening {
                address: "0.0.0.0:3000".into(),
                pids: vec![42],
                command: vec!["node".into()],
                answer: None,
                exposed: true,
            }],
            unread: vec![Unread { file: "/home/bob/.claude.json".into(), why: "no JSON".into() }],
        };
        let expected = "\
Cursor of ada: /home/ada/.cursor/mcp.json
  files                npx -y @scope/server '/srv/my data'
                       (environment: API_KEY; runs: 42)
  mail                 warrantd connect mail
                       (behind warrantd)

Running
  42      ada          node server
                       (configured)

Listening
  0.0.0.0:3000         42: node
                       (not asked; OTHER HOSTS CAN REACH IT)

Not read
  /home/bob/.claude.json: no JSON

2 configured, 1 of them behind warrantd; 1 running; 1 listening";
        assert_eq!(lines(&inventory).join("\n"), expected);
    }

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        let hostile = "a\u{1b}[2J\r\n\u{202e}b\u{9b}";
        let server = Configured { client: "Cursor".into(), ..configured(hostile, &[hostile]) };
        let text = lines(&Inventory { configured: vec![server], ..Inventory::default() }).join("");
        assert!(!text.chars().any(|c| c.is_control() || is_invisible(c)), "{text:?}");
    }
}
