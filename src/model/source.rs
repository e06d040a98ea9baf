//! Where a model's weights come from: a file, a random generator, or, for shapes alone, a zero.

use crate::checkpoint::TensorFile;
use crate::error::Result;
use crate::rng::Rng;
use candle_core::{Device, Tensor, Var};

/// Where weights come from.
pub(super) trait Source {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor>;
}

pub(super) struct FromFile<'a> {
    pub file: &'a mut TensorFile,
    /// What becomes of each tensor: nothing, or a variable.
    pub wrap: &'a mut dyn FnMut(&str, Tensor) -> Result<Tensor>,
}

impl Source for FromFile<'_> {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        (self.wrap)(name, self.file.take(name, shape)?)
    }
}

pub(super) struct FromRng<'a> {
    pub rng: &'a mut Rng,
    pub blocks: usize,
    pub vars: Vec<(String, Var)>,
}

impl Source for FromRng<'_> {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let count = shape.iter().product();
        let std = if name.ends_with("c_proj.weight") { 0.02 / (2. * self.blocks as f32).sqrt() } else { 0.02 };
        let values: Vec<f32> = match name {
            _ if name.ends_with("bias") => vec![0.; count],
            _ if shape.len() == 1 => vec![1.; count],
            _ => (0..count).map(|_| self.rng.normal() * std).collect(),
        };
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
        self.vars.push((name.into(), var.clone()));
        Ok(var.as_tensor().clone())
    }
}

pub(super) struct Shapes;

impl Source for Shapes {
    fn tensor(&mut self, _name: &str, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::new(0f32, &Device::Cpu)?.broadcast_as(shape)?)
    }
}
