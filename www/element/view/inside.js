/** The chapter about ΔW: how much is added to each layer, live; on a press, the ΔW of one layer and its singular values. */

import { watchDeltas } from "../../lab/inspection.js";
import { kind } from "../../lab/kinds.js";
import { targeted } from "../../lab/plan.js";
import sheet from "../styles/inside.js";
import { problemBox } from "./controls.js";
import { attribute, h, show, svg, text, variable } from "./dom.js";
import { whose } from "./whose.js";

/** @typedef {import("../../engine/types.js").DeltaView} DeltaView */
/** @typedef {import("../../engine/types.js").LayerDelta} LayerDelta */
/** @typedef {import("../../engine/types.js").ModelInfo} ModelInfo */
/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** Negative and positive: blue and orange differ for colour-blind readers too, on light and on dark. */
const LESS = [20, 110, 190];
const MORE = [224, 90, 20];
/** Below this share of the largest a singular value is rounding. */
const ROUNDING = 1e-6;

/** @param {Context} context @returns {Part} */
export function insideView({ words, session }) {
  const { t } = words;
  const empty = h("p", { class: "muted" }, t("inside.empty"));
  const strip = h("div", { class: "strip", role: "group", "aria-label": t("inside.strip") });
  const about = h("p", { class: "small muted" });
  const scale = h("p", { class: "small muted" }, t("inside.scale"));
  const close = deltaView({ words });
  const problem = problemBox("inside", words, () => session.dispatch({ type: "dismissed" }));
  /** @type {Map<string, ReturnType<typeof cell>>} */
  const cells = new Map();

  /** A row for each kind of layer. @type {Map<string, HTMLElement>} */
  const lines = new Map();

  /** Rows of one kind of layer, one cell a block. @param {ModelInfo} info */
  const build = ({ layers }) => {
    for (const { name } of layers) {
      const of = kind(name);
      const block = name.match(/\bh\.(\d+)\./)?.[1];
      const part = words.has(`target.${of}`) ? t(`target.${of}`) : of;
      const made = cell(block === undefined ? part : t("model.layer", { number: Number(block) + 1, part }), name);
      cells.set(name, made);
      const line = lines.get(of) ?? h("div", { class: "layer-row" }, h("span", { class: "kind" }, part), h("div", { class: "cells" }));
      lines.set(of, line);
      line.lastElementChild?.append(made.root);
    }
    strip.replaceChildren(...lines.values());
  };

  /** @param {string} called @param {string} name */
  const cell = (called, name) => {
    const heat = h("span", { class: "heat" });
    const value = h("span", { class: "value" });
    const root = h("button", { type: "button", class: "heat-button", click: () => {
      const { layer } = session.state.looks;
      session.dispatch({ type: "inspected", layer: layer === name ? "" : name });
    } }, heat, value);
    return {
      root,
      /** @param {LayerDelta | undefined} delta @param {boolean} chosen */
      render(delta, chosen) {
        const share = delta ? delta.norm / delta.baseNorm : 0;
        // Half of the colour at 0.3·‖W‖: one scale for all trainings that shows small shares and does not saturate at large ones.
        variable(heat, "--heat", (share / (share + 0.3)).toFixed(3));
        text(value, delta ? words.percent(share) : "");
        root.disabled = !delta;
        attribute(root, "aria-pressed", chosen ? "true" : "false");
        attribute(root, "aria-label", delta
          ? t("inside.cell", { layer: called, norm: words.number(delta.norm, 2), base: words.number(delta.baseNorm, 2), share: words.percent(share) })
          : t("inside.cell.none", { layer: called }));
        attribute(root, "title", called);
      },
    };
  };

  const unwatch = watchDeltas(session);
  return {
    root: h("div", { class: "inside" }, problem.root, empty, about, strip, scale, close.root),
    sheet,
    render(state) {
      const { info, looks } = state;
      problem.render(state);
      if (info && !cells.size) build(info);
      show(empty, !looks.layers.length);
      show(about, Boolean(looks.speaker));
      text(about, looks.speaker ? whose(looks.speaker, t) : "");
      attribute(strip, "data-empty", !looks.layers.length);
      const adapted = new Set([...(info ? targeted(info, state.settings.targets) : []), ...looks.layers].map(({ name }) => kind(name)));
      for (const [of, line] of lines) show(line, adapted.has(of));
      for (const [name, made] of cells) made.render(looks.layers.find((layer) => layer.name === name), looks.layer === name);
      close.render(state);
    },
    end: unwatch,
  };
}

