//! The document that shows what the kernel layer costs: a text about the method, then a part for each kernel.

use std::fs;

use anyhow::Context;

use crate::shell::{root, say};

/// The document, from the root of the repository.
const PATH: &str = "docs/kernel-cost.md";
/// Begins the part of a kernel.
pub(super) const BEGINNING: &str = "## Linux ";

/// Puts parts into the document, each in place of an older one of the same kernel.
pub(super) fn update(parts: &[String]) -> anyhow::Result<()> {
    let path = root().join(PATH);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let after = merged(&before, parts);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(&path, after).with_context(|| PATH.to_owned())?;
    say(&format!("written: {PATH}"));
    Ok(())
}

fn merged(before: &str, parts: &[String]) -> String {
    let mut kept = split(before);
    for part in parts {
        let fresh = part.trim_end().to_owned() + "\n";
        match kept.iter_mut().find(|old| title(old) == title(&fresh)) {
            Some(old) => *old = fresh,
            None => kept.push(fresh),
        }
    }
    let mut text = include_str!("method.md").to_owned();
    for part in kept {
        text.push('\n');
        text.push_str(&part);
    }
    text
}

/// The parts of a document.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::<String>::new();
    for line in text.lines() {
        if line.starts_with(BEGINNING) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts.iter().map(|part| part.trim_end().to_owned() + "\n").collect()
}

fn title(part: &str) -> Option<&str> {
    part.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_has_one_part_and_the_others_stay() {
        let first = merged("", &["## Linux 1\n\nold\n".into(), "## Linux 2\n\ntwo\n".into()]);
        let second = merged(&first, &["## Linux 1\n\nnew\n".into(), "## Linux 3\n\nthree".into()]);
        assert!(second.starts_with("# "));
        assert!(
            second.ends_with("\n## Linux 1\n\nnew\n\n## Linux 2\n\ntwo\n\n## Linux 3\n\nthree\n")
        );
        assert_eq!(merged(&second, &[]), second);
    }
}
