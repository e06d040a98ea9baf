//! Muon (Jordan et al., 2024) for the matrices of the blocks: the momentum is made orthogonal before it is subtracted.

use crate::parallel::parallel;
use candle_core::{Device, Tensor, Var};
use lora_lab::Result;
use lora_lab::kernel::{add_assign, matmul_nn, matmul_nt, scale, sum_of_squares};

const MOMENTUM: f32 = 0.95;
/// Makes the numbers of an update as large as AdamW's usually are, so that one learning rate serves both
/// (Liu et al., "Muon is scalable for LLM training", 2025, eq. 4).
const LIKE_ADAMW: f32 = 0.2;

/// A matrix, and in how many blocks of columns it is taken: q, k and v are three that lie side by side.
pub struct Matrix {
    pub var: Var,
    pub blocks: usize,
}

pub struct Muon {
    matrices: Vec<Matrix>,
    /// Of all matrices, one after the other.
    pub momentum: Vec<f32>,
    weight_decay: f32,
}

impl Muon {
    pub fn new(matrices: Vec<Matrix>, weight_decay: f64) -> Self {
        let count = matrices.iter().map(|m| m.var.elem_count()).sum();
        Self { matrices, momentum: vec![0.; count], weight_decay: weight_decay as f32 }
    }

    /// One update with `gradients · factor`: `w −= rate·(0.2·√max(rows, columns)·orthogonal(g + 0.95·m) + decay·w)`.
    pub fn update(&mut self, gradients: &[f32], factor: f64, rate: f64) -> Result<()> {
        let mut nesterov = Vec::with_capacity(gradients.len());
        for (m, g) in self.momentum.iter_mut().zip(gradients) {
            let g = g * factor as f32;
            *m = MOMENTUM * *m + g;
            nesterov.push(g + MOMENTUM * *m);
        }
        let mut start = 0;
        let starts: Vec<usize> = self
            .matrices
            .iter()
            .map(|m| {
                let at = start;
                start += m.var.elem_count();
                at
            })
            .collect();
        let keep = 1. - rate as f32 * self.weight_decay;
        parallel(self.matrices.len(), |i| {
            let Matrix { var, blocks } = &self.matrices[i];
            let (rows, columns) = var.dims2()?;
            let width = columns / blocks;
            let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
            let direction = &nesterov[starts[i]..starts[i] + values.len()];
            let step = rate as f32 * LIKE_ADAMW * (rows.max(width) as f32).sqrt();
            for block in 0..*blocks {
                let part: Vec<f32> = direction
                    .chunks_exact(columns)
                    .flat_map(|row| &row[block * width..(block + 1) * width])
                    .copied()
                    .collect();
                let part = orthogonal(part, rows, width);
                for (row, update) in values.chunks_exact_mut(columns).zip(part.chunks_exact(width)) {
                    for (w, u) in row[block * width..].iter_mut().zip(update) {
                        *w = *w * keep - step * u;
                    }
                }
            }
            Ok(var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?)
        })?;
        Ok(())
    }
}

/// Five steps of a Newton–Schulz iteration, which push all singular values of `x (rows, columns)` towards 1.
fn orthogonal(mut x: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
    if rows > columns {
        return transposed(&orthogonal(transposed(&x, rows, columns), columns, rows), columns, rows);
    }
    // The coefficients of the reference implementation: steep at 0, for the sake of few steps.
    const A: f32 = 3.4445;
    const B: f32 = -4.775;
    const C: f32 = 2.0315;
    let norm = sum_of_squares(&x).sqrt() as f32;
    scale(&mut x, 1. / (norm + 1e-7));
    let mut square = vec![0.; rows * rows];
    let mut polynomial = vec![0.; rows * rows];
    for _ in 0..5 {
        matmul_nt(&x, &x, &mut square, rows, columns, rows, 1., false);
        polynomial.copy_from_slice(&square);
        scale(&mut polynomial, B);
        matmul_nn(&square, &square, &mut polynomial, rows, rows, rows, C, true);
        let mut next = vec![0.; x.len()];
        matmul_nn(&polynomial, &x, &mut next, rows, rows, columns, 1., false);
        scale(&mut x, A);
        add_assign(&mut x, &next);
    }
    x
}

fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..x.len()).map(|at| x[at % rows * columns + at / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_lab::rng::Rng;

    #[test]
    fn an_update_has_singular_values_near_one_for_wide_and_tall_matrices() {
        let mut rng = Rng::new(1);
        for (rows, columns) in [(6, 17), (17, 6), (9, 9)] {
            let x = orthogonal((0..rows * columns).map(|_| rng.normal()).collect(), rows, columns);
            let (x, n, m) =
                if rows > columns { (transposed(&x, rows, columns), columns, rows) } else { (x, rows, columns) };
            let mut square = vec![0.; n * n];
            matmul_nt(&x, &x, &mut square, n, m, n, 1., false);
            // Their squares are the eigenvalues, whose mean is the trace over n.
            let mean = (0..n).map(|i| square[i * n + i]).sum::<f32>() / n as f32;
            assert!((0.5..1.4).contains(&mean), "{rows} × {columns}: {mean}");
            // x·xᵀ·v for any v keeps its length, more or less.
            let v: Vec<f32> = (0..n).map(|_| rng.normal()).collect();
            let mut image = vec![0.; n];
            matmul_nn(&square, &v, &mut image, n, n, 1, 1., false);
            let ratio = (sum_of_squares(&image) / sum_of_squares(&v)).sqrt();
            assert!((0.3..1.6).contains(&ratio), "{rows} × {columns}: {ratio}");
        }
    }
}
