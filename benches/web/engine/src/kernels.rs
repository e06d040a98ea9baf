//! Single kernels beside candle's own operations, in the shapes of one sequence's training step.
//!
//! Building a case runs both once and compares them with the definition: what is wrong cannot be timed.

use crate::plain::{attention, causal_mask};
use crate::reference;
use candle_core::{Device, Result, Tensor, Var, bail};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use lora_lab::kernel::{self, AdamwStep, AttentionShape, Packed};
use lora_lab::rng::Rng;

/// The sizes that decide a case's shapes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub width: usize,
    pub heads: usize,
    pub time: usize,
    pub vocabulary: usize,
    pub rank: usize,
}

/// One operation: ours on a buffer for its result, and candle's.
pub struct Case {
    pub name: &'static str,
    pub shape: String,
    /// Multiplications and additions that the result needs; 0 where exp, division and memory decide.
    pub flops: f64,
    /// Numbers read or written once.
    pub elements: f64,
    /// Largest difference of ours from the definition, as a share of the largest number.
    pub error: f64,
    output: Vec<f32>,
    ours: Ours,
    candle: Candles,
}

type Ours = Box<dyn FnMut(&mut [f32])>;
type Candles = Box<dyn FnMut() -> Result<Tensor>>;

impl Case {
    /// Runs ours so many times.
    pub fn run(&mut self, times: u32) {
        for _ in 0..times {
            (self.ours)(std::hint::black_box(&mut self.output));
        }
    }

    /// Runs candle's so many times.
    ///
    /// # Errors
    /// candle's.
    pub fn run_candle(&mut self, times: u32) -> Result<()> {
        for _ in 0..times {
            std::hint::black_box((self.candle)()?);
        }
        Ok(())
    }
}

/// What a case is about, without its operands.
struct About {
    name: &'static str,
    shape: String,
    flops: f64,
    elements: usize,
}

/// Both may differ so much from the definition, as a share of the largest number. Sums of thousands of products in single precision do.
const TOLERANCE: f64 = 2e-5;

fn case(
    about: About,
    want: &[f64],
    mut ours: impl FnMut(&mut [f32]) + 'static,
    mut candle: impl FnMut() -> Result<Tensor> + 'static,
) -> Result<Case> {
    let About { name, shape, flops, elements } = about;
    let mut output = vec![f32::NAN; want.len()];
    ours(&mut output);
    let largest = want.iter().fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    let error_of = |got: &[f32]| {
        // Not f64::max, which would skip a NaN.
        let worse = |worst: f64, (got, want): (&f32, &f64)| {
            let error = (f64::from(*got) - want).abs();
            if error <= worst { worst } else { error }
        };
        got.iter().zip(want).fold(0., worse) / largest
    };
    let theirs = candle()?.flatten_all()?.to_vec1::<f32>()?;
    let (error, candle_error) = (error_of(&output), error_of(&theirs));
    for (who, got, error) in [("the kernel", output.len(), error), ("candle", theirs.len(), candle_error)] {
        if got != want.len() || error.is_nan() || error > TOLERANCE {
            bail!(
                "{name} {shape}: {who} gives {got} numbers and differs by {error:.1e}, at most {TOLERANCE:.0e} is allowed"
            );
        }
    }
    let (ours, candle) = (Box::new(ours), Box::new(candle));
    Ok(Case { name, shape, flops, elements: elements as f64, error, output, ours, candle })
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| rng.normal()).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> Result<Tensor> {
    Tensor::from_slice(values, shape, &Device::Cpu)
}

