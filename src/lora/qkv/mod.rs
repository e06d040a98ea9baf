//! Separate q, k and v, as in the textbook, beside the one `c_attn` that PEFT's GPT-2 has: an adapter of the three
//! layers is written as one of `c_attn`, and one of `c_attn` is read as one of the three layers.
//!
//! - [`fuse`] – for a file, the three become one of the sum of their ranks
//! - [`mod@separate`] – of a file, one becomes three again

mod fuse;
mod separate;

pub(super) use fuse::Fused;
pub(super) use separate::{Place, separate};

use serde::{Deserialize, Serialize};

const PARTS: [&str; 3] = ["W_query", "W_key", "W_value"];
const FUSED: &str = "c_attn";

/// Where the file's metadata say what was joined. PEFT does not look there.
const METADATA: &str = "lora_lab_qkv";

/// What stands before the path of a part whose B the fused one holds multiplied by a factor. The rounding could not be
/// undone, so the file holds that B too, under this name, which PEFT passes over.
const EXACT: &str = "separate.";

/// Whether a tensor of a file is an addition of ours, which neither PEFT nor a model with `c_attn` needs.
pub(super) fn is_addition(name: &str) -> bool {
    name.starts_with(EXACT)
}

/// Rank and alpha of the adapter of one part, in PEFT's terms: no textbook scaling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    rank: usize,
    alpha: f64,
}

/// The adapters of q, k and v; `None` where a part has none.
type Parts = [Option<Part>; 3];

/// The path of `attn` and the number of the part, for the path of a part.
fn part_of(path: &str) -> Option<(&str, usize)> {
    let (attn, name) = path.rsplit_once('.')?;
    Some((attn, PARTS.iter().position(|part| *part == name)?))
}

fn part_path(attn: &str, part: usize) -> String {
    format!("{attn}.{}", PARTS[part])
}

fn fused_path(attn: &str) -> String {
    format!("{attn}.{FUSED}")
}
