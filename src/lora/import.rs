//! An adapter from PEFT's two files into a model.

use super::qkv::{self, Place};
use super::replace::{attach, remove};
use super::{Adapter, peft};
use crate::checkpoint::TensorFile;
use crate::error::{Error, Result};
use crate::nn::module::{NamedChildren, for_each_linear};
use crate::rng::Rng;

/// Attaches an adapter called `name` from the contents of `adapter_model.safetensors` and `adapter_config.json`. It is
/// active, and [`Adapter::config`] says what it has become in this model: one of `c_attn` is put on separate q, k and v
/// where the model has those.
///
/// # Errors
/// What [`peft::read_config`] and [`Adapter::load_safetensors`] refuse, and [`attach`]; the model is unchanged then.
pub fn import_peft(model: &mut dyn NamedChildren, name: &str, safetensors: &[u8], config: &str) -> Result<Adapter> {
    let config = peft::read_config(config)?;
    let mut file = TensorFile::read(safetensors, peft::TENSORS)?;
    let config = qkv::separate(config, &mut file, &places(model)?)?;
    file.discard(qkv::is_addition);
    // The values that this draws are replaced by the file's.
    let adapter = attach(model, name, &config, &mut Rng::new(config.seed))?;
    if let Err(error) = adapter.load(file) {
        remove(model, name)?;
        return Err(error);
    }
    Ok(adapter)
}

fn places(model: &mut dyn NamedChildren) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for_each_linear(model, &mut |path, linear| {
        let (inputs, outputs) = (linear.base().in_features(), linear.base().out_features());
        places.push(Place { path: path.into(), inputs, outputs });
        Ok::<_, Error>(())
    })?;
    Ok(places)
}
