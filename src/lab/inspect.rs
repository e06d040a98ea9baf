//! What a lab lets one look at: the size and shape of what was learnt, the next tokens that were possible, the
//! loss of any text. Looking changes nothing.

use super::{Input, Lab, Voice};
use crate::error::{Error, Result};
use crate::generate::likeliest;
use crate::lora::delta::{self, Delta};
use crate::lora::{Adapter, LoraLayer};
use crate::model::CausalLm;
use crate::nn::module::for_each_linear;
use crate::ops::with_slice;
use crate::train::trainer::mean_loss;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The size of what an adapter adds to one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerDelta {
    pub name: String,
    #[serde(rename = "in")]
    pub inputs: usize,
    #[serde(rename = "out")]
    pub outputs: usize,
    pub rank: usize,
    /// `‖ΔW‖_F`.
    pub norm: f64,
    /// `‖W‖_F` of the base, whatever is merged.
    pub base_norm: f64,
}

/// How [`Lab::delta`] draws its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeltaOptions {
    pub rows: usize,
    pub columns: usize,
}

impl Default for DeltaOptions {
    fn default() -> Self {
        Self { rows: 48, columns: 48 }
    }
}

/// ΔW of one layer, looked at closely.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeltaView {
    pub name: String,
    #[serde(rename = "in")]
    pub inputs: usize,
    #[serde(rename = "out")]
    pub outputs: usize,
    pub rank: usize,
    pub norm: f64,
    pub rows: usize,
    pub columns: usize,
    /// Falling; twice as many as the rank, at least 16, at most `min(in, out)`.
    #[serde(skip)]
    pub singular_values: Vec<f32>,
    /// Means over `rows × columns` cells, row by row: a row of the map is a stretch of inputs.
    #[serde(skip)]
    pub map: Vec<f32>,
}

/// How many candidates [`Lab::candidates`] gives at each position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CandidateOptions {
    pub count: usize,
}

impl Default for CandidateOptions {
    fn default() -> Self {
        Self { count: 5 }
    }
}

/// A token and its text alone; empty without a tokenizer, and for tokens without text such as the end of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenText {
    pub id: u32,
    pub text: String,
}

/// A token that might come next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    pub id: u32,
    pub text: String,
    /// Its probability.
    pub p: f64,
}

/// What might follow one position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Next {
    pub base: Vec<Candidate>,
    /// `None` if no adapter acts.
    pub adapter: Option<Vec<Candidate>>,
}

/// The tokens of a text and, after each of them, what might come next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidates {
    pub tokens: Vec<TokenText>,
    pub positions: Vec<Next>,
}

impl Lab {
    /// The size of what an adapter, by default the active one, adds layer by layer at full strength: `‖ΔW‖_F` beside `‖W‖_F`.
    ///
    /// # Errors
    /// `no-adapter`, `order` if none is named and none is active.
    pub fn deltas(&mut self, adapter: Option<&str>) -> Result<Vec<LayerDelta>> {
        let adapter = self.looked_at(adapter)?;
        let layers = adapter.layers().clone();
        let mut found = Vec::new();
        for_each_linear(&mut self.model, &mut |path, place| {
            let Some(layer) = layers.get(path) else { return Ok(()) };
            let base = place.base();
            found.push(LayerDelta {
                name: path.into(),
                inputs: base.in_features(),
                outputs: base.out_features(),
                rank: layer.rank(),
                norm: delta::norm(layer)?,
                base_norm: with_slice(base.weight(), frobenius)?,
            });
            Ok::<_, Error>(())
        })?;
        Ok(found)
    }

    /// ΔW of one layer of an adapter, by default of the active one: a map of it and its singular values.
    ///
    /// # Errors
    /// `no-adapter`, `order` if none is named and none is active, `no-layer`, `config`.
    pub fn delta(&self, name: &str, options: DeltaOptions, adapter: Option<&str>) -> Result<DeltaView> {
        let DeltaOptions { rows, columns } = options;
        for (name, cells) in [("rows", rows), ("columns", columns)] {
            if cells == 0 {
                return Err(Error::config(name, "at least 1", cells));
            }
        }
        let layers = self.looked_at(adapter)?.layers();
        let layer = layers.get(name).ok_or_else(|| no_layer(name, layers))?;
        let ((inputs, rank), (_, outputs)) = (layer.a.dims2()?, layer.b.dims2()?);
        let delta = Delta::new(layer)?;
        let map = delta.map(rows, columns);
        let single = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect();
        Ok(DeltaView {
            name: name.into(),
            inputs,
            outputs,
            rank,
            norm: delta::norm(layer)?,
            rows: map.rows,
            columns: map.columns,
            singular_values: single(delta.singular_values((2 * rank).max(16))),
            map: single(map.cells),
        })
    }

