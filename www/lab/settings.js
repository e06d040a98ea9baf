/** What makes an experiment: every setting with its default, its bounds and its name in the link. */

import { isLanguage } from "../i18n/i18n.js";

/** @typedef {import("./types.js").Settings} Settings */

/**
 * @template T
 * @typedef {object} Field
 * @property {string} key its name in the link
 * @property {T} initial
 * @property {(text: string) => T | undefined} parse undefined for what makes no sense
 * @property {(value: T) => string} format
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 */

/** @param {string} key @param {number} initial @param {number} min @param {number} max @param {number} [step] @returns {Field<number>} */
function number(key, initial, min, max, step = 1) {
  return {
    key, initial, min, max, step,
    parse(text) {
      const value = Number(text);
      if (text.trim() === "" || !Number.isFinite(value)) return undefined;
      const inside = Math.min(max, Math.max(min, value));
      return Number.isInteger(step) ? Math.round(inside) : inside;
    },
    format: String,
  };
}

/** @type {Field<Settings["targets"]>} */
const targets = {
  key: "targets",
  initial: "all-linear",
  parse(text) {
    if (text === "all-linear") return text;
    const names = [...new Set(text.split(","))];
    return names.every((name) => /^[\w.]{1,64}$/.test(name)) ? names : undefined;
  },
  format: (value) => (typeof value === "string" ? value : value.join(",")),
};

/** @type {Field<string>} */
const sample = { key: "sample", initial: "pirate", parse: (text) => (/^[\w-]{1,32}$/.test(text) ? text : undefined), format: String };

/** @type {Field<string>} */
const prompt = { key: "prompt", initial: "Once upon a time", parse: (text) => text.slice(0, 2000), format: String };

/** @type {Field<Settings["lang"]>} */
const lang = { key: "lang", initial: "en", parse: (text) => (isLanguage(text) ? text : undefined), format: String };

/** @type {Field<boolean>} */
const fast = { key: "fast", initial: false, parse: (text) => ({ "": true, 0: false, 1: true })[text], format: (value) => String(Number(value)) };

const SEEDS = 2 ** 32 - 1;

/** @type {{ [K in keyof Settings]: Field<Settings[K]> }} */
export const FIELDS = {
  sample,
  rank: number("rank", 8, 1, 64),
  alpha: number("alpha", 16, 1, 256),
  learningRate: number("lr", 0.002, 1e-5, 0.1, 0.0001),
  steps: number("steps", 200, 1, 5000),
  targets,
  batchSize: number("batch", 4, 1, 32),
  blockSize: number("block", 128, 8, 1024),
  seed: number("seed", 1, 0, SEEDS),
  prompt,
  temperature: number("temperature", 0.7, 0, 2, 0.05),
  maxTokens: number("length", 100, 1, 1000),
  textSeed: number("text-seed", 1, 0, SEEDS),
  strength: number("strength", 1, 0, 2, 0.05),
  fullLearningRate: number("full-lr", 0.0005, 1e-5, 0.1, 0.0001),
  workers: number("workers", 0, 0, 8),
  fast,
  lang,
};

/** @type {Settings} */
export const DEFAULTS = /** @type {any} */ (Object.fromEntries(Object.entries(FIELDS).map(([name, { initial }]) => [name, initial])));

/** Settings that shape a training: if one of them changes, what has been trained so far belongs to another experiment. */
const SHAPING = /** @type {const} */ (["sample", "rank", "alpha", "learningRate", "steps", "targets", "batchSize", "blockSize", "seed"]);

/** @param {Settings} a @param {Settings} b */
export function sameTraining(a, b) {
  return SHAPING.every((name) => String(a[name]) === String(b[name]));
}
