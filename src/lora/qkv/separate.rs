//! An adapter of `c_attn` from a file, as three of q, k and v. One that was joined of three is taken apart into its
//! blocks. Any other becomes three of its rank with the same A, and a third of the rows of B each (in PEFT's
//! orientation), which computes the same.

use super::{EXACT, METADATA, Part, Parts, fused_path, part_of, part_path};
use crate::checkpoint::TensorFile;
use crate::error::Result;
use crate::lora::config::{Choice, LoraConfig, Modules, Scaling, shortest_names};
use crate::lora::peft::tensor_names;
use candle_core::Tensor;
use std::collections::{BTreeMap, BTreeSet};

/// A linear layer of a model.
pub(in crate::lora) struct Place {
    pub path: String,
    pub inputs: usize,
    pub outputs: usize,
}

/// What an adapter's files mean in a model whose linear layers are `places`: in one with separate q, k and v an adapter
/// of `c_attn` becomes one of the three, and `file` holds their tensors in place of `c_attn`'s. In all other models
/// nothing changes.
///
/// The new configuration names its layers one by one: which of them the old one chose is decided by the names that the
/// file's model has.
///
/// # Errors
/// `missing-tensor`, `shape` for what the file lacks of `c_attn`, and `config`.
pub(in crate::lora) fn separate(config: LoraConfig, file: &mut TensorFile, places: &[Place]) -> Result<LoraConfig> {
    if !places.iter().any(|place| part_of(&place.path).is_some()) {
        return Ok(config);
    }
    // A file may also be of a model that has the three layers itself.
    let own: BTreeSet<&str> = places
        .iter()
        .filter_map(|place| part_of(&place.path))
        .map(|(attn, _)| attn)
        .filter(|attn| has_parts(file, attn))
        .collect();
    let matcher = config.matcher()?;
    let marked: BTreeMap<String, Parts> =
        file.metadata(METADATA).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let mut adapted = BTreeMap::new();
    for place in places {
        match part_of(&place.path) {
            // All three are found with the first.
            Some((attn, i)) if !own.contains(attn) => {
                if let (0, Some(choice)) = (i, matcher.choose(&fused_path(attn))) {
                    let parts = FusedLayer::take(file, attn, choice, config.scaling, place)?
                        .separate(file, marked.get(attn))?;
                    adapted.extend((0..3).filter_map(|i| Some((part_path(attn, i), parts[i]?))));
                }
            }
            _ => {
                let part = |Choice { rank, alpha, .. }| Part { rank, alpha };
                adapted.extend(matcher.choose(&place.path).map(|choice| (place.path.clone(), part(choice))));
            }
        }
    }
    if adapted.is_empty() {
        // The layers that it names do not exist, which the caller's search for them reports.
        return Ok(config);
    }
    let ranks = adapted.iter().filter(|(_, part)| part.rank != config.rank);
    let alphas = adapted.iter().filter(|(_, part)| part.alpha != config.alpha);
    let (rank_pattern, alpha_pattern) = (
        ranks.map(|(path, part)| (path.clone(), part.rank)).collect(),
        alphas.map(|(path, part)| (path.clone(), part.alpha)).collect(),
    );
    let available: Vec<&str> = places.iter().map(|place| place.path.as_str()).collect();
    let targets = shortest_names(&adapted.keys().map(String::as_str).collect::<Vec<_>>(), &available);
    let (targets, exclude, layers_to_transform) = (Modules::List(targets), None, None);
    Ok(LoraConfig { targets, exclude, layers_to_transform, rank_pattern, alpha_pattern, ..config })
}

/// Whether the file has tensors of q, k or v themselves.
fn has_parts(file: &TensorFile, attn: &str) -> bool {
    (0..3).any(|i| tensor_names(&part_path(attn, i)).iter().any(|name| file.get(name).is_some()))
}

/// The adapter of one `c_attn`, in PEFT's orientation.
struct FusedLayer<'a> {
    attn: &'a str,
    /// `(rank, in)`
    a: Tensor,
    /// `(3·width, rank)`
    b: Tensor,
    width: usize,
    choice: Choice,
    kind: Scaling,
}

impl<'a> FusedLayer<'a> {
    fn take(file: &mut TensorFile, attn: &'a str, choice: Choice, kind: Scaling, place: &Place) -> Result<Self> {
        let [a, b] = tensor_names(&fused_path(attn));
        let a = file.take(&a, &[choice.rank, place.inputs])?;
        let b = file.take(&b, &[3 * place.outputs, choice.rank])?;
        Ok(Self { attn, a, b, width: place.outputs, choice, kind })
    }

