//! Matrix products.
//!
//! All of them run one register tile, [`tile`]: `rows × (COLUMNS·LEN)` sums that stay in registers while the inner dimension goes by
//! (Goto and van de Geijn, 2008). The right operand lies in panels of a tile's width; the left one is read where it is.
//!
//! The inner dimension is cut at multiples of [`DEPTH`] for every product, so that the order of summation depends on
//! nothing but that dimension: not on the number of rows, nor on the path taken.

use super::lanes::{Lanes, Widest};
use std::array::from_fn;
use std::hint::black_box;
use std::ops::Range;

/// The most rows of a tile. V8 has 15 vector registers to give: two for the right operand, one for the left, one for each
/// sum, and without a fused multiply-add one more for the product.
const ROWS: usize = if cfg!(target_feature = "avx512f") {
    12
} else if cfg!(any(target_feature = "relaxed-simd", target_feature = "fma")) {
    6
} else {
    5
};
/// Vectors of a tile's row.
const COLUMNS: usize = 2;
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
    packed_sum([(x, w)], bias, y);
}

/// `y = x·w + bias + h·b`: a linear layer and its adapter in one, with `h (m, rank)` the scaled `x·A` and `b (rank, n)`.
///
/// Of its own the second product would spend its time on loading and storing y; here it's `rank` more steps of sums that are in registers.
pub fn matmul_packed_plus(x: &[f32], w: &Packed, bias: Option<&[f32]>, h: &[f32], b: &Packed, y: &mut [f32]) {
    packed_sum([(x, w), (h, b)], bias, y);
}

/// `y = bias + Σ x·w` over the products.
fn packed_sum<const TERMS: usize>(products: [(&[f32], &Packed); TERMS], bias: Option<&[f32]>, y: &mut [f32]) {
    let n = products[0].1.n;
    let Some(m) = y.len().checked_div(n) else { return };
    debug_assert!(y.len() == m * n && bias.is_none_or(|bias| bias.len() == n));
    debug_assert!(products.iter().all(|(x, w)| w.n == n && x.len() == m * w.k));
    let terms = products.map(|(x, w)| Term {
        left: Left { data: x, stride: w.k },
        right: Right::packed::<Widest>(&w.panels, w.k),
        k: w.k,
    });
    let start = bias.map_or(Start::Zero, Start::Bias);
    multiply::<Widest, false>(&terms, Output { data: y, stride: n }, [m, n], 1., start);
}

/// `c = scale·a·b`, added to `c` if `accumulate`: `a (m, k)`, `b (k, n)`, `c (m, n)`.
#[expect(clippy::too_many_arguments, reason = "three matrices with three sizes: a struct would only rename them")]
pub fn matmul_nn(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let panels = pack::<Widest>(b, n, 1, k, n);
    let right = Right::packed::<Widest>(&panels, k);
    let output = Output { data: c, stride: n };
    let term = Term { left: Left { data: a, stride: k }, right, k };
    multiply::<Widest, false>(&[term], output, [m, n], scale, Start::of(accumulate));
}

/// `c = scale·aᵀ·b`, added to `c` if `accumulate`: `a (k, m)`, `b (k, n)`, `c (m, n)`. The gradient of a weight: `dW = xᵀ·dy`.
#[expect(clippy::too_many_arguments, reason = "as matmul_nn")]
pub fn matmul_tn(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let left = Left { data: a, stride: m };
    multiply_transposed::<Widest>(left, b, n, Output { data: c, stride: n }, [m, k, n], scale, Start::of(accumulate));
}

/// `c = scale·a·bᵀ`, added to `c` if `accumulate`: `a (m, k)`, `b (n, k)`, `c (m, n)`. The gradient of an input: `dx = dy·Wᵀ`.
#[expect(clippy::too_many_arguments, reason = "as matmul_nn")]
pub fn matmul_nt(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let panels = pack::<Widest>(b, 1, k, k, n);
    let right = Right::packed::<Widest>(&panels, k);
    let output = Output { data: c, stride: n };
    let term = Term { left: Left { data: a, stride: k }, right, k };
    multiply::<Widest, false>(&[term], output, [m, n], scale, Start::of(accumulate));
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
    /// A matrix as it lies, its rows `row_stride` apart; its columns must fill the panels.
    pub fn in_place<V: Lanes>(data: &'a [f32], row_stride: usize) -> Self {
        Self { data, panel_stride: width::<V>(), row_stride }
    }
}

