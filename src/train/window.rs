//! Loss and gradient of a window of tokens: inputs and, shifted by one, targets.

use super::gradients::Gradients;
use crate::error::{Error, Result};
use crate::model::CausalLm;
use crate::nn::Pass;
use crate::ops::loss::cross_entropy;
use crate::ops::with_slice;
use candle_core::{Device, Tensor, Var};

/// Loss of one window and its gradients, those of `vars` one after the other: `window[..n−1]` are the inputs,
/// `window[1..]` the targets, and `tokens` the number of targets of the whole step.
///
/// # Errors
/// `no-gradient` if the loss does not depend on one of `vars`, as on those of an adapter that is switched off or
/// merged; `too-short`, `too-long`; `tensor` for an id outside the vocabulary.
pub fn gradients(
    model: &dyn CausalLm,
    vars: &[Var],
    window: &[u32],
    tokens: usize,
    pass: &mut Pass,
) -> Result<Gradients> {
    let loss = sequence_loss(model, window, tokens, pass)?;
    let store = loss.backward()?;
    let mut values = Vec::with_capacity(vars.iter().map(|var| var.elem_count()).sum());
    for (i, var) in vars.iter().enumerate() {
        // Zeros in its place would look like a training that does nothing.
        let missing = || Error::NoGradient { number: i + 1, count: vars.len(), shape: var.dims().to_vec() };
        let gradient = store.get(var.as_tensor()).ok_or_else(missing)?;
        with_slice(gradient, |gradient| values.extend_from_slice(gradient))?;
    }
    Ok(Gradients { loss: f64::from(loss.to_scalar::<f32>()?), values })
}

/// Mean loss of some windows in nats a token, each `window[1..]` given what is before it; `None` for
/// no windows.
///
/// # Errors
/// `too-long`; `tensor` for an id outside the vocabulary.
pub fn mean_loss(model: &dyn CausalLm, windows: &[&[u32]]) -> Result<Option<f64>> {
    let tokens = targets(windows);
    let mut sum = 0.;
    for window in windows {
        sum += window_loss(model, window, tokens, &mut Pass::default())?;
    }
    Ok((tokens > 0).then_some(sum))
}

/// The number of next tokens in some windows.
pub(super) fn targets(windows: &[&[u32]]) -> usize {
    windows.iter().map(|window| window.len().saturating_sub(1)).sum()
}

/// What a window adds to a mean over `tokens` targets.
pub(super) fn window_loss(model: &dyn CausalLm, window: &[u32], tokens: usize, pass: &mut Pass) -> Result<f64> {
    Ok(f64::from(sequence_loss(model, window, tokens, pass)?.to_scalar::<f32>()?))
}

/// The summed next-token loss of a window divided by `tokens`, a scalar.
fn sequence_loss(model: &dyn CausalLm, window: &[u32], tokens: usize, pass: &mut Pass) -> Result<Tensor> {
    let (inputs, targets) = match window {
        [] | [_] => return Err(Error::TooShort { part: "a window", got: window.len(), needed: 2 }),
        [inputs @ .., _] => (inputs, &window[1..]),
    };
    let ids = Tensor::from_slice(inputs, (1, inputs.len()), &Device::Cpu)?;
    let logits = model.forward(&ids, pass)?;
    Ok(cross_entropy(&logits, targets, 1. / tokens as f32)?)
}