    /// Puts the tensors of its parts into the file, and says which parts there are.
    fn separate(&self, file: &mut TensorFile, marked: Option<&Parts>) -> Result<Parts> {
        let owners = self.owners()?;
        let kept = marked.map(|parts| self.kept(file, parts, &owners)).transpose()?.flatten();
        let Some((parts, exact)) = kept.or_else(|| Some((self.blocks(&owners)?, Default::default()))) else {
            return self.share(file);
        };
        let mut before = 0;
        for (i, exact) in exact.into_iter().enumerate() {
            let Some(Part { rank, .. }) = parts[i] else { continue };
            let a = self.a.narrow(0, before, rank)?;
            let b = exact.map_or_else(|| self.block(i, before, rank), Ok)?;
            self.put(file, i, a, b)?;
            before += rank;
        }
        Ok(parts)
    }

    /// Three adapters of the whole rank: all of A, and the part's rows of B.
    fn share(&self, file: &mut TensorFile) -> Result<Parts> {
        let Choice { rank, alpha, .. } = self.choice;
        for i in 0..3 {
            self.put(file, i, self.a.clone(), self.block(i, 0, rank)?)?;
        }
        Ok([Some(Part { rank, alpha }); 3])
    }

    fn put(&self, file: &mut TensorFile, part: usize, a: Tensor, b: Tensor) -> Result<()> {
        let [name_a, name_b] = tensor_names(&part_path(self.attn, part));
        file.put(name_a, a.contiguous()?);
        file.put(name_b, b.contiguous()?);
        Ok(())
    }

    /// The rows of B that make the part, and some of its columns.
    fn block(&self, part: usize, column: usize, columns: usize) -> Result<Tensor> {
        Ok(self.b.narrow(0, part * self.width, self.width)?.narrow(1, column, columns)?)
    }

    /// For each column of B the parts in whose rows it is not zero throughout.
    fn owners(&self) -> Result<Vec<[bool; 3]>> {
        let mut owners = vec![[false; 3]; self.choice.rank];
        for (row, values) in self.b.to_vec2::<f32>()?.iter().enumerate() {
            let part = row / self.width;
            owners.iter_mut().zip(values).for_each(|(owner, &value)| owner[part] |= value != 0.);
        }
        Ok(owners)
    }

    /// The parts that the metadata name, and the B that the file holds unscaled, if all that fits the tensors: another
    /// program may have changed the one without the other.
    fn kept(
        &self,
        file: &TensorFile,
        parts: &Parts,
        owners: &[[bool; 3]],
    ) -> Result<Option<(Parts, [Option<Tensor>; 3])>> {
        let (mut before, mut exact) = (0usize, [None, None, None]);
        for (i, part) in parts.iter().enumerate() {
            let Some(Part { rank, alpha }) = *part else { continue };
            let Some(own) = before.checked_add(rank).and_then(|end| owners.get(before..end)) else { return Ok(None) };
            let elsewhere = |owner: &[bool; 3]| (0..3).any(|other| other != i && owner[other]);
            if rank == 0 || !alpha.is_finite() || own.iter().any(elsewhere) {
                return Ok(None);
            }
            let factor = self.kind.factor(alpha, rank) / self.choice.scaling;
            // The division may have rounded.
            if (factor - 1.).abs() > 1e-9 {
                let b = file.get(&format!("{EXACT}{}", part_path(self.attn, i)));
                let Some(b) = b.filter(|b| b.dims() == [self.width, rank]) else { return Ok(None) };
                if !near(&(b * factor)?, &self.block(i, before, rank)?)? {
                    return Ok(None);
                }
                exact[i] = Some(b.clone());
            }
            before += rank;
        }
        Ok((before == owners.len()).then_some((*parts, exact)))
    }

    /// The parts of a B that is block diagonal, so that each column belongs to one part.
    fn blocks(&self, owners: &[[bool; 3]]) -> Option<Parts> {
        let mut ranks = [0; 3];
        let mut last = 0;
        for owner in owners {
            let part = owner.iter().position(|&owns| owns)?;
            if owner.iter().filter(|&&owns| owns).count() > 1 || part < last {
                return None;
            }
            ranks[part] += 1;
            last = part;
        }
        let alpha = |rank: usize| self.choice.scaling / self.kind.factor(1., rank);
        Some(ranks.map(|rank| (rank > 0).then(|| Part { rank, alpha: alpha(rank) })))
    }
}

/// Whether two matrices are the same but for a rounding.
fn near(x: &Tensor, y: &Tensor) -> Result<bool> {
    let (x, y) = (x.flatten_all()?.to_vec1::<f32>()?, y.flatten_all()?.to_vec1::<f32>()?);
    Ok(x.iter().zip(&y).all(|(x, y)| (x - y).abs() <= 1e-6 * y.abs() + f32::MIN_POSITIVE))
}
