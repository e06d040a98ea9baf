/** The views that the element can have, and what each is made of. */

import { chapterView } from "./chapter.js";
import { CHAPTERS } from "./chapters.js";
import { compareView } from "./compare.js";
import { dataView } from "./data.js";
import { h } from "./dom.js";
import { statusPart } from "./status.js";
import { trainView } from "./train.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */
/** @typedef {{ part: Part, framed?: boolean }} Piece framed: inside the view's frame, not beside it */

/**
 * What the element gives its views.
 * @typedef {object} Means
 * @property {string[]} samples ids of the texts on offer
 * @property {(sheet: CSSStyleSheet | undefined) => void} adopt adds a part's style sheet
 */

/**
 * The view's pieces, each built when the next is requested.
 * @param {import("../attributes.js").View} view
 * @param {Context} context
 * @param {Means} means
 * @returns {AsyncGenerator<Piece, void, void>}
 */
export async function* pieces(view, context, means) {
  const status = statusPart(context);
  status.root.dataset["view"] = view;
  yield { part: status };
  if (view === "full") return yield* fullPieces(context, means);
  const { compactParts, compareParts, sheet } = await import("./brief.js");
  means.adopt(sheet);
  const parts = view === "compact" ? compactParts(context, means.samples) : compareParts(context);
  for (const part of parts) yield { part, framed: true };
}

/** @param {Context} context @param {Means} means @returns {Generator<Piece, void, void>} */
function* fullPieces(context, { samples, adopt }) {
  const { t } = context.words;
  let steps = 0;
  /** @param {string} name @param {Part} part */
  const step = (name, part) => {
    const number = h("span", { class: "number", "aria-hidden": "true" }, String(++steps));
    part.root.prepend(h("header", {}, number, h("h2", {}, t(`${name}.heading`)), h("p", { class: "muted" }, t(`${name}.hint`))));
    return { part, framed: true };
  };
  yield step("data", dataView(context, samples));
  yield step("train", trainView(context));
  yield step("compare", compareView(context));
  let group = "";
  for (const chapter of CHAPTERS) {
    const { under = "" } = chapter;
    if (under && under !== group) yield { part: { root: h("h2", { class: "under" }, t(`${under}.heading`)), render() {} } };
    group = under;
    yield { part: chapterView(chapter, context, adopt) };
  }
}
