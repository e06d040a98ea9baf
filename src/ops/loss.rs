//! Cross-entropy over the vocabulary.

use super::{gradient, lock, output, rows_and_width, slice, with_slice};
use crate::kernel;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Mutex;

/// `scale · Σ −log softmax(logits)[target]` over the rows of `logits (…, vocabulary)`, a scalar.
///
/// `targets` has one id below `vocabulary` for each row. With `scale = 1 / rows` this is PyTorch's
/// mean cross-entropy; a sequence that is a part of a batch passes the whole batch's count.
pub fn cross_entropy(logits: &Tensor, targets: &[u32], scale: f32) -> Result<Tensor> {
    let (rows, vocabulary) = rows_and_width(logits.shape());
    if targets.len() != rows {
        candle_core::bail!("cross-entropy of {rows} rows got {} targets", targets.len());
    }
    if let Some(id) = targets.iter().find(|&&id| id as usize >= vocabulary) {
        candle_core::bail!("cross-entropy target {id} is outside the vocabulary of {vocabulary}");
    }
    let logits = logits.contiguous()?;
    if !logits.track_op() {
        let sum = with_slice(&logits, |logits| kernel::cross_entropy_loss(logits, targets, vocabulary))?;
        return Tensor::new((sum * f64::from(scale)) as f32, logits.device());
    }
    logits.apply_op1(CrossEntropy { targets: targets.to_vec(), scale, dlogits: Mutex::default() })
}

struct CrossEntropy {
    targets: Vec<u32>,
    scale: f32,
    /// `scale · (softmax − one-hot)`, computed in the forward pass, which has the probabilities anyway.
    dlogits: Mutex<Vec<f32>>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dlogits = slice(logits, layout)?.to_vec();
        let sum = kernel::cross_entropy(&mut dlogits, &self.targets, self.scale);
        *lock(&self.dlogits) = dlogits;
        output(vec![(sum * f64::from(self.scale)) as f32], ())
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, dloss: &Tensor) -> Result<Option<Tensor>> {
        let mut dlogits = std::mem::take(&mut *lock(&self.dlogits));
        if dlogits.len() != logits.elem_count() {
            candle_core::bail!("the backward pass of a cross-entropy can run only once");
        }
        let dloss = dloss.to_scalar::<f32>()?;
        // The loss is the root of the graph: its own gradient is 1 unless the caller has scaled it.
        if dloss != 1. {
            dlogits.iter_mut().for_each(|d| *d *= dloss);
        }
        Ok(Some(gradient(dlogits, logits)?))
    }
}
