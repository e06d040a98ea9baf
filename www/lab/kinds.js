/** The kinds of linear layers that a model has, the names that choose some of them, and what training so many numbers takes. */

import { targeted } from "./plan.js";

/** @typedef {import("../engine/types.js").LinearInfo} LinearInfo */
/** @typedef {import("../engine/types.js").ModelInfo} ModelInfo */

/** A layer's name without its block: "h.3.attn.c_attn" is an "attn.c_attn". @param {string} name */
export function kind(name) {
  return name.replace(/^.*?\bh\.\d+\./, "");
}

/** The kinds of linear layers that a model has, in their order. @param {ModelInfo} info */
export function kinds(info) {
  return [...new Set(info.layers.map(({ name }) => kind(name)))];
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

/** What training so many numbers takes beside them: a gradient and AdamW's two moments, f32 each. @param {number} numbers */
export function trainingBytes(numbers) {
  return { gradientBytes: 4 * numbers, optimizerBytes: 8 * numbers };
}
