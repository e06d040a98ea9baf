//! The arithmetic: slices in, slices out. No tensors, no I/O, and the only `unsafe` code of the project.
//!
//! | module | what |
//! |---|---|
//! | [`lanes`] | `trait Lanes`, a vector of floats; the instruction set is chosen when compiling |
//! | [`math`] | exp on lanes |
//! | [`matmul`] | products: with a frozen weight packed once, and of any two matrices |
//! | [`attention`] | causal self-attention, forward, backward and against a cache |
//! | [`norm`], [`gelu`], [`cross_entropy`] | forward and backward together |
//! | [`adamw`] | the optimizer's update in one pass |
//! | [`vector`] | sums and scalings |
//!
//! Matrices are row-major. Each algorithm is written once over `Lanes`; the public functions run it with the widest
//! lanes of the target, the tests with one float at a time too.
//!
//! **Invariant: a row's result does not depend on the number of rows.** Each output element is summed over the same
//! terms in the same order, whichever tile it falls into, so a batch may be cut between workers without changing a bit.

mod adamw;
mod attention;
mod cross_entropy;
mod gelu;
mod lanes;
mod math;
mod matmul;
mod norm;
#[cfg(test)]
mod testing;
mod vector;

pub use adamw::{AdamwStep, adamw};
pub use attention::{AttentionShape, attention, attention_backward, attention_cached};
pub use cross_entropy::{cross_entropy, cross_entropy_loss};
pub use gelu::{gelu, gelu_backward};
pub use lanes::LANES;
pub use matmul::{Packed, matmul_nn, matmul_nt, matmul_packed, matmul_packed_plus, matmul_tn};
pub use norm::{layer_norm, layer_norm_backward, layer_norm_weight_backward};
pub use vector::{add_assign, scale, sum_of_squares};
