//! Matrix products.
//!
//! All of them run one register tile, [`tile`]: `ROWS × (COLUMNS·LEN)` sums that stay in registers while the inner dimension goes by
//! (Goto and van de Geijn, 2008). The right operand lies in panels of a tile's width; the left one is read where it is.
//!
//! The inner dimension is cut at multiples of [`DEPTH`] for every product, so that the order of summation depends on
//! nothing but that dimension: not on the number of rows, nor on the path taken.

use super::lanes::{Lanes, Widest};
use std::array::from_fn;

/// Rows and vectors of a tile: 16 vector registers hold 8 sums besides the operands, 32 hold 16.
const ROWS: usize = if cfg!(target_feature = "avx512f") { 8 } else { 4 };
const COLUMNS: usize = 2;
/// Panels side by side when there is but one row.
const GROUP: usize = 4;
const UNROLL: usize = 4;
/// A panel of this many rows stays in the first-level cache.
const DEPTH: usize = 512;
/// Rows of the left operand that stay in the second-level cache while all panels go by.
const ROW_BLOCK: usize = 128;

/// The width of a panel.
const fn width<V: Lanes>() -> usize {
    COLUMNS * V::LEN
}

/// The right operand of a product, `(k, n)`, packed once: panels of a tile's width, each `(k, width)`, the last one padded with zeros.
#[derive(Clone, Debug)]
pub struct Packed {
    panels: Vec<f32>,
    k: usize,
    n: usize,
}

impl Packed {
    /// From `w (k, n)`.
    pub fn new(w: &[f32], k: usize, n: usize) -> Self {
        debug_assert_eq!(w.len(), k * n);
        Self { panels: pack::<Widest>(w, n, 1, k, n), k, n }
    }
    /// From `w (n, k)`: packs its transpose.
    pub fn new_transposed(w: &[f32], k: usize, n: usize) -> Self {
        debug_assert_eq!(w.len(), k * n);
        Self { panels: pack::<Widest>(w, 1, k, k, n), k, n }
    }
    pub fn k(&self) -> usize {
        self.k
    }
    pub fn n(&self) -> usize {
        self.n
    }
    /// What it occupies.
    pub fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }
    /// The element in row `k` and column `n`.
    pub fn get(&self, k: usize, n: usize) -> f32 {
        const WIDTH: usize = width::<Widest>();
        debug_assert!(k < self.k && n < self.n);
        self.panels[(n / WIDTH * self.k + k) * WIDTH + n % WIDTH]
    }
}

/// `y = x·w + bias`: `x (m, k)`, `w (k, n)`, `bias (n)`, `y (m, n)`, overwritten.
pub fn matmul_packed(x: &[f32], w: &Packed, bias: Option<&[f32]>, y: &mut [f32]) {
    let (k, n) = (w.k, w.n);
    let Some(m) = y.len().checked_div(n) else { return };
    debug_assert!(x.len() == m * k && y.len() == m * n && bias.is_none_or(|bias| bias.len() == n));
    let right = Right::packed::<Widest>(&w.panels, k);
    let start = bias.map_or(Start::Zero, Start::Bias);
    multiply::<Widest, false>(Left { data: x, stride: k }, right, Output { data: y, stride: n }, [m, k, n], 1., start);
}

/// `c = scale·a·b`, added to `c` if `accumulate`: `a (m, k)`, `b (k, n)`, `c (m, n)`.
#[expect(clippy::too_many_arguments, reason = "three matrices with three sizes: a struct would only rename them")]
pub fn matmul_nn(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let panels = pack::<Widest>(b, n, 1, k, n);
    let right = Right::packed::<Widest>(&panels, k);
    let output = Output { data: c, stride: n };
    multiply::<Widest, false>(Left { data: a, stride: k }, right, output, [m, k, n], scale, Start::of(accumulate));
}

/// `c = scale·aᵀ·b`, added to `c` if `accumulate`: `a (k, m)`, `b (k, n)`, `c (m, n)`. The gradient of a weight: `dW = xᵀ·dy`.
#[expect(clippy::too_many_arguments, reason = "as matmul_nn")]
pub fn matmul_tn(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let panels = pack::<Widest>(b, n, 1, k, n);
    let right = Right::packed::<Widest>(&panels, k);
    let output = Output { data: c, stride: n };
    multiply::<Widest, true>(Left { data: a, stride: m }, right, output, [m, k, n], scale, Start::of(accumulate));
}

