//! LoRA fine-tuning of a GPT-2, small enough to read and fast enough for a browser.
#![forbid(clippy::undocumented_unsafe_blocks)]

pub mod checkpoint;
pub mod error;
pub mod generate;
pub mod kernel;
pub mod lab;
pub mod lora;
pub mod model;
pub mod nn;
pub mod ops;
pub mod rng;
pub mod tokenizer;
pub mod train;

#[cfg(target_arch = "wasm32")]
mod web;

pub use error::{Error, Result};
pub use lab::Lab;
