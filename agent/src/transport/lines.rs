//! Newline-delimited messages, the framing of MCP's stdio transport (revision 2025-11-25, section
//! Transports), which is also used on Unix sockets.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of a reader's buffer: there are two in every session.
const USUAL: usize = 8 << 10;
/// The same while what comes fills it: as much as a pipe holds.
const LARGE: usize = 64 << 10;

/// What a reader found.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its line feed (and carriage return).
    Whole(Vec<u8>),
    /// A line longer than the limit; it was read to its end and thrown away.
    TooLong,
}

/// Reads lines of bounded length. Dropping the future of [`LineReader::next`] loses nothing.
#[derive(Debug)]
pub struct LineReader<R> {
    reader: R,
    /// What the last read brought, and how much of it is used up.
    buffer: Vec<u8>,
    used: usize,
    line: Vec<u8>,
    limit: usize,
    skipping: bool,
    put_back: Option<Vec<u8>>,
    /// Whether the stream has been read since the line before the last one was given.
    fresh: bool,
    /// The same since the last one.
    read: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads lines of at most `limit` bytes.
    pub fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            buffer: Vec::with_capacity(USUAL),
            used: 0,
            line: Vec::new(),
            limit,
            skipping: false,
            put_back: None,
            fresh: true,
            read: true,
        }
    }

    /// Makes `line` the next one.
    pub fn put_back(&mut self, line: Vec<u8>) {
        self.put_back = Some(line);
    }

    /// Whether the last line was read from the stream when it was asked for. Otherwise it had come together with
    /// the one before.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether another whole line has been read already.
    pub fn has_line(&self) -> bool {
        self.put_back.is_some() || memchr(b'\n', self.unused()).is_some()
    }

    /// The next line; `None` at the end of the stream. Empty lines are passed over. A last line
    /// without a line feed is a message cut short and is not returned.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        if let Some(line) = self.put_back.take() {
            return Ok(Some(Line::Whole(line)));
        }
        loop {
            if self.unused().is_empty() {
                self.read = true;
                if !self.fill().await? {
                    return Ok(None);
                }
            }
            let buffer = self.buffer.get(self.used..).unwrap_or_default();
            let end = memchr(b'\n', buffer);
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if self.line.len() + part.len() > self.limit {
                self.skipping = true;
                self.line = Vec::new();
            } else if !self.skipping {
                self.line.extend_from_slice(part);
            }
            self.used += part.len() + usize::from(end.is_some());
            if end.is_none() {
                continue;
            }
            self.fresh = std::mem::take(&mut self.read);
            if std::mem::take(&mut self.skipping) {
                return Ok(Some(Line::TooLong));
            }
            let mut line = std::mem::take(&mut self.line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return Ok(Some(Line::Whole(line)));
            }
        }
    }

    fn unused(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    /// Reads once, when all that was read is used up. Says whether there was anything left to read.
    async fn fill(&mut self) -> std::io::Result<bool> {
        // Who sends much sends more; who waits for a long time has a small buffer.
        let filled = self.buffer.len() == self.buffer.capacity();
        let wanted = if filled { LARGE } else { USUAL };
        if self.buffer.capacity() != wanted {
            self.buffer = Vec::with_capacity(wanted);
        }
        self.buffer.clear();
        self.used = 0;
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }
}

/// Writes lines, in order. What the other end takes at once is written at once, by whoever sends it; what it does
/// not take waits in a queue, so that a slow reader delays nobody else. Dropping the writer closes the stream when
/// the queue is empty.
#[derive(Debug)]
pub struct LineWriter {
    shared: Arc<Shared>,
    /// `None` once it is finished.
    queue: Option<mpsc::Sender<Rest>>,
    task: JoinHandle<()>,
    /// Lines that are to be written together.
    held: Mutex<Vec<u8>>,
}

/// What sender and queue write to.
struct Shared {
    /// `None` once the other end is gone.
    stream: Mutex<Option<Box<dyn AsyncWrite + Send + Unpin>>>,
    /// Texts that wait: while there are any, nobody overtakes them.
    waiting: AtomicUsize,
}

/// A text, and how much of it is written.
struct Rest {
    text: Vec<u8>,
    written: usize,
}

