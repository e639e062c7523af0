//! Server-sent events (WHATWG HTML, section 9.2.6 Interpreting an event stream), read in pieces of any size.

use std::collections::VecDeque;
use std::time::Duration;

use memchr::memchr2;

/// An event with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty stands for `message`.
    pub kind: Vec<u8>,
    /// Its lines of data, joined by line feeds.
    pub data: Vec<u8>,
}

/// An event, or a line of one, is larger than the limit. The stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct EventTooLarge(pub usize);

/// Reads the events of one stream.
#[derive(Debug)]
pub struct Events {
    limit: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The last line ended with CR: a line feed that follows belongs to it.
    after_cr: bool,
    /// Nothing but perhaps a byte order mark has come.
    at_start: bool,
    kind: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The id of the event being read, which stays until another is given.
    id: Vec<u8>,
    /// The id of the last whole event.
    last_id: Vec<u8>,
    retry: Option<Duration>,
    ready: VecDeque<Event>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Events {
    /// A stream whose events may have `limit` bytes, each.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_cr: false,
            at_start: true,
            kind: Vec::new(),
            data: Vec::new(),
            has_data: false,
            id: Vec::new(),
            last_id: Vec::new(),
            retry: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), EventTooLarge> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(rest) = bytes.strip_prefix(b"\n")
            {
                bytes = rest;
                continue;
            }
            let Some(end) = memchr2(b'\r', b'\n', bytes) else {
                return self.keep(bytes);
            };
            let (line, rest) = bytes.split_at(end);
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.end_line(line)?;
            } else {
                self.keep(line)?;
                let whole = std::mem::take(&mut self.line);
                self.end_line(&whole)?;
            }
        }
        Ok(())
    }

    /// The next whole event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// The id of the last whole event, by which the stream can be resumed; empty when there is none.
    pub fn last_id(&self) -> &[u8] {
        &self.last_id
    }

    /// How long to wait before the stream is asked for again, if the server has said.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), EventTooLarge> {
        // A line may hold a whole event beside the name of its field.
        if self.line.len() + part.len() > self.limit.saturating_add(16) {
            return Err(EventTooLarge(self.limit));
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, mut line: &[u8]) -> Result<(), EventTooLarge> {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            self.end_event();
            return Ok(());
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => return Ok(()),
            Some(colon) => {
                let (field, rest) = line.split_at(colon);
                let value = rest.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                if self.data.len() + value.len() + self.kind.len() >= self.limit {
                    return Err(EventTooLarge(self.limit));
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.kind = value.to_vec(),
            b"id" if !value.contains(&0) => self.id = value.to_vec(),
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            _ => {}
        }
        Ok(())
    }

    fn end_event(&mut self) {
        self.last_id.clone_from(&self.id);
        let kind = std::mem::take(&mut self.kind);
        let data = std::mem::take(&mut self.data);
        self.has_data = false;
        // One without data only gives an id: it is how servers begin a stream that can be resumed.
        if !data.is_empty() {
            self.ready.push_back(Event { kind, data });
        }
    }
}

fn milliseconds(digits: &[u8]) -> Option<Duration> {
    let number = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    number.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<(String, String)>, String) {
        let mut events = Events::new(1000);
        for piece in pieces {
            events.feed(piece).expect("within the limit");
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut read = Vec::new();
        while let Some(event) = events.next_event() {
            read.push((text(&event.kind), text(&event.data)));
        }
        (read, text(events.last_id()))
    }

    fn data(stream: &str) -> Vec<String> {
        read(&[stream.as_bytes()]).0.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn lines_end_in_each_of_three_ways() {
        assert_eq!(
            data("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n"),
            ["a", "b", "c", "d"]
        );
        assert_eq!(data("data: a\rdata: b\r\ndata:c\n\n"), ["a\nb\nc"]);
    }

    #[test]
    fn comments_unknown_fields_and_a_cut_end_do_not_count() {
        assert_eq!(data(": ping\n\n:\n\nfoo: x\ndata: a\nbar\n\ndata: cut\n"), ["a"]);
        assert_eq!(data("data\n\ndata\ndata\n\ndata:  a\n\n"), ["\n", " a"]);
        assert_eq!(data("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"], "one mark, at the start");
    }

    #[test]
    fn types_ids_and_waits_are_kept_as_the_standard_says() {
        let (events, id) = read(&[b"event: x\ndata: a\nid: 1\n\ndata: b\n\nid: 2\ndata: c\n"]);
        assert_eq!(events, [("x".into(), "a".into()), (String::new(), "b".into())]);
        assert_eq!(id, "1", "an event that was not finished was not received");
        assert_eq!(read(&[b"id: 7\n\nid: a\0b\n\n"]).1, "7");
        assert_eq!(read(&[b"id: 7\n\nid\n\n"]).1, "", "an id can be taken back");
        let mut events = Events::new(100);
        events.feed(b"retry: 250\n\nretry: +1\nretry: x\nretry: 99999999999999999999\n\n").unwrap();
        assert_eq!(events.retry(), Some(Duration::from_millis(250)));
    }

    #[test]
    fn an_event_that_is_too_large_is_refused() {
        let feed = |bytes: &[u8]| Events::new(64).feed(bytes);
        assert!(feed(format!("data: {}\n\n", "x".repeat(63)).as_bytes()).is_ok());
        assert!(feed(format!("data: {}\n\n", "x".repeat(64)).as_bytes()).is_err());
        assert!(feed("data: xxxxxxxx\n".repeat(9).as_bytes()).is_err(), "line by line");
        assert!(feed("x".repeat(100).as_bytes()).is_err(), "a line without an end");
        assert!(feed(&b"data: x\n\n".repeat(100)).is_ok(), "many small ones");
    }

    /// What the standard says, word by word, on a whole text.
    fn reference(stream: &str) -> Vec<(String, String)> {
        let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
        let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<&str> = lines.split('\n').collect();
        lines.pop(); // What has no line end is no line.
        let (mut events, mut kind, mut data) = (Vec::new(), String::new(), String::new());
        for line in lines {
            if line.is_empty() {
                let (kind, data) = (std::mem::take(&mut kind), std::mem::take(&mut data));
                if let Some(data) = data.strip_suffix('\n').filter(|data| !data.is_empty()) {
                    events.push((kind, data.to_owned()));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => data = format!("{data}{value}\n"),
                "event" => value.clone_into(&mut kind),
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_read_like_the_whole(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("\r"), Just("\n"), Just("\r\n"), Just("\n\n"), Just("data:"), Just("data: a"),
                    Just("event: b"), Just("id: 1"), Just(":c"), Just("é"), Just("\u{feff}"), Just(" "),
                ],
                0..40,
            ),
            cuts in proptest::collection::vec(0_usize..200, 0..8),
        ) {
            let stream = parts.concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> =
                cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
            let whole = read(&[stream.as_bytes()]);
            prop_assert_eq!(&read(&pieces), &whole);
            prop_assert_eq!(whole.0, reference(&stream));
        }
    }
}
