//! `cargo xtask setup`: installs what is missing, and says each step. Nothing is done twice.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use warrantd_bench::peers::Peer;

use crate::cache;
use crate::ebpf;
use crate::receivers;
use crate::shell::{output, run, say, succeeds};

/// The real server that demonstration and tests run.
const FILESYSTEM_SERVER: Package =
    Package { name: "@modelcontextprotocol/server-filesystem", version: "2026.8.31" };
/// A Node.js for distributions whose own is too old.
const NODE: Package = Package { name: "node", version: "22.23.3" };
/// The oldest Node.js that the server runs on.
const NODE_MAJOR: u32 = 18;
/// The real client that tests use; the server of the conformance suite is made of it, too.
const CLIENT: Package = Package { name: "mcp", version: "2.3.0" };
/// The protocol's own tests, and another real client, with a Node.js that both run on.
const NPM_CLIENTS: [Package; 3] = [
    NODE,
    Package { name: "@modelcontextprotocol/conformance", version: "0.2.0-alpha.12" },
    Package { name: "@modelcontextprotocol/inspector-cli", version: "1.0.3" },
];
/// More real servers that tests run.
const NPM_SERVERS: [Package; 2] = [
    Package { name: "@modelcontextprotocol/server-memory", version: "2026.8.31" },
    Package { name: "@modelcontextprotocol/server-everything", version: "2026.8.31" },
];
/// See above.
const PYTHON_SERVERS: [Package; 2] = [
    Package { name: "mcp-server-fetch", version: "2026.10.24" },
    Package { name: "mcp-server-time", version: "2026.10.19" },
];
/// The last version that mistakes `/data2` for a part of `/data` (CVE-2025-53110) and follows symbolic
/// links out of it (CVE-2025-53109).
const VULNERABLE_FILESYSTEM: Package =
    Package { name: "@modelcontextprotocol/server-filesystem", version: "2025.3.28" };
/// A version that works on any repository and passes on what looks like an option (CVE-2025-68143, -68144,
/// -68145), with the last protocol library that it knows.
const VULNERABLE_GIT: [Package; 2] = [
    Package { name: "mcp-server-git", version: "2025.7.1" },
    Package { name: "mcp", version: "1.30.0" },
];

/// Strict JSON Schemas of OCSF, and what checks against them.
const OCSF: [Package; 2] = [
    Package { name: "ocsf-json-schema", version: "1.2.0" },
    Package { name: "jsonschema", version: "4.26.0" },
];
/// The field list of the Elastic Common Schema.
const ECS: Package = Package { name: "@elastic/ecs", version: "9.4.0" };

/// Others that `bench` compares with.
const PEERS: [(Peer, Package); 3] = [
    (Peer::PyPi, Package { name: "mcp-proxy", version: Peer::PyPi.version() }),
    (Peer::Supergateway, Package { name: "supergateway", version: Peer::Supergateway.version() }),
    (Peer::Crate, Package { name: "mcp-proxy", version: Peer::Crate.version() }),
];

struct Package {
    name: &'static str,
    version: &'static str,
}

/// What demonstration, tests and the kernel object need.
pub(crate) fn everything() -> anyhow::Result<()> {
    for_tests()?;
    ebpf::ensure_toolchain()?;
    say("everything is installed");
    Ok(())
}

/// What the demonstration needs: a real server, and network namespaces.
pub(crate) fn for_demo() -> anyhow::Result<()> {
    programs(&[NETWORK, NODE_RUNTIME])?;
    filesystem_server()
}

