//! The operands of a product: how they lie, and in which blocks they are read.

use super::super::lanes::Lanes;
use std::ops::Range;

/// Vectors of a tile's row.
pub(super) const COLUMNS: usize = 2;
/// A panel of this many rows stays in the first-level cache.
pub const DEPTH: usize = 512;

/// The width of a panel.
pub const fn width<V: Lanes>() -> usize {
    COLUMNS * V::LEN
}

/// Rows of the blocks that an inner dimension of `k` is cut into: as few as can be, and as equal.
pub const fn depth(k: usize) -> usize {
    if k == 0 { 1 } else { k.div_ceil(k.div_ceil(DEPTH)) }
}

/// The left operand where it lies: element `(i, p)` is `data[i·stride + p]`, or `data[p·stride + i]` if it is taken
/// transposed.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    pub data: &'a [f32],
    pub stride: usize,
}

/// The right operand, packed or as it lies. Packed, it is [`depth`] rows of all panels, then the next rows of all
/// panels: the order in which they are read.
#[derive(Clone, Copy)]
pub struct Right<'a> {
    pub(super) data: &'a [f32],
    rows: usize,
    /// [`depth`] of the rows, kept so that its divisions are not repeated for each tile.
    depth: usize,
    /// Floats from one row of the whole matrix to the next; packed, a row's share of a block.
    stride: usize,
}

impl<'a> Right<'a> {
    /// Packed panels of `rows` rows.
    pub fn packed(data: &'a [f32], rows: usize) -> Self {
        Self { data, rows, depth: depth(rows), stride: data.len().checked_div(rows).unwrap_or(0) }
    }
    /// A matrix of `rows` rows as it lies, `stride` apart; its columns must fill the panels.
    pub fn in_place(data: &'a [f32], rows: usize, stride: usize) -> Self {
        Self { data, rows, depth: depth(rows), stride }
    }
    /// From one row of a panel to the next.
    #[inline(always)]
    pub(super) fn row_stride<V: Lanes, const IN_PLACE: bool>(&self) -> usize {
        if IN_PLACE { self.stride } else { width::<V>() }
    }
    /// From one panel to the next, in the block that begins with row `p`.
    pub(super) fn panel_stride<V: Lanes, const IN_PLACE: bool>(&self, p: usize) -> usize {
        width::<V>() * if IN_PLACE { 1 } else { self.depth.min(self.rows - p) }
    }
    /// Where the rows of the panel that column `j` begins are, in the block that begins with row `p`.
    pub(super) fn start<V: Lanes, const IN_PLACE: bool>(&self, j: usize, p: usize) -> usize {
        p * self.stride + j / width::<V>() * self.panel_stride::<V, IN_PLACE>(p)
    }
}

/// One product of a sum, over an inner dimension of `k`.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    pub left: Left<'a>,
    pub right: Right<'a>,
    pub k: usize,
}

/// Rows `p..p + depth` of a term's inner dimension: a block of it, or the beginning of one.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub term: Term<'a>,
    pub p: usize,
    pub depth: usize,
}

impl<'a> Term<'a> {
    /// Its inner dimension in blocks; an empty one is one block of depth 0, which writes what the sum starts with.
    pub(super) fn blocks(self) -> impl Iterator<Item = Block<'a>> {
        let most = self.right.depth;
        (0..self.k.max(1)).step_by(most).map(move |p| Block { term: self, p, depth: most.min(self.k - p) })
    }
}

impl<'a> Block<'a> {
    /// Its rows of the packed panel that column `j` begins; nothing if there is none.
    pub fn panel<V: Lanes>(&self, j: usize) -> &'a [f32] {
        let start = self.term.right.start::<V, false>(j, self.p);
        self.term.right.data.get(start..start + self.depth * width::<V>()).unwrap_or_default()
    }

    /// Panics unless all that a strip of tiles reads lies inside the operands, so that its loop needs no checks.
    pub fn check<V: Lanes, const G: usize, const TRANSPOSED: bool>(&self, j: usize, rows: &Range<usize>) {
        let Self { term: Term { left, right, .. }, p, depth } = *self;
        let (a_row, a_step) = if TRANSPOSED { (1, left.stride) } else { (left.stride, 1) };
        if depth == 0 {
            return;
        }
        // Sizes whose product does not even fit are as wrong as those that are too large.
        let sum = |products: &[(usize, usize)]| {
            products.iter().try_fold(0, |sum: usize, &(x, y)| x.checked_mul(y)?.checked_add(sum))
        };
        let a = sum(&[(rows.end - 1, a_row), (p + depth - 1, a_step)]);
        assert!(a.is_some_and(|a| a < left.data.len()), "the left operand is too short");
        assert!(p + depth <= right.rows, "the right operand has too few rows");
        let b = sum(&[
            (p, right.stride),
            (j / width::<V>() + G - 1, right.panel_stride::<V, TRANSPOSED>(p)),
            (depth - 1, right.row_stride::<V, TRANSPOSED>()),
            (width::<V>(), 1),
        ]);
        assert!(b.is_some_and(|b| b <= right.data.len()), "the right operand is too short");
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
