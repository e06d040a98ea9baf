/** The chapter that counts parameters: the model to scale, one layer's W beside its thin A and B, and the totals. */

import { targeted, trainable } from "../../lab/plan.js";
import { rests } from "../../lab/state.js";
import sheet from "../styles/parameters.js";
import { slider } from "./controls.js";
import { attribute, h, svg, text } from "./dom.js";
import { modelView, named } from "./model.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** @param {Context} context @returns {Part} */
export function parametersView(context) {
  const { words, session } = context;
  const { t } = words;
  const model = modelView(context);
  const matrices = matricesView(t);
  const rank = slider("rank", t("parameters.r"), t("parameters.r.about"), words, (value) => session.set({ rank: value }));
  const learns = svg("rect", { class: "ab" });
  const area = svg("svg", { class: "areas", viewBox: "0 0 100 100", "aria-hidden": "true" },
    svg("rect", { class: "w", x: 0, y: 0, width: 100, height: 100, rx: 2 }), learns);
  const share = h("p", { class: "big" });
  const count = h("p", { class: "small muted figure" });
  const totals = h("div", { class: "totals", role: "group", "aria-label": t("parameters.totals") }, area, h("div", {}, share, count));
  return {
    root: h("div", { class: "fewer" }, model.root, h("div", { class: "beside" }, matrices.root, h("div", { class: "sum" }, rank.root, totals))),
    sheet,
    render(state) {
      const { info, settings } = state;
      model.render(state);
      rank.render(settings.rank, rests(state.phase) || !info);
      if (!info) return;
      const layers = targeted(info, settings.targets);
      matrices.render(info.layers.find(({ name }) => name === state.layer) ?? layers[0] ?? info.layers[0], settings.rank);
      const trains = trainable(layers, settings.rank);
      // Areas are in the ratio of the numbers.
      const side = Math.min(100, 100 * Math.sqrt(trains / info.parameters));
      for (const [name, value] of Object.entries({ x: 0, y: 100 - side, width: side, height: side })) attribute(learns, name, value);
      text(share, words.percent(trains / info.parameters));
      text(count, t("train.parameters", { trainable: trains, total: info.parameters }));
    },
  };
}

/** W, and beside it its A and B, to scale. @param {import("../../i18n/i18n.js").Words["t"]} t */
function matricesView(t) {
  const w = svg("rect", { class: "w" });
  const a = svg("rect", { class: "ab" });
  const b = svg("rect", { class: "ab" });
  const names = ["W", "A", "B"].map((name) => svg("text", {}, name));
  const picture = svg("svg", { class: "matrices", role: "img" }, w, a, b, ...names);
  const title = h("p", { class: "which" });
  const lora = h("span", { class: "lora" });
  const full = h("span", {});
  const sum = h("p", { class: "figure formula" }, lora, full);
  let drawn = "";
  return {
    root: h("div", { class: "one" }, title, picture, sum),
    /** @param {import("../../engine/types.js").LinearInfo} layer @param {number} rank */
    render(layer, rank) {
      const now = `${layer.name} ${rank}`;
      if (now === drawn) return;
      drawn = now;
      // One unit of the picture is one row or column; room for 64 of them, so that the scale stays the same while the rank changes.
      const longest = Math.max(layer.in, layer.out);
      const gap = longest * 0.05;
      const edge = 64 + gap;
      const place = (/** @type {SVGRectElement} */ rect, /** @type {number[]} */ [x, y, width, height]) => {
        for (const [name, value] of Object.entries({ x, y, width, height })) attribute(rect, name, value);
      };
      place(b, [edge, 64 - rank, layer.out, rank]);
      place(a, [64 - rank, edge, rank, layer.in]);
      place(w, [edge, edge, layer.out, layer.in]);
      const size = longest / 14;
      const centres = [[edge + layer.out / 2, edge + layer.in / 2], [64 - rank - size * 0.7, edge + layer.in / 2], [edge + layer.out / 2, 64 - rank - size * 0.7]];
      names.forEach((name, index) => {
        attribute(name, "x", centres[index][0]);
        attribute(name, "y", centres[index][1]);
        attribute(name, "font-size", size);
      });
      attribute(picture, "viewBox", `${-size * 1.4} ${-size * 1.4} ${layer.out + edge + size * 1.4} ${layer.in + edge + size * 1.4}`);
      const values = { rank, in: layer.in, out: layer.out, lora: trainable([layer], rank), full: layer.in * layer.out };
      const name = named(t, layer.name);
      attribute(picture, "aria-label", t("parameters.picture", { ...values, name }));
      text(title, name);
      text(lora, t("parameters.lora", values));
      text(full, t("parameters.full", values));
    },
  };
}
