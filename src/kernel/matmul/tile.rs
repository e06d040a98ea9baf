//! The register tile, and the walk of tiles over a product.

use super::super::lanes::Lanes;
use super::operand::{Block, COLUMNS, Left, Output, Right, Start, Term, width};
use super::pack::pack;
use std::hint::black_box;
use std::ops::Range;

/// The most rows of a tile. V8 allocates at most 15 vector registers: two for the right operand, one for the left, one
/// for each sum, and without a fused multiply-add one more for the product.
const ROWS: usize = if cfg!(target_feature = "avx512f") {
    12
} else if cfg!(any(target_feature = "relaxed-simd", target_feature = "fma")) {
    6
} else {
    5
};
/// Floats in a line of the caches.
const LINE: usize = 16;
/// Rows of the left operand that stay in the second-level cache while they are multiplied with all panels.
pub const ROW_BLOCK: usize = 128;

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
    let more: Vec<_> = more_terms.iter().flat_map(|term| term.blocks()).collect();
    for first in (0..m).step_by(ROW_BLOCK) {
        let rows = ROW_BLOCK.min(m - first);
        // As few tiles as possible: some of `height` rows, the others of one less.
        let tiles = rows.div_ceil(ROWS);
        let height = rows.div_ceil(tiles);
        let middle = first + height * (rows - tiles * (height - 1));
        // With few rows several panels are taken at once: otherwise each addition would wait for the one before it.
        let group = if rows > 2 { 1 } else { 4 / rows };
        for block in first_term.blocks() {
            let start = if block.p == 0 { start } else { Start::Output };
            // The further terms, which are small, go with the last block.
            let more: &[Block] = if block.p + block.depth == first_term.k { &more } else { &[] };
            let mut j = 0;
            while j < n {
                let panels = if j + group * width::<V>() <= n { group } else { 1 };
                let columns = j..n.min(j + panels * width::<V>());
                // With few rows, prefetching would be as much work as the product.
                let next = if TRANSPOSED || group > 1 { &[] } else { block.panel::<V>(columns.end) };
                let strip = Strip { block, more, columns, next, stride, scale, start };
                strip.compute::<V, TRANSPOSED>(height, panels, first..middle, data);
                strip.compute::<V, TRANSPOSED>(height - 1, panels, middle..first + rows, data);
                j += panels * width::<V>();
            }
        }
    }
}

/// `output = start + scale·leftᵀ·b`, where b lies with its rows `b_stride` apart. It is read in place: packing would
/// cost more than the product of few rows.
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
    let term = Term { left, right: Right::in_place(b, k, b_stride), k };
    multiply::<V, true>(&[term], Output { data: &mut *data, stride }, [m, whole], scale, start);
    if whole < n && m > 0 {
        let panel = pack::<V>(&b[whole.min(b.len())..], b_stride, 1, k, n - whole);
        let term = Term { left, right: Right::packed(&panel, k), k };
        let output = Output { data: &mut data[whole..], stride };
        multiply::<V, true>(&[term], output, [m, n - whole], scale, start);
    }
}