/// One product of a sum, over an inner dimension of `k`.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    pub left: Left<'a>,
    pub right: Right<'a>,
    pub k: usize,
}

impl Term<'_> {
    /// Panics unless all that a strip of tiles reads is there, so that its loop need not look.
    fn check<V: Lanes, const G: usize, const TRANSPOSED: bool>(
        &self,
        j: usize,
        rows: &Range<usize>,
        p: usize,
        depth: usize,
    ) {
        let Self { left, right, .. } = self;
        let row_stride = if TRANSPOSED { right.row_stride } else { width::<V>() };
        let (a_row, a_step) = if TRANSPOSED { (1, left.stride) } else { (left.stride, 1) };
        let b_last_row = (j / width::<V>() + G - 1) * right.panel_stride + (p + depth).saturating_sub(1) * row_stride;
        assert!(depth == 0 || (rows.end - 1) * a_row + (p + depth - 1) * a_step < left.data.len());
        assert!(depth == 0 || b_last_row + width::<V>() <= right.data.len());
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
    let mut panels = Vec::new();
    pack_into::<V>(&mut panels, b, row_stride, column_stride, k, n);
    panels
}

/// The same into a buffer that may be used again. One of the strides is 1.
pub(super) fn pack_into<V: Lanes>(
    panels: &mut Vec<f32>,
    b: &[f32],
    row_stride: usize,
    column_stride: usize,
    k: usize,
    n: usize,
) {
    let width = width::<V>();
    panels.resize(n.div_ceil(width) * width * k, 0.);
    for (j, panel) in (0..n).step_by(width).zip(panels.chunks_exact_mut((k * width).max(1))) {
        let columns = width.min(n - j);
        if columns < width {
            panel.fill(0.);
        }
        if column_stride == 1 && columns == width {
            for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                // By vectors: a copy of a few floats is a call in wasm.
                for (from, to) in
                    b[p * row_stride + j..][..width].chunks_exact(V::LEN).zip(row.chunks_exact_mut(V::LEN))
                {
                    V::load(from).store(to);
                }
            }
        } else if column_stride == 1 {
            for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                row[..columns].copy_from_slice(&b[p * row_stride + j..][..columns]);
            }
        } else {
            let mut column = 0;
            // Four columns at a time, for the bounds to be checked less often.
            while column + 4 <= columns {
                let sources: [&[f32]; 4] = from_fn(|c| &b[(j + column + c) * column_stride..][..k]);
                for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                    let row = &mut row[column..column + 4];
                    for c in 0..4 {
                        row[c] = sources[c][p];
                    }
                }
                column += 4;
            }
            for column in column..columns {
                let source = &b[(j + column) * column_stride..][..k];
                for (row, x) in panel.chunks_exact_mut(width).zip(source) {
                    row[column] = *x;
                }
            }
        }
    }
}

/// `output = start + scale·Σ left·right` over the terms, of sizes `[m, n]`.
pub(super) fn multiply<V: Lanes, const TRANSPOSED: bool>(
    terms: &[Term],
    output: Output,
    [m, n]: [usize; 2],
    scale: f32,
    start: Start,
) {
    let Output { data, stride } = output;
    let [first_term, more_terms @ ..] = terms else { return };
    for first in (0..m).step_by(ROW_BLOCK) {
        let rows = ROW_BLOCK.min(m - first);
        // As few tiles as possible: some of `height` rows, the others of one less.
        let tiles = rows.div_ceil(ROWS);
        let height = rows.div_ceil(tiles);
        let middle = first + height * (rows - tiles * (height - 1));
        // Of few rows several panels at once, or the sums would wait for each other's additions.
        let group = if rows > 2 { 1 } else { 4 / rows };
        // A product over nothing is one block of depth 0: it writes the start.
        for p in (0..first_term.k.max(1)).step_by(DEPTH) {
            let depth = DEPTH.min(first_term.k - p);
            let start = if p == 0 { start } else { Start::Output };
            // The further terms, which are small, go with the last block.
            let more_terms = if p + depth == first_term.k { more_terms } else { &[] };
            let mut j = 0;
            while j < n {
                let panels = if j + group * width::<V>() <= n { group } else { 1 };
                let columns = j..n.min(j + panels * width::<V>());
                let strip = Strip { first_term, p, depth, more_terms, columns, stride, scale, start };
                strip.compute::<V, TRANSPOSED>(height, panels, first..middle, data);
                strip.compute::<V, TRANSPOSED>(height - 1, panels, middle..first + rows, data);
                j += panels * width::<V>();
            }
        }
    }
}

