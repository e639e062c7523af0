//! Which files are a server's own: its program, the package it is part of, its interpreter.

use std::collections::BTreeSet;
use std::io::Read;
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
    let script = argv.iter().skip(1).find(|argument| !argument.starts_with('-'));
    if let Some(script) = script.map(Path::new)
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
    } else if let Some(package) =
        real.ancestors().skip(1).find(|d| d.join("package.json").is_file())
    {
        trees.push(package.to_owned());
    }
    // A Python virtual environment, by the path as called: its interpreter is a link.
    trees.extend(
        file.ancestors().skip(1).find(|dir| dir.join("pyvenv.cfg").is_file()).map(Path::to_owned),
    );
    // A runtime installed by itself has its libraries beside its `bin`.
    if let Some(bin) = real.parent().filter(|dir| dir.ends_with("bin"))
        && let Some(prefix) = bin.parent().filter(|prefix| prefix.components().count() > 2)
    {
        trees.push(prefix.join("lib"));
    }
    trees
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
    fn programs_are_found_on_the_path() {
        assert_eq!(which("env", "/nonexistent:/usr/bin"), Some("/usr/bin/env".into()));
        assert_eq!(which("no-such-program", "/usr/bin"), None);
    }
}
