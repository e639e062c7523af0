//! Where each key of a YAML file stands, and keys that stand twice.
//!
//! Serde reports the place of a syntax or type error but knows none for what is found later, such
//! as an actor that no policy names; and of a map's duplicate keys it silently keeps the last.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser};

/// A place: line from 1, column in characters from 1.
pub(super) type Place = (usize, usize);

/// The places of a file's keys and list items by their path, such as `actors[0].id`.
#[derive(Debug, Default)]
pub(super) struct Positions {
    places: HashMap<String, Place>,
    /// The first key that stands twice in one map.
    pub(super) duplicate: Option<(String, Place)>,
}

impl Positions {
    /// Reads as far as the text is YAML; the loader reports syntax errors itself.
    pub(super) fn read(text: &str) -> Self {
        let mut positions = Self::default();
        let mut open: Vec<Frame> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let place = (span.start.line(), span.start.col() + 1);
            match event {
                Event::Scalar(text, ..) => {
                    if let Some(Frame::Map { path, key, seen }) = open.last_mut()
                        && key.is_none()
                    {
                        let here = join(path, &text);
                        if !seen.insert(text.to_string()) && positions.duplicate.is_none() {
                            positions.duplicate = Some((here.clone(), place));
                        }
                        positions.places.insert(here, place);
                        *key = Some(text.into_owned());
                        continue;
                    }
                    positions.value(&mut open, place);
                }
                Event::Alias(_) => {
                    positions.value(&mut open, place);
                }
                Event::MappingStart(..) => {
                    let path = positions.value(&mut open, place);
                    open.push(Frame::Map { path, key: None, seen: HashSet::new() });
                }
                Event::SequenceStart(..) => {
                    let path = positions.value(&mut open, place);
                    open.push(Frame::List { path, next: 0 });
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                }
                _ => {}
            }
        }
        positions
    }

    /// Notes that a value begins here and gives its path.
    fn value(&mut self, open: &mut [Frame], place: Place) -> String {
        match open.last_mut() {
            None => String::new(),
            Some(Frame::Map { path, key, .. }) => join(path, &key.take().unwrap_or_default()),
            Some(Frame::List { path, next }) => {
                let here = format!("{path}[{next}]");
                *next += 1;
                self.places.insert(here.clone(), place);
                here
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The place of `key`, or of the nearest key around it, or the start of the file.
    pub(super) fn find(&self, key: &str) -> Place {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return *place;
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return (1, 1),
            }
        }
    }
}

enum Frame {
    Map { path: String, key: Option<String>, seen: HashSet<String> },
    List { path: String, next: usize },
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_items_have_places() {
        let positions = Positions::read("a: 1\nb:\n  - id: x\n    c: [p, q]\n  - id: y\n");
        assert_eq!(positions.find("a"), (1, 1));
        assert_eq!(positions.find("b[0].id"), (3, 5));
        assert_eq!(positions.find("b[0].c[1]"), (4, 12));
        assert_eq!(positions.find("b[1].id"), (5, 5));
        assert_eq!(positions.find("b[1].missing"), (5, 5), "falls back to what is around it");
        assert_eq!(positions.find("nowhere"), (1, 1));
        assert!(positions.duplicate.is_none());
    }

    #[test]
    fn a_key_that_stands_twice_is_found() {
        let twice = "constraints:\n  read: {}\n  read: {}\n";
        assert_eq!(Positions::read(twice).duplicate, Some(("constraints.read".to_owned(), (3, 3))));
        assert!(Positions::read("- {a: 1}\n- {a: 1}\n").duplicate.is_none());
    }
}
