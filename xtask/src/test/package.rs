//! What is installed: the package has what it should, its unit is confined, and every subcommand has a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use warrantd_tests::places;

use super::tally::Tally;
use crate::dist;
use crate::shell::{output, root, run, succeeds};

/// What the package must contain: mode, owner and path of each file.
const CONTENTS: &str = "packaging/debian/contents.txt";
/// What `systemd-analyze security` may find at most, in tenths.
const EXPOSURE: &str = "--threshold=30";
const SHELLS: [&str; 3] = ["warrantd.bash", "_warrantd", "warrantd.fish"];

/// Makes the package and looks at it.
pub(super) fn check(tally: &mut Tally) -> anyhow::Result<()> {
    let place = tempfile::tempdir().context("a temporary directory")?;
    let place = place.path();
    tally.step("every subcommand has a manual page and completions", || pages(place));
    tally.step("the maintainer scripts are sound", scripts);
    if !succeeds(Command::new("dpkg-deb").arg("--version")) {
        tally.skipped("the package: needs dpkg-deb".to_owned());
        return Ok(());
    }
    let installed = place.join("installed");
    tally.step("the package has what it should", || {
        let package = dist::deb(&places::program("warrantd")?, dist::QUICK, place)?;
        run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&installed))?;
        contents(&package)
    });
    tally.step("the packaged configuration is valid, and so is the example in it", || {
        configuration(&installed)
    });
    if output(Command::new("systemd-analyze").arg("--version")).is_none() {
        tally.skipped("the unit: needs systemd-analyze".to_owned());
        return Ok(());
    }
    tally.step("the unit is valid, and confined as far as eBPF allows", || unit(&installed));
    Ok(())
}

/// Each subcommand that `--help` names must be in what was made from the command line.
fn pages(place: &Path) -> anyhow::Result<()> {
    let made = place.join("pages");
    dist::pages(&places::program("warrantd")?, &made)?;
    let completions: Vec<String> = SHELLS
        .iter()
        .map(|name| fs::read_to_string(made.join("completions").join(name)).context(*name))
        .collect::<Result<_, _>>()?;
    let mut commands = vec![Vec::new()];
    let mut seen = 0;
    while let Some(command) = commands.pop() {
        let name = std::iter::once("warrantd".to_owned()).chain(command.clone());
        let name = name.collect::<Vec<_>>().join("-");
        let page = made.join("man").join(format!("{name}.1"));
        let text = fs::read_to_string(&page).with_context(|| format!("{name} has no page"))?;
        for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            ensure!(text.contains(section), "{name}: the page has no {section}");
        }
        renders(&page)?;
        for (shell, text) in SHELLS.iter().zip(&completions) {
            let last = command.last().map_or("warrantd", String::as_str);
            ensure!(text.contains(last), "{shell} does not know {name}");
        }
        let help = output(Command::new(places::program("warrantd")?).args(&command).arg("--help"));
        for below in subcommands(&help.with_context(|| format!("{name} --help"))?) {
            commands.push([command.clone(), vec![below]].concat());
        }
        seen += 1;
    }
    let pages = fs::read_dir(made.join("man"))?.count();
    ensure!(seen == pages && seen > 10, "{seen} commands and {pages} pages");
    Ok(())
}

/// The names under `Commands:`.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // What a name is for may take more lines, which are further in.
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// Whether a page is free of what `man` warns of.
fn renders(page: &Path) -> anyhow::Result<()> {
    let mut man = Command::new("man");
    man.args(["--warnings", "--encoding=UTF-8", "--local-file"]).arg(page);
    let Ok(shown) = man.env("MANWIDTH", "100").env("MANROFFSEQ", "").output() else {
        return Ok(()); // There is no `man` here.
    };
    let said = String::from_utf8_lossy(&shown.stderr);
    ensure!(shown.status.success() && said.is_empty(), "{}: {said}", page.display());
    Ok(())
}

fn scripts() -> anyhow::Result<()> {
    for name in ["postinst", "prerm", "postrm"] {
        let script = root().join("packaging/debian").join(name);
        run(Command::new("sh").arg("-n").arg(&script))?;
        if succeeds(Command::new("shellcheck").arg("--version")) {
            run(Command::new("shellcheck").arg(&script))?;
        }
    }
    Ok(())
}