/// Every case for a model of these sizes.
///
/// # Errors
/// A kernel, or candle, that is not the definition; candle's own.
pub fn cases(sizes: Sizes) -> Result<Vec<Case>> {
    let Sizes { width: d, time, vocabulary, rank, .. } = sizes;
    let mut all = Vec::new();
    let linears = [
        (["c_attn", "c_attn dx"], d, 3 * d),
        (["attn.c_proj", "attn.c_proj dx"], d, d),
        (["c_fc", "c_fc dx"], d, 4 * d),
        (["mlp.c_proj", "mlp.c_proj dx"], 4 * d, d),
        (["lm_head", "lm_head dx"], d, vocabulary),
    ];
    for (names, inputs, outputs) in linears {
        all.extend(frozen(names, [time, inputs, outputs])?);
    }
    all.extend([frozen(["c_fc, one token", ""], [1, d, 4 * d])?.swap_remove(0), adapted([time, d, 4 * d], rank)?]);
    all.extend(skinny([time, d, 4 * d], rank)?);
    all.extend(attention_cases(sizes)?);
    all.extend(layer_norms(time, d)?);
    all.extend(gelus(time, 4 * d)?);
    all.extend([cross_entropy(time, vocabulary)?, adamw(6 * rank * (16 * d))?]);
    Ok(all)
}

