//! Three adapters of q, k and v as one of `c_attn`, for a file: of the sum of their ranks, with `A = [A_q; A_k; A_v]`
//! and B block diagonal in PEFT's orientation, which computes the same.

use super::{EXACT, METADATA, Part, Parts, fused_path, part_of, part_path};
use crate::error::{Error, Result};
use crate::lora::config::Scaling;
use crate::lora::peft::tensor_names;
use crate::lora::{Adapter, LoraLayer};
use candle_core::{Device, Tensor};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// Which layers of an adapter are separate q, k and v, by the path of `attn`.
pub(in crate::lora) struct Fused {
    attns: BTreeMap<String, Parts>,
    /// How PEFT makes a factor of alpha and rank here.
    kind: Scaling,
}

impl Fused {
    /// `None` if the adapter has no such layer.
    ///
    /// # Errors
    /// `config`, on a defect of ours.
    pub fn of(adapter: &Adapter) -> Result<Option<Self>> {
        let (config, matcher) = (adapter.config(), adapter.config().matcher()?);
        let mut attns = BTreeMap::<String, Parts>::new();
        for path in adapter.layers().keys() {
            if let (Some((attn, i)), Some(choice)) = (part_of(path), matcher.choose(path)) {
                let part = Part { rank: choice.rank, alpha: config.peft_alpha(choice) };
                attns.entry(attn.into()).or_default()[i] = Some(part);
            }
        }
        Ok((!attns.is_empty()).then_some(Self { attns, kind: config.scaling.in_peft() }))
    }

    /// The layers to name in the file.
    pub fn targets(&self, adapter: &Adapter) -> Vec<String> {
        let others = adapter.layers().keys().filter(|path| part_of(path).is_none());
        others.cloned().chain(self.attns.keys().map(|attn| fused_path(attn))).collect()
    }

    /// Ranks and alphas of those layers that have others than `rank` and `alpha`.
    ///
    /// # Errors
    /// `config`, on a defect of ours.
    pub fn patterns(
        &self,
        adapter: &Adapter,
        rank: usize,
        alpha: f64,
    ) -> Result<(IndexMap<String, usize>, IndexMap<String, f64>)> {
        let (config, matcher) = (adapter.config(), adapter.config().matcher()?);
        let (mut ranks, mut alphas) = (IndexMap::new(), IndexMap::new());
        let mut set = |path: String, part: Part| {
            if part != (Part { rank, alpha }) {
                ranks.insert(path.clone(), part.rank);
                alphas.insert(path, part.alpha);
            }
        };
        for path in adapter.layers().keys().filter(|path| part_of(path).is_none()) {
            if let Some(choice) = matcher.choose(path) {
                set(path.clone(), Part { rank: choice.rank, alpha: config.peft_alpha(choice) });
            }
        }
        for (attn, parts) in &self.attns {
            set(fused_path(attn), joined(parts, self.kind));
        }
        Ok((ranks, alphas))
    }

    /// Puts the tensors of `c_attn` in the place of those of its parts, and leaves all others. Gives the entry for the
    /// file's metadata.
    ///
    /// # Errors
    /// `tensor`, on a defect of ours.
    pub fn fuse(&self, adapter: &Adapter, tensors: &mut BTreeMap<String, Tensor>) -> Result<(&'static str, String)> {
        for (attn, parts) in &self.attns {
            let rank = joined(parts, self.kind).rank;
            let same = have_one_scaling(parts, self.kind);
            let layer = |i: usize| adapter.layers().get(&part_path(attn, i));
            let Some(width) = (0..3).find_map(layer).map(|layer: &LoraLayer| layer.b.dims()[1]) else { continue };
            let (mut a_rows, mut b_blocks, mut before) = (Vec::new(), Vec::new(), 0);
            for (i, part) in parts.iter().enumerate() {
                let path = part_path(attn, i);
                let [a, b] = tensor_names(&path);
                let (a, b) = (tensors.remove(&a), tensors.remove(&b));
                let (Some(part), Some(a), Some(b)) = (*part, a, b) else {
                    b_blocks.push(zeros(width, rank)?);
                    continue;
                };
                let scaled = if same { b } else { scaled_kept(b, part, self.kind, &path, tensors)? };
                a_rows.push(a);
                let after = rank - before - part.rank;
                b_blocks.push(Tensor::cat(&[zeros(width, before)?, scaled, zeros(width, after)?], 1)?);
                before += part.rank;
            }
            let [a, b] = tensor_names(&fused_path(attn));
            tensors.insert(a, Tensor::cat(&a_rows, 0)?);
            tensors.insert(b, Tensor::cat(&b_blocks, 0)?);
        }
        let json = serde_json::to_string(&self.attns).map_err(|e| Error::format("the adapter's metadata", e))?;
        Ok((METADATA, json))
    }
}

/// `scaling · B`, for parts that have no scaling in common; B itself stays in the file as an addition.
fn scaled_kept(
    b: Tensor,
    part: Part,
    kind: Scaling,
    path: &str,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<Tensor> {
    let scaled = (&b * kind.factor(part.alpha, part.rank))?;
    tensors.insert(format!("{EXACT}{path}"), b);
    Ok(scaled)
}

fn have_one_scaling(parts: &Parts, kind: Scaling) -> bool {
    let mut scalings = parts.iter().flatten().map(|part| kind.factor(part.alpha, part.rank));
    let first = scalings.next();
    scalings.all(|scaling| Some(scaling) == first)
}

/// Rank and alpha of the fused layer: of the parts' scaling where they have one in common, else of the scaling 1.
fn joined(parts: &Parts, kind: Scaling) -> Part {
    let rank: usize = parts.iter().flatten().map(|part| part.rank).sum();
    let of_scaling = |scaling: f64| scaling / kind.factor(1., rank);
    let alpha = match parts.iter().flatten().next() {
        Some(first) if have_one_scaling(parts, kind) => match kind {
            // The sum gives whole alphas where the parts have some.
            Scaling::Rank => parts.iter().flatten().map(|part| part.alpha).sum(),
            _ => of_scaling(kind.factor(first.alpha, first.rank)),
        },
        _ => of_scaling(1.),
    };
    Part { rank, alpha }
}

fn zeros(rows: usize, columns: usize) -> Result<Tensor> {
    Ok(Tensor::from_vec(vec![0f32; rows * columns], (rows, columns), &Device::Cpu)?)
}
