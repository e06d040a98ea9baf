//! Cross-entropy of logits against the next token, with its gradient in the logits' own place.

use super::lanes::{Lanes, Widest};
use super::math::{BLOCK, exp};
use super::vector::{maximum, sum, update};

/// Returns `Σ −log softmax(logits)[target]` over the rows and replaces the logits by
/// `scale·(softmax(logits) − onehot(target))`.
///
/// `logits (rows, vocabulary)`, `targets (rows)`. Nothing of the logits' size is allocated: on a small model they are
/// the largest tensor.
pub fn cross_entropy(logits: &mut [f32], targets: &[u32], scale: f32) -> f64 {
    forward_and_gradient::<Widest>(logits, targets, scale)
}

/// The same sum without the gradient; the logits stay.
pub fn cross_entropy_loss(logits: &[f32], targets: &[u32], vocabulary: usize) -> f64 {
    forward::<Widest>(logits, targets, vocabulary)
}

#[inline(never)]
fn forward_and_gradient<V: Lanes>(logits: &mut [f32], targets: &[u32], scale: f32) -> f64 {
    let Some(vocabulary) = logits.len().checked_div(targets.len()) else { return 0. };
    let mut loss = 0.;
    for (row, &target) in logits.chunks_exact_mut(vocabulary).zip(targets) {
        let target = target as usize;
        // Subtracting the maximum changes nothing but keeps exp() finite.
        let max = maximum::<V>(row);
        let target_logit = row[target] - max;
        let max = V::splat(max);
        exp::<V>(row, |x| x.sub(max));
        let sum = sum::<V>(row);
        loss += f64::from(sum).ln() - f64::from(target_logit);
        let factor = V::splat(scale / sum);
        update::<V>(row, |x| x.mul(factor));
        row[target] -= scale;
    }
    loss
}

#[inline(never)]
fn forward<V: Lanes>(logits: &[f32], targets: &[u32], vocabulary: usize) -> f64 {
    debug_assert_eq!(logits.len(), targets.len() * vocabulary);
    let mut loss = 0.;
    let mut block = [0.; BLOCK];
    for (row, &target) in logits.chunks_exact(vocabulary).zip(targets) {
        let max = maximum::<V>(row);
        let shift = V::splat(max);
        let mut total = 0.;
        for xs in row.chunks(BLOCK) {
            let block = &mut block[..xs.len()];
            block.copy_from_slice(xs);
            exp::<V>(block, |x| x.sub(shift));
            total += f64::from(sum::<V>(block));
        }
        loss += total.ln() - f64::from(row[target as usize] - max);
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Scalar;
    use super::super::testing::{assert_close, doubles, noise, numeric_gradient};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(logits: &[f64], targets: &[u32]) -> f64 {
        let vocabulary = logits.len() / targets.len();
        let row_loss =
            |(row, &target): (&[f64], &u32)| row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[target as usize];
        logits.chunks_exact(vocabulary).zip(targets).map(row_loss).sum()
    }

    #[test]
    fn cross_entropy_is_the_formula_and_its_gradient_the_numeric_one_for_every_short_row() {
        for vocabulary in 1..70 {
            let logits: Vec<f32> = noise(2 * vocabulary, 1).iter().map(|x| x * 5.).collect();
            let targets = [0, vocabulary as u32 - 1];
            let want = reference(&doubles(&logits), &targets);
            let want_gradient = numeric_gradient(&logits, |logits| 0.5 * reference(logits, &targets));
            type Passes = (fn(&mut [f32], &[u32], f32) -> f64, fn(&[f32], &[u32], usize) -> f64);
            let passes: [Passes; 2] =
                [(forward_and_gradient::<Scalar>, forward::<Scalar>), (cross_entropy, cross_entropy_loss)];
            for (forward_and_gradient, forward) in passes {
                assert!((forward(&logits, &targets, vocabulary) - want).abs() < 1e-5, "vocabulary {vocabulary}");
                let mut gradient = logits.clone();
                let loss = forward_and_gradient(&mut gradient, &targets, 0.5);
                assert!((loss - want).abs() < 1e-5, "vocabulary {vocabulary}: {loss} for {want}");
                assert_close(&gradient, &want_gradient, 1e-6, &format!("vocabulary {vocabulary}"));
            }
        }
    }

    #[test]
    fn cross_entropy_stays_finite_for_huge_logits_and_shows_nan() {
        let mut logits = [1e30, -1e30, 0.];
        assert_eq!(cross_entropy_loss(&logits, &[0], 3), 0.);
        assert_eq!(cross_entropy(&mut logits, &[0], 1.), 0.);
        assert_eq!(logits, [0.; 3]);
        let mut logits = [0., f32::NAN, 1., 2., 0., 0.];
        assert!(cross_entropy_loss(&logits, &[0], 6).is_nan());
        assert!(cross_entropy(&mut logits, &[0], 1.).is_nan());
    }
}
