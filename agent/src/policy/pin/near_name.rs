//! Names that a person or a model takes for another ("shadowing").

/// One of `known` that is another name than `name` but reads like it: the same letters in another case,
/// with other separators or from another alphabet, or a single slip away.
pub fn near_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let skeleton = skeleton(name);
    known.into_iter().find(|other| {
        *other != name
            && (self::skeleton(other) == skeleton
                || (name.len().min(other.len()) >= SLIP_FROM
                    && strsim::damerau_levenshtein(name, other) == 1))
    })
}

/// In shorter names a letter more or less is another word.
const SLIP_FROM: usize = 5;

/// The letters that a reader sees: without case, separators and alphabet. Of the confusable characters of
/// Unicode TR39 those that stand for letters of names.
fn skeleton(name: &str) -> String {
    let plain = name.chars().flat_map(char::to_lowercase).filter_map(|c| match c {
        '_' | '-' | '.' | '/' | ' ' => None,
        '0' | 'о' | 'ο' | 'օ' => Some('o'),
        '1' | '|' | 'i' | 'і' | 'ι' | 'ı' | 'ӏ' => Some('l'),
        'а' | 'α' => Some('a'),
        'с' | 'ϲ' => Some('c'),
        'ԁ' => Some('d'),
        'е' | 'ε' => Some('e'),
        'ѕ' | '5' => Some('s'),
        'һ' => Some('h'),
        'ј' => Some('j'),
        'к' | 'κ' => Some('k'),
        'м' => Some('m'),
        'п' | 'η' => Some('n'),
        'р' | 'ρ' => Some('p'),
        'т' | 'τ' => Some('t'),
        'у' | 'γ' => Some('y'),
        'ν' | 'ѵ' => Some('v'),
        'х' | 'χ' => Some('x'),
        'ԝ' | 'ω' => Some('w'),
        // Full-width forms stand at a fixed distance from ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    // A full-width separator or digit is now plain.
    plain.filter(|c| c.is_alphanumeric()).map(|c| if c == 'i' { 'l' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["read_file", "read_text_file", "list_directory", "get"];

    #[test]
    fn names_that_read_alike_are_found() {
        for (name, other) in [
            ("read-file", "read_file"),
            ("ReadFile", "read_file"),
            ("reаd_file", "read_file"), // A Cyrillic letter.
            ("l1st_directory", "list_directory"),
            ("ｒｅａｄ_file", "read_file"),
            ("read\u{200b}_file", "read_file"),
            ("read_files", "read_file"),
            ("raed_file", "read_file"),
        ] {
            assert_eq!(near_name(name, KNOWN), Some(other), "{name}");
        }
    }

    #[test]
    fn other_names_are_other_names() {
        for name in ["read_file", "write_file", "read_media_file", "set", "directory_tree"] {
            assert_eq!(near_name(name, KNOWN), None, "{name}");
        }
    }
}
