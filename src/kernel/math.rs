//! exp and the logistic function on lanes.

use super::lanes::Lanes;

/// Below this the true result is no normal number; [`exp`] gives 0.
const EXP_LOW: f32 = -87.336_54;
/// Above this the true result is infinite; [`exp`] gives a number just below the largest.
const EXP_HIGH: f32 = 88.722_83;

/// eˣ within 2 ULP; 0 below −87.33, finite above 88.72, NaN for NaN.
///
/// `x = n·ln 2 + r` with a whole n and |r| ≤ ½ ln 2, so `eˣ = 2ⁿ·eʳ`. ln 2 is subtracted in two parts, the first with so few bits that `n` times
/// it is exact (Cody and Waite, 1980); eʳ is a minimax polynomial (the coefficients of Cephes' expf).
#[inline(always)]
pub(super) fn exp<V: Lanes>(x: V) -> V {
    let clamped = x.max(V::splat(EXP_LOW)).min(V::splat(EXP_HIGH));
    // 1.5·2²³: adding it leaves no fraction bits, so the sum is rounded to a whole number, which stands in its low bits.
    let magic = V::splat(12_582_912.);
    let rounded = clamped.mul_add(V::splat(std::f32::consts::LOG2_E), magic);
    let n = rounded.sub(magic);
    let r = n.mul_add(V::splat(-0.693_359_4), clamped);
    let r = n.mul_add(V::splat(2.121_944_4e-4), r);
    let polynomial = V::splat(1.987_569_1e-4)
        .mul_add(r, V::splat(1.398_199_9e-3))
        .mul_add(r, V::splat(8.333_452e-3))
        .mul_add(r, V::splat(4.166_579_6e-2))
        .mul_add(r, V::splat(1.666_666_5e-1))
        .mul_add(r, V::splat(0.5));
    let exp_r = polynomial.mul_add(r.mul(r), r).add(V::splat(1.));
    exp_r.shift_exponent(rounded).zero_below(x, V::splat(EXP_LOW))
}

/// `σ(x) = 1 / (1 + e⁻ˣ)` within 3 ULP.
#[inline(always)]
pub(super) fn sigmoid<V: Lanes>(x: V) -> V {
    let one = V::splat(1.);
    one.div(exp(V::splat(0.).sub(x)).add(one))
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Scalar, Widest};
    use super::super::testing::ulps;
    use super::*;

    fn apply<V: Lanes>(f: impl Fn(V) -> V, x: f32) -> f32 {
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
        for x in arguments() {
            let want = f64::from(x).exp();
            for got in [apply::<Scalar>(exp, x), apply::<Widest>(exp, x)] {
                assert!(ulps(got, want) <= 2., "exp({x}) = {got}, {} ULP off", ulps(got, want));
            }
        }
    }

    #[test]
    fn exp_ends_in_zero_and_in_a_finite_number_and_keeps_nan() {
        let exp = |x| apply::<Widest>(exp, x);
        assert_eq!(exp(0.), 1.);
        assert_eq!([exp(-88.), exp(-1e30), exp(f32::NEG_INFINITY)], [0.; 3]);
        assert!([exp(88.8), exp(1e30), exp(f32::INFINITY)].iter().all(|y| y.is_finite() && *y > 3.4e38));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid_is_within_three_units_in_the_last_place() {
        for x in arguments() {
            let want = 1. / (1. + (-f64::from(x)).exp());
            for got in [apply::<Scalar>(sigmoid, x), apply::<Widest>(sigmoid, x)] {
                assert!(ulps(got, want) <= 3., "sigmoid({x}) = {got}, {} ULP off", ulps(got, want));
            }
        }
        assert!(apply::<Widest>(sigmoid, f32::NAN).is_nan());
    }
}
