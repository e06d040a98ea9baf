//! Panels of the right operand.

use super::super::lanes::Lanes;
use super::operand::{depth, width};
use std::array::from_fn;

/// Packs the `(k, n)` matrix whose element `(p, j)` is `b[p·row_stride + j·column_stride]`: [`depth`] rows of all
/// panels, then the next rows.
pub fn pack<V: Lanes>(b: &[f32], row_stride: usize, column_stride: usize, k: usize, n: usize) -> Vec<f32> {
    let mut panels = Vec::new();
    pack_into::<V>(&mut panels, b, row_stride, column_stride, k, n);
    panels
}

/// The same into a buffer that may be used again. One of the strides is 1.
pub fn pack_into<V: Lanes>(
    panels: &mut Vec<f32>,
    b: &[f32],
    row_stride: usize,
    column_stride: usize,
    k: usize,
    n: usize,
) {
    let width = width::<V>();
    panels.resize(n.div_ceil(width) * width * k, 0.);
    let mut rest = panels.as_mut_slice();
    for first in (0..k).step_by(depth(k)) {
        let rows = depth(k).min(k - first);
        for j in (0..n).step_by(width) {
            let (panel, others) = rest.split_at_mut(rows * width);
            let source = &b[first * row_stride + j * column_stride..];
            pack_panel::<V>(panel, source, row_stride, column_stride, width.min(n - j));
            rest = others;
        }
    }
}

/// One panel of `columns` columns, padded with zeros.
fn pack_panel<V: Lanes>(panel: &mut [f32], b: &[f32], row_stride: usize, column_stride: usize, columns: usize) {
    let width = width::<V>();
    if columns < width {
        panel.fill(0.);
    }
    if column_stride == 1 && columns == width {
        for (p, row) in panel.chunks_exact_mut(width).enumerate() {
            // By vectors: a copy of a few floats is a call in wasm.
            for (from, to) in b[p * row_stride..][..width].chunks_exact(V::LEN).zip(row.chunks_exact_mut(V::LEN)) {
                V::load(from).store(to);
            }
        }
    } else if column_stride == 1 {
        for (p, row) in panel.chunks_exact_mut(width).enumerate() {
            row[..columns].copy_from_slice(&b[p * row_stride..][..columns]);
        }
    } else {
        let rows = panel.len() / width;
        let mut column = 0;
        // Four columns at a time, for the bounds to be checked less often.
        while column + 4 <= columns {
            let sources: [&[f32]; 4] = from_fn(|c| &b[(column + c) * column_stride..][..rows]);
            for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                let row = &mut row[column..column + 4];
                for c in 0..4 {
                    row[c] = sources[c][p];
                }
            }
            column += 4;
        }
        for column in column..columns {
            let source = &b[column * column_stride..][..rows];
            for (row, x) in panel.chunks_exact_mut(width).zip(source) {
                row[column] = *x;
            }
        }
    }
}
