//! Tokens that receivers are shown. They are read from a file whenever they are needed, so that one can be
//! replaced while warrantd runs.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::ShipError;

/// Bytes that such a file may have.
const MAX_FILE: u64 = 16 << 10;

/// A file with a token.
#[derive(Debug, Clone)]
pub(super) struct Token(PathBuf);

impl Token {
    /// Checks that the file can be used.
    pub(super) fn open(file: PathBuf) -> Result<Self, ShipError> {
        let token = Self(file);
        token.read()?;
        Ok(token)
    }

    /// The token, without the line's end.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, ShipError> {
        let bad = |why: String| ShipError::Token { file: self.0.clone(), why };
        let size = std::fs::metadata(&self.0).map_err(|error| bad(error.to_string()))?.len();
        if size > MAX_FILE {
            return Err(bad(format!("it has more than {} KiB", MAX_FILE >> 10)));
        }
        let text = std::fs::read_to_string(&self.0).map_err(|error| bad(error.to_string()))?;
        let text = Zeroizing::new(text);
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() || !line.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(bad("a token is one line of printable ASCII characters".to_owned()));
        }
        Ok(Zeroizing::new(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_and_no_error_shows_it() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("token");
        std::fs::write(&file, "hunter2\n").expect("written");
        let token = Token::open(file.clone()).expect("opens");
        assert_eq!(token.read().expect("reads").as_str(), "hunter2");
        for bad in ["", "\n", "hunter2\nhunter2", "hunter2\u{7}"] {
            std::fs::write(&file, bad).expect("written");
            let error = Token::open(file.clone()).expect_err("refused").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
