//! Commands that documents show: subcommands and flags are those of the program.

use std::process::Command as Process;

use clap::Command;
use clap::error::ErrorKind;
use serde_json::Value;
use warrantd_tests::places;

use crate::markdown::Document;

/// Says which commands no program takes.
pub(crate) fn wrong(documents: &[Document], programs: &Programs) -> Vec<String> {
    let mut wrong = Vec::new();
    for document in documents {
        for block in &document.blocks {
            let place = document.at(block.line);
            let commands = match block.language.as_str() {
                "sh" => commands(&block.text),
                "json" => Ok(started(&block.text)),
                _ => continue,
            };
            match commands {
                Err(why) => wrong.push(format!("{place}: {why}")),
                Ok(all) => {
                    let judged = all.iter().filter_map(|words| programs.whole(words));
                    wrong.extend(judged.map(|why| format!("{place}: {why}")));
                }
            }
        }
        for (line, span) in &document.spans {
            let words: Vec<_> = span.split_whitespace().map(str::to_owned).collect();
            wrong.extend(programs.part(&words).map(|why| format!("{}: {why}", document.at(*line))));
        }
    }
    wrong
}

/// The programs whose command lines are known.
pub(crate) struct Programs {
    warrantd: Command,
    /// What `cargo xtask WORDS --help` prints; `None` where it takes no such words.
    xtask: fn(&[&String]) -> Option<String>,
}

/// What a command line gives to a program.
enum Given<'a> {
    Warrantd(&'a [String]),
    Xtask(&'a [String]),
}

impl Programs {
    pub(crate) fn new() -> anyhow::Result<Self> {
        places::program("xtask")?;
        Ok(Self::with(warrantd::cli::command(), help_of_xtask))
    }

    fn with(mut warrantd: Command, xtask: fn(&[&String]) -> Option<String>) -> Self {
        warrantd.build();
        Self { warrantd, xtask }
    }

    /// Why a whole command line is not taken.
    fn whole(&self, words: &[String]) -> Option<String> {
        let given = match given(words)? {
            Given::Warrantd(given) => given,
            Given::Xtask(given) => return self.xtask(given),
        };
        let mut program = self.warrantd.clone();
        let name = program.get_name().to_owned();
        match program.try_get_matches_from_mut(std::iter::once(&name).chain(given)) {
            Ok(_) => None,
            Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                None
            }
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ");
                Some(format!("`{}`: {why}", words.join(" ")))
            }
        }
    }

    /// Why a part of a command line, such as stands within a sentence, is none.
    fn part(&self, words: &[String]) -> Option<String> {
        let given = match given(words)? {
            Given::Warrantd(given) => given,
            Given::Xtask(given) => return self.xtask(given),
        };
        let mut command = &self.warrantd;
        let whole = words.join(" ");
        for word in given {
            if word == "--" {
                return None;
            }
            let flag = word.split('=').next().unwrap_or_default();
            if let Some(long) = flag.strip_prefix("--") {
                let known = command.get_arguments().any(|arg| arg.get_long() == Some(long));
                if !known && long != "help" && long != "version" {
                    return Some(format!("`{whole}`: there is no `{flag}`"));
                }
            } else if let Some(inner) = command.find_subcommand(word) {
                command = inner;
            } else if command.has_subcommands() && is_word(word) {
                return Some(format!("`{whole}`: there is no subcommand `{word}`"));
            }
        }
        None
    }

    /// Why `cargo xtask` does not take words.
    fn xtask(&self, words: &[String]) -> Option<String> {
        let own = words.iter().take_while(|word| *word != "--");
        let names: Vec<_> =
            own.clone().take_while(|word| !word.starts_with('-') && is_word(word)).collect();
        let whole = words.join(" ");
        let Some(told) = (self.xtask)(&names) else {
            return Some(format!("`cargo xtask {whole}`: there is no such subcommand"));
        };
        let flags = own.filter_map(|word| word.strip_prefix("--")?.split('=').next());
        let mut unknown = flags.filter(|flag| !told.contains(&format!("--{flag}")));
        unknown.next().map(|flag| format!("`cargo xtask {whole}`: there is no `--{flag}`"))
    }
}

fn help_of_xtask(words: &[&String]) -> Option<String> {
    let mut xtask = Process::new(places::program("xtask").ok()?);
    let told = xtask.args(words).arg("--help").output().ok()?;
    told.status.success().then(|| String::from_utf8_lossy(&told.stdout).into_owned())
}

