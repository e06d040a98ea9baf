//! `cargo xtask pretrain --corpus FILE`: the tiny checkpoint, from a text file.
//!
//! Tokenizer and model see the first 95 % of the stories; the last 5 % are held out and give the loss
//! that the checkpoint's README reports.

mod corpus;
mod muon;
mod optimizer;
mod options;
mod parallel;
mod vocabulary;

use corpus::Stories;
use lora_lab::checkpoint::{Gpt2Config, safetensors};
use lora_lab::generate::{GenerateConfig, Generator};
use lora_lab::kernel::add_assign;
use lora_lab::model::{CausalLm, Gpt2, Qkv};
use lora_lab::nn::Pass;
use lora_lab::rng::Rng;
use lora_lab::tokenizer::{END_OF_TEXT, Tokenizer};
use lora_lab::train::{gradients, mean_loss};
use optimizer::Optimizer;
use options::Options;
use parallel::parallel;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CONTEXT: usize = 256;
const VOCABULARY: usize = 2048;
const HELD_OUT: f64 = 0.05;
/// Steps between two looks at the held-out stories. The weights that were best there are the ones that stay in the
/// file.
const EVALUATE_EVERY: usize = 100;

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let text = String::from_utf8(read(&options.corpus)?)?;
    let stories: Vec<&str> = text.split(END_OF_TEXT).map(str::trim).filter(|story| !story.is_empty()).collect();
    let (train, held_out) = stories.split_at(stories.len() - (stories.len() as f64 * HELD_OUT) as usize);
    if held_out.is_empty() {
        let (file, number, least) = (options.corpus.display(), stories.len(), (1. / HELD_OUT) as usize);
        return Err(format!(
            "{file}: expected {least} stories or more with a line {END_OF_TEXT} between them, got {number}"
        )
        .into());
    }
    println!("{} stories to train on, {} held out", train.len(), held_out.len());

    let json = vocabulary::learn(train, VOCABULARY)?;
    let tokenizer = Tokenizer::from_json(&json)?;
    let end = tokenizer.end_of_text().ok_or("the vocabulary has no end-of-text token")?;
    let train = Stories::encode(&tokenizer, train, end)?.enough_to_train()?;
    let held_out = Stories::encode(&tokenizer, held_out, end)?;
    println!("{} tokens to train on, {} held out", train.targets(), held_out.targets());

    let mut config = Gpt2Config::new(VOCABULARY, CONTEXT, options.width, options.heads, options.blocks);
    (config.bos_token_id, config.eos_token_id) = (Some(end), Some(end));
    let (model, named) = match &options.from {
        Some(file) => Gpt2::load_trainable(config.clone(), &read(file)?)?,
        None => Gpt2::init(config.clone(), &mut Rng::new(options.seed))?,
    };
    println!("{} parameters", model.parameters());
    let mut optimizer = Optimizer::new(named, &options)?;
    if let Some(state) = &options.resume {
        optimizer.restore(&read(state)?)?;
        println!("going on after step {}", optimizer.step);
    }

    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("tokenizer.json"), &json)?;
    std::fs::write(options.out.join("config.json"), serde_json::to_string_pretty(&config)?)?;
    let (begun, first) = (Instant::now(), optimizer.step);
    let mut losses = Vec::new();
    let mut best = match &options.from {
        Some(_) => keep_if_best(&model, &held_out, &options.out, f64::INFINITY)?,
        None => f64::INFINITY,
    };
    while optimizer.step < options.steps {
        let rate = options.rate(optimizer.step);
        let (loss, gradient) = gradient(&model, &optimizer, &train, &options)?;
        let norm = optimizer.update(&gradient, rate)?;
        losses.push(loss);
        if optimizer.step.is_multiple_of(10) {
            let (step, seconds) = (optimizer.step, begun.elapsed().as_secs_f64());
            let tokens = ((step - first) * options.batch * CONTEXT) as f64 / seconds;
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            println!(
                "{seconds:7.0} s  step {step:5}  loss {mean:.4}  norm {norm:.2}  rate {rate:.5}  {tokens:.0} tokens/s"
            );
            losses.clear();
        }
        if optimizer.step.is_multiple_of(EVALUATE_EVERY) || optimizer.step == options.steps {
            best = optimizer.with_average(|| keep_if_best(&model, &held_out, &options.out, best))?;
            std::fs::write(options.out.join("state.safetensors"), optimizer.save()?)?;
        }
    }
    finish(&config, &tokenizer, &held_out, &options.out)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// Mean loss and gradient of the next step; dropout is drawn by step and sequence.
