//! The kernels as candle operations with a backward of their own.
//!
//! candle composes attention, layer norm, GELU and cross-entropy of many small operations and
//! computes gradients for frozen weights; here each is one node of the graph, and nothing is
//! computed for what does not train.
//!
//! - [`frozen_weight`] – a weight that does not train, packed
//! - [`linear`] – a linear layer with such a weight, alone or with its adapter
//! - [`dropout`] – dropout, its mask a function of a key
//! - [`trainable`] – a linear layer whose own weight trains
//! - [`activation`] – GELU
//! - [`norm`] – layer norm
//! - [`attention`] – causal self-attention, for training and against a cache
//! - [`loss`] – cross-entropy over the vocabulary

pub mod activation;
pub mod attention;
pub mod dropout;
pub mod frozen_weight;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod trainable;

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The numbers of a contiguous f32 operand.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => candle_core::bail!("expected a contiguous operand, got strides {:?}", layout.stride()),
    }
}

/// Lends the numbers of `tensor` to `f`.
pub(crate) fn with_slice<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(slice(storage, layout)?)),
        _ => candle_core::bail!("expected a tensor on the CPU"),
    }
}

/// The result of a forward pass.
fn output(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}

/// A gradient in the shape of `like`.
fn gradient(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}

/// Splits a shape into rows and their length.
fn rows_and_width(shape: &Shape) -> (usize, usize) {
    let width = shape.dims().last().copied().unwrap_or(1);
    (shape.elem_count().checked_div(width).unwrap_or(0), width)
}

/// Locks what the forward pass saved. Poisoning is ignored: the value is replaced in one assignment, so it is always
/// whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
