//! What a client is told.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, Record};

use super::query::Question;

/// Answers over UDP have at most this many bytes, so that none is cut into fragments
/// (RFC 9715, section 3).
const MAX_UDP: u16 = 1232;

/// What every client takes over UDP (RFC 1035, section 4.2.1).
const MIN_UDP: u16 = 512;

/// The EDNS option of extended errors, and its code for what policy blocks (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
const BLOCKED: u16 = 15;

/// The most bytes of an explanation. An answer with the longest name and this fits 512 bytes.
const MAX_TEXT: usize = 150;

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// An answer to one question.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    /// What the name leads to.
    pub(super) addresses: Vec<IpAddr>,
    /// How long that may be kept, in seconds.
    pub(super) ttl: u32,
    /// Why policy blocks it.
    pub(super) blocked: Option<String>,
}

impl Reply {
    /// An answer without records.
    pub(super) fn empty(code: ResponseCode) -> Self {
        Self { code, addresses: Vec::new(), ttl: 0, blocked: None }
    }

    /// An answer without records that says why.
    pub(super) fn blocked(code: ResponseCode, why: &impl ToString) -> Self {
        Self { blocked: Some(why.to_string()), ..Self::empty(code) }
    }

    /// The answer's bytes. Over UDP as many addresses as fit, with the flag that tells the client to
    /// ask again over TCP when they are not all.
    pub(super) fn encode(&self, question: &Question, transport: Transport) -> Option<Vec<u8>> {
        let limit = match transport {
            Transport::Tcp => u16::MAX,
            Transport::Udp => question.payload.unwrap_or(MIN_UDP).clamp(MIN_UDP, MAX_UDP),
        };
        let mut count = self.addresses.len();
        loop {
            let bytes = self.message(question, count).to_vec().ok()?;
            if bytes.len() <= usize::from(limit) {
                return Some(bytes);
            }
            count = count.checked_sub(1)?;
        }
    }

    fn message(&self, question: &Question, count: usize) -> Message {
        let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
        message.metadata.response_code = self.code;
        message.metadata.recursion_desired = question.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.truncation = count < self.addresses.len();
        message.add_query(question.query.clone());
        for address in self.addresses.iter().take(count) {
            let data = match address {
                IpAddr::V4(v4) => RData::A(A(*v4)),
                IpAddr::V6(v6) => RData::AAAA(AAAA(*v6)),
            };
            let name = question.query.name().clone();
            message.add_answer(Record::from_rdata(name, self.ttl, data));
        }
        if question.payload.is_some() {
            message.set_edns(self.edns());
        }
        message
    }

    /// Only what speaks EDNS gets EDNS (RFC 6891, section 7).
    fn edns(&self) -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP);
        if let Some(why) = &self.blocked {
            let text = why.bytes().filter(|byte| (b' '..=b'~').contains(byte)).take(MAX_TEXT);
            let data = BLOCKED.to_be_bytes().into_iter().chain(text).collect();
            edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
        }
        edns
    }
}

/// The answer to what could not be read: the id and the code.
pub(super) fn bare(id: u16, code: ResponseCode) -> Option<Vec<u8>> {
    Message::error_msg(id, OpCode::Query, code).to_vec().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;
    use hickory_proto::rr::{Name, RecordType};
    use std::net::Ipv4Addr;

    use super::*;

    fn question(name: &str, payload: Option<u16>) -> Question {
        let query = Query::query(Name::from_ascii(name).unwrap(), RecordType::A);
        Question { id: 9, recursion_desired: true, query, name: None, payload }
    }

    fn many(count: u8) -> Reply {
        let addresses = (0..count).map(|n| IpAddr::V4(Ipv4Addr::new(8, 8, 8, n))).collect();
        Reply { code: ResponseCode::NoError, addresses, ttl: 5, blocked: None }
    }

    #[test]
    fn an_answer_is_under_the_name_that_was_asked() {
        let question = question("Api.Example.com.", None);
        let bytes = many(2).encode(&question, Transport::Udp).unwrap();
        let message = Message::from_vec(&bytes).unwrap();
        assert_eq!((message.id, message.answers.len()), (9, 2));
        assert!(message.answers.iter().all(|record| record.name == question.query.name));
        assert!(!message.metadata.truncation && message.edns.is_none());
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        for (payload, most) in [(None, 512), (Some(100), 512), (Some(900), 900), (Some(9000), 1232)]
        {
            let question = question("a.example.com.", payload);
            let bytes = many(90).encode(&question, Transport::Udp).unwrap();
            let message = Message::from_vec(&bytes).unwrap();
            assert!(bytes.len() <= most && bytes.len() > most - 40, "{payload:?} {}", bytes.len());
            assert!(message.metadata.truncation && message.answers.len() > 20);
            let whole = many(90).encode(&question, Transport::Tcp).unwrap();
            let whole = Message::from_vec(&whole).unwrap();
            assert!(!whole.metadata.truncation && whole.answers.len() == 90);
        }
    }

    #[test]
    fn a_refusal_says_why_to_whoever_speaks_edns() {
        let longest = format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "b".repeat(61));
        let reply = Reply::blocked(ResponseCode::NXDomain, &"x".repeat(1000));
        for payload in [None, Some(512)] {
            let bytes = reply.encode(&question(&longest, payload), Transport::Udp).unwrap();
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
            let said = message.edns.and_then(|edns| edns.option(15.into()).cloned());
            assert_eq!(said.is_some(), payload.is_some());
        }
    }
}
