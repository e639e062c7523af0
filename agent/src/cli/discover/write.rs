//! Writing a plan.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::Failure;
use crate::discover::{Plan, files};
use crate::serve::load;

/// Writes the files of a plan into a directory that must not exist yet, for root's eyes only: environments
/// have secrets. What was written is checked as `warrantd check` does it. Gives what there is to say.
pub(super) fn all(dir: &Path, plan: &Plan) -> Result<Vec<String>, Failure> {
    let left = plan.left_out.iter().map(|left| {
        let name = left.found.entry.name.escape_debug();
        format!(
            "left out: `{name}` of {}: {}",
            left.found.file.escape_debug(),
            left.why.escape_debug()
        )
    });
    let mut said: Vec<_> = std::iter::once(String::new()).chain(left).collect();
    if plan.servers.is_empty() {
        said.push("nothing is written: there is no server that warrantd could run".to_owned());
        return Ok(said);
    }
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Other(format!("cannot write {}: {error}; nothing is overwritten", path.display()))
    };
    let directory = |path: &Path| {
        DirBuilder::new().mode(0o700).create(path).map_err(|error| failed(path, error))
    };
    directory(dir)?;
    directory(&dir.join("policies"))?;
    for file in files(plan) {
        let path = dir.join(&file.path);
        let mut options = OpenOptions::new();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&path, error))?;
        out.write_all(file.text.as_bytes()).map_err(|error| failed(&path, error))?;
    }
    let config = dir.join("warrantd.yaml");
    load(&config)?;
    let reviews: usize = plan.servers.iter().map(|server| server.review.len()).sum();
    said.push(format!(
        "written: {} servers in {}, which `warrantd check` finds valid; {reviews} lines marked REVIEW",
        plan.servers.len(),
        config.display()
    ));
    said.push(format!(
        "next: read it; `warrantd serve --config {}`; then change the clients as {} says",
        config.display(),
        dir.join("clients.md").display()
    ));
    Ok(said)
}
