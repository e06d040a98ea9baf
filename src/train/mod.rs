//! Training: which tokens, which step size, which update.
//!
//! - [`data`] – random windows of the reader's text, a part held out
//! - [`schedule`] – the learning rate of each step
//! - [`optimizer`] – AdamW
//! - [`trainer`] – one optimizer step, its gradients and their application
//! - [`state`] – saving a run and going on with it

pub mod data;
pub mod optimizer;
pub mod schedule;
pub mod state;
pub mod trainer;

pub use data::TokenData;
pub use optimizer::{AdamW, AdamWConfig};
pub use schedule::Schedule;
pub use trainer::{Gradients, Step, TrainConfig, Trainer};
