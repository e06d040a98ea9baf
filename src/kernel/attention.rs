//! Causal self-attention: `y = softmax(q·kᵀ/√head_dim + mask)·v` for each head.
//!
//! A block of queries is multiplied with all the keys it may see, so that `ROWS × time` scores exist at once and the
//! half above the diagonal is never computed. The backward pass computes the probabilities again from one number per
//! row, the logarithm of its sum (Dao et al., FlashAttention, 2022).

use super::lanes::{Lanes, Widest};
use super::math::exp;
use super::matmul::{Left, Output, Right, Start, Term, multiply, multiply_transposed, pack_into};
use super::vector::{maximum, sum, sum2, update, update2};

/// Queries of one block.
const ROWS: usize = 24;

/// The sizes of a batch of sequences.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    pub batch: usize,
    pub time: usize,
    pub heads: usize,
    pub head_dim: usize,
}

/// `qkv (batch, time, 3·heads·head_dim)`: q, k and v side by side, in each of them the heads;
/// `y (batch, time, heads·head_dim)`; `log_sum_exp (batch, heads, time)`, for the backward pass.
pub fn attention(qkv: &[f32], shape: AttentionShape, y: &mut [f32], log_sum_exp: &mut [f32]) {
    forward::<Widest>(qkv, shape, y, log_sum_exp);
}

/// With P the probabilities and `dP = dy·vᵀ`:
/// ```text
/// dv = Pᵀ·dy
/// dS = P∘(dP − rowsum(dy∘y))/√head_dim
/// dq = dS·k
/// dk = dSᵀ·q
/// ```
/// `dqkv` has the shape of `qkv` and is overwritten.
pub fn attention_backward(
    qkv: &[f32],
    y: &[f32],
    log_sum_exp: &[f32],
    dy: &[f32],
    shape: AttentionShape,
    dqkv: &mut [f32],
) {
    backward::<Widest>(qkv, y, log_sum_exp, dy, shape, dqkv);
}

/// New tokens against a cache that holds them already: `qkv (new, 3·heads·head_dim)`, of which only q is read;
/// `keys`, `values (past + new, heads·head_dim)`; `y (new, heads·head_dim)`.
pub fn attention_cached(qkv: &[f32], keys: &[f32], values: &[f32], heads: usize, head_dim: usize, y: &mut [f32]) {
    cached::<Widest>(qkv, keys, values, heads, head_dim, y);
}

#[inline(never)]
fn forward<V: Lanes>(qkv: &[f32], shape: AttentionShape, y: &mut [f32], log_sum_exp: &mut [f32]) {
    let AttentionShape { batch, time, heads, head_dim } = shape;
    let width = heads * head_dim;
    debug_assert!(qkv.len() == batch * time * 3 * width && y.len() == batch * time * width);
    debug_assert_eq!(log_sum_exp.len(), batch * heads * time);
    let scale = 1. / (head_dim as f32).sqrt();
    let mut scores = vec![0.; ROWS.min(time) * time.next_multiple_of(V::LEN)];
    let (mut keys_transposed, mut values) = (Vec::new(), Vec::new());
    for b in 0..batch {
        for head in 0..heads {
            let [q, k, v] = [0, 1, 2].map(|part| &qkv[b * time * 3 * width + part * width + head * head_dim..]);
            pack_into::<V>(&mut keys_transposed, k, 1, 3 * width, head_dim, time);
            pack_into::<V>(&mut values, v, 3 * width, 1, time, head_dim);
            for first in (0..time).step_by(ROWS) {
                let rows = ROWS.min(time - first);
                let seen = first + rows;
                let stride = seen.next_multiple_of(V::LEN);
                let left = Left { data: &q[first * 3 * width..], stride: 3 * width };
                let right = Right::packed(&keys_transposed, head_dim);
                let output = Output { data: &mut scores, stride };
                multiply::<V, false>(&[Term { left, right, k: head_dim }], output, [rows, seen], scale, Start::Zero);
                let y = &mut y[(b * time + first) * width + head * head_dim..];
                let mut sums = [0.; ROWS];
                for (i, row) in scores.chunks_exact_mut(stride).take(rows).enumerate() {
                    let row = mask::<V>(row, first + i + 1);
                    let max = maximum::<V>(row);
                    let shift = V::splat(max);
                    exp::<V>(row, |s| s.sub(shift));
                    sums[i] = sum::<V>(row);
                    log_sum_exp[(b * heads + head) * time + first + i] = max + sums[i].ln();
                }
                let left = Left { data: &scores, stride };
                let right = Right::packed(&values, time);
                let output = Output { data: &mut *y, stride: width };
                multiply::<V, false>(&[Term { left, right, k: seen }], output, [rows, head_dim], 1., Start::Zero);
                // Dividing y at the end is cheaper than dividing the scores: its rows are shorter.
                for (y, sum) in y.chunks_mut(width).zip(&sums[..rows]) {
                    update::<V>(&mut y[..head_dim], |y| y.mul(V::splat(1. / sum)));
                }
            }
        }
    }
}

