//! A test that a document names is there: in the file that the link leads to.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::links::beside;
use crate::markdown::Document;
use crate::root;

/// The document whose claims each name the test that shows them.
pub(crate) const THREATS: &str = "docs/threat-model.md";

/// Says which links to tests name one that their file does not have. Such a link is to a file of Rust,
/// with the test's name as its text: `module::what_it_shows`, or `what_it_shows` of a unit test.
pub(crate) fn wrong(documents: &[Document]) -> Vec<String> {
    let mut wrong = Vec::new();
    for document in documents {
        let mut cited = 0;
        for link in &document.links {
            let path = link.target.split('#').next().unwrap_or_default();
            let is_name = link.text.contains('_') && !link.text.contains(['/', ' ', '.']);
            if Path::new(path).extension() != Some(OsStr::new("rs")) || !is_name {
                continue;
            }
            cited += 1;
            let path = beside(&document.path, path);
            let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
            if !has_test(&text, &link.text) {
                let place = document.at(link.line);
                wrong.push(format!("{place}: {} has no test `{}`", path.display(), link.text));
            }
        }
        if document.path.ends_with(THREATS) && cited < 20 {
            wrong.push(format!(
                "{THREATS} names {cited} tests: claims need the tests that show them"
            ));
        }
    }
    wrong
}

/// Whether a file of tests has one of this name: of an end-to-end or kernel test the whole name in quotes, of
/// a unit test its function.
fn has_test(text: &str, name: &str) -> bool {
    if text.contains(&format!("\"{name}\"")) {
        return true;
    }
    let last = name.rsplit("::").next().unwrap_or(name);
    let function = format!("fn {last}(");
    let mut lines = text.lines().collect::<Vec<_>>().into_iter().rev();
    while let Some(line) = lines.next() {
        if !line.trim_start().starts_with(&function) {
            continue;
        }
        let before = lines.find(|line| !line.trim_start().starts_with("//"));
        return before.is_some_and(|line| line.trim_start().starts_with("#["))
            || text.contains("proptest!");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_a_name_in_quotes_or_a_function_with_an_attribute() {
        let text = "test(\"a::b_c\", ALL, b_c)\n#[test]\nfn d_e() {}\nfn f_g() {}\n";
        assert!(has_test(text, "a::b_c") && has_test(text, "d_e"));
        assert!(!has_test(text, "f_g") && !has_test(text, "a::b_d"));
    }
}
