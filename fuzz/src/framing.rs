//! Lines, however they arrive.

use std::io::Result;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use warrantd::transport::{Line, LineReader};

/// Longest line, so that some are longer.
const LIMIT: usize = 40;

/// Framing. A reader finds the lines that there are, whatever pieces the bytes come in and however often it must
/// wait, and each is what stood between two line feeds.
pub fn lines(data: &[u8]) {
    let (seed, text) = data.split_first().map_or((0, data), |(seed, text)| (*seed, text));
    let expected = reference(text);
    for step in [usize::from(seed % 7) + 1, LIMIT + 1, text.len().max(1)] {
        let pieces = Pieces { text, step, waits: seed & 0x80 != 0, waited: false };
        assert_eq!(read(pieces), expected, "in pieces of {step}");
    }
}

/// The lines by the simplest means.
fn reference(text: &[u8]) -> Vec<Line> {
    let mut parts: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    parts.pop(); // What has no line feed is no line.
    let line = |part: &[u8]| {
        if part.len() > LIMIT {
            return Some(Line::TooLong);
        }
        let part = part.strip_suffix(b"\r").unwrap_or(part);
        (!part.is_empty()).then(|| Line::Whole(part.to_vec()))
    };
    parts.into_iter().filter_map(line).collect()
}

/// The lines as the reader finds them. While it waits its future is dropped, as in a `select`.
fn read(pieces: Pieces<'_>) -> Vec<Line> {
    let mut reader = LineReader::new(pieces, LIMIT);
    let mut context = Context::from_waker(Waker::noop());
    let mut lines = Vec::new();
    loop {
        match pin!(reader.next()).poll(&mut context) {
            Poll::Pending => {}
            Poll::Ready(line) => match line.expect("reading from memory") {
                Some(line) => lines.push(line),
                None => return lines,
            },
        }
    }
}

/// A text that arrives in pieces.
struct Pieces<'a> {
    text: &'a [u8],
    step: usize,
    /// Before each piece there is a wait.
    waits: bool,
    waited: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        self.waited = self.waits && !self.waited;
        if self.waited {
            return Poll::Pending;
        }
        let size = self.step.min(self.text.len()).min(buffer.remaining());
        let (piece, rest) = self.text.split_at(size);
        buffer.put_slice(piece);
        self.text = rest;
        Poll::Ready(Ok(()))
    }
}