/** ΔW of one layer. @param {Pick<Context, "words">} context */
function deltaView({ words }) {
  const { t } = words;
  const heading = h("h4");
  const canvas = h("canvas", { class: "map", role: "img" });
  const legend = ["−", "0", "+"].map((sign) => h("span", {}, sign));
  const bars = svg("svg", { class: "singular", role: "img" });
  const told = h("p", { class: "small" });
  const root = h("div", { class: "close", "aria-live": "off" }, heading,
    h("figure", {}, canvas, h("div", { class: "scale" }, h("span", { class: "ramp" }), h("span", { class: "signs" }, ...legend)),
      h("figcaption", { class: "small muted" }, t("inside.map.about"))),
    h("figure", {}, bars, told, h("figcaption", { class: "small muted" }, t("inside.values.about"))));
  /** @type {DeltaView | undefined} */
  let drawn;
  return {
    root,
    /** @param {import("../../lab/types.js").State} state */
    render({ looks: { delta } }) {
      show(root, Boolean(delta));
      if (!delta || delta === drawn) return;
      drawn = delta;
      const number = (/** @type {number} */ value) => words.number(value, value < 0.1 ? 4 : 2);
      text(heading, delta.name.replace("transformer.", ""));
      const most = paint(canvas, delta);
      text(legend[0], `−${number(most)}`);
      text(legend[2], `+${number(most)}`);
      attribute(canvas, "aria-label", t("inside.map", { in: delta.in, out: delta.out, norm: number(delta.norm), most: number(most) }));
      const values = [...delta.singularValues];
      const [largest = 0] = values;
      const real = values.filter((value) => value > ROUNDING * largest).length;
      chart(bars, values, delta.rank, t("inside.rank", { rank: delta.rank }));
      const sum = { count: real, all: values.length, total: Math.min(delta.in, delta.out), rank: delta.rank, largest: number(largest), least: number(values[real - 1] ?? 0) };
      text(told, real ? t("inside.values", sum) : t("inside.values.none"));
      attribute(bars, "aria-label", real ? t("inside.values", sum) : t("inside.values.none"));
    },
  };
}

/** A pixel for each cell, transparent where ΔW is zero. @param {HTMLCanvasElement} canvas @param {DeltaView} delta */
function paint(canvas, { rows, columns, map }) {
  canvas.width = columns;
  canvas.height = rows;
  const most = map.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const image = new ImageData(columns, rows);
  map.forEach((value, index) => {
    const share = most ? Math.abs(value) / most : 0;
    image.data.set([...(value < 0 ? LESS : MORE), Math.round(255 * share)], 4 * index);
  });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return most;
}

/** A bar for each value, and a line after the rank. @param {SVGSVGElement} root @param {number[]} values @param {number} rank @param {string} mark */
function chart(root, values, rank, mark) {
  const [largest = 0] = values;
  const [wide, high] = [300, 130];
  const slot = wide / values.length;
  const bars = values.map((value, index) => {
    const height = largest ? (value / largest) * (high - 18) : 0;
    return svg("rect", { class: index < rank ? "kept" : "rest", x: index * slot + slot * 0.14, y: high - Math.max(height, 1), width: slot * 0.72, height: Math.max(height, 1) });
  });
  const at = Math.min(rank, values.length) * slot;
  const label = svg("text", { x: at > wide * 0.7 ? at - 5 : at + 5, y: 12, "text-anchor": at > wide * 0.7 ? "end" : "start" }, mark);
  attribute(root, "viewBox", `0 0 ${wide} ${high}`);
  attribute(root, "preserveAspectRatio", "xMidYMid meet");
  root.replaceChildren(...bars, svg("line", { class: "after", x1: at, x2: at, y1: 0, y2: high }), label);
}
