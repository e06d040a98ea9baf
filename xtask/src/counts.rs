//! What test runners say of themselves, read line by line.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Tests that said `skipped: …` and returned: libtest, which knows no skipping at run time, calls them passed.
    pub returned_early: u64,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Runner {
    /// libtest and wasm-bindgen-test: `test result: ok. 3 passed; 0 failed; 1 ignored; …`, once for each binary.
    Cargo,
    /// `node --test`: `ℹ pass 3` (spec) or `# pass 3` (TAP), once.
    Node,
    /// A program that counts nothing: its exit code is one test.
    Whole,
}

impl Counts {
    /// Adds what a line reports; most report nothing.
    pub fn read(&mut self, runner: Runner, line: &str) {
        let line = without_colour(line);
        match runner {
            Runner::Cargo => self.read_cargo(&line),
            Runner::Node => self.read_node(&line),
            Runner::Whole => {}
        }
    }

    fn read_cargo(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            // "ok. 3 passed; 0 failed; …; finished in 0.1s": numbers stand before their word.
            for part in result.split(['.', ';']) {
                let Some((number, word)) = part.trim().split_once(' ') else { continue };
                let Ok(number) = number.parse::<u64>() else { continue };
                match word {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.skipped += number,
                    _ => {}
                }
            }
        } else if line.starts_with("skipped: ") || (line.starts_with("test ") && line.contains("... skipped: ")) {
            self.returned_early += 1;
        }
    }

    fn read_node(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else { return };
        let Some((word, number)) = rest.split_once(' ') else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        match word {
            "pass" => self.passed += number,
            "fail" | "cancelled" => self.failed += number,
            "skipped" | "todo" => self.skipped += number,
            _ => {}
        }
    }

    /// The verdict when the suite has ended. What could not be counted still counts once, and so does silence.
    pub fn judged(mut self, runner: Runner, succeeded: bool) -> Self {
        if runner == Runner::Whole {
            self = Counts { passed: succeeded.into(), ..Counts::default() };
        }
        let returned_early = self.returned_early.min(self.passed);
        self.passed -= returned_early;
        self.skipped += returned_early;
        self.returned_early = 0;
        if self.failed == 0 && (!succeeded || self.passed == 0) {
            self.failed = 1;
        }
        self
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// The line less its ANSI sequences (`ESC [ … letter`): runners colour words even inside a count.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if chars.next() == Some('[') {
            chars.by_ref().find(|c| c.is_ascii_alphabetic());
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(runner: Runner, text: &str) -> Counts {
        let mut counts = Counts::default();
        text.lines().for_each(|line| counts.read(runner, line));
        counts
    }

    #[test]
    fn cargo_results_are_summed_over_binaries_and_doc_tests() {
        let text = "
running 3 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 12.34s
test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(read(Runner::Cargo, text), Counts { passed: 8, failed: 2, skipped: 1, ..Counts::default() });
    }

    #[test]
    fn coloured_and_shortened_results_read_the_same() {
        let text = "test result: \u{1b}[32mok\u{1b}(B\u{1b}[m. 3 passed; 0 failed; 0 ignored; 0 filtered out";
        assert_eq!(read(Runner::Cargo, text).passed, 3);
        let text = "\u{1b}[1mtest result: \u{1b}[31mFAILED\u{1b}[0m. 3 passed; \u{1b}[31m1 failed\u{1b}[0m; 0 ignored";
        assert_eq!(read(Runner::Cargo, text), Counts { passed: 3, failed: 1, skipped: 0, ..Counts::default() });
        assert_eq!(read(Runner::Node, "\u{1b}[34mℹ pass 7\u{1b}[39m").passed, 7);
    }

    #[test]
    fn an_indented_copy_of_a_result_is_not_counted_again() {
        assert_eq!(read(Runner::Cargo, "    test result: ok. 3 passed; 0 failed; 0 ignored"), Counts::default());
    }

    #[test]
    fn a_test_that_says_skipped_has_not_passed() {
        let text = "skipped: no ../shared/oracle\ntest a ... skipped: no oracle\ntest result: ok. 3 passed; 0 failed; 0 ignored";
        let counts = read(Runner::Cargo, text).judged(Runner::Cargo, true);
        assert_eq!(counts, Counts { passed: 1, skipped: 2, ..Counts::default() });
    }

    #[test]
    fn node_reporters_spec_and_tap_are_both_read() {
        let spec = "✔ adds (1ms)\nℹ tests 6\nℹ suites 0\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 52.1";
        let tap = "ok 1 - adds\n# tests 6\n# suites 0\n# pass 3\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n# duration_ms 52.1";
        let want = Counts { passed: 3, failed: 2, skipped: 1, ..Counts::default() };
        assert_eq!((read(Runner::Node, spec), read(Runner::Node, tap)), (want, want));
    }

    #[test]
    fn a_failure_that_nobody_counted_counts_once() {
        let passed = |passed| Counts { passed, ..Counts::default() };
        assert_eq!(
            passed(5).judged(Runner::Cargo, false),
            Counts { passed: 5, failed: 1, skipped: 0, ..Counts::default() }
        );
        assert_eq!(passed(5).judged(Runner::Cargo, true), passed(5));
        assert_eq!(passed(0).judged(Runner::Node, true).failed, 1, "a suite that ran no test");
        assert_eq!(Counts { failed: 2, ..passed(1) }.judged(Runner::Node, false).failed, 2);
        assert_eq!(passed(0).judged(Runner::Whole, true), passed(1));
        assert_eq!(passed(0).judged(Runner::Whole, false).failed, 1);
    }

    #[test]
    fn the_last_line_names_skipped_tests_only_when_there_are_some() {
        assert_eq!(Counts { passed: 3, failed: 0, skipped: 0, ..Counts::default() }.to_string(), "3 passed, 0 failed");
        assert_eq!(
            Counts { passed: 3, failed: 1, skipped: 2, ..Counts::default() }.to_string(),
            "3 passed, 1 failed, 2 skipped"
        );
    }
}
