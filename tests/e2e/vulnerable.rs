//! Servers in versions with known holes. Each hole is first shown to be one: alone, the server gives what it
//! must not. Then policy denies the call; and where policy's own check is switched off, the verdict is
//! EXCEEDED and no byte gets out.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::scratch::text;

use crate::rig::{DENIED, NOTE, Rig, SECRET, WITHHELD, expect_error};
use crate::stage::{NOBODY, seen};

/// Policy looks at paths.
const CHECKED: &str = "
actors:
  - {id: tester, allowed_tools: [read_file]}
constraints:
  read_file: {allowed_paths: ['public/**']}
";

/// Policy looks at nothing; the warrant is what it is.
const UNCHECKED: &str = "
actors:
  - {id: tester, allowed_tools: [read_file]}
effects:
  tools:
    read_file: {read: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const FILES: &[Need] = &[Need::Kernel, Need::VulnerableFilesystemServer];
    const GIT: &[Need] = &[Need::Kernel, Need::VulnerableGitServer, Need::Program("git")];
    vec![
        test("vulnerable::filesystem_prefix_confusion_cve_2025_53110", FILES, || {
            filesystem(|rig| {
                // A sibling whose name begins as that of the directory that is served.
                rig.scratch.file("root/public_not/secret.txt", SECRET)
            })
        }),
        test("vulnerable::filesystem_symlink_escape_cve_2025_53109", FILES, || {
            filesystem(|rig| {
                let link = rig.root.join("public/innocent.txt");
                symlink("../secret.txt", &link)?;
                Ok(link)
            })
        }),
        test("vulnerable::git_other_repository_cve_2025_68145", GIT, other_repository),
        test("vulnerable::git_option_in_an_argument_cve_2025_68144", GIT, option),
        test("vulnerable::git_init_anywhere_cve_2025_68143", GIT, init),
    ]
}

/// A hole of the filesystem server, which serves `public`: it gives the file at this path.
fn filesystem(hole: fn(&Rig) -> anyhow::Result<PathBuf>) -> anyhow::Result<()> {
    let server = |rig: &Rig| -> anyhow::Result<Vec<PathBuf>> {
        let mut server = places::vulnerable_filesystem_server().map_err(anyhow::Error::msg)?;
        server.push(rig.root.join("public"));
        Ok(server)
    };
    for (policy, code) in [(CHECKED, DENIED), (UNCHECKED, WITHHELD)] {
        let rig = Rig::new(policy)?;
        let path = hole(&rig)?;
        let server = server(&rig)?;
        let attack = json!({"path": path});

        let mut alone = Client::connect(alone(&rig, &server))?;
        let given = alone.call("read_file", &attack)?;
        ensure!(given.text()? == SECRET, "the hole is none: {}", given.line);

        let mut client = Client::connect(rig.run(&server)?)?;
        let reply = client.call("read_file", &attack)?;
        expect_error(&reply, code)?;
        // The twin: what may be read is.
        let honest =
            client.call("read_file", &json!({"path": rig.root.join("public/note.txt")}))?;
        ensure!(honest.text()? == NOTE, "{}", honest.line);
        ensure!(!client.received().contains(SECRET), "the secret got out");
        client.finish()?;
        let record = rig.record_of(&reply)?;
        if code == WITHHELD {
            ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
            let real = text(&path.canonicalize()?);
            let found: Vec<_> = record.exceeded().iter().map(seen).collect();
            ensure!(found.contains(&("file_read".to_owned(), real)), "{record:#?}");
        } else {
            ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
        }
    }
    Ok(())
}

/// The server without warrantd.
fn alone<S: AsRef<std::ffi::OsStr>>(rig: &Rig, server: &[S]) -> Command {
    let mut command = Command::new(server.first().map_or("".as_ref(), AsRef::as_ref));
    command.args(server.iter().skip(1)).current_dir(&rig.root);
    command
}

/// Tools of the git server work on `repo`. `{constraints}` are what policy checks.
const GIT_POLICY: &str = r#"
actors:
  - {id: tester, allowed_tools: [git_log, git_diff, git_init]}
constraints: {constraints}
effects:
  ambient:
    read: ["/usr/share/git-core/**", /etc/gitconfig, "/usr/share/templates/**"]
  tools:
    git_log: &look
      read: ["repo/**", "."]
      exec: ["**/bin/git", "/usr/lib/git-core/**", "/usr/libexec/git-core/**"]
    git_diff: *look
    git_init: *look
"#;

const GIT_CHECKS: &str = r"
  git_log: &repository
    path_arguments: [repo_path]
    allowed_paths: [repo, 'repo/**']
  git_init: *repository
  git_diff:
    path_arguments: [repo_path]
    allowed_paths: [repo, 'repo/**']
    # What begins with a dash is an option.
    schema: {properties: {target: {type: string, pattern: '^[A-Za-z0-9]'}}}
";

