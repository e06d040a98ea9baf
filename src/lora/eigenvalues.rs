//! The eigenvalues of a symmetric matrix.

use super::matrix::{Matrix, add, dot};

/// The eigenvalues of a symmetric matrix, in no order: Householder's reflections make it tridiagonal, the QL algorithm
/// diagonal.
pub(super) fn eigenvalues(matrix: Matrix) -> Vec<f64> {
    let (mut diagonal, mut beside) = tridiagonal(matrix);
    ql(&mut diagonal, &mut beside);
    diagonal
}

/// A similar tridiagonal matrix: its diagonal, and the elements beside it with a zero at the end (Golub and Van Loan,
/// Matrix Computations, algorithm 8.3.1).
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

/// More iterations than any eigenvalue needs; two or three are usual.
const TURNS: usize = 60;

/// Makes a tridiagonal matrix diagonal: the QL algorithm with implicit shifts (Dubrulle, Martin and Wilkinson, 1968).
fn ql(diagonal: &mut [f64], beside: &mut [f64]) {
    let sizes = diagonal.iter().zip(&*beside).map(|(d, e)| d.abs() + e.abs());
    // Compared with the largest element, not with the neighbours: of a matrix of low rank most elements are rounding
    // errors.
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
