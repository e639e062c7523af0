//! The findings for people.

use std::path::Path;

use crate::cli::plain::safe;
use crate::cli::words::count;
use crate::doctor::{Family, Finding, Level};

/// Characters of a line, at most.
const WIDTH: usize = 100;
/// Where texts begin.
const INDENT: usize = 11;

/// Everything that was found.
pub(super) fn all(families: &[Family]) -> impl Iterator<Item = &Finding> {
    families.iter().flat_map(|family| &family.findings)
}

/// A paragraph for each family, and the sum at the end. What is quoted from files is escaped.
pub(super) fn lines(config: Option<&Path>, families: &[Family], quiet: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for family in families {
        let shown = family.findings.iter().filter(|it| !quiet || it.level != Level::Ok);
        let mut shown = shown.peekable();
        if shown.peek().is_some() {
            lines.push(family.name.to_owned());
            lines.extend(shown.flat_map(finding));
            lines.push(String::new());
        }
    }
    if config.is_none() {
        lines.push(
            "No configuration was looked at: there is none in /etc/warrantd, and none was named."
                .into(),
        );
    }
    let number = |level| all(families).filter(|it| it.level == level).count() as u64;
    lines.push(format!(
        "{}, {}, {} fine",
        count(number(Level::Finding), "finding"),
        count(number(Level::Note), "note"),
        number(Level::Ok)
    ));
    lines
}

fn finding(finding: &Finding) -> Vec<String> {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Note => "note",
        Level::Finding => "FINDING",
    };
    let mut lines = paragraph(level, &finding.what);
    if finding.level == Level::Ok {
        return lines;
    }
    if let Some(place) = &finding.place {
        lines.extend(paragraph("", &format!("at {place}")));
    }
    if let Some(todo) = &finding.todo {
        lines.extend(paragraph("", &format!("→ {todo}")));
    }
    lines
}

/// A text beside a word, broken between its own words.
fn paragraph(name: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in safe(&text.replace('\n', " ")).split(' ').filter(|word| !word.is_empty()) {
        let length = line.chars().count();
        if length > 0 && INDENT + length + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    let begin = |index| if index == 0 { format!("  {name:<8} ") } else { " ".repeat(INDENT) };
    lines.iter().enumerate().map(|(index, line)| format!("{}{line}", begin(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family> {
        let finding = |level, what: &str| Finding {
            level,
            what: what.into(),
            place: Some("/etc/warrantd/warrantd.yaml:7 (listen[0].actor)".into()),
            todo: Some("give the actor `api_keys` and remove `actor` from the listener".into()),
        };
        vec![
            Family {
                name: "authentication",
                findings: vec![
                    finding(Level::Ok, "server `files` asks for an API key: ada"),
                    finding(
                        Level::Finding,
                        "everybody who reaches 192.0.2.1:80 is actor `a\u{1b}[31mb`, and with that may do all \
                         that policy lets that actor do",
                    ),
                ],
            },
            Family { name: "keys", findings: vec![finding(Level::Ok, "fine")] },
        ]
    }

    #[test]
    fn findings_read_well() {
        let config = Some(Path::new("/etc/warrantd/warrantd.yaml"));
        let expected = r"authentication
  ok       server `files` asks for an API key: ada
  FINDING  everybody who reaches 192.0.2.1:80 is actor `a\u{1b}[31mb`, and with that may do all that
           policy lets that actor do
           at /etc/warrantd/warrantd.yaml:7 (listen[0].actor)
           → give the actor `api_keys` and remove `actor` from the listener

keys
  ok       fine

1 finding, no note, 2 fine";
        assert_eq!(lines(config, &families(), false).join("\n"), expected);
        let quiet = lines(config, &families(), true).join("\n");
        assert!(!quiet.contains("  ok ") && !quiet.contains("keys\n"), "{quiet}");
    }

    #[test]
    fn a_missing_configuration_is_told() {
        let text = lines(None, &families(), false).join("\n");
        assert!(text.contains("No configuration was looked at"), "{text}");
    }
}
