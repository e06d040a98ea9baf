//! Layer normalisation (Ba, Kiros and Hinton, 2016), row by row.

use super::lanes::{Lanes, Widest};
use super::vector::{map2, sum2};

/// `y = (x − mean)/√(variance + eps)·weight + bias` for each row of `width = weight.len()`.
///
/// `x`, `y (rows, width)`; `stats (rows, 2)` receives each row's mean and 1/√(variance + eps), for the backward pass.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32], stats: &mut [f32]) {
    forward::<Widest>(x, weight, bias, eps, y, stats);
}

/// With `x̂ = (x − mean)·rstd` and `g = dy·weight`: `dx = rstd·(g − mean(g) − x̂·mean(g·x̂))`, row by row.
pub fn layer_norm_backward(x: &[f32], weight: &[f32], stats: &[f32], dy: &[f32], dx: &mut [f32]) {
    backward::<Widest>(x, weight, stats, dy, dx);
}

/// `dweight = Σ dy·x̂` and `dbias = Σ dy` over the rows; both are overwritten. For full fine-tuning only.
pub fn layer_norm_weight_backward(x: &[f32], stats: &[f32], dy: &[f32], dweight: &mut [f32], dbias: &mut [f32]) {
    weight_backward::<Widest>(x, stats, dy, dweight, dbias);
}

fn forward<V: Lanes>(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32], stats: &mut [f32]) {
    let width = weight.len();
    debug_assert!(bias.len() == width && x.len() == y.len() && x.len() * 2 == stats.len() * width);
    for ((x, y), stats) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(stats.chunks_exact_mut(2)) {
        let mean = sum2::<V>(x, x, |x, _| x) / width as f32;
        // x is centred first, into y: the mean of the squares minus the square of the mean would lose digits.
        map2::<V>(x, x, y, |x, _| x.sub(V::splat(mean)));
        let variance = sum2::<V>(y, y, |x, y| x.mul(y)) / width as f32;
        let rstd = 1. / (variance + eps).sqrt();
        stats.copy_from_slice(&[mean, rstd]);
        scale_and_shift::<V>(y, weight, bias, rstd);
    }
}

/// `y = y·s·weight + bias`.
#[inline(always)]
fn scale_and_shift<V: Lanes>(y: &mut [f32], weight: &[f32], bias: &[f32], s: f32) {
    let mut y_chunks = y.chunks_exact_mut(V::LEN);
    let (w_chunks, b_chunks) = (weight.chunks_exact(V::LEN), bias.chunks_exact(V::LEN));
    let (w_tail, b_tail) = (w_chunks.remainder(), b_chunks.remainder());
    let f = |y: V, w: V, b: V| y.mul(V::splat(s)).mul_add(w, b);
    for ((y, w), b) in (&mut y_chunks).zip(w_chunks).zip(b_chunks) {
        f(V::load(y), V::load(w), V::load(b)).store(y);
    }
    let tail = y_chunks.into_remainder();
    f(V::load_partial(tail, 0.), V::load_partial(w_tail, 0.), V::load_partial(b_tail, 0.)).store_partial(tail);
}

fn backward<V: Lanes>(x: &[f32], weight: &[f32], stats: &[f32], dy: &[f32], dx: &mut [f32]) {
    let width = weight.len();
    debug_assert!(x.len() == dy.len() && x.len() == dx.len() && x.len() * 2 == stats.len() * width);
    let rows = x.chunks_exact(width).zip(stats.chunks_exact(2));
    for (((x, stats), dy), dx) in rows.zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
        let (mean, rstd) = (stats[0], stats[1]);
        map2::<V>(dy, weight, dx, |dy, w| dy.mul(w));
        let g_mean = sum2::<V>(dx, dx, |g, _| g) / width as f32;
        // x − mean of a padded lane is not 0, but g is.
        let centred_dot = sum2::<V>(dx, x, |g, x| g.mul(x.sub(V::splat(mean))));
        // dx = rstd·g − rstd·mean(g) − (x − mean)·rstd³·mean(g·(x − mean))
        let slope = -(centred_dot / width as f32) * rstd * rstd * rstd;
        let constant = -rstd * g_mean;
        let mut dx_chunks = dx.chunks_exact_mut(V::LEN);
        let x_chunks = x.chunks_exact(V::LEN);
        let x_tail = x_chunks.remainder();
        let f = |g: V, x: V| {
            let rest = x.sub(V::splat(mean)).mul_add(V::splat(slope), V::splat(constant));
            g.mul_add(V::splat(rstd), rest)
        };
        for (dx, x) in (&mut dx_chunks).zip(x_chunks) {
            f(V::load(dx), V::load(x)).store(dx);
        }
        let tail = dx_chunks.into_remainder();
        f(V::load_partial(tail, 0.), V::load_partial(x_tail, 0.)).store_partial(tail);
    }
}

