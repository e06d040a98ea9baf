//! What an adapter adds to a layer, `ΔW = s·A·B`: its size, its singular values, and a picture of it.
//!
//! In doubles throughout, and without the strength: this is what was trained, however it is switched.

use super::LoraLayer;
use crate::error::Result;
use candle_core::Var;

/// A matrix in doubles, row by row.
#[derive(Clone, Debug)]
struct Matrix {
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    fn read(var: &Var) -> Result<Self> {
        let (_rows, columns) = var.dims2()?;
        let values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        Ok(Self { columns, values: values.into_iter().map(f64::from).collect() })
    }

    fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.columns)
    }

    fn transposed(&self) -> Self {
        let values = (0..self.columns).flat_map(|column| self.rows().map(move |row| row[column])).collect();
        Self { columns: self.rows().len(), values }
    }

    /// The scalar products of all pairs of rows, `M·Mᵀ`.
    fn gram(&self) -> Self {
        let pair = |x| self.rows().map(move |y| dot(x, y));
        Self { columns: self.rows().len(), values: self.rows().flat_map(pair).collect() }
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// `y += factor·x`
fn add(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// `‖ΔW‖_F` without forming ΔW: `‖A·B‖² = ⟨Aᵀ·A, B·Bᵀ⟩`, which costs `(in + out)·r²` instead of `in·out·r`.
///
/// # Errors
/// `tensor`, on a defect of ours.
pub fn norm(layer: &LoraLayer) -> Result<f64> {
    let (a, b) = (Matrix::read(&layer.a)?.transposed().gram(), Matrix::read(&layer.b)?.gram());
    // Rounding can leave less than nothing of nothing.
    Ok(layer.scaling().abs() * dot(&a.values, &b.values).max(0.).sqrt())
}

/// ΔW of one layer, formed.
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
    /// They are computed from ΔW as if nothing were known of its rank, so that they show it: past the r-th there is
    /// only rounding, some `1e-8` of the first. They are the roots of the eigenvalues of the smaller of `ΔW·ΔWᵀ` and `ΔWᵀ·ΔW`.
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

/// A matrix seen from afar.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub rows: usize,
    pub columns: usize,
    /// Row by row.
    pub cells: Vec<f64>,
}

/// The eigenvalues of a symmetric matrix, in no order: Householder's reflections to three diagonals, then QL.
fn eigenvalues(matrix: Matrix) -> Vec<f64> {
    let (mut diagonal, mut beside) = tridiagonal(matrix);
    ql(&mut diagonal, &mut beside);
    diagonal
}

/// The diagonal of a similar matrix that has three, and what stands beside it, with a zero at the end
/// (Golub and Van Loan, Matrix Computations, algorithm 8.3.1).
fn tridiagonal(Matrix { columns: n, mut values }: Matrix) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.; n];
    for k in 0..n.saturating_sub(1) {
        // The k-th column below the diagonal is reflected onto its first axis, by I − β·v·vᵀ.
        let mut v = values[k * n + k + 1..(k + 1) * n].to_vec();
        let length = dot(&v, &v).sqrt();
        beside[k] = if v[0] > 0. { -length } else { length };
        v[0] -= beside[k];
        let squared = dot(&v, &v);
        if squared == 0. {
            continue;
        }
        let beta = 2. / squared;
        let mut w: Vec<f64> = (k + 1..n).map(|row| beta * dot(&values[row * n + k + 1..(row + 1) * n], &v)).collect();
        let along = -0.5 * beta * dot(&w, &v);
        add(&mut w, along, &v);
        for row in k + 1..n {
            let (of_v, of_w) = (v[row - k - 1], w[row - k - 1]);
            let row = &mut values[row * n + k + 1..(row + 1) * n];
            add(row, -of_v, &w);
            add(row, -of_w, &v);
        }
    }
    ((0..n).map(|k| values[k * n + k]).collect(), beside)
}

/// More turns than any eigenvalue needs; two or three are usual.
const TURNS: usize = 60;

/// Turns three diagonals into one: the QL algorithm with implicit shifts (Dubrulle, Martin and Wilkinson, 1968).
fn ql(diagonal: &mut [f64], beside: &mut [f64]) {
    let sizes = diagonal.iter().zip(&*beside).map(|(d, e)| d.abs() + e.abs());
    // Against the largest and not its neighbours: of a matrix of low rank most of them are rounding themselves.
    let negligible = f64::EPSILON * sizes.fold(0., f64::max);
    for first in 0..diagonal.len() {
        for _ in 0..TURNS {
            let split = (first..diagonal.len() - 1).find(|&i| beside[i].abs() <= negligible);
            let last = split.unwrap_or(diagonal.len() - 1);
            if last == first {
                break;
            }
            let slope = (diagonal[first + 1] - diagonal[first]) / (2. * beside[first]);
            let shift = beside[first] / (slope + slope.hypot(1.).copysign(slope));
            let mut g = diagonal[last] - diagonal[first] + shift;
            let (mut sine, mut cosine, mut carried) = (1., 1., 0.);
            let mut broken = false;
            for i in (first..last).rev() {
                let (f, b) = (sine * beside[i], cosine * beside[i]);
                let r = f.hypot(g);
                beside[i + 1] = r;
                if r == 0. {
                    diagonal[i + 1] -= carried;
                    broken = true;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                g = diagonal[i + 1] - carried;
                let r = (diagonal[i] - g) * sine + 2. * cosine * b;
                carried = sine * r;
                diagonal[i + 1] = g + carried;
                g = cosine * r - b;
            }
            if !broken {
                diagonal[first] -= carried;
                beside[first] = g;
            }
            beside[last] = 0.;
        }
    }
}
