//! The learning rate of each step.

use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays the same.
    Constant,
    /// Half a cosine down to the smallest (Loshchilov and Hutter, "SGDR", 2017, eq. 5).
    #[default]
    Cosine,
}

impl Schedule {
    /// The factor on the learning rate at `step` (from 0) of `steps`: linear from `1/warmup` to 1 in
    /// the first `warmup` steps, then as the schedule says, down to `least`.
    pub fn factor(self, step: usize, steps: usize, warmup: usize, least: f64) -> f64 {
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        match self {
            Self::Constant => 1.,
            Self::Cosine => {
                let done = (step - warmup) as f64 / steps.saturating_sub(warmup + 1).max(1) as f64;
                least + (1. - least) * 0.5 * (1. + (std::f64::consts::PI * done.min(1.)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn it_warms_up_linearly_and_ends_at_the_least() {
        let factor = |step| Schedule::Cosine.factor(step, 100, 10, 0.1);
        assert_eq!(factor(0), 0.1);
        assert_eq!(factor(9), 1.);
        assert_eq!(factor(10), 1.);
        assert!((factor(99) - 0.1).abs() < 1e-12 && (factor(1000) - 0.1).abs() < 1e-12);
        assert!((10..99).all(|step| factor(step) > factor(step + 1)));
    }

    #[test]
    fn short_runs_have_finite_factors() {
        for steps in 0..4 {
            for warmup in 0..4 {
                for step in 0..6 {
                    assert!(Schedule::Cosine.factor(step, steps, warmup, 0.).is_finite());
                }
            }
        }
        assert_eq!(Schedule::Constant.factor(7, 3, 0, 0.1), 1.);
    }
}
