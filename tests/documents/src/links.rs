//! Links lead somewhere, and every page can be found.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::markdown::Document;
use crate::root;

/// Where pages are listed.
const INDEX: &str = "docs/README.md";

/// Says which links lead nowhere, and which pages the index does not name.
pub(crate) fn wrong(documents: &[Document]) -> Vec<String> {
    let anchors: BTreeMap<&Path, &[String]> =
        documents.iter().map(|document| (document.path.as_path(), &document.anchors[..])).collect();
    let mut wrong = Vec::new();
    let mut listed = Vec::new();
    for document in documents {
        for link in &document.links {
            let target = &link.target;
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = beside(&document.path, path);
            let place = document.at(link.line);
            if !root().join(&path).exists() {
                wrong.push(format!("{place}: `{target}` is not there"));
            } else if let Some(anchors) = anchors.get(path.as_path())
                && !anchor.is_empty()
                && !anchors.iter().any(|known| known == anchor)
            {
                wrong.push(format!("{place}: `{target}`: there is no such heading"));
            }
            if document.path == Path::new(INDEX) {
                listed.push(path);
            }
        }
    }
    for document in documents {
        let page = document.path.starts_with("docs") && document.path != Path::new(INDEX);
        if page && !listed.contains(&document.path) {
            wrong.push(format!("{INDEX} does not name {}", document.path.display()));
        }
    }
    wrong
}

/// A path that a document names, from the root of the repository on.
pub(crate) fn beside(document: &Path, path: &str) -> PathBuf {
    if path.is_empty() {
        return document.to_owned();
    }
    let mut found = document.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            Component::Normal(name) => found.push(name),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "# A\n[a](#a) [b](#b) [c](../Cargo.toml) [d](d.md) [e](https://example.com/x)";
        let index = Document::parse(Path::new(INDEX), text);
        let page = Document::parse(Path::new("docs/page.md"), "");
        let wrong = wrong(&[index, page]);
        assert_eq!(
            wrong,
            [
                "docs/README.md:2: `#b`: there is no such heading",
                "docs/README.md:2: `d.md` is not there",
                "docs/README.md does not name docs/page.md",
            ]
        );
    }

    #[test]
    fn paths_are_those_of_the_repository() {
        assert_eq!(beside(Path::new("docs/a.md"), "../tests/b.rs"), Path::new("tests/b.rs"));
        assert_eq!(beside(Path::new("README.md"), "docs/a.md"), Path::new("docs/a.md"));
    }
}
