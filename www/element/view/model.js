/**
 * The model to scale: each weight matrix a rectangle of its rows and columns, blocks side by side. A linear layer is a checkbox; ticked,
 * it has an adapter, drawn to the same scale as two thin strips along its edges.
 */

import { kind, targetsFor } from "../../lab/kinds.js";
import { targeted } from "../../lab/plan.js";
import { rests } from "../../lab/state.js";
import { FIELDS } from "../../lab/settings.js";
import { button } from "./controls.js";
import { attribute, h, svg, text, variable } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */
/** @typedef {import("../../engine/types.js").LinearInfo} LinearInfo */
/** @typedef {import("../../engine/types.js").ModelInfo} ModelInfo */

/** Room at the edges for the widest strips, so that the picture does not move while the rank changes. */
const GAP = 14;
const REACH = GAP + (FIELDS.rank.max ?? 64);

/** Which layers a button chooses, by their kind. @type {Record<string, (kind: string) => boolean>} */
const PRESETS = {
  all: (name) => name !== "lm_head",
  attention: (name) => name.startsWith("attn."),
  mlp: (name) => name.startsWith("mlp."),
};

/** @param {Context} context @returns {Part} */
export function modelView({ words, session }) {
  const { t } = words;
  const presets = Object.entries(PRESETS).map(([name, fits]) => button(t(`model.${name}`), () => {
    const { info } = session.state;
    if (info) choose(info, info.layers.filter((layer) => fits(kind(layer.name))));
  }));
  const drawing = h("div", { class: "drawing" });
  const root = h("fieldset", { class: "model" }, h("legend", { class: "sr" }, t("model.legend")),
    h("div", { class: "presets" }, ...presets.map(({ root }) => root)), drawing, h("p", { class: "small muted" }, t("model.scale")));

  /** @param {ModelInfo} info @param {LinearInfo[]} layers */
  const choose = (info, layers) => {
    // Without any layer there is nothing to train: the next render ticks the last one again.
    session.set(layers.length ? { targets: targetsFor(info, layers) } : {});
  };
  /** @type {{ layer: LinearInfo, cell: ReturnType<typeof cellView> }[]} */
  let cells = [];

  /** @param {ModelInfo} info */
  const build = (info) => {
    const look = (/** @type {string} */ layer) => {
      if (session.state.layer !== layer) session.dispatch({ type: "looked", layer });
    };
    const made = (/** @type {LinearInfo} */ layer) => {
      const cell = cellView(layer, named(t, layer.name), { change: () => choose(info, cells.filter(({ cell }) => cell.input.checked).map(({ layer }) => layer)), look: () => look(layer.name) });
      cells.push({ layer, cell });
      return cell.root;
    };
    /** @type {Map<string, LinearInfo[]>} */
    const groups = new Map();
    for (const layer of info.layers) {
      const block = layer.name.match(/\bh\.(\d+)\./)?.[1] ?? "";
      groups.set(block, [...(groups.get(block) ?? []), layer]);
    }
    // Four columns of a block's width; a vocabulary that is wider than that is drawn folded, its area to scale.
    const block = 4 * info.width + 2 * REACH + 40;
    const across = Math.min(4 * block, Math.max(info.vocabulary + info.contextLength, 2 * block) + REACH);
    variable(drawing, "--block", block);
    variable(drawing, "--across", across);
    const plain = (/** @type {number} */ rows, /** @type {string} */ name) => {
      const long = Math.min(rows, across - REACH);
      const root = h("span", { class: "plain", title: t("model.plain", { name, in: rows, out: info.width }) }, name);
      variable(root, "--long", long);
      variable(root, "--short", (rows * info.width) / long);
      return root;
    };
    drawing.append(h("div", { class: "ends" }, plain(info.vocabulary, t("model.tokens")), plain(info.contextLength, t("model.positions"))));
    const blocks = h("div", { class: "blocks" });
    drawing.append(blocks);
    for (const [number, layers] of groups) {
      if (number) {
        blocks.append(h("div", { class: "block", role: "group", "aria-label": t("model.block", { number: Number(number) + 1 }) },
          h("p", { "aria-hidden": "true" }, t("model.block", { number: Number(number) + 1 })), ...layers.map(made)));
      } else drawing.append(h("div", { class: "ends" }, ...layers.map(made)));
    }
  };

  return {
    root,
    render(state) {
      const { info, settings } = state;
      root.disabled = !rests(state.phase);
      for (const preset of presets) preset.render(rests(state.phase));
      if (!info) return;
      if (!cells.length) build(info);
      const chosen = new Set(targeted(info, settings.targets).map(({ name }) => name));
      for (const { layer, cell } of cells) cell.render(chosen.has(layer.name), settings.rank, state.layer === layer.name);
      Object.values(PRESETS).forEach((fits, index) => {
        const pressed = info.layers.every(({ name }) => fits(kind(name)) === chosen.has(name));
        attribute(presets[index].root, "aria-pressed", String(pressed));
      });
    },
  };
}

/** A layer's name for the reader: block and part. @param {import("../../i18n/i18n.js").Words["t"]} t @param {string} name */
export function named(t, name) {
  const part = t(`target.${kind(name)}`);
  const block = name.match(/\bh\.(\d+)\./)?.[1];
  return block === undefined ? part : t("model.layer", { number: Number(block) + 1, part });
}

/**
 * One linear layer. The longer side is horizontal, so that all blocks have one width; A runs along the inputs, B along the outputs.
 * @param {LinearInfo} layer
 * @param {string} name
 * @param {{ change: () => void, look: () => void }} listeners
 */
function cellView(layer, name, { change, look }) {
  const lies = layer.out >= layer.in;
  const [long, short] = lies ? [layer.out, layer.in] : [layer.in, layer.out];
  const a = svg("rect", { class: "ab" });
  const b = svg("rect", { class: "ab" });
  const picture = svg("svg", { viewBox: `0 0 ${long + REACH} ${short + REACH}`, "aria-hidden": "true" },
    svg("rect", { class: "w", x: REACH, y: REACH, width: long, height: short }), a, b);
  const input = h("input", { type: "checkbox", name: layer.name, "aria-label": name, change, focus: look });
  const root = h("label", { class: "cell", pointerenter: look, title: name }, input, picture, h("span", { class: "code", "aria-hidden": "true" }, layer.name.split(".").at(-1) ?? ""));
  variable(root, "--long", long);
  const place = (/** @type {SVGElement} */ rect, /** @type {boolean} */ top, /** @type {number} */ rank) => {
    const thin = REACH - GAP - rank;
    const box = top ? { x: REACH, y: thin, width: long, height: rank } : { x: thin, y: REACH, width: rank, height: short };
    for (const [key, value] of Object.entries(box)) attribute(rect, key, value);
  };
  return {
    root,
    input,
    /** @param {boolean} adapted @param {number} rank @param {boolean} current */
    render(adapted, rank, current) {
      input.checked = adapted;
      attribute(root, "data-checked", adapted);
      attribute(root, "data-current", current);
      place(a, !lies, adapted ? rank : 0);
      place(b, lies, adapted ? rank : 0);
    },
  };
}
