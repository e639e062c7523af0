//! The program inside sessions: does one thing and prints how it went.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::{attached, changes, deeds, gap, load, names, reach};

/// First argument of an actor.
pub(crate) const MARK: &str = "act";

/// The command line of an actor.
pub(crate) fn command(words: &[&str]) -> Vec<OsString> {
    ["/proc/self/exe", MARK].iter().chain(words).map(OsString::from).collect()
}

/// Does what the words say. A refusal is printed, not failed with.
pub(crate) fn run(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["probe"] => {
            println!("open {}", outcome(File::open("/dev/null")));
            println!("connect {}", outcome(deeds::tcp("127.0.0.1:9")));
        }
        ["wait"] => std::thread::sleep(Duration::from_secs(60)),
        ["instance", name, log, peer] => deeds::run_instance(name, log, peer),
        ["gap", pin_root, name, path, peer, log] => {
            gap::run_instance(pin_root, name, path, peer, log);
        }
        ["attach", pin_root, name, cgroup] => attached::run_instance(pin_root, name, cgroup),
        ["linger", log, peer] => deeds::linger(log, peer),
        ["insist", log, peer] => deeds::insist(log, peer),
        ["connect-all", peers @ ..] => load::connect_all(peers),
        ["flood", path, rate, seconds, threads, peer] => {
            let number = |word: &str| word.parse().expect("a number");
            load::flood(path, number(rate), number(seconds), number(threads), peer);
        }
        ["descriptors"] => println!("{}", deeds::descriptors()),
        ["status"] => println!("{}", deeds::status()),
        words => {
            let Some(result) = deed(words) else {
                eprintln!("the actor does not know {words:?}");
                return ExitCode::FAILURE;
            };
            println!("{}", outcome(result));
        }
    }
    // Whoever reads the end of the output knows that everything has been done.
    let _ = io::stdout().flush();
    ExitCode::SUCCESS
}

fn deed(words: &[&str]) -> Option<io::Result<()>> {
    Some(match *words {
        ["nothing"] => Ok(()),
        ["read", path] => File::open(path).map(drop),
        ["read-many", path, times] => deeds::read_many(path, times.parse().ok()?),
        ["write", path] => OpenOptions::new().write(true).open(path).map(drop),
        ["update", path] => OpenOptions::new().read(true).write(true).open(path).map(drop),
        ["create", path] => File::create_new(path).map(drop),
        ["list", path] => fs::read_dir(path).map(drop),
        ["open", path, flags] => deeds::open(path, flags.parse().ok()?),
        ["openat2", path, flags] => deeds::openat2(path, flags.parse().ok()?),
        ["creat", path] => deeds::creat(path),
        ["descend", path, name, depth] => deeds::descend(path, name, depth.parse().ok()?),
        ["reopen-deleted", path] => deeds::reopen_deleted(path),
        ["reopen-memfd"] => deeds::reopen_memfd(),
        ["run-memfd", program] => deeds::run_memfd(program),
        ["cut", path] => nix::unistd::truncate(path, 0).map_err(io::Error::from),
        ["remove", path] => fs::remove_file(path),
        ["rename", from, to] => fs::rename(from, to),
        ["hard-link", from, to] => fs::hard_link(from, to),
        ["symlink", path] => std::os::unix::fs::symlink("/nowhere", path),
        ["make-directory", path] => fs::create_dir(path),
        ["remove-directory", path] => fs::remove_dir(path),
        ["make-fifo", path] => {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).map_err(io::Error::from)
        }
        ["exec", program] => std::process::Command::new(program).status().map(drop),
        ["tcp", peer] => deeds::tcp(peer),
        ["tcp-fast-open", peer] => deeds::tcp_fast_open(peer),
        ["mptcp", peer] => deeds::mptcp(peer),
        ["udp", peer] => deeds::udp(peer),
        ["udp-connected", peer] => deeds::udp_connected(peer),
        ["udp-twice", peer] => deeds::udp_twice(peer),
        ["socket", family, kind, protocol] => {
            deeds::socket(family.parse().ok()?, kind.parse().ok()?, protocol.parse().ok()?)
                .map(drop)
        }
        ["io-uring"] => deeds::io_uring(),
        ["user-namespace"] => deeds::user_namespace(),
        ["trace-parent"] => deeds::trace_parent(),
        ["become-root"] => deeds::become_root(),
        _ => {
            return changes::deed(words)
                .or_else(|| reach::deed(words))
                .or_else(|| names::deed(words));
        }
    })
}

/// `ok`, or the name of the error.
pub(crate) fn outcome<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => match error.raw_os_error() {
            Some(libc::EPERM) => "EPERM".into(),
            Some(libc::EACCES) => "EACCES".into(),
            Some(libc::ECONNREFUSED) => "ECONNREFUSED".into(),
            Some(libc::ENOSYS) => "ENOSYS".into(),
            _ => error.to_string(),
        },
    }
}
