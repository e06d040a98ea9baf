//! Bytes → names, shapes, tensors. Trusts nothing: every file comes from a stranger.
//!
//! - [`safetensors`] – the container of weights and adapters
//! - [`config`] – `config.json` of a GPT-2

pub mod config;
pub mod safetensors;

pub use config::Gpt2Config;
pub use safetensors::TensorFile;
