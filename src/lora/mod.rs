//! LoRA on whole models: choosing layers, replacing them, saving and merging adapters.
//!
//! - [`config`] – `LoraConfig`, in PEFT's terms
//! - [`replace`] – `replace_linear_with_lora`
//! - [`adapter`] – an adapter's variables, by layer
//! - [`peft`] – its two files, as PEFT reads and writes them
//! - [`import`] – an adapter from those files into a model
//! - `qkv` – separate q, k and v beside the files' one `c_attn`
//! - [`delta`] – what an adapter adds: norms, singular values, a map; with `matrix` and `eigenvalues`
//! - [`merge`] – adding an adapter to the weights, and taking it back

pub mod adapter;
pub mod config;
pub mod delta;
mod eigenvalues;
pub mod import;
mod matrix;
pub mod merge;
pub mod peft;
mod qkv;
pub mod replace;

pub use crate::nn::{LinearWithLora, LoraLayer};
pub use adapter::Adapter;
pub use config::{LoraConfig, Modules, Scaling};
pub use import::import_peft;
pub use merge::{merge, unmerge};
pub use replace::{attach, plan, remove, rename, replace_linear_with_lora};