fn weight_backward<V: Lanes>(x: &[f32], stats: &[f32], dy: &[f32], dweight: &mut [f32], dbias: &mut [f32]) {
    let width = dweight.len();
    debug_assert!(dbias.len() == width && x.len() == dy.len() && x.len() * 2 == stats.len() * width);
    dweight.fill(0.);
    dbias.fill(0.);
    for ((x, stats), dy) in x.chunks_exact(width).zip(stats.chunks_exact(2)).zip(dy.chunks_exact(width)) {
        let (mean, rstd) = (stats[0], stats[1]);
        for (((dw, db), x), dy) in dweight.iter_mut().zip(dbias.iter_mut()).zip(x).zip(dy) {
            *dw += dy * ((x - mean) * rstd);
            *db += dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Scalar;
    use super::super::testing::{assert_close, doubles, noise, numeric_gradient};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const EPS: f32 = 1e-5;

    fn reference(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let width = weight.len();
        let mut y = Vec::new();
        for row in x.chunks_exact(width) {
            let mean = row.iter().sum::<f64>() / width as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            let rstd = 1. / (variance + f64::from(EPS)).sqrt();
            y.extend(row.iter().zip(weight).zip(bias).map(|((x, w), b)| (x - mean) * rstd * w + b));
        }
        y
    }

    fn dot(y: &[f64], dy: &[f32]) -> f64 {
        y.iter().zip(dy).map(|(y, &dy)| y * f64::from(dy)).sum()
    }

    #[test]
    fn layer_norm_is_the_formula_and_its_gradients_the_numeric_ones_for_every_short_row() {
        let rows = 3;
        // From 2 on: a row of one has no variance, and its gradient is 0 by cancellation alone.
        for width in 2..40 {
            let x: Vec<f32> = noise(rows * width, 1).iter().map(|x| 3. * x + 1.).collect();
            let (weight, bias, dy) = (noise(width, 2), noise(width, 3), noise(rows * width, 4));
            let (x64, w64, b64) = (doubles(&x), doubles(&weight), doubles(&bias));
            let want = reference(&x64, &w64, &b64);
            let want_dx = numeric_gradient(&x, |x| dot(&reference(x, &w64, &b64), &dy));
            let want_dw = numeric_gradient(&weight, |w| dot(&reference(&x64, w, &b64), &dy));
            let want_db = numeric_gradient(&bias, |b| dot(&reference(&x64, &w64, b), &dy));
            for widest in [false, true] {
                let (mut y, mut stats) = (vec![f32::NAN; x.len()], vec![f32::NAN; 2 * rows]);
                let mut dx = y.clone();
                let (mut dw, mut db) = (vec![f32::NAN; width], vec![f32::NAN; width]);
                if widest {
                    layer_norm(&x, &weight, &bias, EPS, &mut y, &mut stats);
                    layer_norm_backward(&x, &weight, &stats, &dy, &mut dx);
                    layer_norm_weight_backward(&x, &stats, &dy, &mut dw, &mut db);
                } else {
                    forward::<Scalar>(&x, &weight, &bias, EPS, &mut y, &mut stats);
                    backward::<Scalar>(&x, &weight, &stats, &dy, &mut dx);
                    weight_backward::<Scalar>(&x, &stats, &dy, &mut dw, &mut db);
                }
                assert_close(&y, &want, 1e-5, &format!("y, width {width}"));
                // For two numbers that are close to each other the norm is steep, so rounding shows more in dx.
                assert_close(&dx, &want_dx, 1e-4, &format!("dx, width {width}"));
                assert_close(&dw, &want_dw, 1e-5, &format!("dweight, width {width}"));
                assert_close(&db, &want_db, 1e-5, &format!("dbias, width {width}"));
            }
        }
    }
}
