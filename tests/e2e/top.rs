//! `warrantd top`, on a terminal and without one.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY, terminate};
use crate::lifecycle::within_seconds;
use crate::rig::{NOTE, Rig};
use crate::status::{POLICY, operator, pipe, release, said, with_hostile_names};

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("top::shows_a_daemon_that_works_and_waits_for_one_that_ended", KERNEL, on_a_terminal),
        test("top::gives_the_terminal_back_when_it_is_told_to_end", KERNEL, terminated),
        test("top::prints_one_picture_where_there_is_no_terminal", KERNEL, once),
        test("top::names_that_others_chose_do_not_reach_the_terminal", KERNEL, hostile),
        test("top::says_at_once_who_may_not_look_and_that_nobody_runs", &[Need::Root], nobody),
    ]
}

/// `warrantd top` on a terminal of 24 lines of 80 characters.
struct Screen {
    child: Child,
    keyboard: File,
    terminal: Arc<Mutex<vt100::Parser>>,
}

impl Screen {
    fn open(rig: &Rig) -> anyhow::Result<Self> {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None)?;
        let mut command = operator(rig, &["top", "--delay", "0.2"])?;
        let end = || pty.slave.as_fd().try_clone_to_owned();
        command.stdin(end()?).stdout(end()?).stderr(end()?).env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        let child = command.spawn()?;
        drop((command, pty.slave));
        let keyboard = File::from(pty.master);
        let mut output = keyboard.try_clone()?;
        let (rows, columns) =
            (NonZero::new(24).context("rows")?, NonZero::new(80).context("columns")?);
        let terminal = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let shown = terminal.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let mut terminal = shown.lock().unwrap_or_else(PoisonError::into_inner);
                terminal.process(bytes.get(..count).unwrap_or_default());
            }
        });
        Ok(Self { child, keyboard, terminal })
    }

    fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// What stands on the screen.
    fn text(&self) -> String {
        let terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        terminal.screen().contents()
    }

    fn shows(&self, part: &str) -> anyhow::Result<()> {
        let there = within_seconds(20, || self.text().contains(part));
        ensure!(there, "no `{part}` on\n{}", self.text());
        Ok(())
    }

    /// Whether it draws over what was there before, to be given back.
    fn is_over(&self) -> bool {
        let terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        terminal.screen().alternate_screen()
    }

    fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let ends = within_seconds(20, || matches!(self.child.try_wait(), Ok(Some(_))));
        ensure!(ends, "it goes on:\n{}", self.text());
        self.child.wait().context("wait")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn daemon(rig: Rig) -> anyhow::Result<Daemon> {
    let server = [text(&rig.scratch.program("rogue-server")?)];
    Daemon::with(rig, BOTH, &server)
}

fn on_a_terminal() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let pipe = pipe(&rig)?;
    let mut daemon = daemon(rig)?;
    let mut screen = Screen::open(&daemon.rig)?;
    screen.shows(&format!("process {}", daemon.process.pid()))?;
    screen.shows("servers 1")?;
    ensure!(screen.is_over());
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let note = json!({"path": "public/note.txt"});
    ensure!(client.call("read_text_file", &note)?.text()? == NOTE);
    let params = json!({"name": "read_text_file", "arguments": {"path": "public/pipe"}});
    client.send(&json!({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": params}))?;
    screen.shows("calls in flight 1")?;
    screen.shows("read_text_file")?;
    // All about the call: its warrant, whole.
    screen.press("\t\r")?;
    screen.shows("all about it")?;
    screen.shows(&text(&pipe))?;
    screen.press("\u{1b}")?;
    // What follows Escape at once is another key.
    thread::sleep(Duration::from_millis(500));
    screen.press("?")?;
    screen.shows("sort by another column")?;
    screen.press("x")?;
    release(&pipe)?;
    client.replies_until(&json!(99))?;
    screen.shows("calls in flight 0")?;
    drop(client);
    daemon.process.kill()?;
    screen.shows("no warrantd, waiting")?;
    let again = daemon.again()?;
    screen.shows(&format!("process {}", again.pid()))?;
    terminate(&again);
    screen.press("q")?;
    ensure!(screen.ended()?.success(), "{}", screen.text());
    ensure!(!screen.is_over(), "the terminal was not given back:\n{}", screen.text());
    Ok(())
}

fn terminated() -> anyhow::Result<()> {
    let daemon = daemon(Rig::new(POLICY)?)?;
    let mut screen = Screen::open(&daemon.rig)?;
    screen.shows("servers 1")?;
    kill(Pid::from_raw(screen.child.id().try_into()?), Signal::SIGTERM)?;
    ensure!(screen.ended()?.success(), "{}", screen.text());
    ensure!(within_seconds(20, || !screen.is_over()), "{}", screen.text());
    Ok(())
}

fn once() -> anyhow::Result<()> {
    let daemon = daemon(Rig::new(POLICY)?)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.call("read_text_file", &json!({"path": "public/note.txt"}))?.result()?;
    for words in [&["top", "-d", "0.2"][..], &["top", "-d", "0.2", "--once"]] {
        let output = operator(&daemon.rig, words)?.output()?;
        let shown = said(&output);
        ensure!(output.status.success(), "{shown}");
        ensure!(!shown.contains('\u{1b}'), "{shown:?}");
        for part in ["servers 1", "files", "calls in flight 0", "peers", "1 session"] {
            ensure!(shown.contains(part), "no `{part}` in\n{shown}");
        }
    }
    client.finish()?;
    Ok(())
}

fn hostile() -> anyhow::Result<()> {
    let (daemon, _client) = with_hostile_names()?;
    let mut screen = Screen::open(&daemon.rig)?;
    screen.shows("calls in flight 1")?;
    screen.shows(r"a\u{1b}[2J")?;
    screen.press("\t\r")?;
    screen.shows("all about it")?;
    screen.shows(r"\u{202e}b\u{9b}7m")?;
    // Whatever was drawn before is still there.
    screen.shows("warrantd")?;
    Ok(())
}

fn nobody() -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let rig = Rig::new(POLICY)?;
    let none = operator(&rig, &["top", "--once"])?.output()?;
    ensure!(
        none.status.code() == Some(1) && said(&none).contains("no warrantd runs"),
        "{}",
        said(&none)
    );
    let daemon = daemon(rig)?;
    let other = operator(&daemon.rig, &["top"])?.uid(65534).gid(65534).output()?;
    ensure!(
        other.status.code() == Some(1) && said(&other).contains("only root"),
        "{}",
        said(&other)
    );
    let wrong = operator(&daemon.rig, &["top", "-d", "fast"])?.output()?;
    ensure!(wrong.status.code() == Some(2), "{}", said(&wrong));
    Ok(())
}
