/** Benefit 3, little memory to train. */

import { targeted, trainable } from "../plan.js";
import sheet from "../styles/efficient.js";
import { h, text, variable } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** Gradient and AdamW's two moments are f32 each. */
const TRAINING_BYTES = 3 * 4;

/** @param {Context} context @returns {Part} */
export function efficientView({ words }) {
  const { t } = words;
  const lora = measure(t("efficient.lora"), "adapter");
  const full = measure(t("efficient.full"), "base");
  const engine = h("p", { class: "small muted figure" });
  return {
    root: h("div", {}, h("div", { class: "measures" }, lora.root, full.root), engine),
    sheet,
    render({ info, settings, memory }) {
      if (!info) return;
      const learns = trainable(targeted(info, settings.targets), settings.rank);
      lora.render(words.bytes(learns * TRAINING_BYTES), learns / info.parameters);
      full.render(words.bytes(info.parameters * TRAINING_BYTES), 1);
      text(engine, memory ? t("efficient.engine", { bytes: words.bytes(memory) }) : "");
    },
  };
}

/** A labelled bar. @param {string} name @param {string} className */
function measure(name, className) {
  const value = h("span", { class: "figure" });
  const label = h("span", {}, name);
  const bar = h("span", { class: "fill" });
  return {
    root: h("div", { class: `measure ${className}` }, h("p", {}, label, value), bar),
    /** @param {string} now @param {number} share @param {string} [called] */
    render(now, share, called = name) {
      text(label, called);
      text(value, now);
      variable(bar, "--share", Math.min(1, share));
    },
  };
}
