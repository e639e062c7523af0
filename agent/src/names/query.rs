//! What a client asks, read strictly.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use crate::policy::url::host_name;

/// A header's length in bytes (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// Additional records that a query may have: EDNS, and a signature that nobody here checks.
const MAX_ADDITIONAL: u16 = 2;

/// The EDNS version that is spoken (RFC 6891).
const EDNS_VERSION: u8 = 0;

/// What to do with a packet.
#[derive(Debug)]
pub enum Asked {
    /// It is no query. Answering it could start a loop.
    Nothing,
    /// It is refused as it stands. The question is there when it could be read.
    Refused {
        /// Its id.
        id: u16,
        /// Why.
        code: ResponseCode,
        /// What is repeated in the answer.
        question: Option<Question>,
    },
    /// It asks for something.
    Question(Question),
}

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// The query's id.
    pub id: u16,
    /// The flag of the query that is repeated in the answer.
    pub recursion_desired: bool,
    /// The question as it was asked, its case included.
    pub query: Query,
    /// The name in the form that policy judges; `None` when it is no host name.
    pub name: Option<String>,
    /// The largest answer that the client takes over UDP, in bytes, when it speaks EDNS.
    pub payload: Option<u16>,
}

impl Question {
    /// Whether addresses are asked for.
    pub fn is_address(&self) -> bool {
        matches!(self.query.query_type(), RecordType::A | RecordType::AAAA)
    }

    /// The name for people: what is not printable is escaped.
    pub fn shown(&self) -> String {
        let name = self.query.name().to_ascii();
        name.trim_end_matches('.').chars().filter(|c| !c.is_control()).take(253).collect()
    }
}

impl Asked {
    /// Reads a packet. Never panics and takes no more memory than a packet's length.
    pub fn read(packet: &[u8]) -> Self {
        let Some((header, _)) = packet.split_first_chunk::<HEADER>() else { return Self::Nothing };
        let [id1, id2, flags, _, questions @ .., _, _, _, _, additional1, additional2] = *header;
        let id = u16::from_be_bytes([id1, id2]);
        if flags & 0x80 != 0 {
            return Self::Nothing; // an answer
        }
        let refused = |code| Self::Refused { id, code, question: None };
        if flags & 0x78 != 0 {
            return refused(ResponseCode::NotImp); // an update, a notification, …
        }
        // Before anything is reserved for what the counts promise: one question, no answers.
        let others = header.iter().skip(6).take(4).any(|byte| *byte != 0);
        let additional = u16::from_be_bytes([additional1, additional2]);
        if questions != [0, 1] || others || additional > MAX_ADDITIONAL {
            return refused(ResponseCode::FormErr);
        }
        let Ok(message) = Message::from_vec(packet) else {
            return refused(ResponseCode::FormErr);
        };
        Self::judge(message)
    }

    fn judge(message: Message) -> Self {
        let metadata = message.metadata;
        let version = message.version();
        let payload = message.edns.as_ref().map(|_| message.max_payload());
        let Some(query) = message.queries.into_iter().next() else {
            let code = ResponseCode::FormErr;
            return Self::Refused { id: metadata.id, code, question: None };
        };
        let class = query.query_class();
        let kind = query.query_type();
        let question = Question {
            id: metadata.id,
            recursion_desired: metadata.recursion_desired,
            name: host_name(&query.name().to_ascii()),
            query,
            payload,
        };
        let code =
            if metadata.message_type != MessageType::Query || metadata.op_code != OpCode::Query {
                ResponseCode::FormErr
            } else if version != EDNS_VERSION {
                ResponseCode::BADVERS
            } else if class != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) {
                ResponseCode::Refused
            } else {
                return Self::Question(question);
            };
        Self::Refused { id: question.id, code, question: Some(question) }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Edns;
    use hickory_proto::rr::Name;

    use super::*;

    fn packet(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message.metadata.recursion_desired = true;
        message
    }

