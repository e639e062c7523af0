//! Newline-delimited messages, the framing of MCP's stdio transport (revision 2025-11-25, section
//! Transports), which is also used on Unix sockets.

use memchr::{memchr, memchr_iter};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

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
    reader: BufReader<R>,
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
        let reader = BufReader::with_capacity(64 << 10, reader);
        let (line, put_back) = (Vec::new(), None);
        Self { reader, line, limit, skipping: false, put_back, fresh: true, read: true }
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

    /// The next line; `None` at the end of the stream. Empty lines are passed over. A last line
    /// without a line feed is a message cut short and is not returned.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        if let Some(line) = self.put_back.take() {
            return Ok(Some(Line::Whole(line)));
        }
        loop {
            self.read |= self.reader.buffer().is_empty();
            let buffer = self.reader.fill_buf().await?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let end = memchr(b'\n', buffer);
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if self.line.len() + part.len() > self.limit {
                self.skipping = true;
                self.line = Vec::new();
            } else if !self.skipping {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
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
}

/// Writes lines from a queue, in order, so that a slow reader at the other end delays nobody else.
/// Dropping the writer closes the stream when the queue is empty.
#[derive(Debug)]
pub struct LineWriter {
    queue: mpsc::Sender<Vec<u8>>,
    task: tokio::task::JoinHandle<()>,
}

impl LineWriter {
    /// Starts the writing task. At most `depth` lines wait.
    pub fn new<W: AsyncWrite + Unpin + Send + 'static>(mut writer: W, depth: usize) -> Self {
        let (queue, mut lines) = mpsc::channel::<Vec<u8>>(depth);
        let task = tokio::spawn(async move {
            let mut waiting = Vec::with_capacity(depth);
            while lines.recv_many(&mut waiting, depth).await > 0 {
                let text = joined(&mut waiting);
                // When the other end is gone, its reader says so; the rest is thrown away.
                if writer.write_all(&text).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
            let _ = writer.shutdown().await; // The other end may have gone first.
        });
        Self { queue, task }
    }

    /// Puts a line into the queue, waiting for room. Does nothing when the other end is gone.
    pub async fn send(&self, line: Vec<u8>) {
        let _ = self.queue.send(line).await; // An error means that the other end is gone.
    }

    /// Whether a line can be put into the queue without waiting.
    pub fn has_room(&self) -> bool {
        self.queue.capacity() > 0 || self.queue.is_closed()
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        let _ = self.queue.reserve().await; // Closed means that nothing need wait.
    }

    /// Writes what is queued, closes the stream and waits for that.
    pub async fn finish(self) {
        drop(self.queue);
        let _ = self.task.await; // The task ends by itself or with the runtime.
    }
}

/// Lines as they are written: together, so that what waits takes one system call.
fn joined(lines: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let mut lines = lines.drain(..);
    let mut text = lines.next().unwrap_or_default();
    end_line(&mut text, 0);
    for line in lines {
        let start = text.len();
        text.extend_from_slice(&line);
        end_line(&mut text, start);
    }
    text
}

/// Makes what begins at `start` one line. What follows a line end would be a message of its own. In JSON it stands
/// between tokens alone.
fn end_line(text: &mut Vec<u8>, start: usize) {
    let ends: Vec<usize> = memchr_iter(b'\n', text.get(start..).unwrap_or_default()).collect();
    for end in ends {
        if let Some(byte) = text.get_mut(start + end) {
            *byte = b' ';
        }
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
