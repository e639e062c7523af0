//! One receiver's task.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::ShipError;
use super::batch::{Batch, Rendering, fill};
use super::cursor::{Cursor, Mark};
use super::error::Failure;
use super::progress::Progress;
use super::sink::{Delivered, SETTLED_AFTER, Sink};
use crate::audit::format::{Entry, Origin};
use crate::audit::{ReadError, Reader};
use crate::config::{ShipConfig, ShipOnly};

/// How often a log with nothing new is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long after a failure it is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the cursor is written at most.
const STORE_EVERY: Duration = Duration::from_millis(500);
/// How long what is left may take when the daemon stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Where a log is.
#[derive(Debug, Clone)]
pub struct LogPlace {
    /// Its directory.
    pub dir: PathBuf,
    /// Its name: `audit`.
    pub name: String,
}

/// Ships a log to one receiver.
#[derive(Debug)]
pub struct Shipper {
    name: String,
    log: LogPlace,
    rendering: Rendering,
    sink: Sink,
    cursor: Cursor,
    /// What counts as delivered, and when that was last written down.
    mark: Mark,
    stored: (u64, Instant),
    /// What was sent and may be lost yet.
    settling: VecDeque<Settling>,
    progress: Arc<Progress>,
}

/// A batch that was taken and not acknowledged.
#[derive(Debug)]
struct Settling {
    mark: Mark,
    sent: Instant,
    /// Bytes of the connection up to its end.
    bytes: u64,
}

/// Why a round of shipping ended.
enum Ended {
    Stopped,
    Failed(String),
}

impl Shipper {
    /// Reads all that the configuration names, and nothing else.
    pub fn check(config: &ShipConfig) -> Result<(), ShipError> {
        Sink::open(config, Path::new(""), &Origin::here()).map(drop)
    }

    /// The same, with the cursor in `<state_dir>/ship`; connects to nothing.
    pub fn open(config: &ShipConfig, state_dir: &Path, log: LogPlace) -> Result<Self, ShipError> {
        let origin = Origin::here();
        let sink = Sink::open(config, Path::new(""), &origin)?;
        let (cursor, mark) = Cursor::open(&state_dir.join("ship"), &config.name)?;
        let progress = Arc::new(Progress::default());
        progress.set_delivered(mark.delivered);
        Ok(Self {
            name: config.name.clone(),
            log,
            rendering: Rendering {
                format: config.format,
                origin,
                alerts_for: config.only.map(|ShipOnly::Alerts| config.name.clone()),
            },
            sink,
            cursor,
            stored: (mark.delivered, Instant::now()),
            mark,
            settling: VecDeque::new(),
            progress,
        })
    }

    /// How far it has got, also while it runs.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The receiver's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ships until `stop` becomes true and what there is then has been sent, for some seconds at most.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.mark.delivered;
            let sent = self.progress.events();
            match self.ship(&stop).await {
                Ended::Stopped => break,
                Ended::Failed(why) => {
                    let name = &self.name;
                    tracing::warn!(receiver = name, "shipping the audit log: {why}; it goes on");
                    self.progress.fail(why);
                }
            }
            self.sink.reset();
            self.settling.clear();
            if self.mark.delivered > before || self.progress.events() > sent {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = sleep(jittered(pause)) => {}
                () = stopped(&mut stop) => break,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.store(true);
    }

