/**
 * What an adapter of a rank costs, known at once while the slider moves; the worker may be busy with a step.
 * A test compares this with the engine's own plan().
 */

/** @typedef {import("../engine/types.js").LinearInfo} LinearInfo */
/** @typedef {import("../engine/types.js").ModelInfo} ModelInfo */

/** The output head is no target of "all-linear", here as in PEFT. @param {string} name */
const isHead = (name) => name === "lm_head";

/**
 * The layers that get an adapter. A name in the list matches as a whole or as the end after a dot.
 * @param {ModelInfo} info
 * @param {"all-linear" | string[]} targets
 */
export function targeted(info, targets) {
  if (targets === "all-linear") return info.layers.filter(({ name }) => !isHead(name));
  return info.layers.filter(({ name }) => targets.some((target) => name === target || name.endsWith(`.${target}`)));
}

/** A is (in × rank), B is (rank × out). @param {LinearInfo[]} layers @param {number} rank */
export function trainable(layers, rank) {
  return layers.reduce((sum, layer) => sum + rank * (layer.in + layer.out), 0);
}
