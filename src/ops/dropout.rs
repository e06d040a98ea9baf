//! Dropout whose mask is a function of a key.

use super::{gradient, output, slice, with_slice};
use crate::rng::Rng;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Which numbers are dropped: a function of `key` alone.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Share of the numbers that are set to zero, in `[0, 1)`.
    pub probability: f32,
    /// Seed, step, sequence and layer, mixed.
    pub key: u64,
}

impl Dropout {
    /// How many of 65,536 numbers are dropped on average: 16 random bits decide on each.
    fn dropped(&self) -> u16 {
        // The cast saturates at 65,535, so that something is always kept.
        (self.probability * 65_536.).round() as u16
    }

    /// `x ∘ mask / (1 − p)`, p rounded to a multiple of 1/65,536; applied to a gradient it is its own backward.
    pub(super) fn apply(&self, x: &mut [f32]) {
        let dropped = u64::from(self.dropped());
        let scale = 65_536. / (65_536 - dropped) as f32;
        let mut rng = Rng::new(self.key);
        // One draw decides on four numbers, 16 bits each.
        for xs in x.chunks_mut(4) {
            let bits = rng.next_u64();
            for (i, x) in xs.iter_mut().enumerate() {
                *x *= if bits >> (16 * i) & 0xFFFF < dropped { 0. } else { scale };
            }
        }
    }
}

/// `x ∘ mask / (1 − p)` as a tensor operation. The mask is drawn again in the backward pass rather than kept.
pub fn dropout(x: &Tensor, dropout: &Dropout) -> Result<Tensor> {
    x.contiguous()?.apply_op1(dropout.clone())
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, layout)?.to_vec();
        self.apply(&mut y);
        output(y, layout.shape())
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = with_slice(dy, <[f32]>::to_vec)?;
        self.apply(&mut dx);
        Ok(Some(gradient(dx, x)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn as_much_is_kept_as_the_scale_makes_up_for() {
        let n = 400_000;
        for probability in [0., 1e-6, 7e-6, 1e-5, 0.1, 0.3333, 0.5, 0.9, 0.9999, 0.999_999_9] {
            let dropout = Dropout { probability, key: 5 };
            let mut x = vec![1.; n];
            dropout.apply(&mut x);
            let share = f32::from(dropout.dropped()) / 65_536.;
            assert!((share - probability).abs() <= 1. / 65_536., "{share} for {probability}");
            // What is kept is scaled by the reciprocal of the share that is kept, so that the mean is 1.
            let kept: Vec<f32> = x.into_iter().filter(|&x| x != 0.).collect();
            assert!(kept.iter().all(|x| (x * (1. - share) - 1.).abs() < 1e-6), "{probability}");
            let (mean, share) = (f64::from(kept.len() as f32) / n as f64, f64::from(share));
            let deviation = (share * (1. - share) / n as f64).sqrt();
            assert!((mean - (1. - share)).abs() <= 5. * deviation, "{probability}: {mean}");
        }
    }
}
