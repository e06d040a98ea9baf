//! Merging: `W' = W + strength · scaling · A·B`, and back. The base is kept beside the merged
//! weight, so unmerging restores it bit for bit; subtracting would not.

use crate::error::Result;
use crate::nn::module::{AnyLinear, NamedChildren, for_each_linear};

/// Adds the active adapter to copies of the weights, which are then used in place of base and adapter.
///
/// # Errors
/// `tensor`, on a defect of ours; nothing is merged then.
pub fn merge(model: &mut dyn NamedChildren) -> Result<()> {
    let merged = for_each_linear(model, &mut |_, place| match place {
        AnyLinear::Lora(lora) => lora.merge(),
        AnyLinear::Plain(_) => Ok(()),
    });
    if merged.is_err() {
        unmerge(model)?;
    }
    merged
}

/// Goes back to base and adapter.
///
/// # Errors
/// None: it returns a `Result` as [`merge`] does.
pub fn unmerge(model: &mut dyn NamedChildren) -> Result<()> {
    for_each_linear(model, &mut |_, place| {
        if let AnyLinear::Lora(lora) = place {
            lora.unmerge();
        }
        Ok(())
    })
}
