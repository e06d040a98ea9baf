//! What to adapt, and how: PEFT's `LoraConfig`, with the textbook's scaling as a third kind.

use crate::error::{Error, Result};
use indexmap::IndexMap;
use regex::Regex;
use serde::{Deserialize, Serialize};

/// The factor of `x·A·B`, and with it how A is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// `alpha / r` (Hu et al., 2021), A from `U(±1/√in)`, as in PEFT.
    #[default]
    Rank,
    /// `alpha / √r`: rsLoRA (Kalajdzievski, 2023), A as in PEFT.
    SqrtRank,
    /// `alpha`: the textbook's `LoRALayer`, A from `U(±1/√r)`.
    Textbook,
}

impl Scaling {
    /// The factor of `x·A·B`.
    pub fn factor(self, alpha: f64, rank: usize) -> f64 {
        match self {
            Self::Rank => alpha / rank as f64,
            Self::SqrtRank => alpha / (rank as f64).sqrt(),
            Self::Textbook => alpha,
        }
    }

    /// The kind in PEFT's files, which have no textbook scaling: it is written as an alpha that is `r` times as large.
    pub(super) fn in_peft(self) -> Self {
        if self == Self::Textbook { Self::Rank } else { self }
    }
}

/// A choice of layers by their paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Modules {
    /// Each entry matches a whole path, or its end after a dot.
    List(Vec<String>),
    /// A regular expression for the whole path; or `all-linear`: every linear layer but the output head.
    Pattern(String),
}

/// PEFT's word for every linear layer but the output head.
pub const ALL_LINEAR: &str = "all-linear";
/// The output head's path.
pub const OUTPUT_HEAD: &str = "lm_head";

impl Default for Modules {
    fn default() -> Self {
        Self::Pattern(ALL_LINEAR.into())
    }
}

impl std::fmt::Display for Modules {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "\"{pattern}\""),
            Self::List(list) => write!(f, "{list:?}"),
        }
    }
}

/// The settings of one adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoraConfig {
    pub rank: usize,
    pub alpha: f64,
    pub scaling: Scaling,
    pub targets: Modules,
    pub exclude: Option<Modules>,
    /// Ranks of single layers; a key matches as `(.*\.)?(KEY)$`, and the first that does counts.
    pub rank_pattern: IndexMap<String, usize>,
    /// Alphas of single layers, matched likewise.
    pub alpha_pattern: IndexMap<String, f64>,
    /// The blocks to adapt, by number; all if absent.
    pub layers_to_transform: Option<Vec<usize>>,
    /// Dropout on the adapter's input while training.
    pub dropout: f32,
    /// What A is drawn from.
    pub seed: u64,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.,
            scaling: Scaling::Rank,
            targets: Modules::default(),
            exclude: None,
            rank_pattern: IndexMap::new(),
            alpha_pattern: IndexMap::new(),
            layers_to_transform: None,
            dropout: 0.,
            seed: 0,
        }
    }
}

/// Rank and scaling of one chosen layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub rank: usize,
    pub alpha: f64,
    /// The factor of `x·A·B`.
    pub scaling: f64,
}

impl LoraConfig {
    /// The textbook's `replace_linear_with_lora(model, rank, alpha)`: every linear layer, the output
    /// head included, scaled by alpha alone.
    pub fn textbook(rank: usize, alpha: f64) -> Self {
        Self { rank, alpha, scaling: Scaling::Textbook, targets: Modules::Pattern(".*".into()), ..Self::default() }
    }

    /// The bound of A's uniform distribution for a layer of `inputs` inputs.
    pub fn bound(&self, inputs: usize, rank: usize) -> f64 {
        match self.scaling {
            Scaling::Textbook => 1. / (rank as f64).sqrt(),
            Scaling::Rank | Scaling::SqrtRank => 1. / (inputs as f64).sqrt(),
        }
    }

    /// The alpha in PEFT's files of a layer of this configuration.
    pub(super) fn peft_alpha(&self, Choice { rank, alpha, .. }: Choice) -> f64 {
        if self.scaling == Scaling::Textbook { alpha * rank as f64 } else { alpha }
    }

    /// Compiles the patterns.
    ///
    /// # Errors
    /// `config`, naming the setting that cannot work.
    pub fn matcher(&self) -> Result<Matcher<'_>> {
        let most = 65_536;
        for rank in self.rank_pattern.values().chain([&self.rank]) {
            if !(1..=most).contains(rank) {
                return Err(Error::config("rank", format!("1 to {most}"), rank));
            }
        }
        for alpha in self.alpha_pattern.values().chain([&self.alpha]) {
            // As an f32, which is what the scaling becomes: 1e39 would be infinite there.
            if !(*alpha as f32).is_finite() {
                return Err(Error::config("alpha", "a finite number, also as an f32", alpha));
            }
        }
        if !(0. ..1.).contains(&self.dropout) {
            return Err(Error::config("dropout", "0 or more, and less than 1", self.dropout));
        }
        Ok(Matcher {
            config: self,
            targets: Selector::new("targets", &self.targets)?,
            exclude: self.exclude.as_ref().map(|modules| Selector::new("exclude", modules)).transpose()?,
            ranks: patterns("rankPattern", &self.rank_pattern)?,
            alphas: patterns("alphaPattern", &self.alpha_pattern)?,
        })
    }
}

/// A [`LoraConfig`] with its patterns compiled.
pub struct Matcher<'a> {
    config: &'a LoraConfig,
    targets: Selector<'a>,
    exclude: Option<Selector<'a>>,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
}

