//! The screen: drawn when something is new, until somebody ends it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use ratatui::DefaultTerminal;

use super::draw::draw;
use super::feed::{Feed, Look, look};
use super::keys::{Then, press};
use super::model::Model;
use crate::cli::instances::Instances;
use crate::cli::{Failure, signals};

/// How long a key is waited for before looks are taken in.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the screen may take to be given back.
const FAREWELL: Duration = Duration::from_secs(1);

/// Shows what is told until somebody ends it.
pub(super) fn run(instances: Instances, every: Duration) -> Result<(), Failure> {
    // Whoever may not look is told so where it stays.
    let first = look(&instances);
    if let Look::Forbidden(why) = first {
        return Err(Failure::Other(why));
    }
    let mut model = Model::default();
    model.take(first);
    let stop = stopped()?;
    let feed = Feed::start(instances, every);
    let mut terminal = ratatui::try_init().map_err(Failure::other)?;
    let shown = show(&mut terminal, &mut model, &feed, &stop);
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(Failure::other)
}

fn show(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    feed: &Feed,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut fresh = true;
    while !stop.load(Ordering::Relaxed) {
        while let Some(look) = feed.next() {
            model.take(look);
            fresh = true;
        }
        if fresh {
            terminal.draw(|frame| draw(model, frame.area(), frame.buffer_mut()))?;
            fresh = false;
        }
        if event::poll(PATIENCE)? {
            fresh = true;
            match event::read()? {
                Event::Key(key) if press(model, key) == Then::End => return Ok(()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Becomes true when the process is asked to end: the terminal must be given back first.
fn stopped() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let mut asked = runtime.block_on(async { signals::end_or_hangup() }).map_err(Failure::other)?;
    thread::spawn(move || {
        let _ = runtime.block_on(asked.wait_for(|asked| *asked));
        stopped.store(true, Ordering::Relaxed);
        // Whoever reads keys from a terminal that is gone may not return any more.
        thread::sleep(FAREWELL);
        let _ = ratatui::try_restore(); // It may be gone.
        std::process::exit(0);
    });
    Ok(stop)
}
