//! Real receivers of the audit log, killed and started again at random while records are written: none is
//! lost, their order stays, and only what was sent around a kill comes twice.
//!
//! `WARRANTD_TEST_RECORDS=100000` writes that many instead of some thousand.
#![allow(clippy::print_stderr)] // What was counted is shown.

mod hec;
mod nats;
mod receiver;
mod syslog;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::sync::watch;
use warrantd::audit::ship::{LogPlace, Progress, Shipper};
use warrantd::audit::{Event, Log, Record};
use warrantd::config::ShipConfig;

use receiver::Receiver;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long everything may take to arrive after the last kill.
const WITHIN: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let tests = vec![
        test("rsyslog_over_tls", || syslog::Rsyslog::start().map(|r| Box::new(r) as _)),
        test("syslog_ng_over_tls", || syslog::SyslogNg::start().map(|r| Box::new(r) as _)),
        test("nats_jetstream", || nats::Nats::start().map(|r| Box::new(r) as _)),
        test("hec_with_acknowledgement", || hec::Hec::start().map(|r| Box::new(r) as _)),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn test(name: &str, start: impl FnOnce() -> Outcome<Box<dyn Receiver>> + Send + 'static) -> Trial {
    Trial::ignorable_test(name.to_owned(), move || {
        if !receivers().exists() {
            return Ok(Completion::ignored_with("`cargo xtask setup` unpacks the receivers"));
        }
        let told = start().and_then(|mut receiver| killed_at_random(&mut *receiver));
        eprintln!("{}", told.map_err(|error| Failed::from(error.to_string()))?);
        Ok(Completion::Completed)
    })
}

/// Where `cargo xtask setup` unpacks them.
fn receivers() -> PathBuf {
    let own = std::env::var_os("WARRANTD_DEV_CACHE").filter(|dir| !dir.is_empty());
    own.map_or_else(|| PathBuf::from("/var/cache/warrantd-dev"), PathBuf::from).join("receivers")
}

fn wanted() -> u64 {
    std::env::var("WARRANTD_TEST_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000)
}

fn killed_at_random(receiver: &mut dyn Receiver) -> Outcome<String> {
    let dir = tempfile::tempdir()?;
    let config: ShipConfig = serde_yaml::from_str(&receiver.config())?;
    let log = Log::open(dir.path(), "audit")?;
    let place = LogPlace { dir: dir.path().to_owned(), name: "audit".to_owned() };
    let shipper = Shipper::open(&config, &dir.path().join("state"), place)?;
    let progress = shipper.progress();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let running = runtime.spawn(shipper.run(stopped));
    let (count, begun) = (wanted(), Instant::now());
    let mut kills = 0;
    for n in 1..=count {
        let mut record = Record::new(Event::Call);
        record.error = Some(format!("record {n}"));
        log.append(&record)?;
        if n % (count / 20).max(1) == 0 {
            std::thread::sleep(Duration::from_millis(200));
            if kills < 5 && random() < 90 {
                receiver.kill()?;
                std::thread::sleep(Duration::from_millis(u64::from(random()) * 4));
                receiver.revive()?;
                kills += 1;
            }
        }
    }
    await_delivery(&progress, count)?;
    let took = begun.elapsed();
    let behind = progress.behind(count);
    stop.send(true)?;
    runtime.block_on(running)?;
    let (twice, all) = judge(&receiver.stored()?, count)?;
    if kills == 0 && twice > 0 {
        return Err(format!("{twice} came twice, and nothing was killed").into());
    }
    Ok(format!(
        "{count} records, {kills} kills, {all} arrivals, {twice} twice, none lost, {behind} behind, {took:.1?}"
    ))
}

fn await_delivery(progress: &Arc<Progress>, count: u64) -> Outcome<()> {
    let deadline = Instant::now() + WITHIN;
    while progress.delivered() < count {
        if Instant::now() > deadline {
            let (at, why) = (progress.delivered(), progress.last_error());
            return Err(format!("only {at} of {count} were delivered: {why:?}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Demands that all numbers are there and that those that come for the first time come in order; counts those
/// that come again.
fn judge(seqs: &[u64], count: u64) -> Outcome<(usize, usize)> {
    let mut next = 1;
    for seq in seqs {
        if *seq > next {
            return Err(format!("record {seq} came where {next} should have").into());
        }
        if *seq == next {
            next += 1;
        }
    }
    if next != count + 1 {
        return Err(format!("records {next} to {count} are lost").into());
    }
    Ok((seqs.len() - usize::try_from(count)?, seqs.len()))
}

fn random() -> u8 {
    uuid::Uuid::now_v7().as_bytes()[15]
}

/// The number in `seq="7"` of each line of a file. The last line may have been cut by a kill.
fn seqs_of(file: &Path) -> Vec<u64> {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let number = |line: &str| line.split("seq=\"").nth(1)?.split('"').next()?.parse().ok();
    text.lines().filter_map(number).collect()
}
