//! Bytes → names, shapes, tensors. Every file may be damaged or hostile, so all of it is checked.
//!
//! - [`safetensors`] – the container of weights and adapters
//! - [`config`] – `config.json` of a GPT-2

pub mod config;
pub mod safetensors;

pub use config::Gpt2Config;
pub use safetensors::TensorFile;

/// The most numbers that a tensor may have: 1 GiB as f32. Where addresses have 32 bits, as in WebAssembly, an
/// allocation is less than 2 GiB, and the kernels' packed copies of a weight are a little larger than the weight.
pub const MOST_NUMBERS: u64 = 1 << 28;