/// A rig with a repository `repo`, and one named `other` whose only message is the secret.
fn git_rig(constraints: &str) -> anyhow::Result<(Rig, Vec<PathBuf>)> {
    let mut rig = Rig::new(&GIT_POLICY.replace("{constraints}", constraints))?;
    for (name, message) in [("repo", "the first note"), ("other", SECRET)] {
        let dir = rig.scratch.writable_directory(&format!("root/{name}"))?;
        rig.scratch.file(&format!("root/{name}/a.txt"), "a\n")?;
        let git = |words: &[&str]| -> anyhow::Result<()> {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=A", "-c", "user.email=a@example.com"]).args(words);
            let done = git.current_dir(&dir).env("HOME", &rig.root).output().context("git")?;
            ensure!(done.status.success(), "{git:?}: {}", String::from_utf8_lossy(&done.stderr));
            Ok(())
        };
        git(&["init", "-q"])?;
        git(&["add", "a.txt"])?;
        git(&["commit", "-q", "-m", message])?;
        own(&dir)?;
    }
    rig.env.push("GIT_CONFIG_NOSYSTEM=1".to_owned());
    rig.env.push(format!("PATH={}", std::env::var("PATH").unwrap_or_default()));
    let server = places::vulnerable_git_server().map_err(anyhow::Error::msg)?;
    let server = vec![server, "--repository".into(), rig.root.join("repo")];
    Ok((rig, server))
}

/// Gives a directory and what is in it to the user that servers run as: git trusts no other's.
fn own(dir: &Path) -> anyhow::Result<()> {
    chown(dir, Some(NOBODY), Some(NOBODY))?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { own(&path)? } else { chown(&path, Some(NOBODY), Some(NOBODY))? }
    }
    Ok(())
}

/// An attack on the git server: alone it works, which `worked` sees; policy denies it; without policy's
/// check its effects are these.
fn git(
    tool: &str,
    arguments: fn(&Rig) -> Value,
    worked: fn(&Rig, &str) -> bool,
    effect: fn(&Rig, &(String, String)) -> bool,
) -> anyhow::Result<()> {
    let (rig, server) = git_rig(GIT_CHECKS)?;
    let mut client = Client::connect(as_nobody(&rig, &server))?;
    let reply = client.call(tool, &arguments(&rig))?;
    ensure!(worked(&rig, reply.text()?), "the hole is none: {}", reply.line);

    for (constraints, code) in [(GIT_CHECKS, DENIED), ("{}", WITHHELD)] {
        let (rig, server) = git_rig(constraints)?;
        let mut client = Client::connect(rig.run(&server)?)?;
        let honest = client.call("git_log", &json!({"repo_path": rig.root.join("repo")}))?;
        ensure!(honest.text().is_ok_and(|t| t.contains("the first note")), "{}", honest.line);
        let reply = client.call(tool, &arguments(&rig))?;
        // A schema that does not fit is told to the model as a result, so that it corrects itself.
        let corrected = reply.result().is_ok_and(|result| result["isError"] == json!(true));
        if code == WITHHELD || !corrected {
            expect_error(&reply, code)?;
        }
        ensure!(!client.received().contains(SECRET), "the secret got out");
        client.finish()?;
        let records = warrantd_tests::records::calls(&rig.audit)?;
        let [honest, record] = records.as_slice() else { anyhow::bail!("{records:#?}") };
        ensure!(honest.verdict() == "WITHIN", "{honest:#?}");
        if code == WITHHELD {
            ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
            let found = record.exceeded().iter().map(seen).any(|seen| effect(&rig, &seen));
            ensure!(found, "{record:#?}");
        } else {
            ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
            ensure!(!worked(&rig, &reply.line), "it happened: {}", reply.line);
        }
    }
    Ok(())
}

/// The git server without warrantd, as the user that it has behind warrantd.
fn as_nobody(rig: &Rig, server: &[PathBuf]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).args(server);
    command.current_dir(&rig.root).env("HOME", &rig.root).env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

fn other_repository() -> anyhow::Result<()> {
    git(
        "git_log",
        |rig| json!({"repo_path": rig.root.join("other")}),
        |_, answer| answer.contains(SECRET),
        |rig, (kind, path)| kind == "file_read" && path.starts_with(&text(&rig.root.join("other"))),
    )
}

fn option() -> anyhow::Result<()> {
    git(
        "git_diff",
        |rig| {
            let option = format!("--output={}", rig.root.join("out/planted").display());
            json!({"repo_path": rig.root.join("repo"), "target": option})
        },
        |rig, _| rig.root.join("out/planted").exists(),
        |rig, (kind, path)| kind == "file_create" && *path == text(&rig.root.join("out/planted")),
    )
}

fn init() -> anyhow::Result<()> {
    git(
        "git_init",
        |rig| json!({"repo_path": rig.root.join("out")}),
        |rig, _| rig.root.join("out/.git/HEAD").exists(),
        |rig, (kind, path)| kind == "file_create" && path.starts_with(&text(&rig.root.join("out"))),
    )
}
