//! Configurations that are broken at random: each is refused with a place and exit 78, none brings anything
//! down, and a daemon that runs keeps the one it has.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY};
use crate::rig::Rig;

/// How many are refused before the test is content.
const BROKEN: usize = 200;
/// How many are made for that at the most: some turn out to be good.
const TRIES: usize = 2000;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("broken::random_configurations_are_refused_whole", &[Need::Kernel], random)]
}

/// A file that is broken, and how it is right.
struct Victim {
    file: PathBuf,
    right: Vec<u8>,
}

fn random() -> anyhow::Result<()> {
    let policy = include_str!("../../policies/filesystem.yaml").replace("data/", "public/");
    let rig = Rig::new(&policy)?;
    let command = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::configured(rig, BOTH, &command, |config| config + MORE)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let victims = [daemon.rig.scratch.path("warrantd.yaml")?, daemon.rig.policy.clone()];
    let victims: Vec<_> = victims
        .into_iter()
        .map(|file| Ok(Victim { right: fs::read(&file)?, file }))
        .collect::<anyhow::Result<_>>()?;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..TRIES {
        let victim = &victims[dice.below(victims.len())];
        let (how, broken) = mutate(&victim.right, &mut dice);
        fs::write(&victim.file, &broken)?;
        let shown = || format!("{how}:\n{}", String::from_utf8_lossy(&broken));
        let main = &victims[0].file;
        match outcome(warrantd(&daemon, "check")?.arg(main)).with_context(shown)? {
            Outcome::Good => continue,
            Outcome::Refused => refused += 1,
        }
        let reload = daemon.reload()?;
        ensure!(is_refused(&reload).with_context(shown)?, "it was put in force: {}", shown());
        if refused % 20 == 0 {
            let mut serve = warrantd(&daemon, "serve")?;
            serve.arg("--config").arg(main);
            let Outcome::Refused = outcome(&mut serve).with_context(shown)? else {
                bail!("it was served: {}", shown());
            };
            let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
            ensure!(
                reply.line.contains("note"),
                "the old state is gone: {}\n{}",
                reply.line,
                shown()
            );
        }
        fs::write(&victim.file, &victim.right)?;
        if refused == BROKEN {
            break;
        }
    }
    ensure!(refused == BROKEN, "only {refused} were broken");
    for victim in &victims {
        fs::write(&victim.file, &victim.right)?;
    }
    ensure!(daemon.reload()?.status.success(), "what is right is refused");
    client.finish()?;
    let reloads = records::read(&daemon.rig.audit)?;
    let reloads = reloads.iter().filter(|record| record.text("event") == "reload");
    let (failed, done): (Vec<_>, Vec<_>) =
        reloads.partition(|record| record.text("status") == "FAILURE");
    ensure!(failed.len() == BROKEN && done.len() == 1, "{} and {}", failed.len(), done.len());
    ensure!(failed.iter().all(|record| record.get("policy_generation") == &json!(1)));
    Ok(())
}

/// More of what a daemon's file can have.
const MORE: &str = "
listen:
  - {address: '127.0.0.1:0', allowed_origins: ['https://app.example.com']}
limits: {max_sessions: 100, body_bytes: 65536, idle_session_seconds: 60}
";

fn warrantd(daemon: &Daemon, subcommand: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(daemon.rig.scratch.program("warrantd")?);
    command.arg(subcommand);
    Ok(command)
}

enum Outcome {
    Good,
    Refused,
}

fn outcome(command: &mut Command) -> anyhow::Result<Outcome> {
    let output = command.output()?;
    Ok(if is_refused(&output)? { Outcome::Refused } else { Outcome::Good })
}

/// Whether a command refused its configuration as it should, or found it good. Everything else is an error.
fn is_refused(output: &Output) -> anyhow::Result<bool> {
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(false),
        Some(78) => {
            let first = said.lines().next().unwrap_or_default();
            ensure!(first.starts_with("error"), "no line says what is wrong: {said}");
            ensure!(said.contains(".yaml"), "no file is named: {said}");
            Ok(true)
        }
        _ => bail!("{}: {said}", output.status),
    }
}

/// Random numbers that are the same in every run (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap_or(0)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Something wrong, as people and disks bring it about.
fn mutate(right: &[u8], dice: &mut Dice) -> (&'static str, Vec<u8>) {
    const WORDS: [&str; 12] = [
        "~",
        "[]",
        "{}",
        "-1",
        "1e999",
        "true",
        "'",
        "\t",
        "&a *a",
        "!!binary x",
        "\u{202e}",
        "null",
    ];
    let mut bytes = right.to_vec();
    let at = dice.below(bytes.len());
    let starts: Vec<usize> =
        (0..bytes.len()).filter(|&n| n == 0 || bytes[n - 1] == b'\n').collect();
    let line = dice.of(&starts);
    let end =
        bytes[line..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |n| line + n + 1);
    let how = match dice.below(10) {
        0 => {
            bytes.truncate(at);
            "cut off"
        }
        1 => {
            bytes.drain(line..end);
            "a line is missing"
        }
        2 => {
            let copy = bytes[line..end].to_vec();
            bytes.splice(end..end, copy);
            "a line stands twice"
        }
        3 => {
            bytes[at] = dice.of(b"x:{}[]#'\"\t,-0");
            "a character is another"
        }
        4 => {
            bytes.remove(at);
            "a character is missing"
        }
        5 => {
            bytes.splice(line..line, b"  ".iter().copied());
            "a line is indented more"
        }
        6 => {
            bytes.insert(at, 0xff);
            "a byte that is no text"
        }
        7 => {
            let key = bytes[line..end].iter().position(|byte| *byte == b':').map(|n| line + n);
            let from = key.map_or(at, |key| key + 1);
            let to = from.max(end.saturating_sub(1));
            bytes.splice(from..to, format!(" {}", dice.of(&WORDS)).into_bytes());
            "a value of another kind"
        }
        8 => {
            let depth = 200;
            let deep = format!("deep: {}{}\n", "[".repeat(depth), "]".repeat(depth));
            bytes.splice(line..line, deep.into_bytes());
            "something deep"
        }
        _ => {
            let other = dice.below(bytes.len());
            bytes.swap(at, other);
            "two characters have changed places"
        }
    };
    (how, bytes)
}
