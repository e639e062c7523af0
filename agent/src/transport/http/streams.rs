//! The streams of a session of the handshake era: one for each request that is answered, and a general
//! one. What was said on them lately is kept, so that a client whose connection broke gets the rest
//! (MCP 2025-11-25, section Streamable HTTP, Resumability and Redelivery).
//!
//! An event's id is `STREAM-NUMBER`: the stream's number in the session, 0 for the general one, and the
//! event's number on it, from 1.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::mcp::Id;
use crate::transport::Route;

/// Requests of a session that may be in flight.
pub(super) const OPEN: usize = 64;
/// Events that wait for a slow reader.
const QUEUE: usize = 8;
/// Events that are kept for a client that comes again.
const EVENTS: usize = 256;
/// Bytes of them.
const BYTES: usize = 1 << 20;
/// How long the end of a stream is kept.
const KEEP: Duration = Duration::from_secs(300);

/// The number of the general stream.
pub(super) const GENERAL: u64 = 0;

/// A message on a stream.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) stream: u64,
    pub(super) number: u64,
    pub(super) text: Bytes,
    /// The stream's last one.
    pub(super) last: bool,
    /// Its share of the memory for messages on their way.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Item {
    pub(super) fn event_id(&self) -> String {
        event_id(self.stream, self.number)
    }
}

pub(super) fn event_id(stream: u64, number: u64) -> String {
    format!("{stream}-{number}")
}

/// Reads an event's id: stream and number.
pub(super) fn parse_event_id(text: &str) -> Option<(u64, u64)> {
    let plain = |part: &str| part.len() <= 19 && part.bytes().all(|digit| digit.is_ascii_digit());
    let (stream, number) = text.split_once('-')?;
    (plain(stream) && plain(number)).then_some(())?;
    Some((stream.parse().ok()?, number.parse().ok()?))
}

/// Why a stream is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    #[error("a request of that id is in flight already")]
    InFlight,
    #[error("{OPEN} requests of this session are in flight already")]
    TooMany,
    #[error("the session has a general stream open already; one is enough")]
    Busy,
    #[error("there is no stream of that event id, or it has ended and is forgotten")]
    Unknown,
    #[error("events after that one are not kept any more")]
    Lost,
}

/// The reading end of a stream, and what comes before.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) stream: u64,
    pub(super) backlog: VecDeque<Item>,
    pub(super) items: mpsc::Receiver<Item>,
}

/// Where a message goes.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) item: Item,
    pub(super) sink: mpsc::Sender<Item>,
}

/// All streams of a session.
#[derive(Debug)]
pub(super) struct Streams {
    open: HashMap<u64, Stream>,
    requests: HashMap<Id, u64>,
    opened: u64,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
}

#[derive(Debug, Default)]
struct Stream {
    /// Number of its last event.
    last: u64,
    /// Number of the last event that is not kept any more.
    lost: u64,
    /// Number of the last event that somebody was there for.
    handed: u64,
    sink: Option<mpsc::Sender<Item>>,
    /// Its client knows an id of it, or will.
    resumable: bool,
    ended: Option<Instant>,
}

#[derive(Debug)]
struct Kept {
    stream: u64,
    number: u64,
    text: Bytes,
    last: bool,
}

impl Default for Streams {
    fn default() -> Self {
        let general = Stream { resumable: true, ..Stream::default() };
        Self {
            open: HashMap::from([(GENERAL, general)]),
            requests: HashMap::new(),
            opened: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
        }
    }
}

impl Streams {
    /// Opens the stream of a request.
    pub(super) fn open(&mut self, request: Id) -> Result<Reader, StreamError> {
        if self.requests.contains_key(&request) {
            return Err(StreamError::InFlight);
        }
        if self.requests.len() >= OPEN {
            return Err(StreamError::TooMany);
        }
        self.opened += 1;
        let (sink, items) = mpsc::channel(QUEUE);
        let stream = Stream { sink: Some(sink), ..Stream::default() };
        self.open.insert(self.opened, stream);
        self.requests.insert(request, self.opened);
        Ok(Reader { stream: self.opened, backlog: VecDeque::new(), items })
    }

    /// A client is told ids of this stream.
    pub(super) fn make_resumable(&mut self, stream: u64) {
        if let Some(stream) = self.open.get_mut(&stream) {
            stream.resumable = true;
        }
    }

    /// Puts a message on its stream. `None` when nobody is there to read it: it is kept, or thrown away
    /// when nobody could come for it.
    pub(super) fn place(&mut self, route: &Route, text: Bytes, now: Instant) -> Option<Placed> {
        let (number, answers) = match route {
            Route::Answer(id) => (self.requests.remove(id)?, true),
            Route::About(id) => (self.requests.get(id).copied().unwrap_or(GENERAL), false),
            Route::General => (GENERAL, false),
        };
        let stream = self.open.get_mut(&number)?;
        stream.last += 1;
        let item = Item { stream: number, number: stream.last, text, last: answers, room: None };
        let sink = stream.sink.clone().filter(|sink| !sink.is_closed());
        stream.resumable |= !answers;
        if sink.is_some() {
            stream.handed = stream.last;
        }
        if answers {
            stream.sink = None;
            stream.ended = Some(now);
        }
        if stream.resumable {
            self.keep(&item);
        } else {
            self.open.remove(&number);
        }
        self.forget(now);
        Some(Placed { item, sink: sink? })
    }