/// `c = scale·a·bᵀ`, added to `c` if `accumulate`: `a (m, k)`, `b (n, k)`, `c (m, n)`. The gradient of an input: `dx = dy·Wᵀ`.
#[expect(clippy::too_many_arguments, reason = "as matmul_nn")]
pub fn matmul_nt(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let panels = pack::<Widest>(b, 1, k, k, n);
    let right = Right::packed::<Widest>(&panels, k);
    let output = Output { data: c, stride: n };
    multiply::<Widest, false>(Left { data: a, stride: k }, right, output, [m, k, n], scale, Start::of(accumulate));
}

/// The left operand where it lies: element `(i, p)` is `data[i·stride + p]`, or `data[p·stride + i]` if it is taken transposed.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub data: &'a [f32],
    pub stride: usize,
}

/// The right operand: the panel of columns `j..j + width` has its row `p` at `data[j/width·panel_stride + p·row_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    data: &'a [f32],
    panel_stride: usize,
    row_stride: usize,
}

impl<'a> Right<'a> {
    /// Packed panels of `k` rows.
    pub fn packed<V: Lanes>(data: &'a [f32], k: usize) -> Self {
        Self { data, panel_stride: k * width::<V>(), row_stride: width::<V>() }
    }
    fn panel<V: Lanes>(self, j: usize, p: usize) -> &'a [f32] {
        &self.data[j / width::<V>() * self.panel_stride + p * self.row_stride..]
    }
}

/// Where the result goes: rows `stride` apart.
pub(super) struct Output<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
}

/// What the product is added to.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    Zero,
    /// A row, the same for all.
    Bias(&'a [f32]),
    /// What the output holds.
    Output,
}

impl Start<'_> {
    pub fn of(accumulate: bool) -> Self {
        if accumulate { Self::Output } else { Self::Zero }
    }
}

/// Packs the `(k, n)` matrix whose element `(p, j)` is `b[p·row_stride + j·column_stride]`.
pub(super) fn pack<V: Lanes>(b: &[f32], row_stride: usize, column_stride: usize, k: usize, n: usize) -> Vec<f32> {
    let width = width::<V>();
    let mut panels = vec![0.; n.div_ceil(width) * width * k];
    for (j, panel) in (0..n).step_by(width).zip(panels.chunks_exact_mut((k * width).max(1))) {
        let columns = width.min(n - j);
        if column_stride == 1 {
            for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                row[..columns].copy_from_slice(&b[p * row_stride + j..][..columns]);
            }
        } else {
            for column in 0..columns {
                let source = &b[(j + column) * column_stride..];
                for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                    row[column] = source[p * row_stride];
                }
            }
        }
    }
    panels
}

/// `output = start + scale·left·right` of sizes `[m, k, n]`.
pub(super) fn multiply<V: Lanes, const TRANSPOSED: bool>(
    left: Left,
    right: Right,
    output: Output,
    [m, k, n]: [usize; 3],
    scale: f32,
    start: Start,
) {
    let Output { data, stride } = output;
    // A product over nothing is one block of depth 0: it writes the start.
    let depths = if k == 0 { 1 } else { k.div_ceil(DEPTH) };
    for first in (0..m).step_by(ROW_BLOCK) {
        let end = m.min(first + ROW_BLOCK);
        let whole = end - (end - first) % ROWS;
        for p in (0..depths).map(|block| block * DEPTH) {
            let depth = DEPTH.min(k - p);
            let start = if p == 0 { start } else { Start::Output };
            for j in (0..n).step_by(width::<V>()) {
                let panel = right.panel::<V>(j, p);
                for i in (first..whole).step_by(ROWS) {
                    let [sums] = tile::<V, ROWS, 1, TRANSPOSED>(left, i, p, [panel], right.row_stride, depth);
                    for (r, sums) in sums.iter().enumerate() {
                        write(sums, &mut data[(i + r) * stride..][..n], j, scale, start);
                    }
                }
            }
            for i in whole..end {
                let row = &mut data[i * stride..][..n];
                // Several panels at once: one row's sums of one panel would wait for each other's additions.
                let wide = GROUP * width::<V>();
                let mut j = 0;
                while j + wide <= n {
                    let panels = from_fn(|g| right.panel::<V>(j + g * width::<V>(), p));
                    let sums = tile::<V, 1, GROUP, TRANSPOSED>(left, i, p, panels, right.row_stride, depth);
                    for [sums] in &sums {
                        write(sums, row, j, scale, start);
                        j += width::<V>();
                    }
                }
                while j < n {
                    let panels = [right.panel::<V>(j, p)];
                    let [[sums]] = tile::<V, 1, 1, TRANSPOSED>(left, i, p, panels, right.row_stride, depth);
                    write(&sums, row, j, scale, start);
                    j += width::<V>();
                }
            }
        }
    }
}

