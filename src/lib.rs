//! LoRA fine-tuning of a GPT-2, small enough to read and fast enough for a browser.
//!
//! ```
//! use lora_lab::lora::{LoraConfig, replace_linear_with_lora};
//! use lora_lab::model::Gpt2;
//! use lora_lab::rng::Rng;
//! use lora_lab::train::{TrainConfig, Trainer};
//!
//! # fn main() -> lora_lab::Result<()> {
//! // A model: here a newly drawn one; `Gpt2::load` reads a checkpoint.
//! let config = lora_lab::checkpoint::Gpt2Config::new(50, 32, 16, 2, 1);
//! let (mut model, _) = Gpt2::init(config, &mut Rng::new(1))?;
//!
//! // Every linear layer that the configuration chooses becomes one with an adapter.
//! let adapter = replace_linear_with_lora(&mut model, &LoraConfig { rank: 2, ..LoraConfig::default() }, &mut Rng::new(0))?;
//! assert_eq!(adapter.parameters(), 2 * ((16 + 48) + (16 + 16) + (16 + 64) + (64 + 16)));
//!
//! // Only the adapter's variables are trained.
//! let text = (0..200).map(|i| i % 50).collect();
//! let settings = TrainConfig { block_size: 16, ..TrainConfig::default() };
//! let mut trainer = Trainer::new(adapter.vars().cloned().collect(), text, settings, &model)?;
//! let step = trainer.step(&model)?;
//! assert!((step.loss - 50f64.ln()).abs() < 0.1); // it knows nothing yet
//! # Ok(())
//! # }
//! ```
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

// The unit tests run in a worker too: the kernels' SIMD against their scalar form.
#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

pub use error::{Error, Result};
pub use lab::Lab;
