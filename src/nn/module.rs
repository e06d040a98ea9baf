//! The module tree. The textbook's `replace_linear_with_lora` walks `model.named_children()` and sets attributes; here
//! a model gives mutable references to its children, one level at a time, by name.

use super::{Linear, LinearWithLora, Pass};
use crate::error::Result;
use candle_core::Tensor;
use std::borrow::Cow;

/// A place for a linear layer, plain or with adapters.
#[derive(Debug)]
pub enum AnyLinear {
    Plain(Linear),
    Lora(LinearWithLora),
}

impl AnyLinear {
    /// `x (…, in)` → `(…, out)`.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        match self {
            Self::Plain(linear) => linear.forward(x),
            Self::Lora(linear) => linear.forward(x, pass),
        }
    }

    /// The base layer, as the checkpoint has it.
    pub fn base(&self) -> &Linear {
        match self {
            Self::Plain(linear) => linear,
            Self::Lora(linear) => linear.base(),
        }
    }

    /// The layer whose weights a forward pass reads: the base, or the merged one.
    pub fn in_use(&self) -> &Linear {
        match self {
            Self::Plain(linear) => linear,
            Self::Lora(linear) => linear.in_use(),
        }
    }
}

impl From<Linear> for AnyLinear {
    fn from(linear: Linear) -> Self {
        Self::Plain(linear)
    }
}

/// One child of a module.
pub enum Child<'a> {
    Linear(&'a mut AnyLinear),
    Module(&'a mut dyn NamedChildren),
}

/// A module that can name its children, as PyTorch's `named_children()` does.
///
/// Only children that contain linear layers need to be named.
pub trait NamedChildren {
    /// Names and children, one level deep.
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)>;
}

impl<M: NamedChildren> NamedChildren for Vec<M> {
    fn named_children(&mut self) -> Vec<(Cow<'static, str>, Child<'_>)> {
        self.iter_mut().enumerate().map(|(i, m)| (i.to_string().into(), Child::Module(m))).collect()
    }
}

/// Calls `f` with the dotted path of every linear layer, depth first, in the order of the children.
pub fn for_each_linear<E>(
    module: &mut dyn NamedChildren,
    f: &mut dyn FnMut(&str, &mut AnyLinear) -> Result<(), E>,
) -> Result<(), E> {
    fn walk<E>(
        module: &mut dyn NamedChildren,
        path: &str,
        f: &mut dyn FnMut(&str, &mut AnyLinear) -> Result<(), E>,
    ) -> Result<(), E> {
        for (name, child) in module.named_children() {
            let path = if path.is_empty() { name.into_owned() } else { format!("{path}.{name}") };
            match child {
                Child::Linear(linear) => f(&path, linear)?,
                Child::Module(module) => walk(module, &path, f)?,
            }
        }
        Ok(())
    }
    walk(module, "", f)
}