    /// The general stream for a client that has none: what nobody was there for comes first.
    pub(super) fn attach_general(&mut self) -> Result<Reader, StreamError> {
        let stream = self.open.entry(GENERAL).or_default();
        if stream.sink.as_ref().is_some_and(|sink| !sink.is_closed()) {
            return Err(StreamError::Busy);
        }
        let after = stream.handed;
        Ok(self.attach(GENERAL, after))
    }

    /// The rest of a stream, for a client that has read up to an event. Whoever read it before reads no more.
    pub(super) fn resume(&mut self, stream: u64, after: u64) -> Result<Reader, StreamError> {
        let found = self.open.get(&stream).ok_or(StreamError::Unknown)?;
        if after > found.last {
            return Err(StreamError::Unknown);
        }
        if after < found.lost {
            return Err(StreamError::Lost);
        }
        Ok(self.attach(stream, after))
    }

    fn attach(&mut self, number: u64, after: u64) -> Reader {
        let later = self.kept.iter().filter(|kept| kept.stream == number && kept.number > after);
        let item = |kept: &Kept| Item {
            stream: number,
            number: kept.number,
            text: kept.text.clone(),
            last: kept.last,
            room: None,
        };
        let backlog = later.map(item).collect();
        let (sink, items) = mpsc::channel(QUEUE);
        if let Some(stream) = self.open.get_mut(&number) {
            stream.handed = stream.last;
            // What has ended gets nothing more: without a sender the reader comes to its end.
            stream.sink = stream.ended.is_none().then_some(sink);
        }
        Reader { stream: number, backlog, items }
    }

    /// Takes away a reader that does not read.
    pub(super) fn detach(&mut self, stream: u64, sink: &mpsc::Sender<Item>) {
        if let Some(stream) = self.open.get_mut(&stream)
            && stream.sink.as_ref().is_some_and(|own| own.same_channel(sink))
        {
            stream.sink = None;
        }
    }

