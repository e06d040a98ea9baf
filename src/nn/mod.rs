//! Layers, and the tree they form.
//!
//! - [`module`] – `NamedChildren`, the textbook's `named_children()`
//! - [`linear`] – a linear layer, frozen or trainable
//! - [`lora`] – `LoraLayer` and `LinearWithLora`, the textbook's two classes
//! - [`norm`] – layer norm
//! - [`pass`] – what a forward pass is told: the cache, the dropout, where it may begin

pub mod linear;
pub mod lora;
pub mod module;
pub mod norm;
pub mod pass;

pub use linear::Linear;
pub use lora::{LinearWithLora, LoraLayer};
pub use module::{AnyLinear, Child, NamedChildren};
pub use norm::LayerNorm;
pub use pass::{BlockInput, KvCache, LayerCache, Pass};
