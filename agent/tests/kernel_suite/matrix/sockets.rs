//! Unix sockets: daemons behind them work for whoever asks.

use std::fs::{self, File, Permissions};
use std::io::IoSlice;
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::PathBuf;

use libtest_mimic::Failed;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use tempfile::TempDir;
use warrantd::kernel::{Backend, Doors};
use warrantd::policy::network::Table;
use warrantd::warrant::{EffectKind, Outcome};

use super::files::{in_case, on};
use super::{Answer, Row};
use crate::actor;
use crate::support::{Run, equal, kernel, public_dir, run_spec, spec};

/// The rows of this file.
pub(crate) const ROWS: &[Row] = &[
    ("unix socket, when none is listed", none_listed),
    ("unix socket beside the listed one", |b| beside(b, "unix")),
    ("datagram to a unix socket beside the listed one", datagram),
    ("abstract unix socket", abstract_name),
    ("descriptor received from outside", received),
];

/// Two sockets that somebody outside listens on, the first of them listed.
struct Stage {
    place: TempDir,
    listed: PathBuf,
    other: PathBuf,
}

impl Stage {
    fn new() -> Result<Self, Failed> {
        let place = public_dir()?;
        let base = place.path().canonicalize()?;
        Ok(Self { place, listed: base.join("listed"), other: base.join("other") })
    }

    fn listen(&self) -> Result<[UnixListener; 2], Failed> {
        let made = [UnixListener::bind(&self.listed)?, UnixListener::bind(&self.other)?];
        self.open_up()?;
        Ok(made)
    }

    fn open_up(&self) -> Result<(), Failed> {
        for socket in [&self.listed, &self.other] {
            fs::set_permissions(socket, Permissions::from_mode(0o777))?;
        }
        Ok(())
    }

    fn run(&self, unix: bool, words: &[&str]) -> Result<Run, Failed> {
        let session = kernel()?.open_session("matrix-unix", &Table::default())?;
        session.set_doors(Doors { unix: vec![self.listed.clone()], ..Doors::default() })?;
        let mut spec = spec(actor::command(words));
        spec.unix_sockets = unix;
        run_spec(&session, &spec)
    }
}

fn none_listed(_: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let _listeners = stage.listen()?;
    let listed = stage.listed.display().to_string();
    equal(stage.run(true, &["unix", &listed])?.printed.as_str(), "ok")?;
    equal(stage.run(false, &["unix", &listed])?.printed.as_str(), "EPERM")?;
    Ok(Answer::Blocked)
}

fn beside(backend: Backend, deed: &str) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let _listeners = stage.listen()?;
    judge(backend, &stage, deed)
}

fn datagram(backend: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let _bound = [UnixDatagram::bind(&stage.listed)?, UnixDatagram::bind(&stage.other)?];
    stage.open_up()?;
    if backend == Backend::Tracepoint {
        let listed = stage.listed.display().to_string();
        equal(stage.run(true, &["unix-datagram", &listed])?.printed.as_str(), "ok")?;
        return Ok(Answer::NotCovered(
            "a datagram leaves no trace in the socket; without a listed socket there are none at all",
        ));
    }
    judge(backend, &stage, "unix-datagram")
}

fn judge(backend: Backend, stage: &Stage, deed: &str) -> Result<Answer, Failed> {
    let (listed, other) = (stage.listed.display().to_string(), stage.other.display().to_string());
    let twin = stage.run(true, &[deed, &listed])?;
    let seen = on(&twin, EffectKind::ConnectUnix, &listed);
    equal((twin.printed.as_str(), seen.len()), ("ok", 1))
        .map_err(|w| in_case("twin", &w, &twin))?;
    let attack = stage.run(true, &[deed, &other])?;
    let seen = on(&attack, EffectKind::ConnectUnix, &other);
    let expected = if backend.enforces_files() {
        ("EPERM", Outcome::Denied)
    } else {
        ("ok", Outcome::Allowed)
    };
    let found = (attack.printed.as_str(), seen.first().map(|effect| effect.outcome));
    equal(found, (expected.0, Some(expected.1))).map_err(|why| in_case("attack", &why, &attack))?;
    Ok(if backend.enforces_files() { Answer::Blocked } else { Answer::Reported })
}

fn abstract_name(backend: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let _listeners = stage.listen()?;
    let name = format!("warrantd-test-{}", std::process::id());
    let _bound = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    let listed = stage.listed.display().to_string();
    equal(stage.run(true, &["unix", &listed])?.printed.as_str(), "ok")?;
    let attack = stage.run(true, &["unix-abstract", &name])?;
    let seen = on(&attack, EffectKind::ConnectUnix, &format!("@{name}"));
    equal(seen.len(), 1).map_err(|why| in_case("attack", &why, &attack))?;
    if backend.enforces_files() {
        equal((attack.printed.as_str(), seen[0].outcome), ("EPERM", Outcome::Denied))?;
        return Ok(Answer::Blocked);
    }
    equal((attack.printed.as_str(), seen[0].outcome), ("ok", Outcome::Allowed))?;
    Ok(Answer::Reported)
}

/// Somebody outside sends the descriptor of a file that the server could not have opened.
fn received(backend: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let secret = stage.place.path().canonicalize()?.join("secret");
    fs::write(&secret, "secret")?;
    fs::set_permissions(&secret, Permissions::from_mode(0o600))?;
    let listener = UnixListener::bind(&stage.listed)?;
    fs::set_permissions(&stage.listed, Permissions::from_mode(0o777))?;
    let file = File::open(&secret)?;
    let giver = std::thread::spawn(move || {
        let Ok((stream, _)) = listener.accept() else { return };
        let descriptors = [file.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&descriptors)];
        // Whether it arrives is what the other side tells.
        let parts = [IoSlice::new(b"x")];
        let _ = sendmsg::<()>(stream.as_raw_fd(), &parts, &message, MsgFlags::empty(), None);
        std::thread::sleep(std::time::Duration::from_millis(500));
    });
    let listed = stage.listed.display().to_string();
    let session = kernel()?.open_session("matrix-receive", &Table::default())?;
    session.set_doors(Doors { unix: vec![stage.listed.clone()], ..Doors::default() })?;
    if backend.enforces_files() {
        session.set_files(Some(super::files::Stage::new()?.rules()?))?;
    }
    let mut spec = spec(actor::command(&["receive", &listed]));
    spec.unix_sockets = true;
    let attack = run_spec(&session, &spec)?;
    giver.join().map_err(|_| "the giver panicked")?;
    let seen = on(&attack, EffectKind::FileRead, &secret.display().to_string());
    match backend {
        Backend::Lsm => {
            equal((attack.printed.as_str(), seen.len()), ("EPERM", 1))
                .map_err(|why| in_case("attack", &why, &attack))?;
            Ok(Answer::Blocked)
        }
        Backend::Fentry => {
            equal((attack.printed.as_str(), seen.len()), ("ok", 1))
                .map_err(|why| in_case("attack", &why, &attack))?;
            Ok(Answer::Reported)
        }
        Backend::Tracepoint => Ok(Answer::NotCovered(
            "nothing is opened; possible only through a unix socket that the policy lists",
        )),
    }
}
