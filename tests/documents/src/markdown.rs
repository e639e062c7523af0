//! What stands in a Markdown document: blocks, headings, links and code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::root;

/// A document, and what is checked of it.
pub(crate) struct Document {
    /// From the root of the repository on.
    pub(crate) path: PathBuf,
    pub(crate) blocks: Vec<Block>,
    /// What its headings can be linked to by.
    pub(crate) anchors: Vec<String>,
    pub(crate) links: Vec<Link>,
    /// Code within sentences, with its line.
    pub(crate) spans: Vec<(usize, String)>,
}

/// A fenced block.
///
/// Its first word is the language. What follows says what is done with it beside what is always done:
/// `yaml config` is a part of the daemon's file, `yaml cases` are policy tests, `file=NAME` writes the block
/// into the page's scratch directory, `sh run` runs it there (`root`: as root alone; `exit=N`: with that
/// code), `text output` is what the block before it must have printed, and `json record` is a record of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) words: Vec<String>,
    pub(crate) text: String,
}

/// A link, and the text that it is shown as.
#[derive(Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) line: usize,
    pub(crate) target: String,
    pub(crate) text: String,
}

impl Block {
    /// Whether a word stands after the language.
    pub(crate) fn says(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// Whether it is a whole policy.
    pub(crate) fn is_policy(&self) -> bool {
        self.language == "yaml" && !self.says("config") && !self.says("cases")
    }

    /// The value of `key=value` after the language.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

impl Document {
    /// Reads a document by its path from the root of the repository on.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(root().join(path));
        let text = text.with_context(|| path.display().to_string())?;
        Ok(Self::parse(path, &text))
    }

    /// Where something stands, for messages.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Self {
        let mut document = Self {
            path: path.to_owned(),
            blocks: Vec::new(),
            anchors: Vec::new(),
            links: Vec::new(),
            spans: Vec::new(),
        };
        let (mut heading, mut seen) = (None::<String>, BTreeMap::new());
        let (mut block, mut links) = (None::<Block>, Vec::<Link>::new());
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            let line = || {
                text[..range.start].lines().count().max(1)
                    + usize::from(text[..range.start].ends_with('\n'))
            };
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let before: &mut usize = seen.entry(anchor.clone()).or_default();
                    let numbered = if *before == 0 { anchor } else { format!("{anchor}-{before}") };
                    *before += 1;
                    document.anchors.push(numbered);
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let mut words = info.split_whitespace().map(str::to_owned);
                    let language = words.next().unwrap_or_default();
                    block = Some(Block {
                        line: line(),
                        language,
                        words: words.collect(),
                        ..Block::default()
                    });
                }
                Event::End(TagEnd::CodeBlock) => document.blocks.extend(block.take()),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(Link {
                        line: line(),
                        target: dest_url.to_string(),
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::Link | TagEnd::Image) => document.links.extend(links.pop()),
                Event::Text(more) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&more);
                    }
                    if let Some(heading) = &mut heading {
                        heading.push_str(&more);
                    }
                    for link in &mut links {
                        link.text.push_str(&more);
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    for link in &mut links {
                        link.text.push_str(&code);
                    }
                    document.spans.push((line(), code.to_string()));
                }
                _ => {}
            }
        }
        document
    }
}

/// What forges make of a heading: letters, digits, `-` and `_`, in lower case, with `-` for spaces.
fn anchor(heading: &str) -> String {
    let kept =
        heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# One `two`: three\n\nSee [`a` b](c.md#d) and `e f`.\n\n```yaml config file=x.yaml
a: 1
```

## Same

## Same
";

    #[test]
    fn everything_is_found_with_its_line() {
        let document = Document::parse(Path::new("x.md"), TEXT);
        assert_eq!(document.anchors, ["one-two-three", "same", "same-1"]);
        let link = Link { line: 3, target: "c.md#d".to_owned(), text: "a b".to_owned() };
        assert_eq!(document.links, [link]);
        let spans = [(1, "two".to_owned()), (3, "a".to_owned()), (3, "e f".to_owned())];
        assert_eq!(document.spans, spans);
        let [block] = &document.blocks[..] else { panic!("one block") };
        assert_eq!(
            (block.line, block.language.as_str(), block.text.as_str()),
            (5, "yaml", "a: 1\n")
        );
        assert!(block.says("config") && !block.says("run"));
        assert_eq!((block.value("file"), block.value("exit")), (Some("x.yaml"), None));
    }
}
