//! GPT-2's activation (`gelu_new`): the tanh approximation of GELU (Hendrycks and Gimpel, 2016).

use super::lanes::{Lanes, Widest};
use super::math::{BLOCK, constant, exp};
use super::vector::{map, update2};

/// 2·√(2/π)
const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769_2;
const CUBIC: f32 = 0.044_715;

/// `y = ½·x·(1 + tanh u)` with `u = √(2/π)·(x + 0.044715·x³)`.
///
/// Written as `x·σ(2u)`, which is the same and needs no tanh: `½(1 + tanh u) = σ(2u)`.
/// Within 2 ULP from −½ up; below, where the result tends to 0, within 2⁻²³.
pub fn gelu(x: &[f32], y: &mut [f32]) {
    forward::<Widest>(x, y);
}

/// `dx = dy·(s + x·s·(1 − s)·2u′)` with `s = σ(2u)` and `u′ = √(2/π)·(1 + 3·0.044715·x²)`.
pub fn gelu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    backward::<Widest>(x, dy, dx);
}

#[inline(never)]
fn forward<V: Lanes>(x: &[f32], y: &mut [f32]) {
    let one = constant::<V>(1.);
    for (x, y) in x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)) {
        exp_minus_2u::<V>(x, y);
        update2::<V>(y, x, |e, x| x.div(e.add(one)));
    }
}

#[inline(never)]
fn backward<V: Lanes>(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (one, three) = (constant::<V>(1.), constant::<V>(3.));
    let (linear, cubic) = (constant::<V>(TWICE_SQRT_2_OVER_PI), constant::<V>(CUBIC * TWICE_SQRT_2_OVER_PI));
    for ((x, dy), dx) in x.chunks(BLOCK).zip(dy.chunks(BLOCK)).zip(dx.chunks_mut(BLOCK)) {
        exp_minus_2u::<V>(x, dx);
        update2::<V>(dx, x, |e, x| {
            let s = one.div(e.add(one));
            let x_slope = x.mul(cubic.mul(x.mul(x)).mul_add(three, linear));
            x_slope.mul_add(s.sub(s.mul(s)), s)
        });
        update2::<V>(dx, dy, |slope, dy| slope.mul(dy));
    }
}

/// `y = e^(−2u)`: `σ(2u) = 1/(1 + y)`.
#[inline(always)]
fn exp_minus_2u<V: Lanes>(x: &[f32], y: &mut [f32]) {
    let (linear, cubic) = (constant::<V>(-TWICE_SQRT_2_OVER_PI), constant::<V>(-CUBIC * TWICE_SQRT_2_OVER_PI));
    map::<V>(x, y, |x| x.mul(cubic.mul_add(x.mul(x), linear)));
    exp::<V>(y, |x| x);
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Scalar;
    use super::super::testing::{assert_close, doubles, noise, numeric_gradient, ulps};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(x: f64) -> f64 {
        let u = (2. / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        0.5 * x * (1. + u.tanh())
    }

    #[test]
    fn gelu_is_the_formula_and_its_gradient_the_numeric_one_for_every_short_slice() {
        for n in 0..70 {
            let x: Vec<f32> = noise(n, 1).iter().map(|x| x * 6.).collect();
            let dy = noise(n, 2);
            let want: Vec<f64> = doubles(&x).into_iter().map(reference).collect();
            let slope = numeric_gradient(&x, |x| x.iter().zip(&dy).map(|(&x, &dy)| reference(x) * f64::from(dy)).sum());
            type Pass = (fn(&[f32], &mut [f32]), fn(&[f32], &[f32], &mut [f32]));
            let passes: [Pass; 2] = [(forward::<Scalar>, backward::<Scalar>), (gelu, gelu_backward)];
            for (forward, backward) in passes {
                let (mut y, mut dx) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                forward(&x, &mut y);
                assert_close(&y, &want, 1e-6, "gelu");
                backward(&x, &dy, &mut dx);
                assert_close(&dx, &slope, 2e-6, "gelu's gradient");
            }
        }
    }

    #[test]
    fn gelu_is_within_its_stated_error() {
        let xs: Vec<f32> = (0..1_000_003).map(|i| -20. + 40. * i as f32 / 1e6).collect();
        for forward in [forward::<Scalar>, forward::<Widest>] {
            let mut y = vec![f32::NAN; xs.len()];
            forward(&xs, &mut y);
            for (&x, &got) in xs.iter().zip(&y) {
                let want = reference(f64::from(x));
                let within = if x >= -0.5 {
                    ulps(got, want) <= 2.
                } else {
                    (f64::from(got) - want).abs() <= f64::from(f32::EPSILON)
                };
                assert!(within, "gelu({x}) = {got} for {want}, {} ULP off", ulps(got, want));
            }
        }
    }

    #[test]
    fn gelu_of_large_numbers_is_the_number_or_zero() {
        let (mut y, mut dx) = ([0.; 4], [0.; 4]);
        gelu(&[-1e4, -30., 30., 1e4], &mut y);
        gelu_backward(&[-1e4, -30., 30., 1e4], &[1.; 4], &mut dx);
        assert_close(&y, &[0., 0., 30., 1e4], 1e-20, "gelu");
        assert_close(&dx, &[0., 0., 1., 1.], 1e-20, "gelu's gradient");
    }
}