/// What the tests need: also a real client.
pub(crate) fn for_tests() -> anyhow::Result<()> {
    programs(&[NETWORK, NODE_RUNTIME, PYTHON, SERVER_PYTHON, GIT, BROWSER])?;
    filesystem_server()?;
    for server in &NPM_SERVERS {
        npm(&cache::dir().join("npm-servers"), server)?;
    }
    npm(&cache::dir().join("npm-filesystem-2025.3.28"), &VULNERABLE_FILESYSTEM)?;
    for client in &NPM_CLIENTS {
        npm(&cache::dir().join("npm-clients"), client)?;
    }
    npm(&cache::dir().join("npm-ecs"), &ECS)?;
    receivers::unpack()?;
    let servers = Path::new(SYSTEM_PYTHON);
    python(&cache::dir().join("venv-ocsf"), servers, &OCSF)?;
    python(&cache::dir().join("venv-servers"), servers, &PYTHON_SERVERS)?;
    python(&cache::dir().join("venv-git-2025.7.1"), servers, &VULNERABLE_GIT)?;
    python(&cache::dir().join("venv-fixture"), servers, &[CLIENT])?;
    python(&cache::dir().join("venv"), Path::new("python3"), &[CLIENT])
}

/// What virtual machines need: an emulator, and programs to put into them.
pub(crate) fn for_machines() -> anyhow::Result<()> {
    programs(&[EMULATOR, NETWORK])
}

/// What those with systemd need besides: a Debian, packed.
pub(crate) fn for_systemd() -> anyhow::Result<()> {
    programs(&[BOOTSTRAP, ARCHIVER])
}

/// What is the floor of measurements.
pub(crate) fn relay() -> anyhow::Result<()> {
    programs(&[RELAY])
}

/// The peers of measurements over HTTP. One that cannot be had is no reason to stop; what is given is why.
pub(crate) fn peers() -> anyhow::Result<Vec<String>> {
    programs(&[NODE_RUNTIME, PYTHON])?;
    let mut missing = Vec::new();
    for (peer, package) in &PEERS {
        let installed = match peer {
            Peer::PyPi => {
                let environment = cache::dir().join("bench/venv");
                python(&environment, Path::new("python3"), &[Package { ..*package }])
            }
            Peer::Supergateway => npm(&cache::dir().join("bench/npm"), package),
            Peer::Crate => cargo_program(&cache::dir().join("bench/cargo"), package),
        };
        if let Err(error) = installed {
            missing.push(format!("{} {}: {error:#}", peer.name(), package.version));
        }
    }
    Ok(missing)
}

/// Builds a published program, unless it is there in this version.
fn cargo_program(prefix: &Path, package: &Package) -> anyhow::Result<()> {
    let mut asked = Command::new(prefix.join("bin").join(package.name));
    if output(asked.arg("--version")).is_some_and(|said| said.ends_with(package.version)) {
        return Ok(());
    }
    let (name, version) = (package.name, package.version);
    say(&format!("building {name} {version} into {} (minutes, once)", prefix.display()));
    let mut install = crate::shell::cargo(&["install", name, "--version", version, "--locked"]);
    // Its build is not kept with ours.
    run(install.arg("--root").arg(prefix).env_remove("CARGO_TARGET_DIR"))
}

/// How to see whether something is there, and the Debian packages that bring it.
type Program = (&'static [&'static str], &'static [&'static str]);
const NETWORK: Program = (&["ip", "-V"], &["iproute2"]);
const EMULATOR: Program = (&["qemu-system-x86_64", "--version"], &["qemu-system-x86"]);
const RELAY: Program = (&["socat", "-V"], &["socat"]);
const BOOTSTRAP: Program = (&["mmdebstrap", "--version"], &["mmdebstrap"]);
const ARCHIVER: Program = (&["cpio", "--version"], &["cpio"]);
const NODE_RUNTIME: Program = (&["npm", "--version"], &["nodejs", "npm"]);
const PYTHON: Program =
    (&["python3", "-c", "import ensurepip, venv"], &["python3", "python3-venv"]);

/// The interpreter of Python servers: they run as a user who may not reach one in somebody's home.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";
const SERVER_PYTHON: Program =
    (&[SYSTEM_PYTHON, "-c", "import ensurepip, venv"], &["python3", "python3-venv"]);
/// Reports are opened in it.
const BROWSER: Program = (&["chromium", "--version"], &["chromium"]);
const GIT: Program = (&["git", "--version"], &["git"]);

