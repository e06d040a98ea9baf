/**
 * What an adapter of a rank costs, known at once while the slider moves; the worker may be busy with a step.
 * A test holds this to what the engine itself plans.
 */

/** @typedef {import("../engine/types.js").LinearInfo} LinearInfo */
/** @typedef {import("../engine/types.js").ModelInfo} ModelInfo */

/** A layer's name without its place: "h.3.attn.c_attn" is an "attn.c_attn". @param {string} name */
export function kind(name) {
  return name.replace(/^.*?\bh\.\d+\./, "");
}

/** The output head is no target of "all-linear", here as in PEFT. @param {string} name */
const isHead = (name) => name === "lm_head";

/** The kinds of linear layers that a model has, in their order. @param {ModelInfo} info */
export function kinds(info) {
  return [...new Set(info.layers.map(({ name }) => kind(name)))];
}

/**
 * The layers that get an adapter. A name in the list matches as a whole or as the end after a dot.
 * @param {ModelInfo} info
 * @param {"all-linear" | string[]} targets
 */
export function targeted(info, targets) {
  if (targets === "all-linear") return info.layers.filter(({ name }) => !isHead(name));
  return info.layers.filter(({ name }) => targets.some((target) => name === target || name.endsWith(`.${target}`)));
}

/**
 * The shortest way to name these layers: all of them, whole kinds, or each by its path.
 * @param {ModelInfo} info
 * @param {LinearInfo[]} layers in the model's order
 * @returns {"all-linear" | string[]}
 */
export function targetsFor(info, layers) {
  const same = (/** @type {"all-linear" | string[]} */ targets) => {
    const found = targeted(info, targets);
    return found.length === layers.length && found.every((layer, index) => layer === layers[index]);
  };
  if (same("all-linear")) return "all-linear";
  const whole = kinds(info).filter((name) => layers.some((layer) => kind(layer.name) === name));
  return same(whole) ? whole : layers.map(({ name }) => name);
}

/** A is (in × rank), B is (rank × out). @param {LinearInfo[]} layers @param {number} rank */
export function trainable(layers, rank) {
  return layers.reduce((sum, layer) => sum + rank * (layer.in + layer.out), 0);
}

/** What training so many numbers takes beside them: a gradient and AdamW's two moments, f32 each. @param {number} numbers */
export function trainingBytes(numbers) {
  return { gradientBytes: 4 * numbers, optimizerBytes: 8 * numbers };
}