fn gradient(model: &Gpt2, optimizer: &Optimizer, train: &Stories, options: &Options) -> Result<(f64, Vec<f32>)> {
    let Options { seed, batch, aligned, dropout, .. } = *options;
    let step = optimizer.step;
    let parts = parallel(batch, |sequence| {
        let window = train.window(seed, step, sequence, aligned);
        // Another stream than the window's: a last part sets it off.
        let key = Rng::keyed(seed, &[step as u64, sequence as u64, 1]).next_u64();
        let mut pass = Pass { dropout_key: Some(key), model_dropout: dropout, ..Pass::default() };
        gradients(model, optimizer.vars(), window, batch * CONTEXT, &mut pass)
    })?;
    let mut parts = parts.into_iter();
    let mut sum = parts.next().ok_or("a step has no sequences")?;
    for part in parts {
        sum.loss += part.loss;
        add_assign(&mut sum.values, &part.values);
    }
    Ok((sum.loss, sum.values))
}

/// Mean loss of some windows in nats a token.
fn loss(model: &Gpt2, windows: &[&[u32]]) -> Result<f64> {
    let targets = |window: &[u32]| (window.len() - 1) as f64;
    let sums = parallel(windows.len(), |i| Ok(mean_loss(model, &windows[i..=i])?.unwrap_or(0.) * targets(windows[i])))?;
    Ok(sums.iter().sum::<f64>() / windows.iter().map(|window| targets(window)).sum::<f64>())
}

/// Writes the weights as F16, all that the page needs, if none were better on the held-out stories.
fn keep_if_best(model: &Gpt2, held_out: &Stories, out: &Path, best: f64) -> Result<f64> {
    let loss = loss(model, &held_out.story_windows())?;
    println!("                     held out {loss:.4}");
    if loss < best {
        let tensors: BTreeMap<_, _> = model.named_tensors().into_iter().collect();
        std::fs::write(out.join("model.safetensors"), safetensors::write_f16(&tensors)?)?;
    }
    Ok(loss.min(best))
}

/// Reads back what was written, and says what it is worth.
fn finish(config: &Gpt2Config, tokenizer: &Tokenizer, held_out: &Stories, out: &Path) -> Result<()> {
    let bytes = std::fs::read(out.join("model.safetensors"))?;
    let model = Gpt2::load(config.clone(), &bytes, Qkv::Fused)?;
    println!("held-out loss of the F16 file in nats a token, {} tokens:", held_out.targets());
    println!("  each story from its own beginning: {:.4}", loss(&model, &held_out.story_windows())?);
    println!("  windows of {CONTEXT} tokens side by side: {:.4}", loss(&model, &held_out.side_by_side())?);
    for (seed, temperature) in [(0, 0.), (1, 0.7), (2, 0.7), (3, 0.7)] {
        let prompt = tokenizer.encode("Once upon a time")?;
        let settings = GenerateConfig { temperature, seed, max_tokens: 180, top_p: 0.95, ..GenerateConfig::default() };
        let mut generator = Generator::new(&prompt, settings, tokenizer.end_of_text(), &model)?;
        while generator.next(&model)?.is_some() {}
        println!("\n--- temperature {temperature}, seed {seed}\n{}", tokenizer.decode(generator.ids())?);
    }
    Ok(())
}
