//! exp, and what is made of it, for whole slices.

use super::lanes::{Lanes, MAX_LEN};
use std::hint::black_box;

/// From here down exp is 0, as its true value is below the smallest normal number.
const EXP_LOW: f32 = -88.;
/// From here up exp is ∞.
const EXP_HIGH: f32 = 88.38;
/// Floats that go from one stage of [`exp`] to the next: few enough to stay in the first-level cache.
pub(super) const BLOCK: usize = 256;

/// A constant in all lanes, hidden from the compiler. LLVM builds a constant that it knows anew at each use, which V8
/// turns into three instructions: that doubled the time of exp. A hidden one stays in a register or on the stack.
#[inline(always)]
pub(super) fn constant<V: Lanes>(x: f32) -> V {
    V::splat(black_box(x))
}

/// `xs = exp(f(xs))`: within 2 ULP; 0 from −88 down, ∞ from 88.38 up, NaN for NaN.
///
/// `x = n·ln 2 + r` with a whole n and |r| ≤ ½ ln 2, so `eˣ = 2ⁿ·eʳ`. ln 2 is subtracted in two parts, the first with
/// so few bits that `n` times it is exact (Cody and Waite, 1980); eʳ is a minimax polynomial (the coefficients of
/// Cephes' expf).
///
/// In two stages over a block, not in one over a vector: all of it is one chain of dependent operations, so long that a
/// processor sees only three or four of them at a time and mostly waits. Two chains of half the length take half the
/// time.
#[inline(always)]
pub(super) fn exp<V: Lanes>(xs: &mut [f32], f: impl Fn(V) -> V) {
    let whole = xs.len() - xs.len() % V::LEN;
    let (body, tail) = xs.split_at_mut(whole);
    body.chunks_mut(BLOCK).for_each(|block| exp_block(block, &f));
    if !tail.is_empty() {
        let mut padded = [0.; MAX_LEN];
        padded[..tail.len()].copy_from_slice(tail);
        exp_block(&mut padded[..V::LEN], &f);
        tail.copy_from_slice(&padded[..tail.len()]);
    }
}

#[inline(always)]
fn exp_block<V: Lanes>(xs: &mut [f32], f: impl Fn(V) -> V) {
    let mut powers = [0.; BLOCK];
    let powers = &mut powers[..xs.len()];
    let (low, high) = (constant::<V>(EXP_LOW), constant::<V>(EXP_HIGH));
    // 1.5·2²³ + 127: adding it leaves no fraction bits, so the sum is rounded to a whole number, which stands in its
    // lowest bits, with the exponent's bias.
    let (log2_e, magic) = (constant::<V>(std::f32::consts::LOG2_E), constant::<V>(12_583_039.));
    let (minus_ln2_high, minus_ln2_low) = (constant::<V>(-0.693_359_4), constant::<V>(2.121_944_4e-4));
    for (x, power) in xs.chunks_exact_mut(V::LEN).zip(powers.chunks_exact_mut(V::LEN)) {
        let clamped = f(V::load(x)).max(low).min(high);
        let rounded = clamped.mul_add(log2_e, magic);
        rounded.power_of_two().store(power);
        let n = rounded.sub(magic);
        n.mul_add(minus_ln2_low, n.mul_add(minus_ln2_high, clamped)).store(x);
    }
    let coefficients = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let [c7, c6, c5, c4, c3, c2] = coefficients.map(constant::<V>);
    let one = constant::<V>(1.);
    for (x, power) in xs.chunks_exact_mut(V::LEN).zip(powers.chunks_exact(V::LEN)) {
        let r = V::load(x);
        let r2 = r.mul(r);
        // In pairs (Estrin), not one after the other (Horner), for a shorter chain again.
        let polynomial = c7.mul_add(r, c6).mul_add(r2, c5.mul_add(r, c4)).mul_add(r2, c3.mul_add(r, c2));
        polynomial.mul_add(r2, r).add(one).mul(V::load(power)).store(x);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Scalar, Widest};
    use super::super::testing::ulps;
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        // About a million numbers over the whole range in which the result is a normal number.
        let xs: Vec<f32> = (0..1_000_003).map(|i| -87.33 + (EXP_HIGH + 87.32) * i as f32 / 1e6).collect();
        let (mut scalar, mut widest) = (xs.clone(), xs.clone());
        exp::<Scalar>(&mut scalar, |x| x);
        exp::<Widest>(&mut widest, |x| x);
        for ((x, scalar), widest) in xs.into_iter().zip(scalar).zip(widest) {
            let want = f64::from(x).exp();
            for got in [scalar, widest] {
                assert!(ulps(got, want) <= 2., "exp({x}) = {got}, {} ULP off", ulps(got, want));
            }
        }
    }

    #[test]
    fn exp_ends_in_zero_and_in_infinity_and_keeps_nan() {
        let mut xs = [0., -88., -1e30, f32::NEG_INFINITY, 88.4, 1e30, f32::INFINITY, f32::NAN];
        exp::<Widest>(&mut xs, |x| x);
        assert_eq!(xs[..7], [1., 0., 0., 0., f32::INFINITY, f32::INFINITY, f32::INFINITY]);
        assert!(xs[7].is_nan());
    }

    #[test]
    fn exp_of_a_number_does_not_depend_on_its_place() {
        let mut xs = vec![0.7; 2 * BLOCK + 7];
        exp::<Widest>(&mut xs, |x| x.add(x));
        assert!(xs.iter().all(|x| *x == xs[0]));
    }
}
