//! `cargo xtask ebpf`: builds the kernel object from `agent-ebpf/`.
//!
//! The object is committed, with a hash of the sources it was made from, so that everything else builds
//! with stable Rust alone. The compiler is pinned: the same sources give the same code, wherever the
//! checkout lies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cache;
use crate::setup::apt;
use crate::shell::{output, root, run as run_command, say};

/// Debian's current Rust for the web browsers, with sources, and the LLVM it was built with.
const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "llvm-22", "llvm-22-dev"];
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const RUSTC_VERSION: &str = "rustc 1.96.";
const LLVM: &str = "/usr/lib/llvm-22";
const LIBRARY_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core/src/lib.rs";
const LINKER_VERSION: &str = "0.13.0";
const TARGET: &str = "bpfel-unknown-none";

/// The committed object and the hash of its sources, from the root of the repository.
pub(crate) const OBJECT: &str = "agent/kernel/warrantd.bpf.o";
pub(crate) const HASH: &str = "agent/kernel/sources.sha256";

/// What an object is made from, from the root of the repository.
const SOURCES: [&str; 5] = [
    "agent-common/Cargo.toml",
    "agent-common/src",
    "agent-ebpf/Cargo.lock",
    "agent-ebpf/Cargo.toml",
    "agent-ebpf/src",
];

/// Rebuilds the committed object and its hash.
pub(crate) fn run() -> anyhow::Result<()> {
    let object = root().join(OBJECT);
    build_to(&object)?;
    fs::write(root().join(HASH), format!("{}\n", sources_hash(&root())?))?;
    say(&format!("built {}: {} bytes", object.display(), fs::metadata(&object)?.len()));
    Ok(())
}

/// Builds an object from the sources as they are now.
pub(crate) fn build_to(object: &Path) -> anyhow::Result<()> {
    ensure_toolchain()?;
    let sources = root().join("agent-ebpf");
    let place = root().join("target/ebpf");
    // Downloads come first: the flags name the directories they are in.
    run_command(Command::new(CARGO).current_dir(&sources).args(["fetch", "--quiet", "--locked"]))?;
    let mut build = Command::new(CARGO);
    build
        .current_dir(&sources)
        .args(["build", "--quiet", "--locked", "--release", "--target", TARGET])
        .args(["-Z", "build-std=core"])
        .env("CARGO_TARGET_DIR", &place)
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\x1f"))
        .env("PATH", path_with_linker()?)
        .env("RUSTC", RUSTC)
        // The target has no released standard library; build-std and assembly need this.
        .env("RUSTC_BOOTSTRAP", "1");
    for inherited in ["RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"] {
        build.env_remove(inherited);
    }
    run_command(&mut build)?;

    let made = place.join(TARGET).join("release/warrantd-ebpf");
    if let Some(directory) = object.parent() {
        fs::create_dir_all(directory)?;
    }
    // The kernel reads BTF, not DWARF.
    let mut strip = Command::new(format!("{LLVM}/bin/llvm-strip"));
    run_command(strip.arg("--strip-debug").arg("-o").arg(object).arg(&made))
}

/// What an object consists of: its instructions, relocations and data. Compilers put a number that
/// depends on where the checkout lies into the names of some functions; it is left out.
pub(crate) fn listing(object: &Path) -> anyhow::Result<String> {
    let mut dump = Command::new(format!("{LLVM}/bin/llvm-objdump"));
    dump.args(["--disassemble", "--reloc", "--full-contents", "--no-show-raw-insn"]);
    for section in ["maps", "license", ".rodata"] {
        dump.arg(format!("--section={section}"));
    }
    let data = output(dump.arg(object)).context("llvm-objdump")?;
    let mut code = Command::new(format!("{LLVM}/bin/llvm-objdump"));
    code.args(["--disassemble", "--reloc", "--no-show-raw-insn"]).arg(object);
    let code = output(&mut code).context("llvm-objdump")?;
    let without_name = |text: &str| text.lines().skip(1).collect::<Vec<_>>().join("\n");
    let mut listing = without_name(&code) + &without_name(&data);
    for name in ["_13warrantd_ebpf", "_15warrantd_common"] {
        while let Some(number) = number_before(&listing, name) {
            listing = listing.replace(&format!("{number}{name}"), "_");
        }
    }
    Ok(listing)
}

