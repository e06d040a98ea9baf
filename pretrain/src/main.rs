//! `cargo xtask pretrain --corpus FILE`: the tiny checkpoint, from a text file.
//!
//! Tokenizer and model see the first 95 % of the stories; the last 5 % are held out and give the loss
//! that the checkpoint's README reports.

mod vocabulary;

use lora_lab::checkpoint::{Gpt2Config, safetensors};
use lora_lab::generate::{GenerateConfig, Generator};
use lora_lab::model::{CausalLm, Gpt2, Qkv};
use lora_lab::rng::Rng;
use lora_lab::tokenizer::{END_OF_TEXT, Tokenizer};
use lora_lab::train::{Gradients, Step, TokenData, TrainConfig, Trainer, trainer::mean_loss};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: cargo xtask pretrain --corpus FILE [--out DIR] [--steps N] [--batch N] [--width N] [--heads N] \
[--blocks N] [--dropout P] [--rate R] [--seed N]";

const CONTEXT: usize = 256;
const VOCABULARY: usize = 2048;
const HELD_OUT: f64 = 0.05;

struct Options {
    corpus: PathBuf,
    out: PathBuf,
    width: usize,
    heads: usize,
    blocks: usize,
    train: TrainConfig,
}

fn main() -> Result<()> {
    let options = options()?;
    let text = std::fs::read_to_string(&options.corpus)?;
    let stories: Vec<&str> = text.split(END_OF_TEXT).map(str::trim).filter(|story| !story.is_empty()).collect();
    let (train, held_out) = stories.split_at(stories.len() - (stories.len() as f64 * HELD_OUT) as usize);
    println!("{} stories to train on, {} held out", train.len(), held_out.len());

    let json = vocabulary::learn(train, VOCABULARY)?;
    let tokenizer = Tokenizer::from_json(&json)?;
    let end = tokenizer.end_of_text().ok_or("the vocabulary has no end-of-text token")?;
    let mut ids = encode(&tokenizer, train, end)?;
    let held_out_from = ids.len();
    ids.extend(encode(&tokenizer, held_out, end)?);
    println!("{held_out_from} tokens to train on, {} held out", ids.len() - held_out_from);

    let mut config = Gpt2Config::new(VOCABULARY, CONTEXT, options.width, options.heads, options.blocks);
    (config.bos_token_id, config.eos_token_id) = (Some(end), Some(end));
    let (model, named) = Gpt2::init(config.clone(), &mut Rng::new(options.train.seed))?;
    println!("{} parameters", model.parameters());
    let data = TokenData::split(ids, held_out_from, CONTEXT, VOCABULARY)?;
    let vars = named.into_iter().map(|(_, var)| var).collect();
    let mut trainer = Trainer::with_data(vars, data, options.train.clone(), &model)?;

    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("tokenizer.json"), &json)?;
    std::fs::write(options.out.join("config.json"), serde_json::to_string_pretty(&config)?)?;
    let begun = Instant::now();
    while !trainer.is_done() {
        let step = step(&mut trainer, &model)?;
        if step.step % 50 == 0 || step.held_out_loss.is_some() {
            report(&step, begun);
        }
        if step.step % 250 == 0 {
            write(&model, &options.out)?;
        }
    }
    write(&model, &options.out)?;
    finish(&config, &tokenizer, trainer.data(), &options.out)
}

/// One step with the sequences shared by two threads.
fn step(trainer: &mut Trainer, model: &Gpt2) -> Result<Step> {
    let sequences = trainer.config().sequences();
    let half = sequences / 2;
    let shared = &*trainer;
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(move || shared.gradients(model, half..sequences));
        (shared.gradients(model, 0..half), second.join())
    });
    let mut gradients: Vec<Gradients> = first?;
    gradients.extend(second.map_err(|_| "the second thread panicked")??);
    Ok(trainer.apply(model, &gradients)?)
}

fn report(step: &Step, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    let held_out = step.held_out_loss.map_or(String::new(), |loss| format!("  held out {loss:.4}"));
    let rate = (step.step * step.tokens) as f64 / seconds;
    println!("{seconds:7.0} s  step {:5}  loss {:.4}{held_out}  {rate:.0} tokens/s", step.step, step.loss);
}

/// Writes the weights as F16, all that the page needs.
fn write(model: &Gpt2, out: &Path) -> Result<()> {
    let tensors: BTreeMap<_, _> = model.named_tensors().into_iter().collect();
    Ok(std::fs::write(out.join("model.safetensors"), safetensors::write_f16(&tensors)?)?)
}

/// Reads back what was written, and says what it is worth.
fn finish(config: &Gpt2Config, tokenizer: &Tokenizer, data: &TokenData, out: &Path) -> Result<()> {
    let bytes = std::fs::read(out.join("model.safetensors"))?;
    let model = Gpt2::load(config.clone(), &bytes, Qkv::Fused)?;
    let windows: Vec<&[u32]> = data.held_out().chunks(CONTEXT).filter(|window| window.len() > 1).collect();
    let loss = mean_loss(&model, &windows)?.ok_or("nothing is held out")?;
    println!("held-out loss of the F16 file, windows of {CONTEXT} tokens side by side: {loss:.4} nats a token");
    for (seed, temperature) in [(0, 0.), (1, 0.7), (2, 0.7), (3, 0.7)] {
        let prompt = tokenizer.encode("Once upon a time")?;
        let settings = GenerateConfig { temperature, seed, max_tokens: 180, top_p: 0.95, ..GenerateConfig::default() };
        let mut generator = Generator::new(&prompt, settings, tokenizer.end_of_text(), &model)?;
        while generator.next(&model)?.is_some() {}
        println!("\n--- temperature {temperature}, seed {seed}\n{}", tokenizer.decode(generator.ids())?);
    }
    Ok(())
}

/// Every story between two end-of-text tokens.
fn encode(tokenizer: &Tokenizer, stories: &[&str], end: u32) -> Result<Vec<u32>> {
    let mut ids = vec![end];
    for story in stories {
        ids.extend(tokenizer.encode(story)?);
        ids.push(end);
    }
    Ok(ids)
}

fn options() -> Result<Options> {
    let mut corpus = None;
    let (mut out, mut width, mut heads, mut blocks) = (PathBuf::from("www/models/tiny"), 192, 6, 4);
    let mut train = TrainConfig {
        steps: 3000,
        batch_size: 16,
        block_size: CONTEXT,
        learning_rate: 3e-3,
        min_learning_rate_ratio: 0.01,
        warmup_steps: 100,
        beta2: 0.99,
        weight_decay: 0.1,
        evaluate_every: 250,
        evaluation_windows: 64,
        model_dropout: 0.1,
        seed: 1,
        ..TrainConfig::default()
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match name.as_str() {
            "--corpus" => corpus = Some(PathBuf::from(value)),
            "--out" => out = value.into(),
            "--steps" => train.steps = value.parse()?,
            "--batch" => train.batch_size = value.parse()?,
            "--width" => width = value.parse()?,
            "--heads" => heads = value.parse()?,
            "--blocks" => blocks = value.parse()?,
            "--dropout" => train.model_dropout = value.parse()?,
            "--rate" => train.learning_rate = value.parse()?,
            "--seed" => train.seed = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(Options { corpus: corpus.ok_or(USAGE)?, out, width, heads, blocks, train })
}
