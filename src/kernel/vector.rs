//! Sums and scalings of whole slices.

use super::lanes::{Lanes, Widest};

/// `y = f(x)` lane by lane; the last few go through the same instructions, padded.
#[inline(always)]
pub(super) fn map<V: Lanes>(x: &[f32], y: &mut [f32], f: impl Fn(V) -> V) {
    debug_assert_eq!(x.len(), y.len());
    let (x_chunks, mut y_chunks) = (x.chunks_exact(V::LEN), y.chunks_exact_mut(V::LEN));
    let x_tail = x_chunks.remainder();
    for (x, y) in x_chunks.zip(&mut y_chunks) {
        f(V::load(x)).store(y);
    }
    if !x_tail.is_empty() {
        f(V::load_partial(x_tail, 0.)).store_partial(y_chunks.into_remainder());
    }
}

/// `y = f(x, z)` lane by lane.
#[inline(always)]
pub(super) fn map2<V: Lanes>(x: &[f32], z: &[f32], y: &mut [f32], f: impl Fn(V, V) -> V) {
    debug_assert!(x.len() == y.len() && z.len() == y.len());
    let (x_chunks, z_chunks) = (x.chunks_exact(V::LEN), z.chunks_exact(V::LEN));
    let mut y_chunks = y.chunks_exact_mut(V::LEN);
    let (x_tail, z_tail) = (x_chunks.remainder(), z_chunks.remainder());
    for ((x, z), y) in x_chunks.zip(z_chunks).zip(&mut y_chunks) {
        f(V::load(x), V::load(z)).store(y);
    }
    if !x_tail.is_empty() {
        f(V::load_partial(x_tail, 0.), V::load_partial(z_tail, 0.)).store_partial(y_chunks.into_remainder());
    }
}

/// `x = f(x)` lane by lane.
#[inline(always)]
pub(super) fn update<V: Lanes>(xs: &mut [f32], mut f: impl FnMut(V) -> V) {
    let mut chunks = xs.chunks_exact_mut(V::LEN);
    for x in &mut chunks {
        f(V::load(x)).store(x);
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        f(V::load_partial(tail, 0.)).store_partial(tail);
    }
}

/// `x = f(x, y)` lane by lane.
#[inline(always)]
pub(super) fn update2<V: Lanes>(xs: &mut [f32], ys: &[f32], f: impl Fn(V, V) -> V) {
    debug_assert_eq!(xs.len(), ys.len());
    let (mut x_chunks, y_chunks) = (xs.chunks_exact_mut(V::LEN), ys.chunks_exact(V::LEN));
    let y_tail = y_chunks.remainder();
    for (x, y) in (&mut x_chunks).zip(y_chunks) {
        f(V::load(x), V::load(y)).store(x);
    }
    let x_tail = x_chunks.into_remainder();
    if !x_tail.is_empty() {
        f(V::load_partial(x_tail, 0.), V::load_partial(y_tail, 0.)).store_partial(x_tail);
    }
}

/// `Σ x`.
#[inline(always)]
pub(super) fn sum<V: Lanes>(xs: &[f32]) -> f32 {
    sum2::<V>(xs, xs, |x, _| x)
}

/// `Σ f(x, y)`; `f(0, 0)` must be 0, for the tail is padded. Four running sums hide the latency of the addition.
#[inline(always)]
pub(super) fn sum2<V: Lanes>(x: &[f32], y: &[f32], f: impl Fn(V, V) -> V) -> f32 {
    debug_assert_eq!(x.len(), y.len());
    let mut sums = [V::splat(0.); 4];
    let (x_blocks, y_blocks) = (x.chunks_exact(4 * V::LEN), y.chunks_exact(4 * V::LEN));
    let (x_rest, y_rest) = (x_blocks.remainder(), y_blocks.remainder());
    for (x, y) in x_blocks.zip(y_blocks) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = sum.add(f(V::load(&x[i * V::LEN..]), V::load(&y[i * V::LEN..])));
        }
    }
    let mut sum = sums[0].add(sums[2]).add(sums[1].add(sums[3]));
    let (x_chunks, y_chunks) = (x_rest.chunks_exact(V::LEN), y_rest.chunks_exact(V::LEN));
    let (x_tail, y_tail) = (x_chunks.remainder(), y_chunks.remainder());
    for (x, y) in x_chunks.zip(y_chunks) {
        sum = sum.add(f(V::load(x), V::load(y)));
    }
    if !x_tail.is_empty() {
        sum = sum.add(f(V::load_partial(x_tail, 0.), V::load_partial(y_tail, 0.)));
    }
    sum.sum()
}

/// The largest of `xs`, −∞ if there is none.
#[inline(always)]
pub(super) fn maximum<V: Lanes>(xs: &[f32]) -> f32 {
    let chunks = xs.chunks_exact(V::LEN);
    let lowest = V::splat(f32::NEG_INFINITY);
    let tail = chunks.remainder();
    let tail = if tail.is_empty() { lowest } else { V::load_partial(tail, f32::NEG_INFINITY) };
    chunks.fold(tail, |max, x| max.max(V::load(x))).maximum()
}

/// `Σ x²`. Blocks are summed in single precision, their sums in double.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    x.chunks(1024).map(|block| f64::from(sum2::<Widest>(block, block, |x, y| x.mul(y)))).sum()
}

/// `y += x`.
pub fn add_assign(y: &mut [f32], x: &[f32]) {
    debug_assert_eq!(x.len(), y.len());
    let (x_chunks, mut y_chunks) = (x.chunks_exact(Widest::LEN), y.chunks_exact_mut(Widest::LEN));
    let x_tail = x_chunks.remainder();
    for (x, y) in x_chunks.zip(&mut y_chunks) {
        Widest::load(y).add(Widest::load(x)).store(y);
    }
    y_chunks.into_remainder().iter_mut().zip(x_tail).for_each(|(y, x)| *y += x);
}

/// `y *= s`.
pub fn scale(y: &mut [f32], s: f32) {
    update::<Widest>(y, |y| y.mul(Lanes::splat(s)));
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Scalar;
    use super::super::testing::{assert_close, doubles, noise};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn sums_maxima_and_scalings_are_right_for_every_short_slice() {
        for n in 0..100 {
            let (x, y) = (noise(n, 1), noise(n, 2));
            let dot = x.iter().zip(&y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
            for got in [sum2::<Scalar>(&x, &y, Lanes::mul), sum2::<Widest>(&x, &y, Lanes::mul)] {
                assert!((f64::from(got) - dot).abs() < 1e-5, "n = {n}");
            }
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!([maximum::<Scalar>(&x), maximum::<Widest>(&x)], [largest; 2], "n = {n}");
            let mut sum = y.clone();
            add_assign(&mut sum, &x);
            assert!(sum.iter().zip(&x).zip(&y).all(|((sum, x), y)| *sum == x + y), "n = {n}");
            scale(&mut sum, 2.);
            assert!(sum.iter().zip(&x).zip(&y).all(|((sum, x), y)| *sum == (x + y) * 2.), "n = {n}");
        }
    }

    #[test]
    fn the_sum_of_squares_of_many_keeps_its_digits() {
        let x = noise(300_001, 3);
        let want = doubles(&x).iter().map(|x| x * x).sum::<f64>();
        assert!((sum_of_squares(&x) / want - 1.).abs() < 1e-6);
        assert_close(&[sum_of_squares(&[3., 4.]) as f32], &[25.], 0., "3² + 4²");
    }
}
