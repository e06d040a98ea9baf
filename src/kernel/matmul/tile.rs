//! The register tile, and the walk of tiles over a product.

use super::super::lanes::Lanes;
use super::pack::pack;
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
pub const DEPTH: usize = 512;
/// Rows of the left operand that stay in the second-level cache while all panels go by.
pub const ROW_BLOCK: usize = 128;

/// The width of a panel.
pub const fn width<V: Lanes>() -> usize {
    COLUMNS * V::LEN
}

/// The left operand where it lies: element `(i, p)` is `data[i·stride + p]`, or `data[p·stride + i]` if it is taken transposed.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    pub data: &'a [f32],
    pub stride: usize,
}

/// The right operand: the panel of columns `j..j + width` has its row `p` at `data[j/width·panel_stride + p·row_stride]`.
#[derive(Clone, Copy)]
pub struct Right<'a> {
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
pub struct Term<'a> {
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
        if depth == 0 {
            return;
        }
        // Sizes whose product does not even fit are as wrong as those that are too large.
        let last = |i: usize, stride: usize, p: usize, step: usize| {
            i.checked_mul(stride).and_then(|start| p.checked_mul(step)?.checked_add(start))
        };
        let a = last(rows.end - 1, a_row, p + depth - 1, a_step);
        let b = last(j / width::<V>() + G - 1, right.panel_stride, p + depth - 1, row_stride);
        assert!(a.is_some_and(|a| a < left.data.len()), "the left operand is too short");
        assert!(b.is_some_and(|b| b + width::<V>() <= right.data.len()), "the right operand is too short");
    }
}

/// Where the result goes: rows `stride` apart.
pub struct Output<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
}

/// What the product is added to.
#[derive(Clone, Copy)]
pub enum Start<'a> {
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

/// `output = start + scale·Σ left·right` over the terms, of sizes `[m, n]`.
pub fn multiply<V: Lanes, const TRANSPOSED: bool>(
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
pub fn multiply_transposed<V: Lanes>(
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
    #[expect(
        clippy::needless_range_loop,
        reason = "iterators over these arrays are closures, which not every inliner sees through"
    )]
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
        let (stride, scale) = (*stride, V::splat(self.scale));
        // Only a single panel may be narrower than it could be.
        let whole = columns.len() == G * width::<V>();
        debug_assert!(whole || G == 1);
        assert!(rows.len().is_multiple_of(R), "rows that do not fill the tiles");
        let end = (rows.end - 1).checked_mul(stride).and_then(|start| start.checked_add(columns.end));
        assert!(end.is_some_and(|end| end <= output.len()), "the output is too short");
        let out = output.as_mut_ptr();
        // What the products are added to, and from one row of it to the next.
        let added = match self.start {
            Start::Zero => None,
            Start::Bias(bias) => {
                assert!(columns.end <= bias.len(), "the bias is too short");
                Some((bias.as_ptr(), 0))
            }
            Start::Output => Some((out.cast_const(), stride)),
        };
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
                    let a = unsafe { a.add(q * a_step) };
                    // SAFETY: q < k: inside, as checked above.
                    let b = unsafe { b.add(q * row_stride) };
                    let (mut a_rows, mut b_panels) = ([a; R], [b; G]);
                    for r in 1..R {
                        // SAFETY: i + r < rows.end: inside, as checked above.
                        a_rows[r] = unsafe { a.add(r * a_row) };
                    }
                    for g in 1..G {
                        // SAFETY: one of the strip's panels, as checked above.
                        b_panels[g] = unsafe { b.add(g * right.panel_stride) };
                    }
                    macro_rules! step {
                        ($u:literal) => {
                            let (a_step, row_stride) = ($u * a_step, $u * row_stride);
                            let mut b_row = [[V::splat(0.); COLUMNS]; G];
                            for g in 0..G {
                                for c in 0..COLUMNS {
                                    // SAFETY: q + u < k: row q + u of the panel has `width` floats, as checked above.
                                    b_row[g][c] = unsafe { V::load_from(b_panels[g].add(row_stride).add(c * V::LEN)) };
                                }
                            }
                            for r in 0..R {
                                // SAFETY: q + u < k: inside, as checked above.
                                let a = V::splat(unsafe { *a_rows[r].add(a_step) });
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
            if whole {
                // SAFETY: inside, checked above.
                let out = unsafe { out.add(i * stride + columns.start) };
                // Written out row by row: a loop that LLVM did not unroll would index the sums, and then they are not in registers.
                macro_rules! write {
                    ($value:expr; $($r:literal)*) => {{
                        $(if $r < R {
                            for g in 0..G {
                                for c in 0..COLUMNS {
                                    let at = g * width::<V>() + c * V::LEN;
                                    // SAFETY: row i + r of the strip is whole, and inside: checked above.
                                    unsafe { ($value)(sums[$r][g][c].mul(scale), $r, at).store_to(out.add($r * stride + at)) };
                                }
                            }
                        })*
                    }};
                }
                match added {
                    None => write!(|sum: V, _, _| sum; 0 1 2 3 4 5 6 7 8 9 10 11),
                    Some((from, row_stride)) => {
                        // SAFETY: the bias or the output itself, of which row i + r is inside: checked above.
                        let from = unsafe { from.add(i * row_stride + columns.start) };
                        // SAFETY: as above.
                        let load = |r: usize, at: usize| unsafe { V::load_from(from.add(r * row_stride + at)) };
                        write!(|sum: V, r, at| sum.add(load(r, at)); 0 1 2 3 4 5 6 7 8 9 10 11);
                    }
                }
            } else {
                macro_rules! write_partial {
                    ($($r:literal)*) => {
                        $(if $r < R {
                            self.write_partial(sums[$r][0], &mut output[(i + $r) * stride..][columns.clone()]);
                        })*
                    };
                }
                write_partial!(0 1 2 3 4 5 6 7 8 9 10 11);
            }
        }
    }

    /// The columns of a panel that is not whole: `row = start + scale·sums`, as far as the row goes.
    #[cold]
    fn write_partial<V: Lanes>(&self, sums: [V; COLUMNS], row: &mut [f32]) {
        for (c, (sum, out)) in sums.into_iter().zip(row.chunks_mut(V::LEN)).enumerate() {
            let sum = sum.mul(V::splat(self.scale));
            match self.start {
                Start::Zero => sum,
                Start::Bias(bias) => {
                    let bias = &bias[self.columns.start + c * V::LEN..][..out.len()];
                    sum.add(V::load_partial(bias, 0.))
                }
                Start::Output => sum.add(V::load_partial(out, 0.)),
            }
            .store_partial(out);
        }
    }
}