/// Installs the packages of the programs that are missing.
fn programs(wanted: &[Program]) -> anyhow::Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for (probe, packages) in wanted {
        let (program, arguments) = probe.split_first().context("a probe has a program")?;
        if !succeeds(Command::new(program).args(arguments)) {
            missing.extend(*packages);
        }
    }
    apt(&missing)
}

/// Whether Debian packages can be had.
pub(crate) fn apt_is_here() -> bool {
    succeeds(Command::new("apt-get").arg("--version"))
}

/// Installs Debian packages.
pub(crate) fn apt(packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !crate::shell::is_root() || !apt_is_here() {
        bail!(
            "missing: {list}. Install them, or run `cargo xtask setup` as root on Debian or Ubuntu"
        );
    }
    say(&format!("installing Debian packages: {list}"));
    let mut update = Command::new("apt-get");
    run(update.args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Installs the filesystem server below the cache.
fn filesystem_server() -> anyhow::Result<()> {
    let prefix = cache::dir().join("npm");
    let node = output(Command::new("node").args(["-p", "process.versions.node"]));
    let major = node.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        npm(&prefix, &NODE)?;
    }
    npm(&prefix, &FILESYSTEM_SERVER)
}

fn npm(prefix: &Path, package: &Package) -> anyhow::Result<()> {
    let manifest = prefix.join("node_modules").join(package.name).join("package.json");
    let installed = fs::read_to_string(manifest).unwrap_or_default();
    let installed: serde_json::Value = serde_json::from_str(&installed).unwrap_or_default();
    if installed["version"] == package.version {
        return Ok(());
    }
    let package = format!("{}@{}", package.name, package.version);
    say(&format!("installing {package} into {} (npm)", prefix.display()));
    fs::create_dir_all(prefix).with_context(|| format!("{}", prefix.display()))?;
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
    run(install.arg(prefix).arg(package))
}

/// Installs Python packages in a virtual environment of their own, made anew when one of them is missing.
fn python(environment: &Path, interpreter: &Path, packages: &[Package]) -> anyhow::Result<()> {
    let own = environment.join("bin/python3");
    let version = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))";
    let installed = |package: &Package| {
        let found = output(Command::new(&own).args(["-c", version, package.name]));
        found.as_deref() == Some(package.version)
    };
    if packages.iter().all(installed) {
        return Ok(());
    }
    let packages: Vec<_> =
        packages.iter().map(|package| format!("{}=={}", package.name, package.version)).collect();
    say(&format!("installing {} into {} (pip)", packages.join(" "), environment.display()));
    run(Command::new(interpreter).args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut install = Command::new(&own);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    run(install.args(&packages))
}

/// What makes Debian packages.
const CARGO_DEB: Package = Package { name: "cargo-deb", version: "3.8.0" };
/// What makes packages for Red Hat's relatives.
const CARGO_GENERATE_RPM: Package = Package { name: "cargo-generate-rpm", version: "0.21.1" };

/// Installs cargo-deny below the cache, unless there is one.
pub(crate) fn cargo_deny() -> anyhow::Result<()> {
    cargo_tool("cargo-deny", &[])
}

/// The same for cargo-deb.
pub(crate) fn cargo_deb() -> anyhow::Result<()> {
    cargo_tool(CARGO_DEB.name, &["--version", CARGO_DEB.version])
}

/// The same for cargo-generate-rpm.
pub(crate) fn cargo_generate_rpm() -> anyhow::Result<()> {
    cargo_tool(CARGO_GENERATE_RPM.name, &["--version", CARGO_GENERATE_RPM.version])
}

fn cargo_tool(name: &str, version: &[&str]) -> anyhow::Result<()> {
    let own = cache::dir().join("bin").join(name);
    if own.exists() || succeeds(Command::new(name).arg("--version")) {
        return Ok(());
    }
    say(&format!("building {name} into {} (a few minutes, once)", cache::dir().display()));
    let mut install = crate::shell::cargo(&["install", name, "--locked"]);
    run(install.args(version).arg("--root").arg(cache::dir()))
}