impl LineWriter {
    /// Starts the task that writes what waits. At most `depth` texts do.
    pub fn new<W: AsyncWrite + Unpin + Send + 'static>(stream: W, depth: usize) -> Self {
        let (queue, rests) = mpsc::channel(depth);
        let stream: Box<dyn AsyncWrite + Send + Unpin> = Box::new(stream);
        let stream = Mutex::new(Some(stream));
        let shared = Arc::new(Shared { stream, waiting: AtomicUsize::new(0) });
        let task = tokio::spawn(write_what_waits(shared.clone(), rests));
        Self { shared, queue: Some(queue), task, held: Mutex::default() }
    }

    /// Sends a line, waiting for room. Does nothing when the other end is gone.
    pub async fn send(&self, line: Vec<u8>) {
        self.hold(line);
        self.flush().await;
    }

    /// Keeps a line for the next [`LineWriter::flush`]: what is written together takes one system call.
    pub fn hold(&self, mut line: Vec<u8>) {
        // What follows a line end would be a message of its own. In JSON it stands between tokens alone.
        let mut from = 0;
        while let Some(end) = line.get(from..).and_then(|rest| memchr(b'\n', rest)) {
            line[from + end] = b' ';
            from += end + 1;
        }
        line.push(b'\n');
        let mut held = lock(&self.held);
        if held.is_empty() {
            *held = line;
        } else {
            held.extend_from_slice(&line);
        }
    }

    /// Writes what was held, waiting for room if it has to wait. Dropping the future loses nothing.
    pub async fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        if lock(&self.held).is_empty() {
            return;
        }
        let waits = self.shared.waiting.load(Ordering::SeqCst) > 0;
        let permit = if waits { queue.reserve().await.ok() } else { None };
        let text = std::mem::take(&mut *lock(&self.held));
        let Some(rest) = self.shared.write(text) else { return };
        self.shared.waiting.fetch_add(1, Ordering::SeqCst);
        match permit {
            Some(permit) => permit.send(rest),
            // Nothing waits, so there is room; an error means that the other end is gone.
            None => drop(queue.try_send(rest)),
        }
    }

    /// Throws away what was held.
    pub fn discard(&self) {
        lock(&self.held).clear();
    }

    /// Whether a line can be sent without waiting.
    pub fn has_room(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.capacity() > 0 || queue.is_closed())
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.reserve().await; // Closed means that nothing need wait.
        }
    }

    /// Writes what is held and what waits, closes the stream and waits for that.
    pub async fn finish(mut self) {
        self.flush().await;
        self.queue = None;
        let _ = (&mut self.task).await; // The task ends by itself or with the runtime.
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let text = std::mem::take(&mut *lock(&self.held));
        if let (Some(rest), Some(queue)) = (self.shared.write(text), &self.queue) {
            self.shared.waiting.fetch_add(1, Ordering::SeqCst);
            let _ = queue.try_send(rest); // A reader so slow loses what nobody waits for.
        }
    }
}

impl Shared {
    /// Writes as much of a text as the other end takes now. What is left, if it is not gone.
    fn write(&self, text: Vec<u8>) -> Option<Rest> {
        let mut rest = Rest { text, written: 0 };
        if rest.is_done() {
            return None;
        }
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return Some(rest);
        }
        // Who waits until the other end takes more is the task.
        match self.poll_write(&mut rest, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(()) => None,
            Poll::Pending => Some(rest),
        }
    }

    /// Writes until nothing is left to write or the other end takes no more. When it is gone, nothing is left.
    fn poll_write(&self, rest: &mut Rest, cx: &mut Context<'_>) -> Poll<()> {
        let mut stream = lock(&self.stream);
        let Some(writer) = stream.as_mut() else { return Poll::Ready(()) };
        while !rest.is_done() {
            let left = rest.text.get(rest.written..).unwrap_or_default();
            let Ok(written @ 1..) = ready!(Pin::new(&mut *writer).poll_write(cx, left)) else {
                // Its reader says so; the rest is thrown away.
                *stream = None;
                return Poll::Ready(());
            };
            rest.written += written;
        }
        // Standard output has buffers of its own.
        Pin::new(writer).poll_flush(cx).map(drop)
    }

    fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        match lock(&self.stream).as_mut() {
            // The other end may have gone first.
            Some(stream) => Pin::new(stream).poll_shutdown(cx).map(drop),
            None => Poll::Ready(()),
        }
    }
}

impl Rest {
    fn is_done(&self) -> bool {
        self.written >= self.text.len()
    }
}

