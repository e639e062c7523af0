//! DNS messages (RFC 1035), as much of them as a name server of the tests and its askers need.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, ensure};

/// Types of records.
pub const A: u16 = 1;
/// See [`A`].
pub const CNAME: u16 = 5;
/// See [`A`].
pub const AAAA: u16 = 28;

/// The response code of a name that does not exist.
pub const NXDOMAIN: u8 = 3;

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
/// Bits of the third and fourth byte of a header: a response, cut, recursion desired and available.
const RESPONSE: u8 = 0x80;
const CUT: u8 = 0x02;
const DESIRED: u8 = 0x01;
const AVAILABLE: u8 = 0x80;

/// What a message asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name in lower case, without a dot at its end.
    pub name: String,
    /// The type of record.
    pub kind: u16,
    /// How many bytes an answer over UDP may have.
    pub room: usize,
    /// The part of the message that an answer repeats.
    repeated: Vec<u8>,
    id: [u8; 2],
}

/// What a message answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response code.
    pub code: u8,
    /// Not everything fitted.
    pub cut: bool,
    /// The addresses, whatever they are of.
    pub addresses: Vec<IpAddr>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.cut { " cut" } else { "" };
        write!(f, "code {}{cut}", self.code)?;
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}

/// A question without EDNS.
pub fn ask(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x5e, 0x17, DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend(labels(name));
    bytes.extend([kind.to_be_bytes(), CLASS_IN.to_be_bytes()].concat());
    bytes
}

impl Question {
    /// Reads a question. One with an additional record is taken to speak EDNS.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let id = [byte(bytes, 0)?, byte(bytes, 1)?];
        ensure!(word(bytes, 4)? == 1, "not one question");
        let (name, end) = name(bytes, HEADER)?;
        let kind = word(bytes, end)?;
        let repeated = bytes.get(HEADER..end + 4).context("cut")?.to_vec();
        let has_edns = word(bytes, 10)? > 0;
        let room = if has_edns { usize::from(word(bytes, end + 4 + 3)?) } else { 512 };
        Ok(Self { name, kind, room, repeated, id })
    }

    /// The bytes of an answer with records as (owner, type, life in seconds, data).
    pub fn answer(&self, code: u8, records: &[(String, u16, u32, Vec<u8>)]) -> Vec<u8> {
        let count = u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes();
        let mut bytes = self.header(0, code, count);
        for (owner, kind, life, data) in records {
            bytes.extend(labels(owner));
            bytes.extend([kind.to_be_bytes(), CLASS_IN.to_be_bytes()].concat());
            bytes.extend(life.to_be_bytes());
            bytes.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    /// The bytes of an answer that says to ask over TCP.
    pub fn answer_cut(&self) -> Vec<u8> {
        self.header(CUT, 0, [0, 0])
    }

    fn header(&self, flags: u8, code: u8, [high, low]: [u8; 2]) -> Vec<u8> {
        let [first, second] = self.id;
        let flags = RESPONSE | DESIRED | flags;
        let mut bytes = vec![first, second, flags, AVAILABLE | code, 0, 1, high, low, 0, 0, 0, 0];
        bytes.extend(&self.repeated);
        bytes
    }
}

impl Answer {
    /// Reads an answer.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        ensure!(byte(bytes, 2)? & RESPONSE != 0, "no answer");
        let (_, end) = name(bytes, HEADER)?;
        let mut place = end + 4;
        let mut addresses = Vec::new();
        for _ in 0..word(bytes, 6)? {
            let (_, end) = name(bytes, place)?;
            let length = usize::from(word(bytes, end + 8)?);
            let data = bytes.get(end + 10..end + 10 + length).context("cut")?;
            match word(bytes, end)? {
                A => addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data)?).into()),
                AAAA => addresses.push(Ipv6Addr::from(<[u8; 16]>::try_from(data)?).into()),
                _ => {}
            }
            place = end + 10 + length;
        }
        Ok(Self { code: byte(bytes, 3)? & 0x0f, cut: byte(bytes, 2)? & CUT != 0, addresses })
    }
}

/// A name as it is written in a message.
pub fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// The name at a place, and where it ends there.
fn name(bytes: &[u8], place: usize) -> anyhow::Result<(String, usize)> {
    let (mut here, mut end, mut found) = (place, None, Vec::new());
    for _ in 0..128 {
        let length = usize::from(byte(bytes, here)?);
        if length >= 0xc0 {
            end = end.or(Some(here + 2));
            here = usize::from(word(bytes, here)? & 0x3fff);
        } else if length == 0 {
            return Ok((found.join("."), end.unwrap_or(here + 1)));
        } else {
            let label = bytes.get(here + 1..here + 1 + length).context("cut")?;
            found.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            here += 1 + length;
        }
    }
    anyhow::bail!("a name without end")
}

fn byte(bytes: &[u8], place: usize) -> anyhow::Result<u8> {
    bytes.get(place).copied().context("cut")
}

fn word(bytes: &[u8], place: usize) -> anyhow::Result<u16> {
    Ok(u16::from_be_bytes([byte(bytes, place)?, byte(bytes, place + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() -> anyhow::Result<()> {
        let question = Question::read(&ask("Api.Example.com", A))?;
        assert_eq!(
            (question.name.as_str(), question.kind, question.room),
            ("api.example.com", A, 512)
        );
        let records = [
            ("api.example.com".to_owned(), CNAME, 5, labels("b.example")),
            ("b.example".to_owned(), A, 5, vec![8, 8, 4, 4]),
        ];
        let answer = Answer::read(&question.answer(0, &records))?;
        assert_eq!(answer.to_string(), "code 0 8.8.4.4");
        assert!(Answer::read(&question.answer_cut())?.cut);
        assert!(Question::read(&ask("a.b", AAAA)[..14]).is_err());
        Ok(())
    }
}
