/** The chapter that proves the base unchanged: its SHA-256, its answer with the adapter off, and the strength from base to adapter. */

import { can } from "../../lab/actions.js";
import { recompute as askAnew } from "../../lab/proof.js";
import { rests, voice } from "../../lab/state.js";
import { setStrength } from "../../lab/texts.js";
import sheet from "../styles/proof.js";
import { button, problemBox, slider } from "./controls.js";
import { attribute, h, show, text } from "./dom.js";
import { whose } from "./whose.js";

/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */
/** @typedef {import("../../lab/types.js").Answer} Answer */

/** Milliseconds that the slider has to rest before the text is rewritten. */
const PATIENCE = 120;

/** @param {Context} context @returns {Part} */
export function proofView({ words, session }) {
  const { t } = words;
  const first = h("code", { class: "digest" });
  const now = h("code", { class: "digest" });
  const verdict = h("p", { class: "verdict" });
  const recompute = button(t("proof.recompute"), () => session.press(askAnew));
  const problem = problemBox("proof", words, () => session.dispatch({ type: "dismissed" }));
  const digests = h("dl", { class: "digests" },
    h("div", {}, h("dt", {}, t("proof.first")), h("dd", {}, first)), h("div", {}, h("dt", {}, t("proof.now")), h("dd", {}, now)));

  const base = answerView(t("proof.base"));
  const off = answerView(t("proof.off"));
  const on = answerView(t("proof.on"));
  const tokens = h("p", { class: "verdict" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const strength = slider("strength", t("proof.strength"), t("proof.strength.about"), words, (value) => {
    session.set({ strength: value });
    clearTimeout(timer);
    timer = setTimeout(() => session.press(setStrength, value), PATIENCE);
  });
  return {
    root: h("div", { class: "proof" },
      digests, h("div", { class: "row" }, verdict, recompute.root), problem.root,
      h("div", { class: "answers" }, base.root, off.root, h("div", { class: "switched" }, on.root, strength.root)), tokens),
    sheet,
    render(state) {
      const { digest, answers, settings } = state;
      problem.render(state);
      grouped(first, digest.first);
      grouped(now, digest.now);
      judge(verdict, digest.now ? digest.first === digest.now : undefined, [t("proof.match", { count: digest.checks }), t("proof.differs"), t("proof.pending")]);
      recompute.render(can(askAnew, state), digest.checking ? t("proof.checking") : t("proof.recompute"));
      const same = answers && sameTokens(answers.base, answers.off);
      base.render(answers?.base, answers?.base, "");
      off.render(answers?.off, answers?.base, "");
      on.render(answers?.on, answers?.base, t("proof.on.none"), answers?.speaker && whose(answers.speaker, t));
      judge(tokens, same, [t("proof.tokens", { count: answers?.base.ids.length ?? 0 }), t("proof.tokens.differ"), t("proof.pending")]);
      strength.render(settings.strength, Boolean(voice(state)) && rests(state.phase));
    },
    end: () => clearTimeout(timer),
  };
}

/** @param {HTMLElement} element @param {boolean | undefined} same @param {string[]} words yes, no, not yet */
function judge(element, same, [yes, no, notYet]) {
  attribute(element, "data-match", same === undefined ? undefined : String(same));
  text(element, same === undefined ? notYet : same ? yes : no);
}

/** @param {Answer} a @param {Answer} b */
const sameTokens = (a, b) => a.ids.length === b.ids.length && a.ids.every((id, index) => id === b.ids[index]);

/** One answer; what differs from the base's is marked. @param {string} name */
function answerView(name) {
  const same = h("span", {});
  const other = h("mark", {});
  const story = h("p", { class: "story", lang: "" }, same, other);
  const about = h("p", { class: "small muted" });
  return {
    root: h("div", { class: "answer" }, h("h4", {}, name), about, story),
    /** @param {Answer | undefined} answer @param {Answer | undefined} base @param {string} none @param {string} [whose] */
    render(answer, base, none, whose = "") {
      text(about, whose);
      show(about, Boolean(whose));
      const [got, wanted] = [answer?.text ?? "", base?.text ?? ""];
      let until = 0;
      while (until < got.length && got[until] === wanted[until]) until += 1;
      // Whole words: half a word in another colour is hard to read.
      if (until < got.length) until = got.lastIndexOf(" ", until) + 1;
      text(same, answer ? got.slice(0, until) : none);
      text(other, got.slice(until));
      attribute(story, "data-empty", !answer);
    },
  };
}

/** Sixty-four digits are easier to read in groups of eight. @param {HTMLElement} element @param {string} digest */
function grouped(element, digest) {
  if ((element.dataset["digest"] ?? "") === digest) return;
  element.dataset["digest"] = digest;
  element.replaceChildren(...(digest.match(/.{8}/g) ?? []).map((group) => h("span", {}, group)));
}
