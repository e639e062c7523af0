//! What users copy must work: everything that the documents show is tried, and what can be made from the types is.
#![forbid(unsafe_code)]

mod cited;
mod examples;
mod links;
mod markdown;
mod reasons;
pub mod reference;
mod runnable;
mod shown;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::{Completion, Trial};
use serde_json::Value;
use warrantd_tests::harness::test;
use warrantd_tests::places;

use self::markdown::Document;
use self::shown::Programs;

/// Documents outside of `docs`.
const DOCUMENTS: [&str; 5] =
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/kernel-matrix.md"];

/// The tests of all documents.
pub fn tests() -> anyhow::Result<Vec<Trial>> {
    let mut tests = vec![
        test("documents::pages_of_reference_say_what_the_types_say", &[], || {
            reference::check(&reference::made()?)
        }),
        test("documents::examples_are_what_they_are_shown_as", &[], valid),
        test("documents::commands_are_those_of_the_programs", &[], || {
            none(&shown::wrong(&documents()?, &Programs::new()?))
        }),
        test("documents::links_lead_somewhere", &[], || none(&links::wrong(&documents()?))),
        test("documents::every_error_is_explained", &[], || none(&reasons::wrong()?)),
        test("documents::tests_that_are_named_are_there", &[], || {
            none(&cited::wrong(&documents()?))
        }),
    ];
    for document in documents()?.into_iter().filter(runnable::has_some) {
        let name = format!("documents::examples_do_what_is_said::{}", document.path.display());
        tests.push(Trial::ignorable_test(name, move || {
            let ran = runnable::run(&document).map_err(|error| format!("{error:#}"))?;
            none(&ran.wrong).map_err(|error| format!("{error:#}"))?;
            Ok(match ran.skipped {
                0 => Completion::Completed,
                skipped => Completion::ignored_with(format!("{skipped} of its examples need root")),
            })
        }));
    }
    Ok(tests)
}

fn valid() -> anyhow::Result<()> {
    let documents = documents()?;
    let record = fs::read_to_string(root().join("policies/schema/record.schema.json"))?;
    let record: Value = serde_json::from_str(&record)?;
    none(&examples::wrong(&documents, &record)?)?;
    whole_policies(&documents)
}

/// All documents, in the order of their paths.
fn documents() -> anyhow::Result<Vec<Document>> {
    let mut paths: Vec<_> = DOCUMENTS.iter().map(PathBuf::from).collect();
    for dir in ["docs", "docs/reference"] {
        let mut pages = Vec::new();
        for entry in fs::read_dir(root().join(dir)).with_context(|| dir.to_owned())? {
            pages.push(Path::new(dir).join(entry?.file_name()));
        }
        pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
        pages.sort();
        paths.extend(pages);
    }
    paths.iter().map(|path| Document::read(path)).collect()
}

/// Checks every example that is a whole policy with the program.
fn whole_policies(documents: &[Document]) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("a temporary directory")?;
    let mut examples = Vec::new();
    for document in documents {
        for block in document.blocks.iter().filter(|block| block.is_policy()) {
            let name = document.at(block.line).replace(['/', ':'], "-");
            let file = scratch.path().join(format!("{name}.yaml"));
            fs::write(&file, &block.text)?;
            examples.push(file);
        }
    }
    ensure!(!examples.is_empty(), "there are none");
    let output = Command::new(places::program("warrantd")?).arg("check").args(examples).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(())
}

/// Fails with all that is wrong, if there is something.
fn none(wrong: &[String]) -> anyhow::Result<()> {
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // As cargo says it, because the checkout may have been moved since this was compiled.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.ancestors().nth(2).map_or(own.clone(), Path::to_owned)
}
