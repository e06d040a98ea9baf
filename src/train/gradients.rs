//! Gradients on their way to an update: those of one sequence, and a step's sum.

use crate::error::{Error, Result};
use crate::kernel;

/// One sequence's part of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// Summed loss of the sequence's tokens divided by the step's tokens.
    pub loss: f64,
    /// All variables one after the other, in the optimizer's order.
    pub values: Vec<f32>,
}

/// The gradients of a step so far. Added in the order of the sequences they give the same bits, wherever they were
/// computed.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientSum {
    pub(super) loss: f64,
    pub(super) values: Vec<f32>,
    /// How many sequences it holds.
    pub(super) sequences: usize,
}

impl GradientSum {
    pub(super) fn new(parameters: usize) -> Self {
        Self { loss: 0., values: vec![0.; parameters], sequences: 0 }
    }

    /// Adds the next sequence's part, as in [`Gradients`].
    ///
    /// # Errors
    /// `config` if `values` are not as many as the run has parameters; nothing is added then.
    pub fn add(&mut self, loss: f64, values: &[f32]) -> Result<()> {
        if values.len() != self.values.len() {
            return Err(Error::config("gradients", format!("{} numbers", self.values.len()), values.len()));
        }
        self.loss += loss;
        kernel::add_assign(&mut self.values, values);
        self.sequences += 1;
        Ok(())
    }
}