/// The letters and digits before the first occurrence of a crate's name in a symbol, from `Cs` on.
fn number_before(listing: &str, name: &str) -> Option<String> {
    let before = &listing[..listing.find(name)?];
    let start = before.rfind("Cs")?;
    before.get(start..).map(str::to_owned)
}

/// Installs what building an object needs, where it is missing.
pub(crate) fn ensure_toolchain() -> anyhow::Result<()> {
    let version = || output(Command::new(RUSTC).arg("--version")).unwrap_or_default();
    let complete = || {
        version().starts_with(RUSTC_VERSION)
            && Path::new(CARGO).exists()
            && Path::new(LIBRARY_SOURCES).exists()
            && Path::new(LLVM).join("bin/llvm-strip").exists()
            && Path::new(LLVM).join("include/llvm-c").exists()
    };
    if !complete() {
        apt(&PACKAGES)?;
        ensure!(
            complete(),
            "the kernel object needs {RUSTC_VERSION}x at {RUSTC} with library sources, and LLVM at {LLVM}; \
             Debian 12 has them, this system gave {:?}. The committed object needs none of it",
            version()
        );
    }
    ensure_linker()
}

/// Hash over the names and contents of everything the object is made from.
pub(crate) fn sources_hash(root: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name =
            file.strip_prefix(root)?.to_str().context("a source file with a strange name")?;
        let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        // Lengths keep apart what lies side by side.
        for part in [name.as_bytes(), &content] {
            hash.update(u64::try_from(part.len())?.to_le_bytes());
            hash.update(part);
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

/// Compiler flags. No path of this machine may get into the object.
fn flags() -> anyhow::Result<Vec<String>> {
    let mut flags = vec![
        "-Clinker=bpf-linker".into(),
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
        remap(&root(), "/warrantd"),
    ];
    // Named after the registry and the version of cargo, which differ from machine to machine.
    for registry in fs::read_dir(cargo_home()?.join("registry/src"))? {
        flags.push(remap(&registry?.path(), "/crates"));
    }
    Ok(flags)
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    let given = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    given.or_else(home).context("neither CARGO_HOME nor HOME is set")
}

fn linker_directory() -> PathBuf {
    cache::dir().join("bin")
}

fn path_with_linker() -> anyhow::Result<std::ffi::OsString> {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(linker_directory()).chain(std::env::split_paths(&inherited));
    Ok(std::env::join_paths(directories)?)
}

fn ensure_linker() -> anyhow::Result<()> {
    let linker = linker_directory().join("bpf-linker");
    let version = output(Command::new(&linker).arg("--version")).unwrap_or_default();
    if version.ends_with(LINKER_VERSION) {
        return Ok(());
    }
    say(&format!("building bpf-linker {LINKER_VERSION} into {}", linker.display()));
    let mut install = crate::shell::cargo(&["install", "bpf-linker", "--locked", "--force"]);
    install
        .args(["--version", LINKER_VERSION, "--no-default-features", "--features", "llvm-22"])
        .arg("--root")
        .arg(cache::dir())
        .env("LLVM_PREFIX", LLVM);
    run_command(&mut install)?;
    if !linker.exists() {
        bail!("bpf-linker is not at {} although it was installed there", linker.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_in_a_symbol_is_found() {
        let listing = "call _RNvNtCs1VqQWas4tzv_13warrantd_ebpf4file";
        assert_eq!(number_before(listing, "_13warrantd_ebpf").as_deref(), Some("Cs1VqQWas4tzv"));
        assert_eq!(number_before("exit", "_13warrantd_ebpf"), None);
    }
}