    /// The tokens of a text and, after each, the likeliest next ones of the base and, if the voice is an adapter's, of that adapter at its
    /// strength. An empty text is the end-of-text token, after which a story begins.
    ///
    /// # Errors
    /// `merged`, since the base cannot be asked then; `no-adapter`, `no-tokenizer`, `token`, `too-long`, `too-short`, `not-finite`,
    /// and `config` for no candidates, or for more than there are tokens.
    pub fn candidates(&self, prompt: &Input, options: CandidateOptions, voice: impl Into<Voice>) -> Result<Candidates> {
        self.not_merged("asking base and adapter side by side")?;
        let speaker = self.speaker(&voice.into(), "asking for candidates")?;
        let (count, vocabulary) = (options.count, self.model.vocabulary());
        if !(1..=vocabulary).contains(&count) {
            return Err(Error::config("count", format!("1 to {vocabulary}"), count));
        }
        let mut ids = self.ids(prompt)?;
        if ids.is_empty() {
            ids.extend(self.end_of_text());
        }
        let text = |id: u32| self.tokenizer.as_ref().map_or(Ok(String::new()), |tokenizer| tokenizer.decode(&[id]));
        let chosen = |logits: &[f32]| -> Result<Vec<Vec<Candidate>>> {
            let candidate = |(id, p)| Ok(Candidate { id, text: text(id)?, p });
            let position = |row| likeliest(row, count).into_iter().map(candidate).collect();
            logits.chunks_exact(vocabulary).map(position).collect()
        };
        let base = chosen(&self.finite_logits(None, &ids)?)?;
        let adapter = match &speaker {
            Some(name) => chosen(&self.finite_logits(Some(name), &ids)?)?.into_iter().map(Some).collect(),
            None => vec![None; base.len()],
        };
        let positions = base.into_iter().zip(adapter).map(|(base, adapter)| Next { base, adapter }).collect();
        let tokens = ids.iter().map(|&id| Ok(TokenText { id, text: text(id)? })).collect::<Result<_>>()?;
        Ok(Candidates { tokens, positions })
    }

    /// Mean loss of a text in nats a token by a voice, over windows of the context side by side. Each token but the first is
    /// predicted once.
    ///
    /// # Errors
    /// `no-tokenizer`, `token`, `too-short` for fewer than two tokens, `no-adapter`, and `merged` if another than the merged adapter is asked for.
    pub fn loss(&self, text: &Input, voice: impl Into<Voice>) -> Result<f64> {
        let speaker = self.speaker(&voice.into(), "the loss without the merged adapter")?;
        let (ids, vocabulary) = (self.ids(text)?, self.model.vocabulary());
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(Error::Token { id, vocabulary });
        }
        let context = self.model.context();
        // A window's last token is only predicted; it begins the next one, where it is only read.
        let windows: Vec<&[u32]> = (0..ids.len().saturating_sub(1))
            .step_by(context)
            .map(|start| &ids[start..(start + context + 1).min(ids.len())])
            .collect();
        let loss = self.acting(speaker.as_deref(), self.strength, |lab| mean_loss(&lab.model, &windows));
        loss?.ok_or(Error::TooShort { part: "a loss", got: ids.len(), needed: 2 })
    }

    /// The adapter that is named, else the active one.
    fn looked_at(&self, name: Option<&str>) -> Result<&Adapter> {
        self.named(&self.chosen(name, "looking at an adapter")?)
    }

    fn finite_logits(&self, speaker: Option<&str>, ids: &[u32]) -> Result<Vec<f32>> {
        let logits = self.logits_of(speaker, ids)?;
        match logits.iter().position(|x| !x.is_finite()) {
            Some(position) => Err(Error::NotFinite { name: "logits".into(), position, value: logits[position] }),
            None => Ok(logits),
        }
    }
}

fn frobenius(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

fn no_layer(name: &str, layers: &BTreeMap<String, LoraLayer>) -> Error {
    let layers = layers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Error::NoLayer { name: name.into(), layers }
}
