//! `cargo xtask soak`: tests that get better the longer they run, for as long as a person has time for.

use crate::counts::Runner;
use crate::process::MINUTE;
use crate::test::{node_test_of, run_suite, sum_up};
use crate::{Result, build, root, setup};
use std::time::Duration;

/// A test file that reads from the environment how much it shall do. The suite `js` runs it too, and then it does little.
struct Soak {
    name: &'static str,
    file: &'static str,
    amounts: &'static [Amount],
    limit: Duration,
}

/// How much of something: an option of this command, the variable that the test reads, and what it is without the option.
struct Amount {
    option: &'static str,
    variable: &'static str,
    default: u32,
}

const SOAKS: [Soak; 1] =
    [Soak { name: "model", file: "tests/js/model.test.js", amounts: &MODEL, limit: MINUTE.saturating_mul(90) }];

/// Sequences of actions on the page's state, with the double of the engine and with the engine itself.
const MODEL: [Amount; 2] = [
    Amount { option: "--sequences", variable: "LORA_LAB_SEQUENCES", default: 20_000 },
    Amount { option: "--real", variable: "LORA_LAB_REAL_SEQUENCES", default: 200 },
];

pub fn run(args: &[&str]) -> Result<()> {
    let wanted = parse(args)?;
    setup::npm_packages()?;
    build::if_missing()?;
    let results = SOAKS.iter().map(|soak| {
        run_suite(soak.name, Runner::Node, soak.limit, || {
            let mut command = node_test_of([root().join(soak.file)], soak.limit);
            for amount in soak.amounts {
                let value = wanted.iter().find(|(option, _)| *option == amount.option);
                command.env(amount.variable, value.map_or(amount.default, |(_, value)| *value).to_string());
            }
            Ok(command)
        })
    });
    sum_up(results.collect())
}

/// Options, each with a number.
fn parse<'a>(args: &[&'a str]) -> Result<Vec<(&'a str, u32)>> {
    let options = || SOAKS.iter().flat_map(|soak| soak.amounts).map(|amount| amount.option);
    let pairs = args.chunks(2).map(|pair| {
        if !options().any(|option| option == pair[0]) {
            let known = options().collect::<Vec<_>>().join(", ");
            return Err(format!("`{}` is not an option of soak: there are {known}, each with a number", pair[0]));
        }
        let number = pair.get(1).and_then(|number| number.parse().ok());
        number.map(|number| (pair[0], number)).ok_or_else(|| format!("{} wants a whole number", pair[0]))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_takes_a_number_and_others_are_refused_with_those_that_there_are() {
        assert_eq!(parse(&[]), Ok(vec![]));
        assert_eq!(parse(&["--real", "5", "--sequences", "0"]), Ok(vec![("--real", 5), ("--sequences", 0)]));
        for (args, said) in [
            (vec!["--reel", "5"], "there are --sequences, --real"),
            (vec!["--real"], "--real wants a whole number"),
            (vec!["--real", "-5"], "--real wants a whole number"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn no_two_tests_read_the_same_option_or_variable() {
        let mut names: Vec<&str> =
            SOAKS.iter().flat_map(|soak| soak.amounts).flat_map(|a| [a.option, a.variable]).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
