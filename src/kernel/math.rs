//! exp, the logistic function and tanh on lanes.
//!
//! Each comes as a function that returns the function: what it returns holds the constants, made once before a loop.

use super::lanes::Lanes;
use std::hint::black_box;

/// Below this the true result is no normal number; [`exp`] gives 0.
const EXP_LOW: f32 = -87.336_54;
/// Above this the true result is infinite; [`exp`] gives a number just below the largest.
const EXP_HIGH: f32 = 88.722_83;

/// A constant in all lanes, hidden from the compiler: one that it knows is built anew at each use, by three instructions in V8,
/// which doubled the time of exp. A hidden one stays in a register or on the stack.
#[inline(always)]
pub(super) fn constant<V: Lanes>(x: f32) -> V {
    V::splat(black_box(x))
}

/// eˣ within 2 ULP; 0 below −87.33, finite above 88.72, NaN for NaN.
///
/// `x = n·ln 2 + r` with a whole n and |r| ≤ ½ ln 2, so `eˣ = 2ⁿ·eʳ`. ln 2 is subtracted in two parts, the first with so few bits that `n` times
/// it is exact (Cody and Waite, 1980); eʳ is a minimax polynomial (the coefficients of Cephes' expf).
#[inline(always)]
pub(super) fn exp<V: Lanes>() -> impl Fn(V) -> V {
    let (low, high, one) = (constant::<V>(EXP_LOW), constant(EXP_HIGH), constant(1.));
    // 1.5·2²³: adding it leaves no fraction bits, so the sum is rounded to a whole number, which stands in its low bits.
    let (log2_e, magic) = (constant::<V>(std::f32::consts::LOG2_E), constant(12_582_912.));
    let (minus_ln2_high, minus_ln2_low) = (constant(-0.693_359_4), constant(2.121_944_4e-4));
    let coefficients = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let [c7, c6, c5, c4, c3, c2] = coefficients.map(constant::<V>);
    move |x| {
        let clamped = x.max(low).min(high);
        let rounded = clamped.mul_add(log2_e, magic);
        let n = rounded.sub(magic);
        let r = n.mul_add(minus_ln2_low, n.mul_add(minus_ln2_high, clamped));
        let polynomial = c7.mul_add(r, c6).mul_add(r, c5).mul_add(r, c4).mul_add(r, c3).mul_add(r, c2);
        let exp_r = polynomial.mul_add(r.mul(r), r).add(one);
        exp_r.shift_exponent(rounded).zero_below(x, low)
    }
}

/// `σ(−x) = 1 / (1 + eˣ)` within 3 ULP.
#[inline(always)]
pub(super) fn sigmoid_of_minus<V: Lanes>() -> impl Fn(V) -> V {
    let (exp, one) = (exp::<V>(), constant::<V>(1.));
    move |x| one.div(exp(x).add(one))
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Scalar, Widest};
    use super::super::testing::ulps;
    use super::*;

    fn apply<V: Lanes>(f: &impl Fn(V) -> V, x: f32) -> f32 {
        let mut y = [0.];
        f(V::splat(x)).store_partial(&mut y);
        y[0]
    }

    /// About a million numbers over the whole range in which the result is a normal number.
    fn arguments() -> impl Iterator<Item = f32> {
        (0..1_000_000).map(|i| EXP_LOW + (EXP_HIGH - EXP_LOW) * i as f32 / 1e6)
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let (scalar, widest) = (exp::<Scalar>(), exp::<Widest>());
        for x in arguments() {
            let want = f64::from(x).exp();
            for got in [apply(&scalar, x), apply(&widest, x)] {
                assert!(ulps(got, want) <= 2., "exp({x}) = {got}, {} ULP off", ulps(got, want));
            }
        }
    }

    #[test]
    fn exp_ends_in_zero_and_in_a_finite_number_and_keeps_nan() {
        let exp = |x| apply(&exp::<Widest>(), x);
        assert_eq!(exp(0.), 1.);
        assert_eq!([exp(-88.), exp(-1e30), exp(f32::NEG_INFINITY)], [0.; 3]);
        assert!([exp(88.8), exp(1e30), exp(f32::INFINITY)].iter().all(|y| y.is_finite() && *y > 3.4e38));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_logistic_function_is_within_three_units_in_the_last_place() {
        let (scalar, widest) = (sigmoid_of_minus::<Scalar>(), sigmoid_of_minus::<Widest>());
        for x in arguments() {
            let want = 1. / (1. + f64::from(x).exp());
            for got in [apply(&scalar, x), apply(&widest, x)] {
                assert!(ulps(got, want) <= 3., "σ({}) = {got}, {} ULP off", -x, ulps(got, want));
            }
        }
        assert!(apply(&widest, f32::NAN).is_nan());
    }
}
