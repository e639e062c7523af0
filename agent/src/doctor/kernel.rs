//! What this host's kernel lets warrantd do, found out by doing it.

use std::sync::Arc;

use serde::Serialize;

use super::finding::{Finding, some};
use super::site::Site;
use crate::config::KernelMode;
use crate::kernel::{Backend, Kernel, KernelOptions, floor_shortcomings};

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KernelFacts {
    /// Release of the running kernel.
    pub kernel: String,
    /// Why the kernel layer does not start; null when it does.
    pub obstacle: Option<String>,
    /// The observer of files and programs that is used.
    pub observer: Option<&'static str>,
    /// Whether it can refuse files and programs (`effects.enforce`).
    pub enforces_files: bool,
    /// Better observers, and why they are not used.
    pub passed_over: Vec<Passed>,
    /// What stays unseen or cannot be refused.
    pub limits: Vec<String>,
    /// What `effects.landlock` cannot refuse here, or why there is none.
    pub landlock: Vec<String>,
}

/// An observer that is not used.
#[derive(Debug, Clone, Serialize)]
pub struct Passed {
    /// Its name.
    pub observer: &'static str,
    /// Why not.
    pub why: String,
}

impl KernelFacts {
    /// Starts the kernel layer for a moment, with its self-test, beside whatever runs. It lasts as long as what
    /// is given back.
    pub fn find(options: KernelOptions) -> (Self, Option<Arc<Kernel>>) {
        let kernel = nix::sys::utsname::uname()
            .map_or_else(|_| "unknown".to_owned(), |name| name.release().to_string_lossy().into());
        let landlock = match floor_shortcomings() {
            Ok(shortcomings) => shortcomings.into_iter().map(str::to_owned).collect(),
            Err(error) => vec![error.to_string()],
        };
        let facts = Self { kernel, landlock, ..Self::default() };
        // What a dead instance left is evidence, and belongs into a log that is not written here.
        match Kernel::start(&KernelOptions { cleans_up: false, ..options }) {
            Err(error) => (Self { obstacle: Some(error.to_string()), ..facts }, None),
            Ok(layer) => {
                let backend = layer.backend();
                let lacking = layer.lacking().iter().map(|hook| format!("no hook {hook}"));
                let spots = backend.blind_spots().iter().map(|spot| (*spot).to_owned());
                let passed = |(backend, why): &(Backend, String)| Passed {
                    observer: backend.name(),
                    why: why.clone(),
                };
                let facts = Self {
                    observer: Some(backend.name()),
                    enforces_files: backend.enforces_files(),
                    passed_over: layer.passed_over().iter().map(passed).collect(),
                    limits: spots.chain(lacking).collect(),
                    ..facts
                };
                (facts, Some(layer))
            }
        }
    }
}

/// Looks at the kernel, and whether the configuration uses it.
pub(super) fn check(facts: &KernelFacts, site: Option<&Site>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(site) = site.filter(|site| site.config.kernel == KernelMode::Off) {
        findings.push(
            Finding::bad("the kernel layer is switched off: nothing is enforced or seen")
                .at(site.place("kernel"))
                .todo("write `kernel: on`, or remove the key"),
        );
    }
    if let Some(obstacle) = &facts.obstacle {
        findings.push(
            Finding::bad(format!(
                "the kernel layer does not start on {}: {obstacle}",
                facts.kernel
            ))
            .todo("run this as root; else a newer kernel, or `kernel: off` and its consequences"),
        );
        return findings;
    }
    findings.push(Finding::ok(format!(
        "{}: a probe was refused its connection, and its open and its attempt were seen",
        facts.kernel
    )));
    let observer = facts.observer.unwrap_or("none");
    let power = if facts.enforces_files { "enforced on request" } else { "seen" };
    findings.push(Finding::ok(format!("files and programs are {power}, by {observer}")));
    for Passed { observer, why } in &facts.passed_over {
        findings.push(Finding::note(format!("not by {observer}: {why}")));
    }
    findings.extend(facts.limits.iter().map(|limit| Finding::note(limit.clone())));
    findings.extend(floor(facts, site));
    findings.extend(site.into_iter().filter_map(|site| enforcement(facts, site)));
    findings
}

/// What Landlock lacks, where somebody wants it.
fn floor(facts: &KernelFacts, site: Option<&Site>) -> Option<Finding> {
    let wanted = site.map(|site| {
        let wants = site.servers().filter(|server| server.policy.effects.landlock);
        wants.map(|server| server.config.id.clone()).collect::<Vec<_>>()
    });
    match (&wanted, facts.landlock.as_slice()) {
        (Some(wanted), _) if wanted.is_empty() => None,
        (_, []) => Some(Finding::ok("Landlock is complete")),
        (_, lacking) => {
            let lacking = lacking.join("; ");
            Some(Finding::note(format!("Landlock: {lacking}")))
        }
    }
}

/// Policies that want files refused where that cannot be done.
fn enforcement(facts: &KernelFacts, site: &Site) -> Option<Finding> {
    let wants = site.servers().filter(|server| server.policy.effects.enforce);
    let wants: Vec<_> = wants.map(|server| server.config.id.as_str()).collect();
    if wants.is_empty() || facts.enforces_files {
        return None;
    }
    let what = format!(
        "`effects.enforce` of {} cannot be done here; the daemon will not start",
        some(wants)
    );
    Some(Finding::bad(what).todo(
        "add bpf to the lsm= list of the kernel command line, or use `effects.landlock`, or remove the key",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    fn facts() -> KernelFacts {
        KernelFacts {
            kernel: "6.12".into(),
            observer: Some("tracepoint"),
            passed_over: vec![Passed { observer: "lsm", why: "EPERM".into() }],
            limits: vec!["no hook connect_unix".into()],
            landlock: vec!["this kernel has no Landlock".into()],
            ..KernelFacts::default()
        }
    }

    #[test]
    fn a_kernel_that_works_is_fine_and_its_limits_are_told() {
        let findings = check(&facts(), None);
        none_found(&findings);
        let notes = of(Level::Note, &findings).join("\n");
        assert!(notes.contains("not by lsm: EPERM") && notes.contains("connect_unix"), "{notes}");
        assert!(notes.contains("no Landlock"), "without a configuration it is told: {notes}");
    }

    #[test]
    fn a_kernel_that_does_not_work_is_found() {
        let broken = KernelFacts { obstacle: Some("no BTF".into()), ..facts() };
        only_finding(&check(&broken, None), "no BTF");
    }

    #[test]
    fn a_configuration_that_does_without_is_found() {
        let place = Place::new();
        only_finding(
            &check(&facts(), Some(&place.site("kernel: off", "", POLICY))),
            "switched off",
        );
        let site = place.site("", "", POLICY);
        let findings = check(&facts(), Some(&site));
        none_found(&findings);
        assert!(!of(Level::Note, &findings).join("\n").contains("Landlock"), "nobody wants it");
        let enforce = place.site("", "", &format!("{POLICY}effects: {{enforce: true}}"));
        only_finding(&check(&facts(), Some(&enforce)), "`effects.enforce` of files");
        none_found(&check(&KernelFacts { enforces_files: true, ..facts() }, Some(&enforce)));
    }
}
