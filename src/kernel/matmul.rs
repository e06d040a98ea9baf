//! Matrix products.
//!
//! All of them run one register tile, see [`tile`]: `rows × (COLUMNS·LEN)` sums that stay in registers all along the
//! inner dimension (Goto and van de Geijn, 2008). The right operand lies in panels of a tile's width; the left one is
//! read where it is.
//!
//! The inner dimension is cut into blocks of [`operand::depth`] rows for every product, so that the order of summation
//! depends on nothing but that dimension: not on the number of rows, nor on the path taken.

mod operand;
mod pack;
mod tile;

pub(super) use operand::{Left, Output, Right, Start, Term};
pub(super) use pack::pack_into;
pub(super) use tile::{multiply, multiply_transposed};

use super::lanes::Widest;
use operand::{depth, width};
use pack::pack;

/// The right operand of a product, `(k, n)`, packed once: panels of a tile's width, the last one padded with zeros, by
/// [`operand::depth`] rows.
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
    /// The element in row `k` and column `n`.
    pub fn get(&self, k: usize, n: usize) -> f32 {
        const WIDTH: usize = width::<Widest>();
        debug_assert!(k < self.k && n < self.n);
        let first = k - k % depth(self.k);
        let rows = depth(self.k).min(self.k - first);
        let block = &self.panels[first * self.n.next_multiple_of(WIDTH)..];
        block[(n / WIDTH * rows + k - first) * WIDTH + n % WIDTH]
    }
}

/// `y = x·w + bias`: `x (m, k)`, `w (k, n)`, `bias (n)`, `y (m, n)`, overwritten.
pub fn matmul_packed(x: &[f32], w: &Packed, bias: Option<&[f32]>, y: &mut [f32]) {
    packed_sum([(x, w)], bias, y);
}

/// `y = x·w + bias + h·b`: a linear layer and its adapter in one, with `h (m, rank)` the scaled `x·A` and
/// `b (rank, n)`.
///
/// As a product of its own the second one would spend its time on loading and storing y. Here it is `rank` more steps
/// of sums that are in registers already.
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
        right: Right::packed(&w.panels, w.k),
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
    let right = Right::packed(&panels, k);
    let output = Output { data: c, stride: n };
    let term = Term { left: Left { data: a, stride: k }, right, k };
    multiply::<Widest, false>(&[term], output, [m, n], scale, Start::of(accumulate));
}

/// `c = scale·aᵀ·b`, added to `c` if `accumulate`: `a (k, m)`, `b (k, n)`, `c (m, n)`. The gradient of a weight:
/// `dW = xᵀ·dy`.
#[expect(clippy::too_many_arguments, reason = "as matmul_nn")]
pub fn matmul_tn(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let left = Left { data: a, stride: m };
    multiply_transposed::<Widest>(left, b, n, Output { data: c, stride: n }, [m, k, n], scale, Start::of(accumulate));
}

/// `c = scale·a·bᵀ`, added to `c` if `accumulate`: `a (m, k)`, `b (n, k)`, `c (m, n)`. The gradient of an input:
/// `dx = dy·Wᵀ`.
#[expect(clippy::too_many_arguments, reason = "as matmul_nn")]
pub fn matmul_nt(a: &[f32], b: &[f32], c: &mut [f32], m: usize, k: usize, n: usize, scale: f32, accumulate: bool) {
    debug_assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
    let panels = pack::<Widest>(b, 1, k, k, n);
    let right = Right::packed(&panels, k);
    let output = Output { data: c, stride: n };
    let term = Term { left: Left { data: a, stride: k }, right, k };
    multiply::<Widest, false>(&[term], output, [m, n], scale, Start::of(accumulate));
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::operand::DEPTH;
    use super::tile::ROW_BLOCK;
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

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