async fn write_what_waits(shared: Arc<Shared>, mut rests: mpsc::Receiver<Rest>) {
    while let Some(mut rest) = rests.recv().await {
        poll_fn(|cx| shared.poll_write(&mut rest, cx)).await;
        shared.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    poll_fn(|cx| shared.poll_close(cx)).await;
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// What a panicking thread left behind is text that was written or not.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read(text: &[u8], limit: usize) -> Vec<Line> {
        let mut reader = LineReader::new(text, limit);
        let mut lines = Vec::new();
        while let Ok(Some(line)) = reader.next().await {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_framed() {
        let lines = read(b"{}\n\r\n\n[1]\r\ncut", 10).await;
        assert_eq!(lines, [Line::Whole(b"{}".to_vec()), Line::Whole(b"[1]".to_vec())]);
    }

    #[tokio::test]
    async fn a_long_line_is_passed_over_and_the_next_one_read() {
        let text = [vec![b'x'; 200_000], b"\nok\n".to_vec()].concat();
        assert_eq!(read(&text, 100).await, [Line::TooLong, Line::Whole(b"ok".to_vec())]);
        assert_eq!(read(b"12345\n", 5).await, [Line::Whole(b"12345".to_vec())]);
        assert_eq!(read(b"123456\n", 5).await, [Line::TooLong]);
    }

    #[tokio::test]
    async fn a_line_that_came_with_the_one_before_is_not_fresh() {
        let (mut near, far) = tokio::io::duplex(100);
        let mut reader = LineReader::new(far, 100);
        let mut next = async |reader: &mut LineReader<_>, said: &[u8]| {
            near.write_all(said).await.expect("written");
            let line = reader.next().await.expect("read");
            (line, reader.is_fresh())
        };
        let line = |text: &[u8]| Some(Line::Whole(text.to_vec()));
        assert_eq!(next(&mut reader, b"1\n2\n").await, (line(b"1"), true));
        assert_eq!(next(&mut reader, b"").await, (line(b"2"), false));
        assert_eq!(next(&mut reader, b"3\n4").await, (line(b"3"), true));
        assert_eq!(next(&mut reader, b"5\n").await, (line(b"45"), true), "a part came later");
        // What was waited for in vain and came then is fresh.
        assert!(tokio::time::timeout(Duration::ZERO, reader.next()).await.is_err());
        assert_eq!(next(&mut reader, b"6\n\n7\n").await, (line(b"6"), true));
        assert_eq!(next(&mut reader, b"").await, (line(b"7"), false));
    }

    #[tokio::test]
    async fn a_message_is_one_line_however_it_was_written() {
        let (near, far) = tokio::io::duplex(100);
        let writer = LineWriter::new(near, 4);
        writer.send(b"{\n{}\r\n}".to_vec()).await;
        writer.finish().await;
        let mut reader = LineReader::new(far, 100);
        let line = reader.next().await.expect("read");
        assert_eq!(line, Some(Line::Whole(b"{ {}\r }".to_vec())));
        assert_eq!(reader.next().await.expect("read"), None);
    }

    #[tokio::test]
    async fn what_is_held_is_written_together_and_what_is_discarded_is_not() {
        let (near, far) = tokio::io::duplex(100);
        let writer = LineWriter::new(near, 4);
        writer.hold(b"1".to_vec());
        writer.discard();
        for text in [b"2", b"3"] {
            writer.hold(text.to_vec());
        }
        writer.flush().await;
        writer.hold(b"4".to_vec());
        drop(writer);
        let mut reader = LineReader::new(far, 100);
        let mut lines = Vec::new();
        while let Ok(Some(Line::Whole(line))) = reader.next().await {
            lines.push((line, reader.is_fresh()));
        }
        let expected = [(b"2".to_vec(), true), (b"3".to_vec(), false), (b"4".to_vec(), false)];
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn who_does_not_read_fills_the_queue_and_holds_up_nobody_before() {
        let (near, far) = tokio::io::duplex(8);
        let writer = LineWriter::new(near, 2);
        // One is written in part and taken up by the task, which makes room for two more.
        for n in 0..3 {
            writer.send(vec![b'a' + n; 20]).await;
            tokio::task::yield_now().await;
        }
        assert!(!writer.has_room());
        assert!(tokio::time::timeout(Duration::ZERO, writer.send(b"d".to_vec())).await.is_err());
        drop(far);
        writer.room().await;
        writer.send(b"nobody".to_vec()).await;
        writer.finish().await;
    }

    #[tokio::test]
    async fn what_is_queued_is_written_in_order() {
        let (near, far) = tokio::io::duplex(8);
        let writer = LineWriter::new(near, 4);
        let reading = tokio::spawn(async move {
            let mut reader = LineReader::new(far, 100);
            let mut lines = Vec::new();
            while let Ok(Some(Line::Whole(line))) = reader.next().await {
                lines.push(line);
            }
            lines
        });
        for n in 0..20_u8 {
            writer.send(vec![b'a' + n; 20]).await;
        }
        writer.finish().await;
        let lines = reading.await.expect("read");
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[19], vec![b't'; 20]);
    }
}
