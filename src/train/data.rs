//! Random windows of a text. A window is a function of seed, step and sequence, so that any worker can draw any of
//! them.

use crate::error::{Error, Result};
use crate::rng::Rng;
use std::ops::Range;

/// A text as tokens, its last part held out.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenData {
    ids: Vec<u32>,
    held_out_from: usize,
}

impl TokenData {
    /// Holds out the last `held_out` of `ids` (a share, in `[0, 0.9]`).
    ///
    /// # Errors
    /// `config` for an impossible share, `token` for an id outside the vocabulary, `too-short` if
    /// not one window of `block + 1` tokens is left to train on, or fewer than two are held out.
    pub fn new(ids: Vec<u32>, held_out: f64, block: usize, vocabulary: usize) -> Result<Self> {
        if !(0. ..=0.9).contains(&held_out) {
            return Err(Error::config("heldOut", "0 to 0.9", held_out));
        }
        let held_out_from = ids.len() - (ids.len() as f64 * held_out) as usize;
        // If there is too little for both parts, the training part is reported: it needs more text than the held-out
        // one.
        let data = Self::split(ids, held_out_from, block, vocabulary)?;
        let got = data.held_out().len();
        if held_out > 0. && got < 2 {
            return Err(Error::TooShort { part: "the held-out part", got, needed: 2 });
        }
        Ok(data)
    }

    /// Holds out what comes from position `held_out_from` on.
    ///
    /// # Errors
    /// `token`, and `too-short` for less than one window to train on.
    pub fn split(ids: Vec<u32>, held_out_from: usize, block: usize, vocabulary: usize) -> Result<Self> {
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Error::Token { id, vocabulary });
        }
        let held_out_from = held_out_from.min(ids.len());
        if held_out_from < block + 1 {
            return Err(Error::TooShort { part: "training", got: held_out_from, needed: block + 1 });
        }
        Ok(Self { ids, held_out_from })
    }

    /// All tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The tokens that are trained on.
    pub fn train(&self) -> &[u32] {
        &self.ids[..self.held_out_from]
    }

    /// The tokens that are not.
    pub fn held_out(&self) -> &[u32] {
        &self.ids[self.held_out_from..]
    }

    /// `block + 1` tokens for one sequence of one step: inputs and, shifted by one, targets.
    pub fn window(&self, block: usize, seed: u64, step: usize, sequence: usize) -> &[u32] {
        let train = self.train();
        let starts = train.len() - block;
        let start = Rng::keyed(seed, &[step as u64, sequence as u64]).below(starts);
        &train[start..start + block + 1]
    }

    /// At most `count` windows spread evenly over the held-out part, always the same.
    pub fn held_out_windows(&self, block: usize, count: usize) -> Vec<&[u32]> {
        let held_out = self.held_out();
        let spread = |range: Range<usize>| &held_out[range];
        if held_out.len() < 2 || count == 0 {
            return Vec::new();
        }
        let length = (block + 1).min(held_out.len());
        let last = held_out.len() - length;
        let count = count.min(last / block.max(1) + 1);
        (0..count)
            .map(|i| if count == 1 { 0 } else { (last as u64 * i as u64 / (count as u64 - 1)) as usize })
            .map(|s| spread(s..s + length))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn windows_stay_inside_the_training_part_and_reach_all_of_it() {
        let data = TokenData::new((0..100).collect(), 0.2, 8, 100).unwrap();
        let mut seen = [false; 80];
        for step in 0..500 {
            let window = data.window(8, 1, step, 0);
            assert_eq!(window.len(), 9);
            window.iter().for_each(|&id| seen[id as usize] = true);
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn held_out_windows_never_overlap_the_training_part() {
        let data = TokenData::new((0..100).collect(), 0.2, 8, 100).unwrap();
        for count in 0..10 {
            let windows = data.held_out_windows(8, count);
            assert!(windows.len() <= count);
            assert!(windows.iter().all(|w| w.len() == 9 && w.iter().all(|&id| id >= 80)));
        }
        assert_eq!(TokenData::new((0..100).collect(), 0.03, 8, 100).unwrap().held_out_windows(8, 4), [&[97, 98, 99]]);
    }

    #[test]
    fn too_little_text_and_wrong_tokens_are_refused() {
        let code = |ids: Vec<u32>, held_out| TokenData::new(ids, held_out, 8, 50).err().map(|e| e.code());
        assert_eq!(code((0..8).collect(), 0.), Some("too-short"));
        assert_eq!(code((0..9).collect(), 0.), None);
        assert_eq!(code((0..10).collect(), 0.1), Some("too-short"));
        assert_eq!(code((0..51).collect(), 0.), Some("token"));
        assert_eq!(code((0..20).collect(), 1.), Some("config"));
    }
}
