//! Matrices in doubles.

use crate::error::Result;
use candle_core::Var;

/// A matrix in doubles, row by row.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub columns: usize,
    pub values: Vec<f64>,
}

impl Matrix {
    pub fn read(var: &Var) -> Result<Self> {
        let (_rows, columns) = var.dims2()?;
        let values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        Ok(Self { columns, values: values.into_iter().map(f64::from).collect() })
    }

    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.columns)
    }

    pub fn transposed(&self) -> Self {
        let values = (0..self.columns).flat_map(|column| self.rows().map(move |row| row[column])).collect();
        Self { columns: self.rows().len(), values }
    }

    /// The scalar products of all pairs of rows, `M·Mᵀ`.
    pub fn gram(&self) -> Self {
        let pair = |x| self.rows().map(move |y| dot(x, y));
        Self { columns: self.rows().len(), values: self.rows().flat_map(pair).collect() }
    }
}

/// The scalar product.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// `y += factor·x`
pub(super) fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}
