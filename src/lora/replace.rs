//! The textbook's `replace_linear_with_lora`, and its way back.

use super::config::LoraConfig;
use super::{Adapter, LinearWithLora, LoraLayer};
use crate::checkpoint::MOST_NUMBERS;
use crate::error::{Error, Result};
use crate::nn::module::{AnyLinear, NamedChildren, for_each_linear};
use crate::nn::{Linear, lora::Switch};
use crate::rng::{Rng, key_of};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One layer of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedLayer {
    pub name: String,
    #[serde(rename = "in")]
    pub inputs: usize,
    #[serde(rename = "out")]
    pub outputs: usize,
    pub rank: usize,
    /// The factor of `x·A·B`.
    pub scaling: f64,
    /// `rank · (in + out)`.
    pub parameters: usize,
}

/// What a configuration would adapt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Parameters that would train.
    pub trainable: usize,
    pub layers: Vec<PlannedLayer>,
}

/// Finds the layers that `config` chooses; changes nothing.
///
/// # Errors
/// `config` for settings that cannot work, `no-target` if nothing matches.
pub fn plan(model: &mut dyn NamedChildren, config: &LoraConfig) -> Result<Plan> {
    let matcher = config.matcher()?;
    let fits = |rank: usize, most: usize| match rank <= most {
        true => Ok(rank),
        // A higher rank can express nothing more and only takes memory, of which a hostile file could ask for any
        // amount.
        false => Err(Error::config("rank", format!("at most in + out = {most} of the layer"), rank)),
    };
    let (mut layers, mut available, mut trainable) = (Vec::new(), Vec::new(), 0);
    for_each_linear(model, &mut |path, linear| {
        let (inputs, outputs) = (linear.base().in_features(), linear.base().out_features());
        if let Some(choice) = matcher.choose(path) {
            let rank = fits(choice.rank, inputs + outputs)?;
            // All layers together, since an optimizer keeps the moments of all in one list.
            trainable += rank as u64 * (inputs + outputs) as u64;
            if trainable > MOST_NUMBERS {
                return Err(Error::config("rank", format!("at most {MOST_NUMBERS} parameters in all"), trainable));
            }
            let parameters = rank * (inputs + outputs);
            layers.push(PlannedLayer { name: path.into(), inputs, outputs, rank, scaling: choice.scaling, parameters });
        }
        available.push(path.rsplit('.').next().unwrap_or(path).to_owned());
        Ok::<_, Error>(())
    })?;
    if layers.is_empty() {
        available.sort();
        available.dedup();
        return Err(Error::NoTarget { targets: config.targets.to_string(), available: available.join(", ") });
    }
    Ok(Plan { trainable: layers.iter().map(|layer| layer.parameters).sum(), layers })
}

/// Replaces every linear layer that `config` chooses by one with an adapter called "default", and
/// returns the adapter: the same variables that the model now uses.
///
/// # Errors
/// See [`attach`].
pub fn replace_linear_with_lora(model: &mut dyn NamedChildren, config: &LoraConfig, rng: &mut Rng) -> Result<Adapter> {
    attach(model, "default", config, rng)
}

/// Adds an adapter called `name` beside those already there. It is active; the others
/// have to be switched off if only one is to act.
///
/// # Errors
/// `config`, `no-target`, `adapter-exists`; the model is unchanged then.
pub fn attach(model: &mut dyn NamedChildren, name: &str, config: &LoraConfig, rng: &mut Rng) -> Result<Adapter> {
    let plan = plan(model, config)?;
    let seed = rng.next_u64();
    let switch = Arc::<Switch>::default();
    let mut layers = BTreeMap::new();
    for PlannedLayer { name, inputs, outputs, rank, scaling, .. } in plan.layers {
        // Keyed by the layer's path, so that a layer's start does not depend on which others train.
        let mut rng = Rng::keyed(seed, &[key_of(&name)]);
        let bound = config.bound(inputs, rank);
        let layer = LoraLayer::with_bound(inputs, outputs, rank, scaling, bound, &mut rng)?;
        layers.insert(name, layer.with_dropout(config.dropout).with_switch(&switch));
    }
    let adapter = Adapter::new(config.clone(), layers, switch);
    insert(model, name, &adapter)?;
    Ok(adapter)
}

/// Puts the layers of an adapter into the model's places.
fn insert(model: &mut dyn NamedChildren, name: &str, adapter: &Adapter) -> Result<()> {
    for_each_linear(model, &mut |_, linear| match linear {
        AnyLinear::Lora(lora) => match lora.adapters().contains_key(name) {
            true => Err(Error::AdapterExists { name: name.into() }),
            false => Ok(()),
        },
        AnyLinear::Plain(_) => Ok(()),
    })?;
    for_each_linear(model, &mut |path, place| {
        if let Some(layer) = adapter.layers().get(path) {
            with_lora(place, path, |lora| lora.adapters().insert(name.into(), layer.clone()))?;
        }
        Ok(())
    })
}

/// Calls `f` with the `LinearWithLora` at a place, putting one there first if the layer is plain.
fn with_lora<R>(place: &mut AnyLinear, path: &str, f: impl FnOnce(&mut LinearWithLora) -> R) -> Result<R> {
    if let AnyLinear::Plain(linear) = place {
        // A clone of a linear layer shares its weights.
        *place = AnyLinear::Lora(LinearWithLora::new(linear.clone(), path));
    }
    match place {
        AnyLinear::Lora(lora) => Ok(f(lora)),
        AnyLinear::Plain(_) => Err(Error::Order { what: "an adapter", needs: "a place for it" }),
    }
}

/// Takes the adapter called `name` out of the model; layers without any adapter become plain again.
pub fn remove(model: &mut dyn NamedChildren, name: &str) -> Result<()> {
    for_each_linear(model, &mut |_, place| {
        if let AnyLinear::Lora(lora) = place {
            lora.adapters().remove(name);
            if lora.adapters().is_empty() {
                let base: Linear = lora.base().clone();
                *place = AnyLinear::Plain(base);
            }
        }
        Ok(())
    })
}

/// Renames an adapter in the model.
pub fn rename(model: &mut dyn NamedChildren, from: &str, to: &str) -> Result<()> {
    for_each_linear(model, &mut |_, place| {
        if let AnyLinear::Lora(lora) = place
            && let Some(layer) = lora.adapters().remove(from)
        {
            lora.adapters().insert(to.into(), layer);
        }
        Ok(())
    })
}
