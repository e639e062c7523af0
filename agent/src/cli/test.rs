//! `warrantd test`: do policies say what they should?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::judge::Judge;
use super::{Failure, output};
use crate::config::{Action, Case, CasesFile, Problem, Source};

/// Run policy test cases
///
/// A file names a policy and lists calls with the decision that each must get, and optionally the
/// rule and the warrant. Exits 0 when all cases hold, 1 when one does not.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd test policies/tests/*.yaml")]
pub(super) struct Test {
    /// Test files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Test {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let (mut passed, mut failed) = (0_usize, 0_usize);
        for file in &self.files {
            let source = Source::read(file)?;
            let cases: CasesFile = source.parse()?;
            let policy = file.parent().unwrap_or(Path::new("")).join(&cases.policy);
            for (index, case) in cases.cases.iter().enumerate() {
                // A judge for each case: calls of one do not count against the next.
                let mut judge = Judge::load(&policy, cases.root.trim_end_matches('/'))?;
                match run(&mut judge, case) {
                    Ok(()) => passed += 1,
                    Err(why) => {
                        failed += 1;
                        let key = format!("cases[{index}]");
                        let message = format!("`{}`: {why}", case.name);
                        Failure::Config(source.error(Problem::new(key, message))).report();
                    }
                }
            }
        }
        output::line(&format!("{passed} passed, {failed} failed"))?;
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Runs a case; the error says how it does not hold.
fn run(judge: &mut Judge, case: &Case) -> Result<(), String> {
    for call in 1..=case.times {
        let answer = judge.ask_at(Duration::ZERO, case);
        let decision = &answer.decision;
        let expected = if call == case.times { case.expect } else { Action::Allow };
        if decision.action != expected {
            let hint = answer.near_miss.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(format!(
                "call {call} is {:?} by {}: {}{hint}",
                decision.action, decision.rule, decision.reason
            ));
        }
        if call < case.times {
            continue;
        }
        if let Some(rule) = &case.rule
            && !decision.rule.starts_with(rule.as_str())
        {
            return Err(format!("decided by {}, not by {rule}", decision.rule));
        }
        if let Some(expected) = &case.warrant {
            let found = serde_json::to_value(&answer.warrant).map_err(|e| e.to_string())?;
            if found != *expected {
                return Err(format!("the warrant is {found}"));
            }
        }
    }
    Ok(())
}
