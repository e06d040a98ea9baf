//! Linear layers whose weight is frozen, alone and with an adapter.

use super::{gradient, lock, output, rows_and_width, slice, with_slice};
use crate::kernel::{self, Packed};
use crate::rng::Rng;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::{Arc, Mutex, OnceLock};

/// How a checkpoint stores a linear layer's weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// `(in, out)`: GPT-2's `Conv1D`.
    InOut,
    /// `(out, in)`: PyTorch's `nn.Linear`, and a head tied to the token embedding.
    OutIn,
}

/// A weight that does not train, packed for the matmul kernel when it is first needed and never again.
#[derive(Debug)]
pub struct Frozen {
    weight: Tensor,
    bias: Option<Tensor>,
    orientation: Orientation,
    forward: OnceLock<Packed>,
    backward: OnceLock<Packed>,
}

impl Frozen {
    /// `weight` as `orientation` says, `bias (out)`.
    pub fn new(weight: Tensor, bias: Option<Tensor>, orientation: Orientation) -> Result<Self> {
        let _ = weight.dims2()?;
        Ok(Self { weight, bias, orientation, forward: OnceLock::new(), backward: OnceLock::new() })
    }

    /// Input and output features.
    pub fn features(&self) -> (usize, usize) {
        let dims = self.weight.dims();
        match self.orientation {
            Orientation::InOut => (dims[0], dims[1]),
            Orientation::OutIn => (dims[1], dims[0]),
        }
    }

    /// The packed `(in, out)` operand of `y = x·W`.
    fn forward(&self) -> Result<&Packed> {
        let (inputs, outputs) = self.features();
        self.packed(&self.forward, inputs, outputs, self.orientation == Orientation::OutIn)
    }

    /// The packed `(out, in)` operand of `dx = dy·Wᵀ`.
    fn backward(&self) -> Result<&Packed> {
        let (inputs, outputs) = self.features();
        self.packed(&self.backward, outputs, inputs, self.orientation == Orientation::InOut)
    }

    fn packed<'a>(&'a self, slot: &'a OnceLock<Packed>, k: usize, n: usize, transposed: bool) -> Result<&'a Packed> {
        if let Some(packed) = slot.get() {
            return Ok(packed);
        }
        let pack = if transposed { Packed::new_transposed } else { Packed::new };
        let packed = with_slice(&self.weight, |weight| pack(weight, k, n))?;
        Ok(slot.get_or_init(|| packed))
    }

    /// Whether what the kernel reads is still what the checkpoint holds, bit for bit.
    pub fn packed_equals_weight(&self) -> Result<bool> {
        let (inputs, outputs) = self.features();
        with_slice(&self.weight, |weight| {
            let at = |i: usize, o: usize| match self.orientation {
                Orientation::InOut => weight[i * outputs + o],
                Orientation::OutIn => weight[o * inputs + i],
            };
            let same = |i: usize, o: usize| {
                self.forward.get().is_none_or(|p| p.get(i, o).to_bits() == at(i, o).to_bits())
                    && self.backward.get().is_none_or(|p| p.get(o, i).to_bits() == at(i, o).to_bits())
            };
            (0..inputs).all(|i| (0..outputs).all(|o| same(i, o)))
        })
    }

    /// `y = x·W + bias`, and `+ h·B` of an adapter, into a new buffer; `x (rows, in)`, `h (rows, rank)`.
    fn apply(&self, x: &[f32], rows: usize, adapter: Option<(&[f32], &Packed)>) -> Result<Vec<f32>> {
        let bias = self.bias.as_ref();
        let product =
            |bias: Option<&[f32]>| Ok::<_, candle_core::Error>(multiply(x, self.forward()?, bias, adapter, rows));
        bias.map_or_else(|| product(None), |bias| with_slice(bias, |bias| product(Some(bias)))?)
    }

    /// `dx = dy·Wᵀ`, and `+ dh·Aᵀ` of an adapter, into a new buffer; `dy (rows, out)`, `dh (rows, rank)`.
    fn apply_backward(&self, dy: &[f32], rows: usize, adapter: Option<(&[f32], &Packed)>) -> Result<Vec<f32>> {
        Ok(multiply(dy, self.backward()?, None, adapter, rows))
    }

    fn output_shape(&self, x: &Shape) -> Result<Vec<usize>> {
        let (inputs, outputs) = self.features();
        let mut dims = x.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == inputs => *last = outputs,
            _ => candle_core::bail!("a linear layer of {inputs} inputs got {dims:?}"),
        }
        Ok(dims)
    }
}

/// `x·w + bias + h·b` into a new buffer.
fn multiply(x: &[f32], w: &Packed, bias: Option<&[f32]>, adapter: Option<(&[f32], &Packed)>, rows: usize) -> Vec<f32> {
    let mut y = vec![0.; rows * w.n()];
    match adapter {
        Some((h, b)) => kernel::matmul_packed_plus(x, w, bias, h, b, &mut y),
        None => kernel::matmul_packed(x, w, bias, &mut y),
    }
    y
}