/// A frozen linear layer, forward and for the gradient of its input. candle's weight is `(out, in)`, as its layers have it.
fn frozen(names: [&'static str; 2], [m, k, n]: [usize; 3]) -> Result<Vec<Case>> {
    let (w, x, dy) = (noise(k * n, 1), noise(m * k, 2), noise(m * n, 3));
    let transposed: Vec<f32> = (0..k * n).map(|at| w[at % k * n + at / k]).collect();
    let weight = tensor(&transposed, &[n, k])?;
    let one = |name, x: Vec<f32>, packed: Packed, weight: Tensor| {
        let [k, n] = [packed.k(), packed.n()];
        let want = reference::product(|i, p| x[i * k + p], |p, j| packed.get(p, j), [m, k, n]);
        let about = About {
            name,
            shape: format!("{m}×{k} · {k}×{n}"),
            flops: 2. * (m * k * n) as f64,
            elements: m * k + k * n + m * n,
        };
        let x_tensor = tensor(&x, &[m, k])?;
        case(about, &want, move |y| kernel::matmul_packed(&x, &packed, None, y), move || x_tensor.matmul(&weight))
    };
    Ok(vec![
        one(names[0], x, Packed::new(&w, k, n), weight.t()?)?,
        one(names[1], dy, Packed::new_transposed(&w, n, k), weight)?,
    ])
}

/// `y = x·W + h·B` with `h = x·A`: layer and adapter in one.
fn adapted([m, k, n]: [usize; 3], rank: usize) -> Result<Case> {
    let (x, w, a, b) = (noise(m * k, 1), noise(k * n, 2), noise(k * rank, 3), noise(rank * n, 4));
    let hidden = reference::product(|i, p| x[i * k + p], |p, j| a[p * rank + j], [m, k, rank]);
    let mut want = reference::product(|i, p| x[i * k + p], |p, j| w[p * n + j], [m, k, n]);
    for (at, want) in want.iter_mut().enumerate() {
        *want += (0..rank).map(|r| hidden[at / n * rank + r] * f64::from(b[r * n + at % n])).sum::<f64>();
    }
    let about = About {
        name: "c_fc with adapter",
        shape: format!("{m}×{k} · ({k}×{n} + {k}×{rank} · {rank}×{n})"),
        flops: 2. * (m * k * n + m * rank * (k + n)) as f64,
        elements: m * k + k * n + m * n + rank * (k + n),
    };
    let tensors = [tensor(&x, &[m, k])?, tensor(&w, &[k, n])?, tensor(&a, &[k, rank])?, tensor(&b, &[rank, n])?];
    let packed = Packed::new(&w, k, n);
    let mut h = vec![0.; m * rank];
    case(
        about,
        &want,
        move |y| {
            kernel::matmul_nn(&x, &a, &mut h, m, k, rank, 1., false);
            kernel::matmul_packed_plus(&x, &packed, None, &h, &Packed::new(&b, rank, n), y);
        },
        move || {
            let [x, w, a, b] = &tensors;
            x.matmul(w)? + x.matmul(a)?.matmul(b)?
        },
    )
}

/// The adapter's own products, each with the rank as one of its sizes.
fn skinny([m, k, n]: [usize; 3], rank: usize) -> Result<Vec<Case>> {
    let (x, dy, a, b) = (noise(m * k, 1), noise(m * n, 2), noise(k * rank, 3), noise(rank * n, 4));
    let (h, dh) = (noise(m * rank, 5), noise(m * rank, 6));
    let about = |name, [m, k, n]: [usize; 3]| About {
        name,
        shape: format!("{m}×{k} · {k}×{n}"),
        flops: 2. * (m * k * n) as f64,
        elements: m * k + k * n + m * n,
    };
    let [x_tensor, dy_tensor] = [tensor(&x, &[m, k])?, tensor(&dy, &[m, n])?];
    let [a_tensor, b_tensor] = [tensor(&a, &[k, rank])?, tensor(&b, &[rank, n])?];
    let [h_tensor, dh_tensor] = [tensor(&h, &[m, rank])?, tensor(&dh, &[m, rank])?];
    let want_h = reference::product(|i, p| x[i * k + p], |p, j| a[p * rank + j], [m, k, rank]);
    let want_dh = reference::product(|i, p| dy[i * n + p], |p, j| b[j * n + p], [m, n, rank]);
    let want_db = reference::product(|i, p| h[p * rank + i], |p, j| dy[p * n + j], [rank, m, n]);
    let want_da = reference::product(|i, p| x[p * k + i], |p, j| dh[p * rank + j], [k, m, rank]);
    let (x_again, dy_again, x_tensor_again, dy_tensor_again) =
        (x.clone(), dy.clone(), x_tensor.clone(), dy_tensor.clone());
    Ok(vec![
        case(
            about("x·A", [m, k, rank]),
            &want_h,
            move |y| kernel::matmul_nn(&x, &a, y, m, k, rank, 1., false),
            move || x_tensor.matmul(&a_tensor),
        )?,
        case(
            about("dy·Bᵀ", [m, n, rank]),
            &want_dh,
            move |y| kernel::matmul_nt(&dy, &b, y, m, n, rank, 1., false),
            move || dy_tensor.matmul(&b_tensor.t()?),
        )?,
        case(
            about("hᵀ·dy", [rank, m, n]),
            &want_db,
            move |y| kernel::matmul_tn(&h, &dy_again, y, rank, m, n, 1., false),
            move || h_tensor.t()?.matmul(&dy_tensor_again),
        )?,
        case(
            about("xᵀ·dh", [k, m, rank]),
            &want_da,
            move |y| kernel::matmul_tn(&x_again, &dh, y, k, m, rank, 1., false),
            move || x_tensor_again.t()?.matmul(&dh_tensor),
        )?,
    ])
}

/// Causal attention, forward alone and with its gradient. What the mask hides is not counted.
fn attention_cases(sizes: Sizes) -> Result<Vec<Case>> {
    let Sizes { width, heads, time, .. } = sizes;
    let (qkv, dy) = (noise(time * 3 * width, 1), noise(time * width, 2));
    let (want, want_gradient) = reference::attention(&qkv, &dy, time, heads, width / heads);
    let shape = AttentionShape { batch: 1, time, heads, head_dim: width / heads };
    let about = |name, factor: usize| About {
        name,
        shape: format!("{heads} × {time}×{}", width / heads),
        flops: (factor * 2 * time * (time + 1) * width / 2 * 2) as f64,
        elements: 4 * time * width,
    };
    let (mask, var, dy_tensor) =
        (causal_mask(time)?, Var::from_tensor(&tensor(&qkv, &[1, time, 3 * width])?)?, tensor(&dy, &[1, time, width])?);
    let (mask_again, plain, qkv_again) = (mask.clone(), var.as_tensor().detach(), qkv.clone());
    let mut sums = vec![0.; heads * time];
    let (mut sums_again, mut y) = (sums.clone(), vec![0.; time * width]);
    Ok(vec![
        case(
            about("attention", 1),
            &want,
            move |y| kernel::attention(&qkv, shape, y, &mut sums),
            move || attention(&plain, heads, &mask),
        )?,
        case(
            about("attention, both ways", 3),
            &want_gradient,
            move |dqkv| {
                kernel::attention(&qkv_again, shape, &mut y, &mut sums_again);
                kernel::attention_backward(&qkv_again, &y, &sums_again, &dy, shape, dqkv);
            },
            move || gradient(&var, &attention(var.as_tensor(), heads, &mask_again)?, &dy_tensor),
        )?,
    ])
}

/// `∂⟨y, dy⟩/∂x` by candle's backpropagation.
fn gradient(x: &Var, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    match (y * dy)?.sum_all()?.backward()?.get(x.as_tensor()) {
        Some(gradient) => Ok(gradient.clone()),
        None => bail!("no gradient came"),
    }
}

const EPSILON: f32 = 1e-5;

fn layer_norms(rows: usize, width: usize) -> Result<Vec<Case>> {
    let (x, dy) = (noise(rows * width, 1), noise(rows * width, 2));
    let (want, want_gradient) = reference::layer_norm(&x, &dy, width, f64::from(EPSILON));
    let about = |name| About { name, shape: format!("{rows}×{width}"), flops: 0., elements: rows * width };
    let (weight, bias) = (vec![1.; width], vec![0.; width]);
    let [ones, zeros] = [tensor(&weight, &[width])?, tensor(&bias, &[width])?];
    let (var, dy_tensor) = (Var::from_tensor(&tensor(&x, &[rows, width])?)?, tensor(&dy, &[rows, width])?);
    let (plain, ones_again, zeros_again) = (var.as_tensor().detach(), ones.clone(), zeros.clone());
    let (x_again, weight_again, bias_again) = (x.clone(), weight.clone(), bias.clone());
    let mut stats = vec![0.; rows * 2];
    let (mut stats_again, mut y) = (stats.clone(), vec![0.; rows * width]);
    Ok(vec![
        case(
            about("layer norm"),
            &want,
            move |y| kernel::layer_norm(&x, &weight, &bias, EPSILON, y, &mut stats),
            move || candle_nn::ops::layer_norm_slow(&plain, &ones, &zeros, EPSILON),
        )?,
        case(
            about("layer norm, both ways"),
            &want_gradient,
            move |dx| {
                kernel::layer_norm(&x_again, &weight_again, &bias_again, EPSILON, &mut y, &mut stats_again);
                kernel::layer_norm_backward(&x_again, &weight_again, &stats_again, &dy, dx);
            },
            move || {
                let y = candle_nn::ops::layer_norm_slow(var.as_tensor(), &ones_again, &zeros_again, EPSILON)?;
                gradient(&var, &y, &dy_tensor)
            },
        )?,
    ])
}

fn gelus(rows: usize, width: usize) -> Result<Vec<Case>> {
    let (x, dy) = (noise(rows * width, 1), noise(rows * width, 2));
    let want: Vec<f64> = x.iter().map(|&x| reference::gelu(f64::from(x))).collect();
    let slope = |(&x, &dy): (&f32, &f32)| f64::from(dy) * reference::gelu_derivative(f64::from(x));
    let want_gradient: Vec<f64> = x.iter().zip(&dy).map(slope).collect();
    let about = |name| About { name, shape: format!("{rows}×{width}"), flops: 0., elements: rows * width };
    let (var, dy_tensor) = (Var::from_tensor(&tensor(&x, &[rows, width])?)?, tensor(&dy, &[rows, width])?);
    let (plain, x_again, mut y) = (var.as_tensor().detach(), x.clone(), vec![0.; rows * width]);
    Ok(vec![
        case(about("GELU"), &want, move |y| kernel::gelu(&x, y), move || plain.gelu())?,
        case(
            about("GELU, both ways"),
            &want_gradient,
            move |dx| {
                kernel::gelu(&x_again, &mut y);
                kernel::gelu_backward(&x_again, &dy, dx);
            },
            move || gradient(&var, &var.as_tensor().gelu()?, &dy_tensor),
        )?,
    ])
}

/// Softmax, loss and gradient of the logits. Ours works in the logits' place, so that the copy that restores them is part of its time.
fn cross_entropy(rows: usize, vocabulary: usize) -> Result<Case> {
    let logits = noise(rows * vocabulary, 1);
    let mut rng = Rng::new(2);
    let targets: Vec<u32> = (0..rows).map(|_| rng.below(vocabulary) as u32).collect();
    let scale = 1. / rows as f32;
    let want = reference::cross_entropy_gradient(&logits, &targets, f64::from(scale));
    let about = About {
        name: "cross-entropy, both ways",
        shape: format!("{rows}×{vocabulary}"),
        flops: 0.,
        elements: rows * vocabulary,
    };
    let var = Var::from_tensor(&tensor(&logits, &[rows, vocabulary])?)?;
    let target_tensor = Tensor::from_slice(&targets, rows, &Device::Cpu)?;
    case(
        about,
        &want,
        move |gradient| {
            gradient.copy_from_slice(&logits);
            std::hint::black_box(kernel::cross_entropy(gradient, &targets, scale));
        },
        move || {
            let loss = candle_nn::loss::cross_entropy(var.as_tensor(), &target_tensor)?;
            match loss.backward()?.get(var.as_tensor()) {
                Some(gradient) => Ok(gradient.clone()),
                None => bail!("no gradient came"),
            }
        },
    )
}

/// The update of so many parameters.
fn adamw(count: usize) -> Result<Case> {
    let (params, grads) = (noise(count, 1), noise(count, 2));
    let (beta1, beta2) = (0.9, 0.999);
    let step = AdamwStep {
        lr: 1e-3,
        beta1,
        beta2,
        epsilon: 1e-8,
        weight_decay: 0.01,
        bias_correction1: 1. - beta1,
        bias_correction2: 1. - beta2,
        grad_scale: 1.,
    };
    let want = reference::adamw(&params, &grads, &step);
    let about = About { name: "AdamW", shape: format!("{count}"), flops: 0., elements: count };
    let var = Var::from_tensor(&tensor(&params, &[count])?)?;
    let settings = ParamsAdamW { lr: step.lr, weight_decay: step.weight_decay, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vec![var.clone()], settings)?;
    // candle's optimizer takes gradients only from its own backpropagation: that of ⟨p, g⟩ is g, computed once.
    let store = (var.as_tensor() * tensor(&grads, &[count])?)?.sum_all()?.backward()?;
    let (mut m, mut v, mut first) = (vec![0.; count], vec![0.; count], true);
    case(
        about,
        &want,
        move |p| {
            if std::mem::take(&mut first) {
                p.copy_from_slice(&params);
            }
            kernel::adamw(p, &grads, &mut m, &mut v, &step);
        },
        move || {
            optimizer.step(&store)?;
            Ok(var.as_tensor().clone())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_and_candle_are_the_definition_before_they_are_timed() {
        let cases = cases(Sizes { width: 24, heads: 3, time: 19, vocabulary: 61, rank: 4 }).unwrap();
        assert_eq!(cases.len(), 24);
        for case in cases {
            assert!(case.error > 0. && case.elements > 0., "{} {}: {}", case.name, case.shape, case.error);
        }
    }

    #[test]
    fn a_kernel_that_is_wrong_cannot_be_timed() {
        let about = || About { name: "twice", shape: "3".into(), flops: 0., elements: 3 };
        let right = || tensor(&[2., 4., 6.], &[3]);
        let want = [2., 4., 6.];
        assert!(case(about(), &want, |y| y.copy_from_slice(&[2., 4., 6.]), right).is_ok());
        for wrong in [[2., 4., 6.01], [2., 4., f32::NAN]] {
            assert!(case(about(), &want, move |y| y.copy_from_slice(&wrong), right).is_err(), "{wrong:?}");
            let candle = move || tensor(&wrong, &[3]);
            assert!(case(about(), &want, |y| y.copy_from_slice(&[2., 4., 6.]), candle).is_err(), "{wrong:?}");
        }
    }
}
