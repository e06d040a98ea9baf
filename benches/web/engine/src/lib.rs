//! What `cargo xtask bench web` runs in the browser beside the page's own engine.
//!
//! - [`plain`] – a GPT-2 with LoRA of candle-nn's own layers, loss and optimizer: what one writes without this project
//! - [`kernels`] – single kernels beside candle's operations, each checked against the definition before it is timed

pub mod kernels;
pub mod plain;
mod reference;

#[cfg(target_arch = "wasm32")]
mod web;

/// The windows of one step as [`lora_lab::train::TokenData`] draws them, `batch` of `block + 1` tokens one after the other,
/// so that everything compared trains on the same tokens.
///
/// # Errors
/// See [`lora_lab::train::TokenData::new`].
pub fn windows(
    ids: Vec<u32>,
    vocabulary: usize,
    block: usize,
    batch: usize,
    seed: u64,
    step: usize,
) -> lora_lab::Result<Vec<u32>> {
    let data = lora_lab::train::TokenData::new(ids, 0., block, vocabulary)?;
    Ok((0..batch).flat_map(|sequence| data.window(block, seed, step, sequence).to_vec()).collect())
}