/// Hides all but the first `seen` scores of a row. Those that fill the last vector are set to −∞, whose exp is 0, and
/// returned with the seen ones; all others are set to 0.
#[inline(always)]
fn mask<V: Lanes>(row: &mut [f32], seen: usize) -> &mut [f32] {
    let (row, unseen) = row.split_at_mut(seen.next_multiple_of(V::LEN));
    row[seen..].fill(f32::NEG_INFINITY);
    unseen.fill(0.);
    row
}

#[inline(never)]
fn backward<V: Lanes>(
    qkv: &[f32],
    y: &[f32],
    log_sum_exp: &[f32],
    dy: &[f32],
    shape: AttentionShape,
    dqkv: &mut [f32],
) {
    let AttentionShape { batch, time, heads, head_dim } = shape;
    let width = heads * head_dim;
    debug_assert!(qkv.len() == batch * time * 3 * width && dqkv.len() == qkv.len());
    debug_assert!(y.len() == batch * time * width && dy.len() == y.len());
    let scale = 1. / (head_dim as f32).sqrt();
    let mut p = vec![0.; ROWS.min(time) * time.next_multiple_of(V::LEN)];
    let mut ds = p.clone();
    let (mut keys_transposed, mut values_transposed, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for b in 0..batch {
        for head in 0..heads {
            let start = b * time * 3 * width + head * head_dim;
            let [q, k, v] = [0, 1, 2].map(|part| &qkv[start + part * width..]);
            pack_into::<V>(&mut keys_transposed, k, 1, 3 * width, head_dim, time);
            pack_into::<V>(&mut values_transposed, v, 1, 3 * width, head_dim, time);
            pack_into::<V>(&mut keys, k, 3 * width, 1, time, head_dim);
            for first in (0..time).step_by(ROWS) {
                let rows = ROWS.min(time - first);
                let seen = first + rows;
                let stride = seen.next_multiple_of(V::LEN);
                let q = &q[first * 3 * width..];
                let at = (b * time + first) * width + head * head_dim;
                let (y, dy) = (&y[at..], &dy[at..]);

                let right = Right::packed(&keys_transposed, head_dim);
                let output = Output { data: &mut p, stride };
                let left = Left { data: q, stride: 3 * width };
                multiply::<V, false>(&[Term { left, right, k: head_dim }], output, [rows, seen], scale, Start::Zero);
                let right = Right::packed(&values_transposed, head_dim);
                let output = Output { data: &mut ds, stride };
                let left = Left { data: dy, stride: width };
                multiply::<V, false>(&[Term { left, right, k: head_dim }], output, [rows, seen], 1., Start::Zero);
                for (i, (p, ds)) in p.chunks_exact_mut(stride).zip(ds.chunks_exact_mut(stride)).take(rows).enumerate() {
                    let row = i * width..i * width + head_dim;
                    let dot = V::splat(sum2::<V>(&y[row.clone()], &dy[row], |y, dy| y.mul(dy)));
                    let log_sum = V::splat(log_sum_exp[(b * heads + head) * time + first + i]);
                    let p = mask::<V>(p, first + i + 1);
                    let (ds, unseen) = ds.split_at_mut(p.len());
                    unseen.fill(0.);
                    // What lies beyond a row's end was never written.
                    ds[seen.min(p.len())..].fill(0.);
                    exp::<V>(p, |s| s.sub(log_sum));
                    let scale = V::splat(scale);
                    update2::<V>(ds, p, |dp, p| p.mul(dp.sub(dot)).mul(scale));
                }

                let (ds, p) = (Left { data: &ds, stride }, Left { data: &p, stride });
                let right = Right::packed(&keys, time);
                let output = Output { data: &mut dqkv[start + first * 3 * width..], stride: 3 * width };
                multiply::<V, false>(&[Term { left: ds, right, k: seen }], output, [rows, head_dim], 1., Start::Zero);
                // No earlier block has written to the rows of this block's own keys: they are overwritten, the others
                // are added to.
                for (part, left, right, right_stride) in [(1, ds, q, 3 * width), (2, p, dy, width)] {
                    let output = Output { data: &mut dqkv[start + part * width..], stride: 3 * width };
                    let sizes = [first, rows, head_dim];
                    multiply_transposed::<V>(left, right, right_stride, output, sizes, 1., Start::Output);
                    let left = Left { data: &left.data[first..], ..left };
                    let own = start + first * 3 * width + part * width;
                    let output = Output { data: &mut dqkv[own..], stride: 3 * width };
                    let sizes = [rows, rows, head_dim];
                    multiply_transposed::<V>(left, right, right_stride, output, sizes, 1., Start::Zero);
                }
            }
        }
    }
}

fn cached<V: Lanes>(qkv: &[f32], keys: &[f32], values: &[f32], heads: usize, head_dim: usize, y: &mut [f32]) {
    let width = heads * head_dim;
    debug_assert!(keys.len() == values.len() && y.len() * 3 == qkv.len() && keys.len() >= y.len());
    let past = (keys.len() - y.len()) / width;
    let scale = 1. / (head_dim as f32).sqrt();
    let mut scores = vec![0.; keys.len() / width];
    for (i, (qkv, y)) in qkv.chunks_exact(3 * width).zip(y.chunks_exact_mut(width)).enumerate() {
        let scores = &mut scores[..past + i + 1];
        for head in 0..heads {
            let part = head * head_dim..(head + 1) * head_dim;
            let q = &qkv[part.clone()];
            for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
                *score = sum2::<V>(q, &key[part.clone()], |q, k| q.mul(k)) * scale;
            }
            let max = maximum::<V>(scores);
            let shift = V::splat(max);
            exp::<V>(scores, |s| s.sub(shift));
            let factor = 1. / sum::<V>(scores);
            let y = &mut y[part.clone()];
            y.fill(0.);
            for (p, value) in scores.iter().zip(values.chunks_exact(width)) {
                let p = V::splat(p * factor);
                let value = &value[part.clone()];
                let (mut y_chunks, v_chunks) = (y.chunks_exact_mut(V::LEN), value.chunks_exact(V::LEN));
                let v_tail = v_chunks.remainder();
                for (y, v) in (&mut y_chunks).zip(v_chunks) {
                    p.mul_add(V::load(v), V::load(y)).store(y);
                }
                let tail = y_chunks.into_remainder();
                p.mul_add(V::load_partial(v_tail, 0.), V::load_partial(tail, 0.)).store_partial(tail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Scalar;
    use super::super::testing::{assert_close, doubles, noise, numeric_gradient};
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// By the definition, in double precision: y and log_sum_exp.
    fn reference(qkv: &[f64], shape: AttentionShape) -> (Vec<f64>, Vec<f64>) {
        let AttentionShape { batch, time, heads, head_dim } = shape;
        let width = heads * head_dim;
        let at = |b: usize, t: usize, part: usize, head: usize, e: usize| {
            qkv[(b * time + t) * 3 * width + part * width + head * head_dim + e]
        };
        let (mut y, mut log_sum_exp) = (vec![0.; batch * time * width], Vec::new());
        for b in 0..batch {
            for head in 0..heads {
                for i in 0..time {
                    let score = |j| (0..head_dim).map(|e| at(b, i, 0, head, e) * at(b, j, 1, head, e)).sum::<f64>();
                    let weights: Vec<f64> = (0..=i).map(|j| (score(j) / (head_dim as f64).sqrt()).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    log_sum_exp.push(sum.ln());
                    for e in 0..head_dim {
                        let value = |(j, w): (usize, &f64)| w / sum * at(b, j, 2, head, e);
                        y[(b * time + i) * width + head * head_dim + e] = weights.iter().enumerate().map(value).sum();
                    }
                }
            }
        }
        (y, log_sum_exp)
    }

    fn shapes() -> Vec<AttentionShape> {
        let mut shapes = Vec::new();
        for time in 1..20 {
            for (batch, heads, head_dim) in [(1, 1, 1), (2, 1, 3), (1, 2, 5), (1, 1, 8), (2, 3, 4)] {
                shapes.push(AttentionShape { batch, time, heads, head_dim });
            }
        }
        for time in [31, 32, 33, 65] {
            shapes.push(AttentionShape { batch: 1, time, heads: 1, head_dim: 7 });
        }
        shapes
    }

    #[test]
    fn attention_is_the_definition_for_all_awkward_sizes() {
        let long = AttentionShape { batch: 2, time: 130, heads: 2, head_dim: 32 };
        for shape in shapes().into_iter().chain([long]) {
            let AttentionShape { batch, time, heads, head_dim } = shape;
            let qkv: Vec<f32> = noise(batch * time * 3 * heads * head_dim, 1).iter().map(|x| 2. * x).collect();
            let (want, want_log) = reference(&doubles(&qkv), shape);
            for attention in [forward::<Scalar>, attention] {
                let (mut y, mut log) = (vec![f32::NAN; qkv.len() / 3], vec![f32::NAN; batch * heads * time]);
                attention(&qkv, shape, &mut y, &mut log);
                assert_close(&y, &want, 1e-5, &format!("{shape:?}"));
                assert_close(&log, &want_log, 1e-5, &format!("{shape:?}: log_sum_exp"));
            }
        }
    }

    #[test]
    fn attentions_gradient_is_the_numeric_one_for_all_awkward_sizes() {
        for shape in shapes() {
            let AttentionShape { batch, time, heads, head_dim } = shape;
            let qkv: Vec<f32> = noise(batch * time * 3 * heads * head_dim, 2).iter().map(|x| 2. * x).collect();
            let dy = noise(qkv.len() / 3, 3);
            let loss = |qkv: &[f64]| reference(qkv, shape).0.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum();
            let want = numeric_gradient(&qkv, loss);
            type Forward = fn(&[f32], AttentionShape, &mut [f32], &mut [f32]);
            type Backward = fn(&[f32], &[f32], &[f32], &[f32], AttentionShape, &mut [f32]);
            let passes: [(Forward, Backward); 2] =
                [(forward::<Scalar>, backward::<Scalar>), (attention, attention_backward)];
            for (attention, attention_backward) in passes {
                let (mut y, mut log) = (vec![0.; dy.len()], vec![0.; batch * heads * time]);
                attention(&qkv, shape, &mut y, &mut log);
                let mut dqkv = vec![f32::NAN; qkv.len()];
                attention_backward(&qkv, &y, &log, &dy, shape, &mut dqkv);
                assert_close(&dqkv, &want, 1e-5, &format!("{shape:?}"));
            }
        }
    }

    #[test]
    fn a_sequence_is_bit_identical_alone_and_in_a_batch() {
        let shape = AttentionShape { batch: 3, time: 37, heads: 2, head_dim: 8 };
        let (qkv, dy) = (noise(3 * 37 * 48, 4), noise(3 * 37 * 16, 5));
        let run = |qkv: &[f32], dy: &[f32], shape: AttentionShape| {
            let (mut y, mut log) = (vec![0.; dy.len()], vec![0.; shape.batch * 2 * 37]);
            attention(qkv, shape, &mut y, &mut log);
            let mut dqkv = vec![0.; qkv.len()];
            attention_backward(qkv, &y, &log, dy, shape, &mut dqkv);
            (y, dqkv)
        };
        let (y, dqkv) = run(&qkv, &dy, shape);
        for b in 0..3 {
            let (wide, narrow) = (b * 37 * 48..(b + 1) * 37 * 48, b * 37 * 16..(b + 1) * 37 * 16);
            let alone = run(&qkv[wide.clone()], &dy[narrow.clone()], AttentionShape { batch: 1, ..shape });
            assert_eq!(alone, (y[narrow].to_vec(), dqkv[wide].to_vec()));
        }
    }

    #[test]
    fn attention_against_a_cache_is_attention_over_the_whole() {
        for (time, heads, head_dim) in [(1, 1, 1), (5, 2, 3), (19, 3, 8), (40, 2, 5)] {
            let width = heads * head_dim;
            let qkv = noise(time * 3 * width, 6);
            let shape = AttentionShape { batch: 1, time, heads, head_dim };
            let (want, _) = reference(&doubles(&qkv), shape);
            let part = |part: usize| -> Vec<f32> {
                qkv.chunks_exact(3 * width).flat_map(|row| row[part * width..][..width].to_vec()).collect()
            };
            let (keys, values) = (part(1), part(2));
            for past in 0..time {
                for until in past + 1..=time {
                    let mut y = vec![f32::NAN; (until - past) * width];
                    let new = &qkv[past * 3 * width..until * 3 * width];
                    attention_cached(new, &keys[..until * width], &values[..until * width], heads, head_dim, &mut y);
                    assert_close(&y, &want[past * width..until * width], 1e-5, "attention against a cache");
                }
            }
        }
    }
}
