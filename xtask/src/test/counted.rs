//! The results in what test programs write.

/// What test programs said. The standard harness and libtest-mimic write the same lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) passed: u64,
    pub(super) failed: Vec<String>,
    pub(super) ignored: Vec<String>,
    /// Failures and ignored tests of the running program that were named, to see whether its sums
    /// say more.
    named: (u64, u64),
}

impl Counted {
    /// Takes a line of their output.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("test ")
            && let Some((name, outcome)) = test.split_once(" ... ")
        {
            let name = name.trim_end();
            if outcome.starts_with("FAILED") {
                self.failed.push(name.to_owned());
                self.named.0 += 1;
            } else if let Some(reason) = outcome.strip_prefix("ignored") {
                // `ignored, reason` or `ignored (reason)`.
                let reason = reason.trim_matches([',', ' ', '(', ')']);
                let reason = if reason.is_empty() { "no reason given" } else { reason };
                self.ignored.push(format!("{name}: {reason}"));
                self.named.1 += 1;
            }
        }
        if let Some(sums) = line.strip_prefix("test result: ") {
            self.passed += count(sums, "passed");
            let (failed, ignored) = std::mem::take(&mut self.named);
            let unnamed = |sum: u64, named: u64, what: &str| {
                (named..sum)
                    .map(|_| format!("a test that was not named ({what})"))
                    .collect::<Vec<_>>()
            };
            self.failed.extend(unnamed(count(sums, "failed"), failed, "failed"));
            self.ignored.extend(unnamed(count(sums, "ignored"), ignored, "ignored"));
        }
    }
}

/// The number before a word.
fn count(sums: &str, word: &str) -> u64 {
    let words: Vec<_> = sums.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let number = words.windows(2).find_map(|pair| match pair {
        [number, label] if *label == word => number.parse().ok(),
        _ => None,
    });
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> Counted {
        let mut counted = Counted::default();
        text.lines().for_each(|line| counted.line(line));
        counted
    }

    #[test]
    fn results_are_summed_and_named() {
        let counted = counted(
            "running 4 tests\n\
             test a::b ... ok\n\
             test a::c   ... FAILED\n\
             test a::d ... ignored, needs root\n\
             test a::e ... ignored (no BTF)\n\
             test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out\n\
             test result: ok. 41 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!(counted.passed, 42);
        assert_eq!(counted.failed, ["a::c"]);
        assert_eq!(counted.ignored, ["a::d: needs root", "a::e: no BTF"]);
    }

    #[test]
    fn a_failure_that_was_not_named_counts() {
        let counted = counted("test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured");
        assert_eq!((counted.failed.len(), counted.ignored.len()), (2, 1));
    }
}