/// A strip of the output, one panel wide or a few: its `columns` over some blocks of the terms' inner dimensions.
struct Strip<'a> {
    block: Block<'a>,
    more: &'a [Block<'a>],
    columns: Range<usize>,
    /// The rows of the next panel, which are prefetched while this one is computed with.
    next: &'a [f32],
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
        if self.more.is_empty() {
            self.compute_tiles::<V, T, false>(height, panels, rows, output);
        } else {
            self.compute_tiles::<V, T, true>(height, panels, rows, output);
        }
    }

    fn compute_tiles<V: Lanes, const T: bool, const MORE: bool>(
        &self,
        height: usize,
        panels: usize,
        rows: Range<usize>,
        output: &mut [f32],
    ) {
        match (height, panels) {
            (1, 1) => self.tiles::<V, 1, 1, T, MORE>(rows, output),
            (1, 4) => self.tiles::<V, 1, 4, T, MORE>(rows, output),
            (2, 1) => self.tiles::<V, 2, 1, T, MORE>(rows, output),
            (2, 2) => self.tiles::<V, 2, 2, T, MORE>(rows, output),
            (3, 1) => self.tiles::<V, 3, 1, T, MORE>(rows, output),
            (4, 1) => self.tiles::<V, 4, 1, T, MORE>(rows, output),
            (5, 1) if ROWS >= 5 => self.tiles::<V, 5, 1, T, MORE>(rows, output),
            (6, 1) if ROWS >= 6 => self.tiles::<V, 6, 1, T, MORE>(rows, output),
            (7, 1) if ROWS >= 7 => self.tiles::<V, 7, 1, T, MORE>(rows, output),
            (8, 1) if ROWS >= 8 => self.tiles::<V, 8, 1, T, MORE>(rows, output),
            (9, 1) if ROWS >= 9 => self.tiles::<V, 9, 1, T, MORE>(rows, output),
            (10, 1) if ROWS >= 10 => self.tiles::<V, 10, 1, T, MORE>(rows, output),
            (11, 1) if ROWS >= 11 => self.tiles::<V, 11, 1, T, MORE>(rows, output),
            (12, 1) if ROWS >= 12 => self.tiles::<V, 12, 1, T, MORE>(rows, output),
            _ => unreachable!("no tile of {height} rows and {panels} panels"),
        }
    }

    /// Tiles of `R` rows and `G` panels: `Σ_p left[i + r][p]·panels[g][p]`, the sums in registers, then into `output`.
    ///
    /// A function of its own, so that nothing else competes for registers; and one for sums of a single block, which
    /// most are, for the loop over further ones costs as much as twenty steps.
    #[inline(never)]
    fn tiles<V: Lanes, const R: usize, const G: usize, const TRANSPOSED: bool, const MORE: bool>(
        &self,
        rows: Range<usize>,
        output: &mut [f32],
    ) {
        let Self { block, more, columns, next, stride, .. } = self;
        for block in std::iter::once(block).chain(*more) {
            block.check::<V, G, TRANSPOSED>(columns.start, &rows);
        }
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
        // WebAssembly has no prefetch; a volatile load whose result is discarded has the same effect.
        let (mut fetched, a_tiles_share) = (0, next.len().div_ceil(LINE * (rows.len() / R)) * LINE);
        for i in rows.step_by(R) {
            let until = next.len().min(fetched + a_tiles_share);
            while fetched < until {
                // SAFETY: below the length.
                unsafe { next.as_ptr().add(fetched).read_volatile() };
                fetched += LINE;
            }
            let mut sums = [[[V::splat(0.); COLUMNS]; G]; R];
            // SAFETY: rows i..i + R of blocks that were checked above.
            unsafe { accumulate::<V, R, G, TRANSPOSED>(&mut sums, block, i, columns.start) };
            if MORE {
                for block in *more {
                    // SAFETY: as above.
                    unsafe { accumulate::<V, R, G, TRANSPOSED>(&mut sums, block, i, columns.start) };
                }
            }
            if whole {
                // SAFETY: inside, checked above.
                let out = unsafe { out.add(i * stride + columns.start) };
                // Written out row by row: a loop that LLVM did not unroll would index the sums, and then they are not
                // in registers.
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

/// `sums += Σ_q left[i + r][q]·panels[g][q]` over the rows of a block, the panels being those that column `j` begins.
///
/// Two things here are for the machine code that comes out at the end, in V8 above all (seen in its disassembly):
/// - The loop is unrolled, but may be left after each step. LLVM, when it writes wasm, moves an addition down to the
///   use of its sum; without the exits, to the last of the eight steps, and the operands of all eight would be alive at
///   once, on the stack.
/// - The index is made opaque by `black_box` once in eight steps. Of one that it understands LLVM makes pointers whose
///   constant offsets no longer fit into the load instructions, and each load costs an addition.
///
/// # Safety
/// [`Block::check`] has passed for rows `i..i + R` and `j`.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "iterators over these arrays are closures, which not every inliner sees through"
)]
unsafe fn accumulate<V: Lanes, const R: usize, const G: usize, const TRANSPOSED: bool>(
    sums: &mut [[[V; COLUMNS]; G]; R],
    block: &Block,
    i: usize,
    j: usize,
) {
    let Block { term: Term { left, right, .. }, p, depth } = *block;
    let row_stride = right.row_stride::<V, TRANSPOSED>();
    let panel_stride = right.panel_stride::<V, TRANSPOSED>(p);
    let (a_row, a_step) = if TRANSPOSED { (1, left.stride) } else { (left.stride, 1) };
    let (mut q, mut remaining) = (0, depth);
    // SAFETY: where row i begins: inside, says the caller.
    let a = unsafe { left.data.as_ptr().add(i * a_row + p * a_step) };
    // SAFETY: where the panel begins: inside, says the caller.
    let b = unsafe { right.data.as_ptr().add(right.start::<V, TRANSPOSED>(j, p)) };
    while remaining > 0 {
        q = black_box(q);
        // SAFETY: row i + r and q < depth: inside, says the caller.
        let a = unsafe { a.add(q * a_step) };
        // SAFETY: q < depth: inside, says the caller.
        let b = unsafe { b.add(q * row_stride) };
        let (mut a_rows, mut b_panels) = ([a; R], [b; G]);
        for r in 1..R {
            // SAFETY: row i + r: inside, says the caller.
            a_rows[r] = unsafe { a.add(r * a_row) };
        }
        for g in 1..G {
            // SAFETY: one of the strip's panels, says the caller.
            b_panels[g] = unsafe { b.add(g * panel_stride) };
        }
        macro_rules! step {
            ($u:literal) => {
                let (a_step, row_stride) = ($u * a_step, $u * row_stride);
                let mut b_row = [[V::splat(0.); COLUMNS]; G];
                for g in 0..G {
                    for c in 0..COLUMNS {
                        // SAFETY: q + u < depth: row q + u of the panel has `width` floats, says the caller.
                        b_row[g][c] = unsafe { V::load_from(b_panels[g].add(row_stride).add(c * V::LEN)) };
                    }
                }
                for r in 0..R {
                    // SAFETY: q + u < depth: inside, says the caller.
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
}
