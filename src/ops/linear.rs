//! The operations of a linear layer whose weight is frozen, alone and with an adapter.

use super::dropout::Dropout;
use super::frozen_weight::FrozenWeight;
use super::{gradient, lock, output, rows_and_width, slice, with_slice};
use crate::kernel::{self, Packed};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::{Arc, Mutex};

/// `y = x·W + bias` with a frozen weight: `x (…, in)` → `(…, out)`. Its backward is `dx` alone.
pub fn linear(x: &Tensor, frozen: &Arc<FrozenWeight>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear(Arc::clone(frozen)))
}

struct FrozenLinear(Arc<FrozenWeight>);

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

/// Base and adapter of one layer as one operation: `y = x·W + bias + s·(x·A)·B`.
///
/// `x (…, in)`, `a (in, rank)`, `b (rank, out)`, result `(…, out)` (Hu et al., "LoRA", 2021, eq. 3).
/// `dropout` acts on the adapter's input only, as in PEFT.
pub fn lora_linear(
    x: &Tensor,
    frozen: &Arc<FrozenWeight>,
    a: &Tensor,
    b: &Tensor,
    scale: f32,
    dropout: Option<Dropout>,
) -> Result<Tensor> {
    let op = LoraLinear { frozen: Arc::clone(frozen), scale, dropout, hidden: Mutex::default() };
    x.contiguous()?.apply_op3(a, b, op)
}

struct LoraLinear {
    frozen: Arc<FrozenWeight>,
    scale: f32,
    dropout: Option<Dropout>,
    /// `s·x·A (rows, rank)`, which the gradient of B needs.
    hidden: Mutex<Vec<f32>>,
}

impl LoraLinear {
    /// The adapter's input: `x` after its dropout.
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
    use super::super::frozen_weight::Orientation;
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
            let frozen = Arc::new(FrozenWeight::new(weight.clone(), None, Orientation::InOut).unwrap());
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
    fn nothing_is_kept_to_go_back_through_a_frozen_layer_that_nothing_below_needs() {
        let frozen = Arc::new(FrozenWeight::new(tensor(6, 5), None, Orientation::InOut).unwrap());
        assert!(!linear(&tensor(3, 6), &frozen).unwrap().track_op());
        assert!(linear(Var::from_tensor(&tensor(3, 6)).unwrap().as_tensor(), &frozen).unwrap().track_op());
    }
}
