//! What others wrote, for a terminal: names of tools, actors, programs and files are theirs to choose.

/// A text without anything that a terminal would act on, or that a person would not see.
pub(super) fn safe(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let shown = !c.is_control() && !is_invisible(c);
            if shown { vec![c] } else { c.escape_default().collect() }
        })
        .collect()
}

/// The same, cut after so many characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let safe = safe(text);
    match safe.char_indices().nth(most) {
        // The mark takes the place of the last one.
        Some(_) => safe.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => safe,
    }
}

/// Characters that turn the direction of a text, or that take no room.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        let hostile = "a\u{1b}[2J\r\n\u{202e}b\u{9b}31m\u{7f}\u{e0041}";
        assert_eq!(safe(hostile), "a\\u{1b}[2J\\r\\n\\u{202e}b\\u{9b}31m\\u{7f}\\u{e0041}");
        assert_eq!(safe("Grüße, 世界 🔏"), "Grüße, 世界 🔏");
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(short("abcdef", 6), "abcdef");
        assert_eq!(short("abcdefg", 6), "abcde…");
        assert_eq!(short("\u{1b}abcdefg", 8), "\\u{1b}a…");
    }
}
