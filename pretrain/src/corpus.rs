//! Stories as tokens: what a step reads, and what the held-out loss is measured on.

use crate::{CONTEXT, Result};
use lora_lab::rng::Rng;
use lora_lab::tokenizer::Tokenizer;
use std::ops::Range;

/// Stories one after the other, an end-of-text token before each and after the last.
pub struct Stories {
    ids: Vec<u32>,
    /// Where each story's own end-of-text token lies, and the last token of all.
    starts: Vec<usize>,
}

impl Stories {
    pub fn encode(tokenizer: &Tokenizer, stories: &[&str], end: u32) -> Result<Self> {
        let (mut ids, mut starts) = (vec![end], vec![0]);
        for story in stories {
            ids.extend(tokenizer.encode(story)?);
            starts.push(ids.len());
            ids.push(end);
        }
        Ok(Self { ids, starts })
    }

    /// The same if there is a window to train on.
    ///
    /// # Errors
    /// For less than `CONTEXT + 1` tokens.
    pub fn enough_to_train(self) -> Result<Self> {
        match self.ids.len() {
            0..=CONTEXT => {
                let (got, least) = (self.ids.len(), CONTEXT + 1);
                Err(format!("the stories to train on have {got} tokens, expected at least {least}: one window").into())
            }
            _ => Ok(self),
        }
    }

    /// The tokens but the first, which nothing predicts.
    pub fn targets(&self) -> usize {
        self.ids.len() - 1
    }

    /// `CONTEXT + 1` tokens of [`Self::enough_to_train`], a function of seed, step and sequence: from anywhere, or, for
    /// a share `aligned` of them, from where [`Self::story_windows`] would begin to score the story that was hit.
    pub fn window(&self, seed: u64, step: usize, sequence: usize, aligned: f32) -> &[u32] {
        let mut rng = Rng::keyed(seed, &[step as u64, sequence as u64]);
        let mut start = rng.below(self.ids.len() - CONTEXT);
        if rng.uniform() < aligned {
            let story = self.starts[self.starts.partition_point(|&s| s <= start) - 1];
            start = story + (start - story) / CONTEXT * CONTEXT;
        }
        &self.ids[start..start + CONTEXT + 1]
    }

    /// Each story scored from its own beginning: its end-of-text token first, then all its tokens and the next end of
    /// text as targets, `CONTEXT` at a time.
    pub fn story_windows(&self) -> Vec<&[u32]> {
        let windows = |pair: &[usize]| windows(&self.ids, pair[0]..pair[1]);
        self.starts.windows(2).flat_map(windows).collect()
    }

    /// The same targets in windows cut side by side, through the stories: the measure of the first checkpoint.
    pub fn side_by_side(&self) -> Vec<&[u32]> {
        self.ids.chunks(CONTEXT).filter(|window| window.len() > 1).collect()
    }
}

/// Windows of at most `CONTEXT` inputs, each followed by its last target.
fn windows(ids: &[u32], inputs: Range<usize>) -> Vec<&[u32]> {
    let end = inputs.end;
    inputs.step_by(CONTEXT).map(|start| &ids[start..=end.min(start + CONTEXT)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lora_lab::tokenizer::END_OF_TEXT;

    #[test]
    fn a_corpus_of_less_than_one_window_is_refused() {
        let words = "once upon a time there was a small house by the sea";
        let tokenizer = Tokenizer::from_json(&crate::vocabulary::learn(&[words], 280).unwrap()).unwrap();
        let end = tokenizer.end_of_text().unwrap();
        // An end-of-text token before and after.
        let stories = |tokens: usize| {
            let letters = "z".repeat(tokens - 2);
            Stories::encode(&tokenizer, &[&letters], end).unwrap()
        };
        assert!(!words.contains('z') && !END_OF_TEXT.contains('z'));
        for tokens in [2, 3, CONTEXT - 1, CONTEXT] {
            let error = stories(tokens).enough_to_train().err().unwrap().to_string();
            assert!(error.contains(&format!("{tokens} tokens")) && error.contains("at least 257"), "{error}");
        }
        let one = stories(CONTEXT + 1).enough_to_train().unwrap();
        for sequence in 0..50 {
            assert_eq!(one.window(1, 0, sequence, 0.5).len(), CONTEXT + 1);
        }
    }
}
