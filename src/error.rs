//! The one error of the crate. Every variant has a stable code, so that JavaScript can tell them apart.

use thiserror::Error;

/// Everything that can go wrong below the border to JavaScript.
///
/// A message names the thing, what was expected and what came.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what they claim to be.
    #[error("{what} cannot be read: {reason}")]
    Format { what: &'static str, reason: String },
    /// A settings value that cannot work.
    #[error("setting \"{name}\" is {got}, expected {expected}")]
    Config { name: &'static str, expected: String, got: String },
    /// A tensor that the model or the adapter needs is not in the file.
    #[error("tensor \"{name}\" is missing")]
    MissingTensor { name: String },
    /// A tensor in the file belongs to nothing in the model.
    #[error("tensor \"{name}\" is unknown: nothing in this model is called so")]
    UnknownTensor { name: String },
    /// A tensor of the wrong shape.
    #[error("tensor \"{name}\" has shape {got:?}, expected {expected:?}")]
    Shape { name: String, expected: Vec<usize>, got: Vec<usize> },
    /// A tensor whose numbers are of a type that cannot stand there.
    #[error("tensor \"{name}\" has type {got}, expected {expected}")]
    Dtype { name: String, expected: &'static str, got: String },
    /// A tensor with NaN or infinity in it.
    #[error("tensor \"{name}\" holds {value} at position {position}, expected finite numbers")]
    NotFinite { name: String, position: usize, value: f32 },
    /// No linear layer matched.
    #[error("no linear layer matches the targets {targets}; the model has {available}")]
    NoTarget { targets: String, available: String },
    /// The adapter has no layer of this name.
    #[error("the adapter has no layer called \"{name}\"; it has {layers}")]
    NoLayer { name: String, layers: String },
    /// An adapter of this name is not attached.
    #[error("there is no adapter called \"{name}\"; attached: {attached}")]
    NoAdapter { name: String, attached: String },
    /// An adapter of this name is attached already.
    #[error("an adapter called \"{name}\" is attached already")]
    AdapterExists { name: String },
    /// An adapter that cannot be removed, because a run is training it.
    #[error("adapter \"{name}\" is being trained: end its training first")]
    InUse { name: String },
    /// What was asked for cannot be done while the adapter is merged into the base.
    #[error("{what} is not possible while the adapter is merged: unmerge first")]
    Merged { what: &'static str },
    /// A token id outside the vocabulary.
    #[error("token {id} is outside the vocabulary of {vocabulary}")]
    Token { id: u32, vocabulary: usize },
    /// More tokens than the model can see at once.
    #[error("{got} tokens are more than the context of {context}")]
    TooLong { got: usize, context: usize },
    /// Too little text to train on.
    #[error("the text has {got} tokens for {part}, expected at least {needed}")]
    TooShort { part: &'static str, got: usize, needed: usize },
    /// Text came for a model that has no tokenizer.
    #[error("this model has no tokenizer: give token ids instead of text")]
    NoTokenizer,
    /// The tokenizer refused.
    #[error("the tokenizer failed: {reason}")]
    Tokenizer { reason: String },
    /// A variable that is to be trained has no part in the loss.
    #[error("variable {number} of {count}, of shape {shape:?}, has no gradient: the loss does not depend on it")]
    NoGradient { number: usize, count: usize, shape: Vec<usize> },
    /// A number of a run is no longer finite, and `what` says which; the parameters are those of the last good step.
    #[error("{what} at step {step}: training stopped, the values of step {kept} are kept; try a lower learning rate")]
    Diverged { what: String, step: usize, kept: usize },
    /// A call that needs another one before it.
    #[error("{what} needs {needs} first")]
    Order { what: &'static str, needs: &'static str },
    /// A saved state or adapter that was made on another base.
    #[error("{what} was made on another base: its digest is {got}, this base's is {expected}")]
    OtherBase { what: &'static str, expected: String, got: String },
    /// Something that PEFT knows and this library does not.
    #[error("{what} is not supported: {detail}")]
    Unsupported { what: &'static str, detail: String },
    /// An error of the tensor library: on valid input, a defect of ours.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// `Result` with the crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A short name that never changes, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format { .. } => "format",
            Self::Config { .. } => "config",
            Self::MissingTensor { .. } => "missing-tensor",
            Self::UnknownTensor { .. } => "unknown-tensor",
            Self::Shape { .. } => "shape",
            Self::Dtype { .. } => "dtype",
            Self::NotFinite { .. } => "not-finite",
            Self::NoTarget { .. } => "no-target",
            Self::NoLayer { .. } => "no-layer",
            Self::NoAdapter { .. } => "no-adapter",
            Self::AdapterExists { .. } => "adapter-exists",
            Self::InUse { .. } => "in-use",
            Self::Merged { .. } => "merged",
            Self::Token { .. } => "token",
            Self::TooLong { .. } => "too-long",
            Self::TooShort { .. } => "too-short",
            Self::NoTokenizer => "no-tokenizer",
            Self::Tokenizer { .. } => "tokenizer",
            Self::NoGradient { .. } => "no-gradient",
            Self::Diverged { .. } => "diverged",
            Self::Order { .. } => "order",
            Self::OtherBase { .. } => "other-base",
            Self::Unsupported { .. } => "unsupported",
            Self::Tensor(_) => "tensor",
        }
    }

    /// A setting that is refused.
    pub(crate) fn config(name: &'static str, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Config { name, expected: expected.into(), got: got.to_string() }
    }

    /// Bytes that are refused.
    pub(crate) fn format(what: &'static str, reason: impl ToString) -> Self {
        Self::Format { what, reason: reason.to_string() }
    }
}