/// Compares the package's list with the one that is committed.
fn contents(package: &Path) -> anyhow::Result<()> {
    let list = output(Command::new("dpkg-deb").arg("--contents").arg(package));
    let list = list.context("dpkg-deb --contents")?;
    let have: BTreeSet<String> = list.lines().filter_map(entry).collect();
    let wanted = fs::read_to_string(root().join(CONTENTS)).context(CONTENTS)?;
    let wanted: BTreeSet<String> =
        wanted.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let missing: Vec<_> = wanted.difference(&have).collect();
    let more: Vec<_> = have.difference(&wanted).collect();
    ensure!(
        missing.is_empty() && more.is_empty(),
        "{CONTENTS} and the package differ. Missing: {missing:#?}. Not listed: {more:#?}"
    );
    Ok(())
}

/// Mode, owner and path of a line such as
/// `-rwxr-xr-x 0/0  17 2026-01-01 00:00 ./usr/bin/warrantd`. Directories are not listed.
fn entry(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (mode, owner) = (words.next()?, words.next()?);
    let path = words.nth(3)?.strip_prefix("./")?;
    (!mode.starts_with('d')).then(|| format!("{mode} {owner} /{path}"))
}

/// Validates the configuration as it lies beside its policies, and again with what it shows as an example.
fn configuration(installed: &Path) -> anyhow::Result<()> {
    let file = installed.join("etc/warrantd/warrantd.yaml");
    let check =
        |file: &Path| run(Command::new(places::program("warrantd")?).arg("check").arg(file));
    check(&file)?;
    let text = fs::read_to_string(&file)?;
    let example = file.with_file_name("example.yaml");
    fs::write(&example, uncommented(&text))?;
    check(&example)?;
    fs::remove_file(&example)?;
    Ok(())
}

/// The example, with programs and users that every machine has.
fn uncommented(text: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != "# servers:");
    let lines = lines.filter_map(|line| line.strip_prefix("# ").or(line.strip_prefix('#')));
    let text = lines.collect::<Vec<_>>().join("\n");
    text.replace("mcp-server-filesystem", "/bin/true").replace("root: /srv/files", "root: /")
}

fn unit(installed: &Path) -> anyhow::Result<()> {
    let units = installed.join("usr/lib/systemd/system");
    let program = places::program("warrantd")?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&units)? {
        let file = entry?.path();
        // It is not installed here.
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replace("/usr/bin/warrantd", &program.display().to_string()))?;
        files.push(file);
    }
    let mut verify = Command::new("systemd-analyze");
    run(verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(&files))?;
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager", EXPOSURE]);
    security.arg(units.join("warrantd.service"));
    let measured = security.output().context("systemd-analyze security")?;
    let text = String::from_utf8_lossy(&measured.stdout);
    println!("{}", text.lines().last().unwrap_or_default());
    ensure!(measured.status.success(), "above {EXPOSURE}:\n{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subcommands_are_found_in_help() {
        let help = "What it is\n\nUsage: a <COMMAND>\n\nCommands:\n  run    Runs\n         and more\n  \
                    audit  Reads\n  help   Print\n\nOptions:\n  -h\n";
        assert_eq!(subcommands(help), ["run", "audit"]);
        assert!(subcommands("Options:\n  -h\n").is_empty());
    }

    #[test]
    fn entries_are_files_alone() {
        let file = "-rwxr-xr-x 0/0  17 2026-01-01 00:00 ./usr/bin/warrantd";
        assert_eq!(entry(file).as_deref(), Some("-rwxr-xr-x 0/0 /usr/bin/warrantd"));
        assert_eq!(entry("drwxr-xr-x 0/0 0 2026-01-01 00:00 ./usr/"), None);
    }

    #[test]
    fn the_example_is_what_follows_the_comments() {
        let text =
            "# Words.\nservers: []\n\n# servers:\n#   - id: a\n#\n# actors:\n#   - {id: b}\n";
        assert_eq!(uncommented(text), "servers:\n  - id: a\n\nactors:\n  - {id: b}");
    }
}