/// `output = start + scale·leftᵀ·b`, where b lies with its rows `b_stride` apart. It is read in place: packing would cost more than the
/// product of few rows.
pub(super) fn multiply_transposed<V: Lanes>(
    left: Left,
    b: &[f32],
    b_stride: usize,
    output: Output,
    [m, k, n]: [usize; 3],
    scale: f32,
    start: Start,
) {
    let Output { data, stride } = output;
    let whole = n - n % width::<V>();
    let term = Term { left, right: Right::in_place::<V>(b, b_stride), k };
    multiply::<V, true>(&[term], Output { data: &mut *data, stride }, [m, whole], scale, start);
    if whole < n && m > 0 {
        let panel = pack::<V>(&b[whole.min(b.len())..], b_stride, 1, k, n - whole);
        let term = Term { left, right: Right::packed::<V>(&panel, k), k };
        let output = Output { data: &mut data[whole..], stride };
        multiply::<V, true>(&[term], output, [m, n - whole], scale, start);
    }
}

/// A strip of the output, one panel wide or a few: its `columns` over `p..p + depth` of the first term's inner dimension and all of the others'.
struct Strip<'a> {
    first_term: &'a Term<'a>,
    p: usize,
    depth: usize,
    more_terms: &'a [Term<'a>],
    columns: Range<usize>,
    /// From one row of the output to the next.
    stride: usize,
    scale: f32,
    start: Start<'a>,
}

