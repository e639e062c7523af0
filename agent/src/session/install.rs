//! Which files are a server's own: its program, the package it is part of, its interpreter.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A server's own files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// Files and directories that it may read at any time.
    pub(super) trees: Vec<String>,
    /// Programs that start it.
    pub(super) programs: Vec<String>,
}

/// Finds the files of the server that `argv` starts. `program` is where argv\[0\] was found and
/// `path` the server's `PATH`.
pub(super) fn find(program: &Path, argv: &[String], path: &str) -> Install {
    let mut trees = BTreeSet::new();
    let mut programs = BTreeSet::new();
    let mut chain = vec![program.to_owned()];
    // A script is run by the program of its first line, which may be a script again.
    for _ in 0..4 {
        let Some(file) = chain.last() else { break };
        let Some(next) = interpreter(file, path) else { break };
        if let [env, runtime] = next.as_slice() {
            programs.insert(real(env));
            chain.push(runtime.clone());
        } else {
            chain.extend(next);
        }
    }
    for file in &chain {
        programs.insert(real(file));
        trees.extend(trees_of(file));
    }
    // `node server.js`, `python3 server.py`: the script is part of the server, too.
    // For any other program a file argument is what it works on, not a part of it.
    let script = argv.iter().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(script) = script.map(Path::new)
        && is_runtime(program)
        && script.is_absolute()
        && script.is_file()
    {
        trees.extend(trees_of(script));
    }
    let text = |paths: BTreeSet<PathBuf>| {
        paths.into_iter().filter_map(|path| path.to_str().map(str::to_owned)).collect()
    };
    Install { trees: text(trees), programs: text(programs) }
}

/// Finds a program as execvp(3) does.
pub(super) fn which(name: &str, path: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| file.is_file());
    }
    path.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file())
}

fn real(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

/// The files and directories that belong to a program file.
fn trees_of(file: &Path) -> Vec<PathBuf> {
    let real = real(file);
    let mut trees = vec![real.clone()];
    // An npm package and what it depends on lie below one `node_modules`.
    let outermost = real.ancestors().filter(|dir| dir.ends_with("node_modules")).last();
    if let Some(modules) = outermost {
        trees.push(modules.to_owned());
    } else if is_script(&real) {
        trees.extend(marked(&real, "package.json"));
    }
    // A Python virtual environment, by the path as called: its interpreter is a link.
    trees.extend(marked(file, "pyvenv.cfg"));
    // A runtime installed by itself has its libraries beside its `bin`.
    if let Some(bin) = real.parent().filter(|dir| dir.ends_with("bin"))
        && let Some(prefix) = bin.parent().filter(|prefix| prefix.components().count() > 2)
    {
        trees.push(prefix.join("lib"));
    }
    trees
}

/// Whether a program runs scripts that are named on its command line.
fn is_runtime(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["node", "nodejs", "python", "pypy", "deno", "bun", "ruby", "perl", "php", "sh", "bash", "java"]
        .contains(&name)
}

/// The nearest directory above `file` that has `marker`, unless it is one that holds more than one
/// program's files: the root, a directory of it, or one that everybody can write to.
fn marked(file: &Path, marker: &str) -> Option<PathBuf> {
    let dir = file.ancestors().skip(1).find(|dir| dir.join(marker).is_file())?;
    let own = dir.components().count() > 2
        && std::fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 == 0);
    own.then(|| dir.to_owned())
}

/// Whether a program is a text for an interpreter, not one for the processor.
fn is_script(file: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic != *b"\x7fELF"
}

/// What the first line of a script names (execve(2)): the interpreter, or for `env` that and the
/// program which it finds.
fn interpreter(file: &Path, path: &str) -> Option<Vec<PathBuf>> {
    let mut first = Vec::new();
    std::fs::File::open(file).ok()?.take(256).read_to_end(&mut first).ok()?;
    let line = first.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_whitespace();
    let program = PathBuf::from(words.next()?);
    if program.ends_with("env") {
        let name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        return Some(vec![program, which(name, path)?]);
    }
    Some(vec![program])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: PathBuf, text: &str) -> PathBuf {
        std::fs::create_dir_all(path.parent().expect("parent")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn an_npm_server_owns_its_modules_and_is_run_by_env_and_node() {
        let dir = tempfile::tempdir().expect("dir");
        let top = dir.path().canonicalize().expect("real");
        let node = touch(top.join("bin/node"), "ELF");
        let script =
            touch(top.join("npm/node_modules/@x/y/dist/index.js"), "#!/usr/bin/env node\n");
        touch(top.join("npm/node_modules/@x/y/package.json"), "{}");
        let install = find(&script, &[], top.join("bin").to_str().expect("UTF-8"));
        let modules = top.join("npm/node_modules");
        assert!(install.trees.contains(&modules.to_str().expect("UTF-8").to_owned()));
        assert!(install.programs.contains(&node.to_str().expect("UTF-8").to_owned()));
        let env = Path::new("/usr/bin/env").canonicalize().expect("env");
        assert!(install.programs.contains(&env.to_str().expect("UTF-8").to_owned()));
    }

    #[test]
    fn a_system_program_owns_itself_alone() {
        let install = find(Path::new("/usr/bin/env"), &[], "/usr/bin");
        assert_eq!(install.trees, install.programs);
        assert_eq!(install.trees.len(), 1, "{install:?}");
    }

    #[test]
    fn a_file_argument_is_part_of_a_runtime_s_server_and_of_no_other() {
        let dir = tempfile::tempdir().expect("dir");
        let top = dir.path().canonicalize().expect("real");
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let data = text(&touch(top.join("data.txt"), "x"));
        let argv = |program: &Path| vec![text(program), data.clone()];
        let server = touch(top.join("server"), "\x7fELF");
        assert!(!find(&server, &argv(&server), "").trees.contains(&data));
        let python = touch(top.join("python3.11"), "\x7fELF");
        assert!(find(&python, &argv(&python), "").trees.contains(&data));
    }

    #[test]
    fn a_marker_above_does_not_make_the_whole_disk_a_server() {
        let dir = tempfile::tempdir().expect("dir");
        let top = dir.path().canonicalize().expect("real");
        touch(top.join("package.json"), "{}");
        let binary = touch(top.join("tool"), "\x7fELF and more");
        let own = vec![binary.to_str().expect("UTF-8").to_owned()];
        assert_eq!(find(&binary, &[], "").trees, own, "a binary is no part of a package");
        let script = touch(top.join("server.js"), "#!/usr/bin/env node\n");
        let package = top.to_str().expect("UTF-8").to_owned();
        assert!(find(&script, &[], "/usr/bin").trees.contains(&package), "its benign twin");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&top, open).expect("set");
        assert!(!find(&script, &[], "/usr/bin").trees.contains(&package));
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert_eq!(which("env", "/nonexistent:/usr/bin"), Some("/usr/bin/env".into()));
        assert_eq!(which("no-such-program", "/usr/bin"), None);
    }
}
