/** What an embedder writes on `<lora-lab>`: every attribute, and the property of the same name that reflects it. */

import { fromHash } from "../lab/hash.js";
import { DEFAULTS, FIELDS } from "../lab/settings.js";

/** @typedef {import("../lab/types.js").Settings} Settings */
/** all of the lab; one narrow card; or a prompt and two texts @typedef {"full" | "compact" | "compare"} View */
/** as the reader's system has it, or always the one @typedef {"auto" | "light" | "dark"} Theme */
/** when the model is downloaded: once the element is in view, or after a click @typedef {"visible" | "click"} Start */

/** The first of each is the default, also for values that are not listed. */
const CHOICES = {
  view: /** @type {View[]} */ (["full", "compact", "compare"]),
  theme: /** @type {Theme[]} */ (["auto", "light", "dark"]),
  start: /** @type {Start[]} */ (["visible", "click"]),
};

/** Settings are named as in the link: rank, alpha, lr, steps, targets, sample, prompt, seed, … */
export const SETTINGS = Object.values(FIELDS).map(({ key }) => key);

const PROPERTIES = ["model", "samples", "adapter", "view", "theme", "start", "link", "sample", "rank", "alpha", "targets", "steps", "seed", "prompt"];

/** A server that renders pages imports this too, but has no HTMLElement. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class AttributeElement extends Base {
  static observedAttributes = ["model", "samples", "adapter", "view", "theme", "start", "lang", ...SETTINGS];

  /** The folder of the base: config.json, model.safetensors, tokenizer.json. @returns {string | null} */
  get model() { return this.getAttribute("model"); }
  set model(value) { this.#put("model", value); }

  /** The folder of the texts: `<sample>.txt` each. @returns {string | null} */
  get samples() { return this.getAttribute("samples"); }
  set samples(value) { this.#put("samples", value); }

  /** The folder of an adapter, PEFT's two files, to begin with. @returns {string | null} */
  get adapter() { return this.getAttribute("adapter"); }
  set adapter(value) { this.#put("adapter", value); }

  /** @returns {View} */
  get view() { return this.#choice("view"); }
  set view(value) { this.#put("view", value); }

  /** @returns {Theme} */
  get theme() { return this.#choice("theme"); }
  set theme(value) { this.#put("theme", value); }

  /** @returns {Start} */
  get start() { return this.#choice("start"); }
  set start(value) { this.#put("start", value); }

  /** Whether the settings are kept in the page's address. @returns {boolean} */
  get link() { return this.hasAttribute("link"); }
  set link(value) { this.#put("link", value ? "" : null); }

  /** The id of the text to learn from. @returns {string} */
  get sample() { return this.#setting("sample"); }
  set sample(value) { this.#put("sample", value); }

  /** @returns {number} */
  get rank() { return this.#setting("rank"); }
  set rank(value) { this.#put("rank", value); }

  /** @returns {number} */
  get alpha() { return this.#setting("alpha"); }
  set alpha(value) { this.#put("alpha", value); }

  /** "all-linear", or names of layers; the attribute separates them by commas. @returns {"all-linear" | string[]} */
  get targets() { return this.#setting("targets"); }
  set targets(value) { this.#put("targets", value); }

  /** @returns {number} */
  get steps() { return this.#setting("steps"); }
  set steps(value) { this.#put("steps", value); }

  /** @returns {number} */
  get seed() { return this.#setting("seed"); }
  set seed(value) { this.#put("seed", value); }

  /** @returns {string} */
  get prompt() { return this.#setting("prompt"); }
  set prompt(value) { this.#put("prompt", value); }

  /** The settings that attributes name; what makes no sense is left out. @returns {Partial<Settings>} */
  attributeSettings() {
    const named = SETTINGS.filter((name) => this.hasAttribute(name));
    return fromHash(String(new URLSearchParams(named.map((name) => [name, this.getAttribute(name) ?? ""]))));
  }

  /** Properties that were set before the element was defined hide those of the class: hand them over. */
  upgradeProperties() {
    const self = /** @type {Record<string, any>} */ (/** @type {unknown} */ (this));
    for (const name of PROPERTIES) {
      if (!Object.hasOwn(this, name)) continue;
      const value = self[name];
      delete self[name];
      self[name] = value;
    }
  }

  /** @param {string} name @param {unknown} value null and undefined remove it */
  #put(name, value) {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, String(value));
  }

  /** @template {keyof typeof CHOICES} K @param {K} name @returns {(typeof CHOICES)[K][number]} */
  #choice(name) {
    const said = this.getAttribute(name);
    return CHOICES[name].find((choice) => choice === said) ?? CHOICES[name][0];
  }

  /** @template {keyof Settings} K @param {K} name @returns {Settings[K]} */
  #setting(name) {
    return this.attributeSettings()[name] ?? DEFAULTS[name];
  }
}