/// `y = x·W + bias` with a frozen weight: `x (…, in)` → `(…, out)`. Its backward is `dx` alone.
pub fn linear(x: &Tensor, frozen: &Arc<Frozen>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear(Arc::clone(frozen)))
}

struct FrozenLinear(Arc<Frozen>);

impl CustomOp1 for FrozenLinear {
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = self.0.output_shape(layout.shape())?;
        let (rows, _) = rows_and_width(layout.shape());
        output(self.0.apply(slice(x, layout)?, rows, None)?, shape)
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (rows, _) = rows_and_width(x.shape());
        let dx = with_slice(dy, |dy| self.0.apply_backward(dy, rows, None))??;
        Ok(Some(gradient(dx, x)?))
    }
}

/// Dropout on an adapter's input: which numbers are kept is a function of `key` alone.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// Share of the inputs set to zero, in `[0, 1)`.
    pub probability: f32,
    /// Seed, step, sequence and layer, mixed.
    pub key: u64,
}

impl Dropout {
    /// Of each 65,536 numbers how many are dropped: 16 random bits decide on each.
    fn dropped(&self) -> u16 {
        // A cast to an integer stops at its limits, so something is always kept.
        (self.probability * 65_536.).round() as u16
    }

    /// `x ∘ mask / (1 − p)`, p rounded to what [`Self::dropped`] can be; applied to a gradient it is its own backward.
    fn apply(&self, x: &mut [f32]) {
        let dropped = u64::from(self.dropped());
        let scale = 65_536. / (65_536 - dropped) as f32;
        let mut rng = Rng::new(self.key);
        // One draw decides on four numbers, 16 bits each.
        for xs in x.chunks_mut(4) {
            let bits = rng.next_u64();
            for (i, x) in xs.iter_mut().enumerate() {
                *x *= if bits >> (16 * i) & 0xFFFF < dropped { 0. } else { scale };
            }
        }
    }
}

/// `x ∘ mask / (1 − p)` as a tensor operation. The mask is drawn again in the backward pass rather than kept.
pub fn dropout(x: &Tensor, dropout: &Dropout) -> Result<Tensor> {
    x.contiguous()?.apply_op1(dropout.clone())
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, layout)?.to_vec();
        self.apply(&mut y);
        output(y, layout.shape())
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = with_slice(dy, <[f32]>::to_vec)?;
        self.apply(&mut dx);
        Ok(Some(gradient(dx, x)?))
    }
}

/// Base and adapter of one layer as one operation: `y = x·W + bias + s·(x·A)·B`.
///
/// `x (…, in)`, `a (in, rank)`, `b (rank, out)`, result `(…, out)` (Hu et al., "LoRA", 2021, eq. 3).
/// `dropout` acts on the adapter's input only, as in PEFT.
pub fn lora_linear(
    x: &Tensor,
    frozen: &Arc<Frozen>,
    a: &Tensor,
    b: &Tensor,
    scale: f32,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let op = LoraLinear { frozen: Arc::clone(frozen), scale, dropout, hidden: Mutex::default() };
    x.contiguous()?.apply_op3(a, b, op)
}

struct LoraLinear {
    frozen: Arc<Frozen>,
    scale: f32,
    dropout: Option<Dropout>,
    /// `s·x·A (rows, rank)`, which the gradient of B needs.
    hidden: Mutex<Vec<f32>>,
}

impl LoraLinear {
    /// What the adapter sees of `x`.
    fn dropped<'a>(&self, x: &'a [f32]) -> std::borrow::Cow<'a, [f32]> {
        match &self.dropout {
            None => x.into(),
            Some(dropout) => {
                let mut x = x.to_vec();
                dropout.apply(&mut x);
                x.into()
            }
        }
    }
}