impl Matcher<'_> {
    /// What becomes of the layer at `path`; `None` if it is left alone.
    pub fn choose(&self, path: &str) -> Option<Choice> {
        let in_blocks = || match &self.config.layers_to_transform {
            None => true,
            Some(blocks) => block_of(path).is_some_and(|block| blocks.contains(&block)),
        };
        let excluded = || self.exclude.as_ref().is_some_and(|exclude| exclude.matches(path));
        if !self.targets.matches(path) || excluded() || !in_blocks() {
            return None;
        }
        let rank = first_match(&self.ranks, path).unwrap_or(self.config.rank);
        let alpha = first_match(&self.alphas, path).unwrap_or(self.config.alpha);
        Some(Choice { rank, alpha, scaling: self.config.scaling.factor(alpha, rank) })
    }
}

/// The number of the block a path lies in: `h.3.attn.c_attn` → 3.
fn block_of(path: &str) -> Option<usize> {
    path.split('.').find_map(|part| part.parse().ok())
}

enum Selector<'a> {
    AllLinear,
    Regex(Regex),
    List(&'a [String]),
}

impl<'a> Selector<'a> {
    fn new(setting: &'static str, modules: &'a Modules) -> Result<Self> {
        Ok(match modules {
            Modules::Pattern(pattern) if pattern == ALL_LINEAR => Self::AllLinear,
            Modules::Pattern(pattern) => Self::Regex(compile(setting, &format!("^(?:{pattern})$"))?),
            Modules::List(list) => Self::List(list),
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::AllLinear => path != OUTPUT_HEAD,
            Self::Regex(regex) => regex.is_match(path),
            Self::List(list) => list.iter().any(|entry| ends_with_module(path, entry)),
        }
    }
}

/// Whether `entry` is the path or its end after a dot.
pub(super) fn ends_with_module(path: &str, entry: &str) -> bool {
    path.strip_suffix(entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// `target_modules` for some of a model's layers: their names where all layers of a name are meant, else their paths.
pub(super) fn shortest_names(chosen: &[&str], available: &[&str]) -> Vec<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let name = |path: &&str| {
        let short = last(path);
        let exact = available.iter().all(|other| last(other) != short || chosen.contains(other));
        if exact { short } else { (*path).to_owned() }
    };
    let mut names: Vec<String> = chosen.iter().map(name).collect();
    names.sort();
    names.dedup();
    names
}

fn patterns<T: Copy>(setting: &'static str, map: &IndexMap<String, T>) -> Result<Vec<(Regex, T)>> {
    map.iter().map(|(key, &value)| Ok((compile(setting, &format!(r"^(?:.*\.)?(?:{key})$"))?, value))).collect()
}

fn first_match<T: Copy>(patterns: &[(Regex, T)], path: &str) -> Option<T> {
    patterns.iter().find(|(regex, _)| regex.is_match(path)).map(|&(_, value)| value)
}

fn compile(setting: &'static str, pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| Error::config(setting, "a regular expression", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn chosen(config: &LoraConfig, paths: &[&'static str]) -> Vec<&'static str> {
        let matcher = config.matcher().unwrap();
        paths.iter().copied().filter(|path| matcher.choose(path).is_some()).collect()
    }

    const PATHS: [&str; 5] = ["h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_proj", "h.1.mlp.c_fc", "lm_head"];

    #[test]
    fn a_list_entry_matches_a_path_or_its_end_after_a_dot() {
        let targets = |list: &[&str]| LoraConfig {
            targets: Modules::List(list.iter().map(|&s| s.into()).collect()),
            ..Default::default()
        };
        assert_eq!(chosen(&targets(&["c_proj"]), &PATHS), ["h.0.attn.c_proj", "h.0.mlp.c_proj"]);
        assert_eq!(chosen(&targets(&["mlp.c_proj"]), &PATHS), ["h.0.mlp.c_proj"]);
        assert_eq!(chosen(&targets(&["proj", "attn"]), &PATHS), [""; 0]);
        assert_eq!(chosen(&targets(&["lm_head"]), &PATHS), ["lm_head"]);
    }

    #[test]
    fn a_string_is_a_full_match_and_all_linear_leaves_the_head() {
        let targets = |s: &str| LoraConfig { targets: Modules::Pattern(s.into()), ..Default::default() };
        assert_eq!(chosen(&targets(r"h\.0\.mlp\..*"), &PATHS), ["h.0.mlp.c_proj"]);
        assert_eq!(chosen(&targets("c_proj"), &PATHS), [""; 0]);
        assert_eq!(chosen(&targets(ALL_LINEAR), &PATHS), PATHS[..4]);
        assert_eq!(targets("(").matcher().err().map(|e| e.code()), Some("config"));
    }

    #[test]
    fn blocks_exclusion_and_patterns_narrow_the_choice() {
        let config = LoraConfig {
            layers_to_transform: Some(vec![0]),
            exclude: Some(Modules::List(vec!["c_attn".into()])),
            rank_pattern: [("mlp.c_proj".to_owned(), 2)].into(),
            alpha_pattern: [("c_proj".to_owned(), 24.)].into(),
            ..Default::default()
        };
        assert_eq!(chosen(&config, &PATHS), ["h.0.attn.c_proj", "h.0.mlp.c_proj"]);
        let matcher = config.matcher().unwrap();
        assert_eq!(matcher.choose("h.0.mlp.c_proj"), Some(Choice { rank: 2, alpha: 24., scaling: 12. }));
        assert_eq!(matcher.choose("h.0.attn.c_proj"), Some(Choice { rank: 8, alpha: 24., scaling: 3. }));
    }
}