    fn code(message: &Message) -> Option<ResponseCode> {
        match Asked::read(&message.to_vec().unwrap()) {
            Asked::Refused { code, .. } => Some(code),
            Asked::Question(_) => None,
            Asked::Nothing => panic!("dropped"),
        }
    }

    #[test]
    fn a_question_is_read_in_one_form() {
        let mut message = packet("API.Example.com.", RecordType::AAAA);
        message.set_edns({
            let mut edns = Edns::new();
            edns.set_max_payload(4096);
            edns
        });
        let Asked::Question(question) = Asked::read(&message.to_vec().unwrap()) else {
            panic!("refused")
        };
        assert_eq!(question.name.as_deref(), Some("api.example.com"));
        assert_eq!(question.query.name().to_ascii(), "API.Example.com.");
        assert_eq!((question.id, question.payload), (7, Some(4096)));
        assert!(question.recursion_desired && question.is_address());
        assert!(message.edns.is_some());
    }

    #[test]
    fn names_that_no_host_has_are_no_names() {
        let labels: [&[&[u8]]; 6] = [
            &[b"10", b"0", b"0", b"1"],
            &[b"a b", b"com"],
            &[],
            &[b"\0", b"com"],
            &[b"a.b", b"com"],
            &[b"\xff\n", b"com"],
        ];
        for labels in labels {
            let mut message = packet("a.", RecordType::A);
            let mut name = Name::from_labels(labels.iter().copied()).unwrap();
            name.set_fqdn(true);
            message.queries[0].set_name(name);
            let Asked::Question(question) = Asked::read(&message.to_vec().unwrap()) else {
                panic!("refused {labels:?}")
            };
            assert_eq!(question.name, None, "{labels:?}");
            assert!(!question.shown().chars().any(char::is_control), "{labels:?}");
        }
    }

    #[test]
    fn what_is_no_plain_query_is_refused() {
        assert_eq!(code(&packet("a.b.", RecordType::A)), None);
        assert_eq!(code(&packet("a.b.", RecordType::AXFR)), Some(ResponseCode::Refused));
        let mut two = packet("a.b.", RecordType::A);
        two.add_query(two.queries[0].clone());
        assert_eq!(code(&two), Some(ResponseCode::FormErr));
        let mut none = packet("a.b.", RecordType::A);
        none.queries.clear();
        assert_eq!(code(&none), Some(ResponseCode::FormErr));
        let mut chaos = packet("version.bind.", RecordType::TXT);
        chaos.queries[0].set_query_class(DNSClass::CH);
        assert_eq!(code(&chaos), Some(ResponseCode::Refused));
        let mut update = packet("a.b.", RecordType::A);
        update.metadata.op_code = OpCode::Update;
        assert_eq!(code(&update), Some(ResponseCode::NotImp));
        let mut newer = packet("a.b.", RecordType::A);
        newer.set_edns({
            let mut edns = Edns::new();
            edns.set_version(1);
            edns
        });
        assert_eq!(code(&newer), Some(ResponseCode::BADVERS));
    }

    #[test]
    fn garbage_is_dropped_or_refused() {
        let whole = packet("a.example.com.", RecordType::A).to_vec().unwrap();
        for length in 0..whole.len() {
            match Asked::read(&whole[..length]) {
                Asked::Nothing => assert!(length < HEADER),
                Asked::Refused { code, .. } => assert_eq!(code, ResponseCode::FormErr),
                Asked::Question(_) => panic!("read {length} bytes"),
            }
        }
        let mut answer = whole.clone();
        answer[2] |= 0x80;
        assert!(matches!(Asked::read(&answer), Asked::Nothing));
        // A name that points to itself.
        let mut pointing = whole[..HEADER].to_vec();
        pointing.extend([0xc0, 12, 0, 1, 0, 1]);
        assert!(matches!(Asked::read(&pointing), Asked::Refused { .. }));
        // Counts that promise more than there is.
        let mut promising = whole;
        promising[4..6].copy_from_slice(&[0xff, 0xff]);
        assert!(matches!(Asked::read(&promising), Asked::Refused { .. }));
    }
}