    /// Ships from what is delivered on, until something fails.
    async fn ship(&mut self, stop: &watch::Receiver<bool>) -> Ended {
        let mut reader = match self.reader() {
            Ok(reader) => reader,
            Err(why) => return Ended::Failed(why),
        };
        let mut stop = stop.clone();
        let mut deadline = None;
        loop {
            let rendering = self.rendering.clone();
            let filled = tokio::task::spawn_blocking(move || {
                let batch = fill(&mut reader, &rendering);
                (reader, batch)
            });
            let Ok((same, batch)) = filled.await else {
                return Ended::Failed("the log could not be read".to_owned());
            };
            reader = same;
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Ended::Failed(error.to_string()),
            };
            let mut idle = batch.last.is_none();
            if let Err(failure) = self.deliver(batch).await {
                return Ended::Failed(failure.to_string());
            }
            if let Err(failure) = self.settle().await {
                return Ended::Failed(failure.to_string());
            }
            self.store(false);
            if *stop.borrow() {
                let until = *deadline.get_or_insert(Instant::now() + DRAIN_WITHIN);
                if idle || Instant::now() > until {
                    return Ended::Stopped;
                }
                idle = false;
            }
            if idle {
                tokio::select! {
                    () = sleep(LOOK_EVERY) => {}
                    () = stopped(&mut stop) => {}
                }
            }
        }
    }

    /// Reads the log from what is delivered on.
    fn reader(&mut self) -> Result<Reader, String> {
        if self.mark.delivered > 0 && !self.is_same_log()? {
            tracing::warn!(
                receiver = self.name,
                "the audit log was begun anew; so is its shipping"
            );
            self.mark = Mark::default();
        }
        let open = |from| Reader::open(&self.log.dir, &self.log.name, from);
        match open(self.mark.delivered + 1) {
            Err(ReadError::Gone { wanted, first }) => {
                // At the first start that is nobody's loss.
                if self.mark.delivered > 0 {
                    let missed = first.saturating_sub(wanted);
                    let why = format!("records {wanted} to {} are not kept any more", first - 1);
                    tracing::error!(receiver = self.name, "{why}, and were not delivered");
                    self.progress.miss(missed, why);
                }
                open(first).map_err(|error| error.to_string())
            }
            opened => opened.map_err(|error| error.to_string()),
        }
    }

    /// Whether the log's record of the cursor's number is the one that was delivered. One that retention took
    /// away cannot be looked at, and is taken for it.
    fn is_same_log(&self) -> Result<bool, String> {
        match Reader::open(&self.log.dir, &self.log.name, self.mark.delivered) {
            Err(ReadError::Gone { .. }) => Ok(true),
            Err(error) => Err(error.to_string()),
            Ok(mut reader) => match reader.next().map_err(|error| error.to_string())? {
                None => Ok(false),
                Some(line) => {
                    Ok(Entry::read(&line.bytes).text("hash").unwrap_or_default() == self.mark.hash)
                }
            },
        }
    }

    async fn deliver(&mut self, batch: Batch) -> Result<(), Failure> {
        let Some((delivered, hash)) = batch.last.clone() else { return Ok(()) };
        let mark = Mark { delivered, hash };
        if batch.events.is_empty() {
            // Nothing of it is for this receiver; what was sent before must settle first.
            match self.settling.back_mut() {
                Some(last) => last.mark = mark,
                None => self.mark = mark,
            }
            return Ok(());
        }
        let done = self.sink.deliver(&batch).await?;
        self.progress.sent(batch.events.len());
        let (rejected, why) = match done {
            Delivered::Acknowledged { rejected, why } => {
                self.mark = mark;
                (rejected, why)
            }
            Delivered::Taken { rejected, why } => {
                let bytes = self.sink.sent();
                self.settling.push_back(Settling { mark, sent: Instant::now(), bytes });
                (rejected, why)
            }
        };
        if rejected > 0 {
            tracing::warn!(receiver = self.name, rejected, "the receiver refused events: {why}");
            self.progress.reject(rejected, why);
        }
        Ok(())
    }

    /// Counts as delivered what was taken long enough ago, on a connection that still stands.
    async fn settle(&mut self) -> Result<(), Failure> {
        if self.settling.is_empty() {
            return Ok(());
        }
        let acknowledged = self.sink.acknowledged().await?;
        while let Some(first) = self.settling.front() {
            let got = acknowledged.is_none_or(|bytes| bytes >= first.bytes);
            if !got || first.sent.elapsed() < SETTLED_AFTER {
                break;
            }
            if let Some(first) = self.settling.pop_front() {
                self.mark = first.mark;
            }
        }
        Ok(())
    }

    /// Writes the cursor down, from time to time or `now`.
    fn store(&mut self, now: bool) {
        let (delivered, at) = self.stored;
        if delivered == self.mark.delivered || !(now || at.elapsed() >= STORE_EVERY) {
            return;
        }
        match self.cursor.store(&self.mark) {
            Ok(()) => self.progress.set_delivered(self.mark.delivered),
            Err(error) => {
                tracing::error!(receiver = self.name, "{error}");
                self.progress.fail(error.to_string());
            }
        }
        self.stored = (self.progress.delivered(), Instant::now());
    }
}

/// Between half of a pause and all of it, so that many hosts do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte); // Without randomness the pause is the shorter one.
    pause / 2 + pause / 2 * u32::from(byte[0]) / 255
}

/// Waits until `stop` becomes true.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // It ends with its sender, which is as much as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}
