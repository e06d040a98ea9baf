/** The chapter on code: LoRA in three pieces of PyTorch, what each line means, the Rust that does the same here, and the page's numbers. */

import { targeted, trainable } from "../../lab/plan.js";
import sheet from "../styles/code.js";
import { attribute, h, text, variable } from "./dom.js";
import { PIECES } from "./listing.js";

/** @typedef {import("./listing.js").Piece} Piece */
/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */
/** @typedef {import("../../lab/types.js").State} State */

/** @param {Context} context @returns {Part} */
export function codeView(context) {
  const pieces = PIECES.map((piece) => pieceView(piece, context));
  let drawn = "";
  return {
    root: h("div", { class: "pieces" }, ...pieces.map(({ root }) => root)),
    sheet,
    render(state) {
      const values = numbers(state, context.words);
      const now = JSON.stringify(values);
      if (!values || now === drawn) return;
      drawn = now;
      for (const piece of pieces) piece.render(values);
    },
  };
}

/**
 * Python on one side, its steps on the other. What is hovered or focused is highlighted on both; a click keeps it so.
 * @param {Piece} piece
 * @param {Context} context
 */
function pieceView({ name, python, steps }, { words: { t, has } }) {
  const numberOf = (/** @type {string} */ step) => steps.findIndex((one) => one.name === step) + 1;
  /** @type {Map<string, HTMLElement[]>} */
  const marked = new Map(steps.map((step) => [step.name, []]));
  let kept = "";
  const light = (/** @type {string} */ step) => {
    for (const [one, elements] of marked) for (const element of elements) attribute(element, "data-lit", one === step);
  };
  const keep = (/** @type {string} */ step) => {
    kept = kept === step ? "" : step;
    for (const [one, button] of buttons) attribute(button, "aria-pressed", String(one === kept));
    light(kept || step);
    // On a narrow screen the explanation is further down.
    items.get(step)?.scrollIntoView({ block: "nearest" });
  };
  /** @param {HTMLElement} element @param {string} step */
  const follow = (element, step) => {
    marked.get(step)?.push(element);
    for (const type of ["pointerenter", "focusin"]) element.addEventListener(type, () => light(step));
    for (const type of ["pointerleave", "focusout"]) element.addEventListener(type, () => light(kept));
  };

  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  const lines = python.map(([step, line]) => {
    const row = codeLine(line, 0);
    if (!step) return row;
    const isFirst = !buttons.has(step);
    if (isFirst) {
      const label = t("code.step", { number: numberOf(step), line: line.trim() });
      const mark = h("button", { type: "button", class: "mark", "aria-label": label, "aria-pressed": "false" }, String(numberOf(step)));
      buttons.set(step, mark);
      row.prepend(mark);
    }
    row.addEventListener("click", () => keep(step));
    row.classList.add("told");
    follow(row, step);
    return row;
  });

  /** @type {Map<string, HTMLElement>} */
  const items = new Map();
  /** @type {Map<string, HTMLElement>} */
  const now = new Map();
  const list = steps.map((step) => {
    const screen = h("p", { class: "now figure" });
    // Not every step shows a number.
    if (has(`code.${name}.${step.name}.now`)) now.set(step.name, screen);
    const quotes = step.quotes.map(({ file, lines: quoted }) => {
      const least = Math.min(...quoted.map(indent));
      return h("figure", { class: "quote" }, h("figcaption", { lang: "" }, file), h("pre", { lang: "" }, ...quoted.map((line) => codeLine(line, least))));
    });
    const item = h("li", {}, h("p", {}, ...rich(t(`code.${name}.${step.name}`))), screen, ...quotes);
    items.set(step.name, item);
    follow(item, step.name);
    return item;
  });

  return {
    root: h("article", { class: "piece" },
      h("h3", {}, ...rich(t(`code.${name}`))),
      h("div", { class: "sides" },
        h("figure", { class: "python" }, h("figcaption", { lang: "" }, "PyTorch"), h("pre", { lang: "" }, ...lines)),
        h("ol", { class: "told-steps" }, ...list))),
    /** @param {Record<string, string | number>} values */
    render(values) {
      for (const [step, screen] of now) text(screen, t(`code.${name}.${step}.now`, values));
    },
  };
}

/** @param {string} line */
const indent = (line) => line.length - line.trimStart().length;

/** One line, which wraps to its own indentation. @param {string} line @param {number} less indentation that all lines share */
function codeLine(line, less) {
  const row = h("code", { class: "code-line" }, h("span", {}, line.trim() || "\n"));
  variable(row, "--indent", indent(line) - less);
  return row;
}

/** Words with code in them: what stands between backticks. @param {string} words @returns {(string | HTMLElement)[]} */
function rich(words) {
  return words.split("`").map((part, index) => (index % 2 ? h("code", { lang: "" }, part) : part));
}

/**
 * What the lines mean at this moment, in the layer that is being looked at.
 * @param {State} state
 * @param {import("../../i18n/i18n.js").Words} words
 * @returns {Record<string, string | number> | undefined} until the model is known
 */
function numbers({ info, settings, layer: looked }, words) {
  if (!info) return undefined;
  const { rank, alpha, blockSize } = settings;
  const layers = targeted(info, settings.targets);
  const layer = info.layers.find(({ name }) => name === looked) ?? layers[0] ?? info.layers[0];
  const lora = trainable([layer], rank);
  const full = layer.in * layer.out;
  const all = trainable(layers, rank);
  return {
    name: layer.name,
    in: layer.in,
    out: layer.out,
    rank,
    alpha,
    time: blockSize,
    a: layer.in * rank,
    b: rank * layer.out,
    bound: words.number(1 / Math.sqrt(layer.in), 3),
    textbookBound: words.number(1 / Math.sqrt(rank), 3),
    scaling: words.number(alpha / rank, 3),
    rootScaling: words.number(alpha / Math.sqrt(rank), 3),
    lora,
    full,
    share: words.percent(lora / full),
    layers: layers.length,
    linears: info.layers.length,
    blocks: info.blocks,
    left: info.layers.length - layers.length,
    trainable: all,
    total: info.parameters,
    allShare: words.percent(all / info.parameters),
  };
}
