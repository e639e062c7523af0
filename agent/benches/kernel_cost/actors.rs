//! The programs that work, and how they are told to.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use nix::sys::socket::{Backlog, listen};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use warrantd::kernel::{Session, SpawnSpec, User, spawn_unconfined};

use crate::work::{self, Place, Work};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// A running program. Dropped, it is killed.
pub(crate) struct Actor {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Actor {
    /// One as any program of the host.
    pub(crate) fn ordinary(place: &Place) -> anyhow::Result<Self> {
        let argv = work::command(place, work::SELF.as_ref());
        let (program, arguments) = argv.split_first().context("a program")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir("/").env_clear().uid(NOBODY).gid(NOBODY);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self::of(command.spawn()?)
    }

    /// One that is confined as servers are (system call filter, no privileges), in no session.
    pub(crate) fn confined(place: &Place) -> anyhow::Result<Self> {
        Self::of(spawn_unconfined(&spec(place, work::SELF.as_ref()))?)
    }

    /// One in a session, run from `program`.
    pub(crate) fn within(
        session: &Session,
        place: &Place,
        program: &OsStr,
    ) -> anyhow::Result<Self> {
        Self::of(session.spawn(&spec(place, program))?)
    }

    fn of(mut child: Child) -> anyhow::Result<Self> {
        let orders = child.stdin.take().context("its input is piped")?;
        let answers = child.stdout.take().context("its output is piped")?;
        Ok(Self { orders, answers: BufReader::new(answers).lines(), _child: child })
    }

    /// Has it work for one round, and returns nanoseconds per operation.
    pub(crate) fn round(&mut self, work: Work) -> anyhow::Result<f64> {
        self.work(work, work.size().0)
    }

    /// Has it do everything a little, so that code and data are in place.
    pub(crate) fn warm_up(&mut self) -> anyhow::Result<()> {
        Work::ALL.into_iter().try_for_each(|work| self.work(work, 1).map(drop))
    }

    fn work(&mut self, work: Work, stretches: u32) -> anyhow::Result<f64> {
        let answer = Handle::current().block_on(async {
            self.orders.write_all(format!("{} {stretches}\n", work.name()).as_bytes()).await?;
            self.answers.next_line().await
        });
        match answer.with_context(|| work.described())? {
            Some(line) => line.parse().context("an answer"),
            None => bail!("{}: the program has ended", work.described()),
        }
    }
}

fn spec(place: &Place, program: &OsStr) -> SpawnSpec {
    SpawnSpec {
        argv: work::command(place, program),
        cwd: "/".into(),
        env: Vec::new(),
        user: Some(User { uid: NOBODY, gid: NOBODY, groups: Vec::new() }),
        floor: None,
        unix_sockets: false,
    }
}

/// Who is connected to.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // All connections of a round may wait until it is over.
        listen(&listener, Backlog::MAXCONN)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub(crate) fn address(&self) -> anyhow::Result<SocketAddrV4> {
        match self.0.local_addr()? {
            SocketAddr::V4(address) => Ok(address),
            SocketAddr::V6(_) => bail!("the listener has no IPv4 address"),
        }
    }

    /// Makes room for the next round.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        loop {
            match self.0.accept() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Connections that were hung up in the meantime.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
