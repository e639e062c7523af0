//! What a name server's answer says about the name that was asked.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::{MAX_ADDRESSES, MAX_TTL};

/// Aliases that are followed from the name that was asked.
const MAX_ALIASES: usize = 8;

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// At most [`MAX_ADDRESSES`], in the answer's order.
    pub(super) addresses: Vec<IpAddr>,
    /// The shortest life on the way to them, in seconds, at most [`MAX_TTL`].
    pub(super) ttl: u32,
    /// The name exists, whether or not it has addresses.
    pub(super) exists: bool,
}

/// The aliases of a name form a loop, or go on for too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its aliases do not end")]
pub(super) struct EndlessAliases;

/// Follows the aliases of `name` within an answer. Records of other names are not looked at.
pub(super) fn read(
    answer: &Message,
    name: &Name,
    kind: RecordType,
) -> Result<Found, EndlessAliases> {
    let exists = answer.metadata.response_code != ResponseCode::NXDomain;
    let mut ttl = MAX_TTL;
    let mut name = name.clone();
    for _ in 0..=MAX_ALIASES {
        let own = || answer.answers.iter().filter(|record| record.name == name);
        let mut addresses = Vec::new();
        for record in own() {
            let address = match (&record.data, kind) {
                (RData::A(v4), RecordType::A) => IpAddr::V4(v4.0),
                (RData::AAAA(v6), RecordType::AAAA) => IpAddr::V6(v6.0),
                _ => continue,
            };
            if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                addresses.push(address);
                ttl = ttl.min(record.ttl);
            }
        }
        if !addresses.is_empty() {
            return Ok(Found { addresses, ttl, exists: true });
        }
        let alias = own().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        // A name server that resolves for others follows aliases to their end (RFC 1034, section
        // 5.3.3), so an alias without addresses has none.
        let Some((target, life)) = alias else {
            return Ok(Found { addresses, ttl, exists });
        };
        ttl = ttl.min(life);
        name = target;
    }
    Err(EndlessAliases)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode};
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, AAAA, CNAME};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn answer(records: &[(&str, u32, &str)]) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        for (owner, ttl, data) in records {
            let data = match data.parse() {
                Ok(IpAddr::V4(v4)) => RData::A(A(v4)),
                Ok(IpAddr::V6(v6)) => RData::AAAA(AAAA(v6)),
                Err(_) => RData::CNAME(CNAME(name(data))),
            };
            message.add_answer(Record::from_rdata(name(owner), *ttl, data));
        }
        message
    }

    fn found(records: &[(&str, u32, &str)], kind: RecordType) -> (Vec<String>, u32) {
        let found = read(&answer(records), &name("a.example."), kind).unwrap();
        (found.addresses.iter().map(ToString::to_string).collect(), found.ttl)
    }

    #[test]
    fn aliases_are_followed_from_the_name_that_was_asked() {
        let records = [
            ("b.example.", 30, "C.cdn.example."),
            ("A.Example.", 300, "b.example."),
            ("c.cdn.example.", 60, "8.8.8.8"),
            ("c.cdn.example.", 60, "8.8.8.8"),
            ("c.cdn.example.", 60, "2600::1"),
            ("evil.example.", 60, "9.9.9.9"),
        ];
        assert_eq!(found(&records, RecordType::A), (vec!["8.8.8.8".to_owned()], 30));
        assert_eq!(found(&records, RecordType::AAAA), (vec!["2600::1".to_owned()], 30));
        assert_eq!(found(&[("a.example.", 0, "8.8.8.8")], RecordType::A).1, 0);
        assert_eq!(found(&[("a.example.", 86_400, "8.8.8.8")], RecordType::A).1, MAX_TTL);
        assert_eq!(found(&records[..2], RecordType::A).0, Vec::<String>::new());
    }

    #[test]
    fn loops_and_long_ways_end() {
        let records = [("a.example.", 1, "b.example."), ("b.example.", 1, "a.example.")];
        let read = |records: &[_]| read(&answer(records), &name("a.example."), RecordType::A);
        assert_eq!(read(&records), Err(EndlessAliases));
        let names: Vec<_> = (0..12).map(|n| format!("n{n}.example.")).collect();
        let mut chain = vec![("a.example.", 1, names[0].as_str())];
        chain.extend(names.windows(2).map(|pair| (pair[0].as_str(), 1, pair[1].as_str())));
        chain.push((names[11].as_str(), 1, "8.8.8.8"));
        assert_eq!(read(&chain), Err(EndlessAliases));
        let mut short = chain[..7].to_vec();
        short.push((chain[6].2, 1, "8.8.8.8"));
        assert_eq!(read(&short).unwrap().addresses.len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let addresses: Vec<_> = (0..200).map(|n| format!("8.8.8.{n}")).collect();
        let records: Vec<_> = addresses.iter().map(|a| ("a.example.", 1, a.as_str())).collect();
        assert_eq!(found(&records, RecordType::A).0.len(), MAX_ADDRESSES);
    }
}