impl CustomOp3 for LoraLinear {
    fn name(&self) -> &'static str {
        "lora-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = self.frozen.output_shape(x_layout.shape())?;
        let (rows, inputs) = rows_and_width(x_layout.shape());
        let (_, outputs) = self.frozen.features();
        let (_, rank) = a_layout.shape().dims2()?;
        if a_layout.dims() != [inputs, rank] || b_layout.dims() != [rank, outputs] {
            candle_core::bail!("adapter {:?} · {:?} on a layer {inputs} → {outputs}", a_layout.dims(), b_layout.dims());
        }
        let (x, a, b) = (slice(x, x_layout)?, slice(a, a_layout)?, slice(b, b_layout)?);
        let mut hidden = vec![0.; rows * rank];
        kernel::matmul_nn(&self.dropped(x), a, &mut hidden, rows, inputs, rank, self.scale, false);
        let y = self.frozen.apply(x, rows, Some((&hidden, &Packed::new(b, rank, outputs))))?;
        *lock(&self.hidden) = hidden;
        output(y, shape)
    }

    /// With `h = s·x·A` and `dh = s·dy·Bᵀ`: `dA = xᵀ·dh`, `dB = hᵀ·dy`, `dx = dy·Wᵀ + dh·Aᵀ`.
    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, inputs) = rows_and_width(x.shape());
        let (rank, outputs) = b.dims2()?;
        let hidden = lock(&self.hidden);
        let (mut da, mut db) = (vec![0.; inputs * rank], vec![0.; rank * outputs]);
        let mut dhidden = vec![0.; rows * rank];
        let dx = with_slice(dy, |dy| {
            with_slice(b, |b| kernel::matmul_nt(dy, b, &mut dhidden, rows, outputs, rank, self.scale, false))?;
            kernel::matmul_tn(&hidden, dy, &mut db, rank, rows, outputs, 1., false);
            with_slice(x, |x| kernel::matmul_tn(&self.dropped(x), &dhidden, &mut da, inputs, rows, rank, 1., false))?;
            if !x.track_op() {
                return Ok::<_, candle_core::Error>(None);
            }
            let dx = with_slice(a, |a| {
                let Some(dropout) = &self.dropout else {
                    let a_transposed = Packed::new_transposed(a, rank, inputs);
                    return self.frozen.apply_backward(dy, rows, Some((&dhidden, &a_transposed)));
                };
                let mut dx = self.frozen.apply_backward(dy, rows, None)?;
                let mut part = vec![0.; rows * inputs];
                kernel::matmul_nt(&dhidden, a, &mut part, rows, rank, inputs, 1., false);
                dropout.apply(&mut part);
                kernel::add_assign(&mut dx, &part);
                Ok(dx)
            })??;
            Ok(Some(gradient(dx, x)?))
        })??;
        Ok((dx, Some(gradient(da, a)?), Some(gradient(db, b)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn tensor(rows: usize, columns: usize) -> Tensor {
        let values = (0..rows * columns).map(|i| (i as f32).sin()).collect();
        Tensor::from_vec::<_, f32>(values, (rows, columns), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_gradient_of_an_input_is_computed_only_where_something_below_trains() {
        let (rows, inputs, outputs, rank) = (3, 6, 5, 2);
        let trains = |rows, columns| Var::from_tensor(&tensor(rows, columns)).unwrap();
        let (a, b, variable) = (trains(inputs, rank), trains(rank, outputs), trains(rows, inputs));
        for (x, below_trains) in [(tensor(rows, inputs), false), (variable.as_tensor().clone(), true)] {
            let weight = tensor(inputs, outputs);
            let frozen = Arc::new(Frozen::new(weight.clone(), None, Orientation::InOut).unwrap());
            let y = lora_linear(&x, &frozen, a.as_tensor(), b.as_tensor(), 2., None).unwrap();
            let store = y.sum_all().unwrap().backward().unwrap();
            assert!(store.get(a.as_tensor()).is_some() && store.get(b.as_tensor()).is_some());
            assert!(store.get(&weight).is_none());
            assert_eq!(store.get(&x).is_some(), below_trains);
            // The product with Wᵀ cannot have been made without it.
            assert_eq!(frozen.backward.get().is_some(), below_trains);
        }
    }

    #[test]
    fn as_much_is_kept_as_the_scale_makes_up_for() {
        let n = 400_000;
        for probability in [0., 1e-6, 7e-6, 1e-5, 0.1, 0.3333, 0.5, 0.9, 0.9999, 0.999_999_9] {
            let dropout = Dropout { probability, key: 5 };
            let mut x = vec![1.; n];
            dropout.apply(&mut x);
            let share = f32::from(dropout.dropped()) / 65_536.;
            assert!((share - probability).abs() <= 1. / 65_536., "{share} for {probability}");
            // What is kept is scaled by the reciprocal of the share that is kept, so that the mean is 1.
            let kept: Vec<f32> = x.into_iter().filter(|&x| x != 0.).collect();
            assert!(kept.iter().all(|x| (x * (1. - share) - 1.).abs() < 1e-6), "{probability}");
            let (mean, share) = (f64::from(kept.len() as f32) / n as f64, f64::from(share));
            let deviation = (share * (1. - share) / n as f64).sqrt();
            assert!((mean - (1. - share)).abs() <= 5. * deviation, "{probability}: {mean}");
        }
    }

    #[test]
    fn nothing_is_kept_to_go_back_through_a_frozen_layer_that_nothing_below_needs() {
        let frozen = Arc::new(Frozen::new(tensor(6, 5), None, Orientation::InOut).unwrap());
        assert!(!linear(&tensor(3, 6), &frozen).unwrap().track_op());
        assert!(linear(Var::from_tensor(&tensor(3, 6)).unwrap().as_tensor(), &frozen).unwrap().track_op());
    }
}
