//! HTTP in front under load: many sessions, connections that say nothing, bodies without end. Few by
//! default; `WARRANTD_TEST_SESSIONS=1000 WARRANTD_TEST_LORIS=10000 WARRANTD_TEST_BODIES=100 cargo test
//! -p warrantd-tests --test e2e -- http_load:: --nocapture` prints the figures of many.

#![allow(clippy::print_stderr)] // The figures are part of what the test finds.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use warrantd_tests::harness::test;
use warrantd_tests::http::{Endpoint, Response};
use warrantd_tests::needs::Need;

use crate::daemon::ends;
use crate::http_world::{PLAIN, World};
use crate::rig::NOTE;

/// Clients that work at the same time.
const WORKERS: usize = 16;
/// Memory that the daemon may take, in KiB, beside what sessions take.
const MEMORY: usize = 256 << 10;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("http_load::many_sessions_at_once", KERNEL, sessions),
        test("http_load::connections_that_say_nothing_keep_nobody_out", KERNEL, loris),
        test("http_load::bodies_without_end_take_no_memory", KERNEL, bodies),
    ]
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// `VmRSS` and `VmHWM` of the daemon, in KiB.
fn memory(world: &World) -> anyhow::Result<(usize, usize)> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.daemon.process.pid()))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok())
    };
    field("VmRSS").zip(field("VmHWM")).context("VmRSS and VmHWM")
}

fn report(what: &str, world: &World, since: Instant) -> anyhow::Result<usize> {
    let (now, most) = memory(world)?;
    let seconds = since.elapsed().as_secs_f64();
    eprintln!("{what}: {seconds:.1} s, VmRSS {} MiB, VmHWM {} MiB", now >> 10, most >> 10);
    Ok(most)
}

fn raise_limit() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Does something for each of `count`, some at the same time. The first error counts.
fn each(count: usize, work: impl Fn(usize) -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || failed.lock().is_ok_and(|failed| failed.is_some()) {
                        return;
                    }
                    if let (Err(error), Ok(mut failed)) = (work(n), failed.lock()) {
                        failed.get_or_insert(error.context(format!("number {n}")));
                    }
                }
            });
        }
    });
    failed.into_inner().ok().flatten().map_or(Ok(()), Err)
}

fn reads(session: &Endpoint, id: usize) -> anyhow::Result<()> {
    let answer = session.call(id as u64, "read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(answer.pointer("/result/content/0/text") == Some(&json!(NOTE)), "{answer}");
    Ok(())
}

const WIDE: &str =
    "limits: {max_sessions: 5000, max_sessions_per_actor: 5000, requests_per_second: 100000}";

fn sessions() -> anyhow::Result<()> {
    raise_limit()?;
    let count = number("WARRANTD_TEST_SESSIONS", 40);
    let world = World::rogue(PLAIN, WIDE)?;
    report("before", &world, Instant::now())?;
    let open: Vec<Mutex<Option<Endpoint>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let session = |n: usize| -> anyhow::Result<Endpoint> {
        let slot = open[n].lock().map_err(|_| anyhow::anyhow!("a test panicked"))?;
        slot.clone().context("a session")
    };
    let (since, endpoint) = (Instant::now(), world.endpoint());
    each(count, |n| {
        let opened = endpoint.session()?;
        *open[n].lock().map_err(|_| anyhow::anyhow!("a test panicked"))? = Some(opened);
        Ok(())
    })?;
    report(&format!("{count} sessions opened"), &world, since)?;
    let since = Instant::now();
    each(count, |n| reads(&session(n)?, n))?;
    report(&format!("a call in each of {count}"), &world, since)?;
    let since = Instant::now();
    each(count, |n| {
        let ended = session(n)?.send("DELETE", None)?;
        ensure!(ended.status == 204, "{}", ended.shown());
        Ok(())
    })?;
    let server = world.daemon.rig.scratch.program("rogue-server")?;
    ensure!((0..10).any(|_| ends(&server)), "servers remain after their sessions");
    let most = report(&format!("{count} sessions ended"), &world, since)?;
    ensure!(most < MEMORY + count * 512, "{most} KiB");
    Ok(())
}

fn loris() -> anyhow::Result<()> {
    raise_limit()?;
    let count = number("WARRANTD_TEST_LORIS", 600);
    let world = World::rogue(PLAIN, "limits: {max_connections: 256}")?;
    let healthy = world.endpoint().session()?;
    reads(&healthy, 0)?;
    let since = Instant::now();
    let mut open = Vec::new();
    for n in 1..=count {
        let mut stream = world.bare().connect()?;
        // Some say nothing at all, some begin a request.
        if n % 2 == 0 {
            stream.write_all(b"POST /files/mcp HTTP/1.1\r\nHost: local")?;
        }
        open.push(stream);
        if n % (count / 10).max(1) == 0 {
            reads(&healthy, n)?;
        }
    }
    reads(&world.endpoint().session()?, 1)?;
    let most = report(&format!("{count} connections that say nothing"), &world, since)?;
    ensure!(most < MEMORY, "{most} KiB");
    let descriptors =
        std::fs::read_dir(format!("/proc/{}/fd", world.daemon.process.pid()))?.count();
    eprintln!("open files of the daemon: {descriptors}");
    ensure!(descriptors < 600, "{descriptors} open files");
    // The first one was closed long ago.
    ensure!(open[0].read(&mut [0; 8])? == 0);
    Ok(())
}

fn bodies() -> anyhow::Result<()> {
    let count = number("WARRANTD_TEST_BODIES", 24);
    let world = World::rogue(PLAIN, WIDE)?;
    let session = world.endpoint().session()?;
    let since = Instant::now();
    each(count, |n| {
        let posting = session.clone().posting();
        let mut stream = posting.connect()?;
        if n % 2 == 0 {
            // It says that it is large, and is refused before it is read.
            stream.write_all(posting.head("POST", Some(1 << 30)).as_bytes())?;
            let response = Response::read(stream)?;
            ensure!(response.status == 413, "{}", response.shown());
            return Ok(());
        }
        let posting = posting.with("Transfer-Encoding", "chunked");
        stream.write_all(posting.head("POST", None).as_bytes())?;
        let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
        for _ in 0..1 << 14 {
            if stream.write_all(&chunk).is_err() {
                return Ok(()); // Nobody reads any more.
            }
        }
        anyhow::bail!("1 GiB was read")
    })?;
    reads(&session, 1)?;
    let most = report(&format!("{count} bodies of 1 GiB"), &world, since)?;
    ensure!(most < MEMORY, "{most} KiB");
    Ok(())
}
