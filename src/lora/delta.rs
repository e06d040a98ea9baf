//! What an adapter adds to a layer, `ΔW = s·A·B`: its size, its singular values, and a picture of it.
//!
//! In doubles throughout, and without the strength: this is what was trained, however it is switched.

use super::LoraLayer;
use super::eigenvalues::eigenvalues;
use super::matrix::{Matrix, add, dot};
use crate::error::Result;

/// `‖ΔW‖_F` without forming ΔW: `‖A·B‖² = ⟨Aᵀ·A, B·Bᵀ⟩`, which costs `(in + out)·r²` instead of `in·out·r`.
///
/// # Errors
/// `tensor`, on a defect of ours.
pub fn norm(layer: &LoraLayer) -> Result<f64> {
    let (a, b) = (Matrix::read(&layer.a)?.transposed().gram(), Matrix::read(&layer.b)?.gram());
    // Rounding can make a little less than 0 of a sum that is 0.
    Ok(layer.scaling().abs() * dot(&a.values, &b.values).max(0.).sqrt())
}

/// ΔW of one layer, as a matrix.
#[derive(Clone, Debug)]
pub struct Delta {
    /// `A·B (in, out)`.
    product: Matrix,
    scaling: f64,
}

impl Delta {
    /// Multiplies the two matrices of a layer.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn new(layer: &LoraLayer) -> Result<Self> {
        let (a, b) = (Matrix::read(&layer.a)?, Matrix::read(&layer.b)?);
        let mut values = Vec::with_capacity(a.rows().len() * b.columns);
        for factors in a.rows() {
            let mut row = vec![0.; b.columns];
            factors.iter().zip(b.rows()).for_each(|(&factor, of_b)| add(&mut row, factor, of_b));
            values.extend(row);
        }
        Ok(Self { product: Matrix { columns: b.columns, values }, scaling: layer.scaling() })
    }

    /// The `count` largest singular values, falling; at most `min(in, out)`.
    ///
    /// They are computed from ΔW without making use of its rank r, so that they show it: past the r-th there is only
    /// rounding, some `1e-8` of the first. They are the roots of the eigenvalues of the smaller of `ΔW·ΔWᵀ` and
    /// `ΔWᵀ·ΔW`.
    pub fn singular_values(&self, count: usize) -> Vec<f64> {
        let w = &self.product;
        let gram = if w.rows().len() <= w.columns { w.gram() } else { w.transposed().gram() };
        let root = |eigenvalue: f64| self.scaling.abs() * eigenvalue.max(0.).sqrt();
        let mut values: Vec<f64> = eigenvalues(gram).into_iter().map(root).collect();
        values.sort_unstable_by(|a, b| b.total_cmp(a));
        values.truncate(count);
        values
    }

    /// ΔW as `rows × columns` cells, each the mean of what it covers; never finer than ΔW itself.
    pub fn map(&self, rows: usize, columns: usize) -> Map {
        let (inputs, outputs) = (self.product.rows().len(), self.product.columns);
        let (rows, columns) = (rows.min(inputs), columns.min(outputs));
        let cells = (0..rows).flat_map(|row| {
            let covered = &self.product.values[row * inputs / rows * outputs..(row + 1) * inputs / rows * outputs];
            (0..columns).map(move |column| {
                let (left, right) = (column * outputs / columns, (column + 1) * outputs / columns);
                let sum: f64 = covered.chunks_exact(outputs).map(|row| row[left..right].iter().sum::<f64>()).sum();
                self.scaling * sum / (covered.len() / outputs * (right - left)) as f64
            })
        });
        Map { rows, columns, cells: cells.collect() }
    }
}

/// A matrix reduced to a few cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub rows: usize,
    pub columns: usize,
    /// Row by row.
    pub cells: Vec<f64>,
}