impl Strip<'_> {
    /// `rows` of the strip by tiles of `height` rows and `panels` panels.
    fn compute<V: Lanes, const T: bool>(&self, height: usize, panels: usize, rows: Range<usize>, output: &mut [f32]) {
        if rows.is_empty() {
            return;
        }
        match (height, panels) {
            (1, 1) => self.tiles::<V, 1, 1, T>(rows, output),
            (1, 4) => self.tiles::<V, 1, 4, T>(rows, output),
            (2, 1) => self.tiles::<V, 2, 1, T>(rows, output),
            (2, 2) => self.tiles::<V, 2, 2, T>(rows, output),
            (3, 1) => self.tiles::<V, 3, 1, T>(rows, output),
            (4, 1) => self.tiles::<V, 4, 1, T>(rows, output),
            (5, 1) if ROWS >= 5 => self.tiles::<V, 5, 1, T>(rows, output),
            (6, 1) if ROWS >= 6 => self.tiles::<V, 6, 1, T>(rows, output),
            (7, 1) if ROWS >= 7 => self.tiles::<V, 7, 1, T>(rows, output),
            (8, 1) if ROWS >= 8 => self.tiles::<V, 8, 1, T>(rows, output),
            (9, 1) if ROWS >= 9 => self.tiles::<V, 9, 1, T>(rows, output),
            (10, 1) if ROWS >= 10 => self.tiles::<V, 10, 1, T>(rows, output),
            (11, 1) if ROWS >= 11 => self.tiles::<V, 11, 1, T>(rows, output),
            (12, 1) if ROWS >= 12 => self.tiles::<V, 12, 1, T>(rows, output),
            _ => unreachable!("no tile of {height} rows and {panels} panels"),
        }
    }

    /// Tiles of `R` rows and `G` panels: `Σ_p left[i + r][p]·panels[g][p]`, the sums in registers, then into `output`.
    ///
    /// Three things here are for the machine code that comes out at the end, in V8 above all (seen in its disassembly):
    /// - The inner loop is unrolled, but may be left after each step. LLVM, when it writes wasm, moves an addition down to the use of its sum;
    ///   without the exits, to the last of the eight steps, and the operands of all eight would be alive at once, on the stack.
    /// - The index is made opaque by `black_box` once in eight steps. Of one that it understands LLVM makes pointers whose constant
    ///   offsets no longer fit into the load instructions, and each load costs an addition.
    /// - It is a function of its own, so that nothing else competes for registers.
    #[inline(never)]
    fn tiles<V: Lanes, const R: usize, const G: usize, const TRANSPOSED: bool>(
        &self,
        rows: Range<usize>,
        output: &mut [f32],
    ) {
        let Self { first_term, p, depth, more_terms, columns, stride, .. } = self;
        for term in more_terms.iter() {
            term.check::<V, G, TRANSPOSED>(columns.start, &rows, 0, term.k);
        }
        first_term.check::<V, G, TRANSPOSED>(columns.start, &rows, *p, *depth);
        for i in rows.step_by(R) {
            let mut sums = [[[V::splat(0.); COLUMNS]; G]; R];
            let mut terms = more_terms.iter();
            let (mut term, mut q, mut remaining) = (*first_term, *p, *depth);
            loop {
                let Term { left, right, .. } = *term;
                let row_stride = if TRANSPOSED { right.row_stride } else { width::<V>() };
                let (a_row, a_step) = if TRANSPOSED { (1, left.stride) } else { (left.stride, 1) };
                // SAFETY: where row i begins, checked above.
                let a = unsafe { left.data.as_ptr().add(i * a_row) };
                // SAFETY: where the panel begins, checked above.
                let b = unsafe { right.data.as_ptr().add(columns.start / width::<V>() * right.panel_stride) };
                while remaining > 0 {
                    q = black_box(q);
                    // SAFETY: i + r < rows.end and q < k: inside, as checked above.
                    let a: [*const f32; R] = from_fn(|r| unsafe { a.add(r * a_row + q * a_step) });
                    // SAFETY: q < k: inside, as checked above.
                    let b: [*const f32; G] = from_fn(|g| unsafe { b.add(g * right.panel_stride + q * row_stride) });
                    macro_rules! step {
                        ($u:literal) => {
                            let (a_step, row_stride) = ($u * a_step, $u * row_stride);
                            // SAFETY: q + u < k: row q + u of the panel has `width` floats, as checked above.
                            let b_row: [[V; COLUMNS]; G] =
                                from_fn(|g| from_fn(|c| unsafe { V::load_from(b[g].add(row_stride).add(c * V::LEN)) }));
                            for r in 0..R {
                                // SAFETY: q + u < k: inside, as checked above.
                                let a = V::splat(unsafe { *a[r].add(a_step) });
                                for g in 0..G {
                                    for c in 0..COLUMNS {
                                        sums[r][g][c] = a.mul_add(b_row[g][c], sums[r][g][c]);
                                    }
                                }
                            }
                            if remaining == $u + 1 {
                                break;
                            }
                        };
                    }
                    step!(0);
                    step!(1);
                    step!(2);
                    step!(3);
                    step!(4);
                    step!(5);
                    step!(6);
                    step!(7);
                    q += 8;
                    remaining -= 8;
                }
                let Some(next) = terms.next() else { break };
                (term, q, remaining) = (next, 0, next.k);
            }
            // Written out row by row: a loop that LLVM did not unroll would index the sums, and then they are not in registers.
            macro_rules! write {
                ($($r:literal)*) => {
                    $(if $r < R {
                        let row = &mut output[(i + $r) * stride..][columns.clone()];
                        for g in 0..G {
                            self.write::<V>(sums[$r][g], row, g * width::<V>());
                        }
                    })*
                };
            }
            write!(0 1 2 3 4 5 6 7 8 9 10 11);
        }
    }

    /// `row[j..j + width] = start + scale·sums`, as far as the row goes.
    #[inline(always)]
    fn write<V: Lanes>(&self, sums: [V; COLUMNS], row: &mut [f32], j: usize) {
        let sums = sums.map(|sum| sum.mul(V::splat(self.scale)));
        let row = &mut row[j..];
        if row.len() >= width::<V>() {
            for (c, sum) in sums.into_iter().enumerate() {
                let out = &mut row[c * V::LEN..];
                match self.start {
                    Start::Zero => sum,
                    Start::Bias(bias) => sum.add(V::load(&bias[self.columns.start + j + c * V::LEN..])),
                    Start::Output => sum.add(V::load(out)),
                }
                .store(out);
            }
        } else {
            self.write_partial(sums, row, j);
        }
    }

    #[cold]
    fn write_partial<V: Lanes>(&self, sums: [V; COLUMNS], row: &mut [f32], j: usize) {
        for (c, (sum, out)) in sums.into_iter().zip(row.chunks_mut(V::LEN)).enumerate() {
            match self.start {
                Start::Zero => sum,
                Start::Bias(bias) => {
                    let bias = &bias[self.columns.start + j + c * V::LEN..][..out.len()];
                    sum.add(V::load_partial(bias, 0.))
                }
                Start::Output => sum.add(V::load_partial(out, 0.)),
            }
            .store_partial(out);
        }
    }
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
    fn a_product_with_an_adapter_is_the_sum_of_both_for_all_awkward_sizes() {
        for [m, k, n] in awkward_sizes() {
            for rank in [0, 1, 3, 8] {
                let (x, w, bias) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
                let (h, b) = (noise(m * rank, 4), noise(rank * n, 5));
                let base = naive(|i, p| x[i * k + p], |p, j| w[p * n + j], [m, k, n]);
                let adapter = naive(|i, p| h[i * rank + p], |p, j| b[p * n + j], [m, rank, n]);
                let want: Vec<f64> = (0..m * n).map(|at| base[at] + adapter[at] + f64::from(bias[at % n])).collect();
                let (w, b) = (Packed::new(&w, k, n), Packed::new(&b, rank, n));
                let mut y = vec![f32::NAN; m * n];
                matmul_packed_plus(&x, &w, Some(&bias), &h, &b, &mut y);
                assert_close(&y, &want, 1e-6 * (k + 9) as f64, &format!("{m}×({k} + {rank})×{n}"));
            }
        }
    }

    #[test]
    fn an_adapter_of_zeros_leaves_the_product_as_it_is() {
        let [m, k, n, rank] = [11, DEPTH + 9, 21, 8];
        let (x, w, bias, h) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3), noise(m * rank, 4));
        let (w, b) = (Packed::new(&w, k, n), Packed::new(&vec![0.; rank * n], rank, n));
        let (mut y, mut y_plus) = (vec![0.; m * n], vec![0.; m * n]);
        matmul_packed(&x, &w, Some(&bias), &mut y);
        matmul_packed_plus(&x, &w, Some(&bias), &h, &b, &mut y_plus);
        assert_eq!(y, y_plus);
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
        let (h, b) = (noise(rows * 8, 10), Packed::new(&noise(8 * n, 11), 8, n));
        let mut all_plus = vec![0.; rows * n];
        matmul_packed_plus(&x, &packed, Some(&bias), &h, &b, &mut all_plus);
        let mut all_nn = vec![0.; rows * n];
        matmul_nn(&x, &w, &mut all_nn, rows, k, n, 0.3, false);
        for first in [0, 1, 5, ROW_BLOCK - 1] {
            for m in [1, 2, 3, 4, 5, 6, 7] {
                let part = first * n..(first + m) * n;
                let mut y = vec![0.; m * n];
                matmul_packed(&x[first * k..(first + m) * k], &packed, Some(&bias), &mut y);
                assert_eq!(y, all[part.clone()], "rows {first}..{}", first + m);
                let (x, h) = (&x[first * k..(first + m) * k], &h[first * 8..(first + m) * 8]);
                matmul_packed_plus(x, &packed, Some(&bias), h, &b, &mut y);
                assert_eq!(y, all_plus[part.clone()], "rows {first}..{}", first + m);
                matmul_nn(x, &w, &mut y, m, k, n, 0.3, false);
                assert_eq!(y, all_nn[part], "rows {first}..{}", first + m);
            }
        }
    }
}
