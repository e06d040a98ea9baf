//! Training: which tokens, which step size, which update.
//!
//! - [`config`] – the settings of a run
//! - [`data`] – random windows of a text, a part of which is held out
//! - [`schedule`] – the learning rate of each step
//! - [`optimizer`] – AdamW
//! - [`mod@gradients`] – one sequence's gradients and a step's sum, which may come from several workers
//! - [`window`] – loss and gradient of one window of tokens
//! - [`trainer`] – the run: one optimizer step, its gradients and their application
//! - [`state`] – saving a run and going on with it

pub mod config;
pub mod data;
pub mod gradients;
pub mod optimizer;
pub mod schedule;
pub mod state;
pub mod trainer;
pub mod window;

pub use config::TrainConfig;
pub use data::TokenData;
pub use gradients::{GradientSum, Gradients};
pub use optimizer::{AdamW, AdamWConfig, read_values, write_values};
pub use schedule::Schedule;
pub use trainer::{Step, Trainer};
pub use window::{gradients, mean_loss};
