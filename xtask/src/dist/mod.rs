//! `cargo xtask dist`: packages of warrantd for Debian and its relatives, and for those of Red Hat.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use crate::cache;
use crate::setup;
use crate::shell::{built, cargo, run, say};

/// The profile of builds that are made quickly.
pub(crate) const QUICK: &str = "dev";

/// What to package, and where to.
#[derive(Debug, Args)]
pub(crate) struct Dist {
    /// Package an unoptimised build, which is made more quickly
    #[arg(long)]
    debug: bool,
    /// Make an .rpm, too
    #[arg(long)]
    rpm: bool,
    /// Directory of the packages [default: dist in cargo's target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Dist {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let profile = if self.debug { QUICK } else { "release" };
        say(&format!("building warrantd ({profile})"));
        let program = build(profile)?;
        let place = program.parent().context("a program lies in a directory")?;
        let out = match self.out {
            Some(out) => std::path::absolute(out)?,
            None => place.parent().context("and that in another")?.join("dist"),
        };
        fs::create_dir_all(&out).with_context(|| format!("{}", out.display()))?;
        say(&format!("made {}", deb(&program, profile, &out)?.display()));
        if self.rpm {
            say(&format!("made {}", rpm(place, profile, &out)?.display()));
        }
        Ok(())
    }
}

/// Builds the program, and beside it the one that makes pages.
pub(crate) fn build(profile: &str) -> anyhow::Result<PathBuf> {
    let mut arguments = vec!["build", "--quiet", "--profile", profile];
    for name in ["warrantd", "warrantd-pages"] {
        arguments.extend(["--package", name, "--bin", name]);
    }
    Ok(PathBuf::from(built(&arguments, "warrantd")?))
}

/// Makes manual pages and shell completions below `dir`, with the program that lies beside warrantd.
pub(crate) fn pages(program: &Path, dir: &Path) -> anyhow::Result<()> {
    run(Command::new(program.with_file_name("warrantd-pages")).arg(dir))
}

/// The same beside the program, with the manual pages as they are installed.
fn compressed_pages(program: &Path) -> anyhow::Result<()> {
    let dir = program.with_file_name("dist");
    pages(program, &dir)?;
    let mut gzip = Command::new("gzip");
    gzip.args(["-9", "--no-name"]);
    for entry in fs::read_dir(dir.join("man"))? {
        gzip.arg(entry?.path());
    }
    run(&mut gzip)
}

/// Makes the Debian package of a program that was built with this profile.
pub(crate) fn deb(program: &Path, profile: &str, out: &Path) -> anyhow::Result<PathBuf> {
    setup::cargo_deb()?;
    compressed_pages(program)?;
    let mut make = cargo(&["deb", "--quiet", "--package", "warrantd", "--no-build", "--profile"]);
    run(cache::on_path(make.arg(profile).arg("--output").arg(out)))?;
    newest(out, "deb")
}

fn rpm(place: &Path, profile: &str, out: &Path) -> anyhow::Result<PathBuf> {
    setup::cargo_generate_rpm()?;
    let target = place.parent().context("a profile's directory lies in another")?;
    let mut make = cargo(&["generate-rpm", "--package", "agent", "--profile", profile]);
    make.arg("--target-dir").arg(target).arg("--output").arg(out);
    run(cache::on_path(&mut make))?;
    newest(out, "rpm")
}

/// The file with this extension that was made last.
fn newest(dir: &Path, extension: &str) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|own| own == extension) {
            found.push((path.metadata()?.modified()?, path));
        }
    }
    match found.into_iter().max() {
        Some((_, path)) => Ok(path),
        None => bail!("no .{extension} was made in {}", dir.display()),
    }
}
