/** Benefit 1, fewer numbers to learn: W and its thin A and B, to scale. */

import { kind, targeted, trainable } from "../plan.js";
import sheet from "../styles/parameters.js";
import { attribute, h, svg, text } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** W, and beside it its A and B, to scale. @param {Context} context @returns {Part} */
export function parametersView({ words }) {
  const { t } = words;
  const w = svg("rect", { class: "w" });
  const a = svg("rect", { class: "ab" });
  const b = svg("rect", { class: "ab" });
  const names = ["W", "A", "B"].map((name) => svg("text", {}, name));
  const picture = svg("svg", { class: "matrices", role: "img" }, w, a, b, ...names);
  const sum = h("p", { class: "small figure" });
  let drawn = "";
  return {
    root: h("div", {}, picture, sum),
    sheet,
    render({ info, settings }) {
      if (!info) return;
      const layer = targeted(info, settings.targets)[0] ?? info.layers[0];
      const { rank } = settings;
      const now = `${layer.name} ${rank}`;
      if (now === drawn) return;
      drawn = now;
      // One unit of the picture is one row or column; the width is fixed, so the longest side decides.
      const gap = Math.max(layer.in, layer.out) * 0.06;
      const place = (/** @type {SVGRectElement} */ rect, /** @type {number[]} */ [x, y, width, height]) => {
        for (const [name, value] of Object.entries({ x, y, width, height })) attribute(rect, name, value);
      };
      const left = rank + gap;
      place(b, [left, 0, layer.out, rank]);
      place(a, [0, left, rank, layer.in]);
      place(w, [left, left, layer.out, layer.in]);
      const size = (layer.out + left) / 15;
      const centres = [[left + layer.out / 2, left + layer.in / 2], [rank / 2, left + layer.in + size], [left + layer.out + size * 0.8, rank / 2]];
      names.forEach((name, index) => {
        attribute(name, "x", centres[index][0]);
        attribute(name, "y", centres[index][1]);
        attribute(name, "font-size", size);
      });
      // Room for 64 columns, so that the picture keeps its scale while the rank moves.
      attribute(picture, "viewBox", `${-size / 2} ${-size / 2} ${layer.out + 64 + gap + size * 2} ${layer.in + 64 + gap + size * 2}`);
      const values = { rank, in: layer.in, out: layer.out, lora: trainable([layer], rank), full: layer.in * layer.out };
      attribute(picture, "aria-label", t("parameters.picture", { ...values, name: kind(layer.name) }));
      text(sum, t("parameters.sum", values));
    },
  };
}
