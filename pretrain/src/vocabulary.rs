//! Learning a byte-level BPE vocabulary (Sennrich et al., 2016; bytes as in GPT-2).

use lora_lab::tokenizer::END_OF_TEXT;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

/// `tokenizer.json` with `size` tokens, [`END_OF_TEXT`] the first of them.
pub fn learn(stories: &[&str], size: usize) -> super::Result<String> {
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
        .build();
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
        .with_post_processor(Some(ByteLevel::new(false, false, true)))
        .with_decoder(Some(ByteLevel::default()))
        .build()
        .map_err(|e| e.to_string())?;
    tokenizer.train(&mut trainer, stories.iter()).map_err(|e| e.to_string())?;
    Ok(tokenizer.to_string(false).map_err(|e| e.to_string())?)
}