    /// Whether a client reads any of them, or waits for an answer.
    pub(super) fn are_read(&self) -> bool {
        self.open.values().filter_map(|stream| stream.sink.as_ref()).any(|sink| !sink.is_closed())
    }

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        for stream in self.open.values_mut() {
            stream.sink = None;
        }
        self.requests.clear();
        self.kept.clear();
        self.kept_bytes = 0;
    }

    fn keep(&mut self, item: &Item) {
        self.kept_bytes += item.text.len();
        self.kept.push_back(Kept {
            stream: item.stream,
            number: item.number,
            text: item.text.clone(),
            last: item.last,
        });
        while self.kept.len() > EVENTS || self.kept_bytes > BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.text.len();
            if let Some(stream) = self.open.get_mut(&oldest.stream) {
                stream.lost = oldest.number;
            }
        }
    }

    /// Forgets streams that ended long ago, or of which nothing is kept.
    fn forget(&mut self, now: Instant) {
        let long_ago = |ended: Instant| now.saturating_duration_since(ended) >= KEEP;
        self.open.retain(|_, stream| {
            stream.ended.is_none_or(|ended| !long_ago(ended) && stream.lost < stream.last)
        });
        let (streams, bytes) = (&self.open, &mut self.kept_bytes);
        self.kept.retain(|kept| {
            let stays = streams.contains_key(&kept.stream);
            if !stays {
                *bytes -= kept.text.len();
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: i64) -> Id {
        Id::Number(number)
    }

    fn say(streams: &mut Streams, route: &Route, text: &str) -> Option<Placed> {
        streams.place(route, Bytes::copy_from_slice(text.as_bytes()), Instant::now())
    }

    fn deliver(streams: &mut Streams, route: &Route, text: &str) {
        if let Some(Placed { item, sink }) = say(streams, route, text) {
            let _ = sink.try_send(item);
        }
    }

    fn rest(reader: &mut Reader) -> Vec<String> {
        let mut texts: Vec<_> = reader.backlog.drain(..).collect();
        while let Ok(item) = reader.items.try_recv() {
            texts.push(item);
        }
        texts.iter().map(|item| String::from_utf8_lossy(&item.text).into_owned()).collect()
    }

    #[test]
    fn messages_find_their_streams() {
        let mut streams = Streams::default();
        let mut one = streams.open(id(1)).expect("open");
        let mut two = streams.open(id(2)).expect("open");
        assert_eq!(streams.open(id(1)).err(), Some(StreamError::InFlight));
        deliver(&mut streams, &Route::About(id(2)), "a");
        deliver(&mut streams, &Route::Answer(id(1)), "b");
        deliver(&mut streams, &Route::About(id(1)), "late: general");
        deliver(&mut streams, &Route::Answer(id(2)), "c");
        assert!(say(&mut streams, &Route::Answer(id(2)), "twice").is_none());
        assert_eq!(
            (rest(&mut one), rest(&mut two)),
            (vec!["b".into()], vec!["a".into(), "c".into()])
        );
        let mut general = streams.attach_general().expect("attached");
        assert_eq!(rest(&mut general), ["late: general"]);
        assert!(streams.open(id(1)).is_ok(), "an id is free again when it was answered");
    }

    #[test]
    fn there_is_one_general_stream_at_a_time() {
        let mut streams = Streams::default();
        deliver(&mut streams, &Route::General, "before");
        let mut first = streams.attach_general().expect("attached");
        assert_eq!(streams.attach_general().err(), Some(StreamError::Busy));
        deliver(&mut streams, &Route::General, "now");
        assert_eq!(rest(&mut first), ["before", "now"]);
        drop(first);
        let mut second = streams.attach_general().expect("the first has gone");
        assert_eq!(rest(&mut second), Vec::<String>::new());
        let mut again = streams.resume(GENERAL, 1).expect("resumed");
        assert_eq!(rest(&mut again), ["now"]);
        assert!(second.items.try_recv().is_err() && streams.are_read());
    }

    #[test]
    fn a_broken_stream_is_resumed_to_its_end() {
        let mut streams = Streams::default();
        let broken = streams.open(id(1)).expect("open");
        deliver(&mut streams, &Route::About(id(1)), "a");
        drop(broken);
        deliver(&mut streams, &Route::About(id(1)), "b");
        let mut open = streams.resume(1, 1).expect("resumed");
        deliver(&mut streams, &Route::Answer(id(1)), "c");
        assert_eq!(rest(&mut open), ["b", "c"]);
        let mut ended = streams.resume(1, 2).expect("resumed");
        assert_eq!(rest(&mut ended), ["c"]);
        assert!(matches!(ended.items.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
        assert_eq!(streams.resume(1, 9).err(), Some(StreamError::Unknown));
        assert_eq!(streams.resume(2, 0).err(), Some(StreamError::Unknown));
    }

    #[test]
    fn what_nobody_could_come_for_is_not_kept() {
        let mut streams = Streams::default();
        drop(streams.open(id(1)).expect("open"));
        assert!(say(&mut streams, &Route::Answer(id(1)), "b").is_none());
        assert_eq!((streams.open.len(), streams.kept.len()), (1, 0));
    }

    #[test]
    fn the_end_of_a_stream_is_forgotten_in_time() {
        let mut streams = Streams::default();
        drop(streams.open(id(1)).expect("open"));
        let start = Instant::now();
        let text = || Bytes::from_static(b"x");
        streams.place(&Route::About(id(1)), text(), start);
        streams.place(&Route::Answer(id(1)), text(), start);
        assert!(streams.resume(1, 1).is_ok());
        streams.place(&Route::General, text(), start + KEEP);
        assert_eq!(streams.resume(1, 1).err(), Some(StreamError::Unknown));
        assert_eq!(streams.kept_bytes, 1);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_never_has_a_hole(
            said in prop::collection::vec((0_i64..4, 0_usize..200_000, any::<bool>()), 0..400),
            after in 0_u64..100,
        ) {
            let mut streams = Streams::default();
            let mut lengths: HashMap<u64, Vec<usize>> = HashMap::new();
            let _readers: Vec<_> = (1..4).map(|n| streams.open(id(n))).collect();
            for (request, length, answer) in said {
                let route = match (request, answer) {
                    (0, _) => Route::General,
                    (n, true) if n > 2 => Route::Answer(id(n)),
                    (n, _) => Route::About(id(n)),
                };
                let placed = streams.place(&route, vec![b'x'; length].into(), Instant::now());
                if let Some(placed) = placed {
                    lengths.entry(placed.item.stream).or_default().push(length);
                } else if request == 0 {
                    lengths.entry(0).or_default().push(length);
                }
                prop_assert!(streams.kept.len() <= EVENTS && streams.kept_bytes <= BYTES);
                let bytes: usize = streams.kept.iter().map(|kept| kept.text.len()).sum();
                prop_assert_eq!(bytes, streams.kept_bytes);
            }
            for number in 0..4 {
                let Some(last) = streams.open.get(&number).map(|stream| stream.last) else { continue };
                if let Ok(reader) = streams.resume(number, after) {
                    let numbers: Vec<_> = reader.backlog.iter().map(|item| item.number).collect();
                    prop_assert_eq!(numbers, (after + 1..=last).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn event_ids_read_back(stream in 0_u64..1 << 60, number in 0_u64..1 << 60, other in ".{0,12}") {
            prop_assert_eq!(parse_event_id(&event_id(stream, number)), Some((stream, number)));
            if let Some((stream, number)) = parse_event_id(&other) {
                prop_assert!(other.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
                prop_assert!(stream < u64::MAX && number < u64::MAX);
            }
        }
    }
}
