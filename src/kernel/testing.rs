//! What the kernels' tests share.

/// Numbers in (−1, 1) that look random; the same for the same seed.
pub fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2. - 1.) as f32
    };
    (0..len + 4).map(|_| next()).skip(4).collect()
}

/// Every element within `tolerance`, relative to 1 or to what is wanted if that is larger.
#[track_caller]
pub fn assert_close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - want).abs();
        assert!(error <= tolerance * want.abs().max(1.), "{what}, element {i}: {got} for {want}");
    }
}

/// ∂loss/∂x by central differences, for a loss computed in double precision.
pub fn numeric_gradient(x: &[f32], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = doubles(x);
    let step = 1e-5;
    (0..x.len())
        .map(|i| {
            let middle = x[i];
            x[i] = middle + step;
            let above = loss(&x);
            x[i] = middle - step;
            let below = loss(&x);
            x[i] = middle;
            (above - below) / (2. * step)
        })
        .collect()
}

pub fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

/// How many representable numbers lie between `got` and the rounded `want`, as a real number of units in the last place
/// of `want`.
pub fn ulps(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
    (f64::from(got) - want).abs() / unit
}
