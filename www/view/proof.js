/** Benefit 2, the base is untouched. */

import sheet from "../styles/proof.js";
import { button, problemBox } from "./controls.js";
import { attribute, h, text } from "./dom.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** The digest when loaded and now. @param {Context} context @returns {Part} */
export function proofView({ words, session }) {
  const { t } = words;
  const first = h("code", { class: "digest" });
  const now = h("code", { class: "digest" });
  const verdict = h("p", { class: "verdict" });
  const recompute = button(t("proof.recompute"), () => session.recompute());
  const problem = problemBox("proof", words, () => session.dispatch({ type: "dismissed" }));
  const list = h("dl", { class: "digests" }, h("dt", {}, t("proof.first")), h("dd", {}, first), h("dt", {}, t("proof.now")), h("dd", {}, now));
  return {
    root: h("div", { class: "proof" }, list, problem.root, h("div", { class: "row" }, verdict, recompute.root)),
    sheet,
    render(state) {
      const { digest, info } = state;
      problem.render(state);
      grouped(first, digest.first);
      grouped(now, digest.now);
      const same = digest.first === digest.now;
      attribute(verdict, "data-match", digest.now ? String(same) : undefined);
      text(verdict, !digest.now ? t("proof.pending") : same ? t("proof.match", { count: digest.checks }) : t("proof.differs"));
      recompute.render(Boolean(info) && !digest.checking, digest.checking ? t("proof.checking") : t("proof.recompute"));
    },
  };
}

/** Sixty-four digits are read in groups of eight. @param {HTMLElement} element @param {string} digest */
function grouped(element, digest) {
  if ((element.dataset["digest"] ?? "") === digest) return;
  element.dataset["digest"] = digest;
  element.replaceChildren(...(digest.match(/.{8}/g) ?? []).map((group) => h("span", {}, group)));
}
