//! A name in letters: `X-Api-Key` and `xApiKey` are `xapikey` with words at 0, 1 and 4.

/// Letters of a name that are looked at. Of longer names the end counts, where the noun stands.
const LONGEST: usize = 128;

/// What kind of letter a character is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    /// None.
    None,
    /// One of lower case, or without case.
    Lower,
    /// One of upper case.
    Upper,
}

impl Letter {
    fn of(c: char) -> Self {
        match c {
            _ if c.is_uppercase() => Self::Upper,
            _ if c.is_alphabetic() => Self::Lower,
            _ => Self::None,
        }
    }

    fn of_ascii(byte: u8) -> Self {
        match byte {
            b'A'..=b'Z' => Self::Upper,
            b'a'..=b'z' => Self::Lower,
            _ => Self::None,
        }
    }
}

/// A name's letters in lower case, and where its words begin.
pub(super) struct Name {
    /// Its letters.
    pub(super) text: String,
    begins: u128,
}

impl Name {
    pub(super) fn new(name: &str) -> Self {
        let name = tail(name);
        let mut this = Self { text: String::with_capacity(name.len()), begins: 0 };
        let mut before = Letter::None;
        if name.is_ascii() {
            let bytes = name.as_bytes();
            for (at, byte) in bytes.iter().enumerate() {
                let letter = Letter::of_ascii(*byte);
                let next = bytes.get(at + 1).map_or(Letter::None, |next| Letter::of_ascii(*next));
                this.push(before, letter, next, char::from(byte.to_ascii_lowercase()));
                before = letter;
            }
            return this;
        }
        let mut chars = name.chars().peekable();
        while let Some(c) = chars.next() {
            let (letter, next) =
                (Letter::of(c), chars.peek().map_or(Letter::None, |c| Letter::of(*c)));
            let mut lower = c.to_lowercase();
            this.push(before, letter, next, lower.next().unwrap_or(c));
            if letter != Letter::None {
                this.text.extend(lower);
            }
            before = letter;
        }
        this
    }

    /// Appends a letter, given its neighbours. `apiKey` and `APIKey` have a word at K: at an
    /// upper-case letter after a lower-case one, or at the last upper-case letter before a lower-case
    /// one.
    fn push(&mut self, before: Letter, letter: Letter, next: Letter, lower: char) {
        if letter == Letter::None {
            return;
        }
        let is_first = matches!(
            (before, letter, next),
            (Letter::None, ..)
                | (Letter::Lower, Letter::Upper, _)
                | (Letter::Upper, Letter::Upper, Letter::Lower)
        );
        if is_first {
            self.begins |= 1_u128.checked_shl(narrow(self.text.len())).unwrap_or(0);
        }
        self.text.push(lower);
    }

    /// Whether a word begins at this letter.
    pub(super) fn begins_word(&self, at: usize) -> bool {
        1_u128.checked_shl(narrow(at)).is_some_and(|bit| self.begins & bit != 0)
    }

    /// Whether a word ends before this letter.
    pub(super) fn ends_word(&self, at: usize) -> bool {
        at >= self.text.len() || self.begins_word(at)
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The last [`LONGEST`] bytes of a name.
fn tail(name: &str) -> &str {
    let start = name.len().saturating_sub(LONGEST);
    (start..=name.len()).find_map(|at| name.get(at..)).unwrap_or_default()
}