/// Which program words start, and what it gets.
fn given(words: &[String]) -> Option<Given<'_>> {
    // Before it stand variables, or a program that starts it.
    let before = |word: &String| word.contains('=') || ["sudo", "env"].contains(&word.as_str());
    let words = words.get(words.iter().position(|word| !before(word))?..)?;
    match words {
        [first, rest @ ..] if first == "warrantd" => Some(Given::Warrantd(rest)),
        [first, rest @ ..] if first.ends_with("/warrantd") => Some(Given::Warrantd(rest)),
        [cargo, xtask, rest @ ..] if cargo == "cargo" && xtask == "xtask" => {
            Some(Given::Xtask(rest))
        }
        // Of a program that starts another: `claude mcp add files -- warrantd connect files`.
        _ => match words.get(words.iter().position(|word| word == "--")? + 1..)? {
            [first, rest @ ..] if first == "warrantd" => Some(Given::Warrantd(rest)),
            _ => None,
        },
    }
}

/// Whether it is meant as it stands there, and is no placeholder.
fn is_word(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The commands of a script, each as its words.
pub(crate) fn commands(script: &str) -> Result<Vec<Vec<String>>, String> {
    let script = script.replace("\\\n", " ");
    let mut commands = Vec::new();
    for line in script.lines() {
        let words = shlex::split(line).ok_or_else(|| format!("`{line}` is no line of a shell"))?;
        let mut command = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "|" | "||" | "&&" | ";" | "&" | "then" | "do" | "if" => {
                    commands.push(std::mem::take(&mut command));
                }
                ">" | ">>" | "<" | "2>" => drop(words.next()),
                word if word.starts_with("<<") => {}
                _ => match word.strip_suffix(';') {
                    Some(last) => {
                        command.push(last.to_owned());
                        commands.push(std::mem::take(&mut command));
                    }
                    None => command.push(word),
                },
            }
        }
        commands.push(command);
    }
    commands.retain(|command| !command.is_empty());
    Ok(commands)
}

/// The commands that a client's configuration starts: `command` with `args` beside it.
fn started(json: &str) -> Vec<Vec<String>> {
    fn find(value: &Value, found: &mut Vec<Vec<String>>) {
        if let (Some(command), Some(args)) = (value["command"].as_str(), value["args"].as_array()) {
            let args = args.iter().filter_map(Value::as_str).map(str::to_owned);
            found.push(std::iter::once(command.to_owned()).chain(args).collect());
        }
        match value {
            Value::Array(all) => all.iter().for_each(|one| find(one, found)),
            Value::Object(map) => map.values().for_each(|one| find(one, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(json) {
        find(&value, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use clap::arg;

    use super::*;

    fn programs() -> Programs {
        let run = Command::new("run").arg(arg!(--policy <FILE>)).arg(arg!([CMD] ...).last(true));
        let audit = Command::new("audit")
            .subcommand_required(true)
            .subcommand(Command::new("show").arg(arg!(--since <TIME>)));
        let warrantd = Command::new("warrantd").subcommand(run).subcommand(audit);
        Programs::with(warrantd, |words| {
            let known = words.is_empty() || words.len() == 1 && words[0] == "test";
            known.then(|| "  --all  Everything".to_owned())
        })
    }

    #[test]
    fn a_script_is_split_into_commands() {
        let script = "a 'b c' | d > e  # f\nA=1 g && h \\\n  i; j\n";
        let commands = commands(script).expect("a script");
        let expected: [&[&str]; 5] = [&["a", "b c"], &["d"], &["A=1", "g"], &["h", "i"], &["j"]];
        assert_eq!(commands, expected);
        assert!(super::commands("echo 'a\n").is_err());
    }

    #[test]
    fn what_no_program_takes_is_found() {
        let programs = programs();
        for right in [
            "warrantd run --policy a -- b --c",
            "sudo warrantd audit show --since 1d",
            "cargo xtask test --all",
            "WARRANTD_LOG=debug warrantd run",
            "claude mcp add x -- warrantd run",
            "ls --color",
        ] {
            let words = shlex::split(right).expect("words");
            assert_eq!(programs.whole(&words), None, "{right}");
            assert_eq!(programs.part(&words), None, "{right}");
        }
        for wrong in [
            "warrantd run --polciy a",
            "sudo warrantd audit list",
            "warrantd rum",
            "cargo xtask tset",
            "cargo xtask test --al1",
            "claude mcp add x -- warrantd rum",
        ] {
            let words = shlex::split(wrong).expect("words");
            assert!(programs.whole(&words).is_some(), "{wrong}");
            assert!(programs.part(&words).is_some(), "{wrong}");
        }
        let part = |text: &str| programs.part(&shlex::split(text).expect("words"));
        assert_eq!(part("warrantd audit"), None);
        assert_eq!(part("warrantd COMMAND --help"), None);
        assert!(part("warrantd audit show --until").is_some());
    }

    #[test]
    fn what_clients_start_is_looked_at() {
        let json = r#"{"servers": [{"command": "warrantd", "args": ["rum"]}]}"#;
        assert_eq!(started(json), [["warrantd", "rum"]]);
    }
}