/// `row[j..j + width] = start + scale·sums`, as far as the row goes.
#[inline(always)]
fn write<V: Lanes>(sums: &[V; COLUMNS], row: &mut [f32], j: usize, scale: f32, start: Start) {
    let scale = V::splat(scale);
    let row = &mut row[j..];
    if row.len() >= width::<V>() {
        for (c, (sum, out)) in sums.iter().zip(row.chunks_exact_mut(V::LEN)).enumerate() {
            match start {
                Start::Zero => scale.mul(*sum),
                Start::Bias(bias) => scale.mul_add(*sum, V::load(&bias[j + c * V::LEN..])),
                Start::Output => scale.mul_add(*sum, V::load(out)),
            }
            .store(out);
        }
    } else {
        for (c, (sum, out)) in sums.iter().zip(row.chunks_mut(V::LEN)).enumerate() {
            match start {
                Start::Zero => scale.mul(*sum),
                Start::Bias(bias) => scale.mul_add(*sum, V::load_partial(&bias[j + c * V::LEN..][..out.len()], 0.)),
                Start::Output => scale.mul_add(*sum, V::load_partial(out, 0.)),
            }
            .store_partial(out);
        }
    }
}

/// `sums[g][r][c] = Σ_p left[i + r][p0 + p]·panels[g][p][c]` for `p < depth`: the sums stay in registers.
#[inline(always)]
fn tile<V: Lanes, const R: usize, const G: usize, const TRANSPOSED: bool>(
    left: Left,
    i: usize,
    p0: usize,
    panels: [&[f32]; G],
    row_stride: usize,
    depth: usize,
) -> [[[V; COLUMNS]; R]; G] {
    let mut sums = [[[V::splat(0.); COLUMNS]; R]; G];
    if depth == 0 {
        return sums;
    }
    // Checked once here, so that the loop need not check.
    let (first, last) = if TRANSPOSED {
        (p0 * left.stride + i, (p0 + depth - 1) * left.stride + i + R - 1)
    } else {
        (i * left.stride + p0, (i + R - 1) * left.stride + p0 + depth - 1)
    };
    assert!(last < left.data.len());
    assert!(panels.iter().all(|panel| (depth - 1) * row_stride + width::<V>() <= panel.len()));
    let mut a: [*const f32; R] = from_fn(|r| {
        let offset = if TRANSPOSED { r } else { r * left.stride };
        // SAFETY: at most `last`, which is inside `left.data`.
        unsafe { left.data.as_ptr().add(first + offset) }
    });
    let a_step = if TRANSPOSED { left.stride } else { 1 };
    let mut b: [*const f32; G] = panels.map(|panel| panel.as_ptr());
    macro_rules! steps {
        ($count:literal) => {
            for u in 0..$count {
                // SAFETY: row p + u < depth of the panel has `width` floats, as asserted.
                let b: [[V; COLUMNS]; G] =
                    from_fn(|g| from_fn(|c| unsafe { V::load_from(b[g].add(u * row_stride).add(c * V::LEN)) }));
                for r in 0..R {
                    // SAFETY: element (r, p + u) lies between `first` and `last`.
                    let a = V::splat(unsafe { *a[r].add(u * a_step) });
                    for g in 0..G {
                        for c in 0..COLUMNS {
                            sums[g][r][c] = a.mul_add(b[g][c], sums[g][r][c]);
                        }
                    }
                }
            }
            a = a.map(|a| a.wrapping_add($count * a_step));
            b = b.map(|b| b.wrapping_add($count * row_stride));
        };
    }
    for _ in 0..depth / UNROLL {
        steps!(4);
    }
    for _ in 0..depth % UNROLL {
        steps!(1);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    /// `start + scale·a·b` in double precision, by the definition.
    fn naive(a: impl Fn(usize, usize) -> f32, b: impl Fn(usize, usize) -> f32, [m, k, n]: [usize; 3]) -> Vec<f64> {
        let dot = |i, j| (0..k).map(|p| f64::from(a(i, p)) * f64::from(b(p, j))).sum();
        (0..m * n).map(|at| dot(at / n, at % n)).collect()
    }

    fn awkward_sizes() -> Vec<[usize; 3]> {
        let mut sizes = Vec::new();
        for m in 1..20 {
            for n in 1..20 {
                sizes.extend([1, 2, 3, 4, 5, 7, 8, 19].map(|k| [m, k, n]));
            }
        }
        let more = [[0, 3, 3], [3, 0, 3], [3, 3, 0], [5, DEPTH, 9], [5, DEPTH + 1, 33], [3, 2 * DEPTH + 5, 70]];
        let larger = [[ROW_BLOCK + 3, 17, 65], [2 * ROW_BLOCK, 8, 64], [128, 192, 100], [1, 100, 300]];
        sizes.extend(more.into_iter().chain(larger));
        sizes
    }

    #[test]
    fn a_packed_product_is_the_definition_for_all_awkward_sizes() {
        for [m, k, n] in awkward_sizes() {
            let (x, w, bias) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
            let mut want = naive(|i, p| x[i * k + p], |p, j| w[p * n + j], [m, k, n]);
            let mut y = vec![f32::NAN; m * n];
            let transposed: Vec<f32> = (0..k * n).map(|at| w[at % k.max(1) * n + at / k.max(1)]).collect();
            for packed in [Packed::new(&w, k, n), Packed::new_transposed(&transposed, k, n)] {
                y.fill(f32::NAN);
                matmul_packed(&x, &packed, None, &mut y);
                assert_close(&y, &want, 1e-6 * (k + 1) as f64, &format!("{m}×{k}×{n}"));
                assert!((0..k * n).all(|at| packed.get(at / n, at % n) == w[at]));
            }
            matmul_packed(&x, &Packed::new(&w, k, n), Some(&bias), &mut y);
            want.iter_mut().enumerate().for_each(|(at, want)| *want += f64::from(bias[at % n]));
            assert_close(&y, &want, 1e-6 * (k + 1) as f64, &format!("{m}×{k}×{n} with bias"));
        }
    }

    #[test]
    fn all_transposed_products_are_the_definition_for_all_awkward_sizes() {
        type Product = fn(&[f32], &[f32], &mut [f32], usize, usize, usize, f32, bool);
        type Index = fn(usize, usize, usize, usize) -> usize;
        let row_major: Index = |i, j, _, columns| i * columns + j;
        let transposed: Index = |i, j, rows, _| j * rows + i;
        let products: [(&str, Product, Index, Index); 3] = [
            ("nn", matmul_nn, row_major, row_major),
            ("tn", matmul_tn, transposed, row_major),
            ("nt", matmul_nt, row_major, transposed),
        ];
        for [m, k, n] in awkward_sizes() {
            let (a, b, old) = (noise(m * k, 4), noise(k * n, 5), noise(m * n, 6));
            for (name, product, a_at, b_at) in products {
                let plain = naive(|i, p| a[a_at(i, p, m, k)], |p, j| b[b_at(p, j, k, n)], [m, k, n]);
                for accumulate in [false, true] {
                    let mut c = if accumulate { old.clone() } else { vec![f32::NAN; m * n] };
                    product(&a, &b, &mut c, m, k, n, -0.75, accumulate);
                    let kept = if accumulate { 1. } else { 0. };
                    let want: Vec<f64> =
                        plain.iter().zip(&old).map(|(x, &old)| -0.75 * x + kept * f64::from(old)).collect();
                    assert_close(&c, &want, 1e-6 * (k + 1) as f64, &format!("{name} {m}×{k}×{n} {accumulate}"));
                }
            }
        }
    }

    #[test]
    fn a_row_of_a_product_is_bit_identical_for_any_number_of_rows() {
        let (k, n) = (DEPTH + 77, 83);
        let rows = ROW_BLOCK + 7;
        let (x, w, bias) = (noise(rows * k, 7), noise(k * n, 8), noise(n, 9));
        let packed = Packed::new(&w, k, n);
        let mut all = vec![0.; rows * n];
        matmul_packed(&x, &packed, Some(&bias), &mut all);
        let mut all_nn = vec![0.; rows * n];
        matmul_nn(&x, &w, &mut all_nn, rows, k, n, 0.3, false);
        for first in [0, 1, 5, ROW_BLOCK - 1] {
            for m in [1, 2, 3, 4, 5, 6, 7] {
                let part = first * n..(first + m) * n;
                let mut y = vec![0.; m * n];
                matmul_packed(&x[first * k..(first + m) * k], &packed, Some(&bias), &mut y);
                assert_eq!(y, all[part.clone()], "rows {first}..{}", first + m);
                matmul_nn(&x[first * k..(first + m) * k], &w, &mut y, m, k, n, 0.3, false);
                assert_eq!(y, all_nn[part], "rows {first}..{}", first + m);
            }
        }
    }
}
