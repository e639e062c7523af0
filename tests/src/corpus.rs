//! Reading the corpus of ambiguous and malformed messages, `fixtures/strict-json.txt`, which says itself how
//! it is written.

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::places;

/// One message of the corpus.
#[derive(Debug)]
pub struct Specimen {
    /// What it is about, and where it stands.
    pub name: String,
    /// The bytes.
    pub message: Vec<u8>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is refused with an error of this id.
    Refused(Value),
    /// It is dropped.
    Dropped,
    /// It reaches the server as it is.
    Passes,
}

/// Reads the whole corpus.
pub fn strict_json() -> anyhow::Result<Vec<Specimen>> {
    let path = places::fixture("strict-json.txt");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let mut about = "";
    let mut specimens = Vec::new();
    // Not `lines`, which takes a carriage return away.
    for (number, line) in (1..).zip(text.split('\n')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (fate, message) = match word {
            "" | "#" => continue,
            "name" => {
                about = rest;
                continue;
            }
            "good" => (Fate::Passes, rest),
            "bad" => {
                let (id, message) = rest.split_once(' ').context("an id and a message")?;
                let refused = || serde_json::from_str(id).map(Fate::Refused);
                (if id == "-" { Fate::Dropped } else { refused()? }, message)
            }
            _ => bail!("{}:{number}: `{word}` begins no line", path.display()),
        };
        let message =
            bytes(message).with_context(|| format!("{}:{number}: {line}", path.display()))?;
        specimens.push(Specimen { name: format!("{about} (line {number})"), message, fate });
    }
    ensure!(!specimens.is_empty(), "{} has no messages", path.display());
    Ok(specimens)
}

/// The message that is written so: `<HH>` is a byte, `<N*TEXT>` is a text N times.
fn bytes(written: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = written;
    while let Some((plain, after)) = rest.split_once('<') {
        bytes.extend_from_slice(plain.as_bytes());
        let (inside, after) = after.split_once('>').context("`<` without `>`")?;
        match inside.split_once('*') {
            Some((times, text)) => bytes.extend(text.repeat(times.parse()?).into_bytes()),
            None => bytes.push(u8::from_str_radix(inside, 16)?),
        }
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_repetitions_are_written_out() -> anyhow::Result<()> {
        assert_eq!(bytes("a<ff>b<3*[{>é")?, b"a\xffb[{[{[{\xc3\xa9");
        assert!(bytes("<zz>").is_err());
        assert!(bytes("<3*a").is_err());
        Ok(())
    }

    #[test]
    fn every_subject_has_messages_that_pass_and_such_as_do_not() -> anyhow::Result<()> {
        let corpus = strict_json()?;
        let passing = corpus.iter().filter(|specimen| specimen.fate == Fate::Passes).count();
        assert!(passing > 20 && corpus.len() - passing > 150, "{passing} of {}", corpus.len());
        Ok(())
    }
}
