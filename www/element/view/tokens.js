/** The comparison token by token: the likeliest tokens at a place, by the base and by the adapter. */

import { readable, watchTokens } from "../../lab/inspection.js";
import sheet from "../styles/tokens.js";
import { problemBox } from "./controls.js";
import { attribute, h, show, text, uniqueId, variable } from "./dom.js";
import { whose } from "./whose.js";

/** @typedef {import("../../lab/types.js").Side} Side */
/** @typedef {import("../../engine/types.js").Candidate} Candidate */
/** @typedef {import("../../engine/types.js").Candidates} Candidates */
/** @typedef {import("./part.js").Context} Context */
/** @typedef {import("./part.js").Part} Part */

/** @param {Context} context @returns {Part} */
export function tokensView({ words, session }) {
  const { t } = words;
  const name = uniqueId();
  const choices = /** @type {Side[]} */ (["before", "after"]).map((side) => {
    const input = h("input", { type: "radio", name, value: side, change: () => session.dispatch({ type: "side", side }) });
    return { side, input, root: h("label", { class: "side" }, input, h("span", {}, t(`compare.${side}`))) };
  });
  const sides = h("fieldset", { class: "whose" }, h("legend", { class: "sr" }, t("tokens.sides")), ...choices.map(({ root }) => root));
  const empty = h("p", { class: "muted" }, t("tokens.empty"));
  const id = uniqueId();
  const list = h("div", { class: "tokens", role: "listbox", tabindex: 0, "aria-label": t("tokens.list"), "aria-describedby": `${id}-hint`, keydown: (event) => move(event) });
  const hint = h("p", { class: "small muted", id: `${id}-hint` }, t("tokens.hint"));
  const where = h("p", { class: "where", "aria-live": "polite" });
  const base = chances(t("compare.before"), "base");
  const adapter = chances(t("compare.after"), "adapted");
  const about = h("p", { class: "small muted" });
  adapter.root.prepend(about);
  const table = h("div", { class: "chances" }, base.root, adapter.root);
  const problem = problemBox("tokens", words, () => session.dispatch({ type: "dismissed" }));

  /** @param {number} place */
  const go = (place) => {
    if (place !== session.state.looks.place) session.dispatch({ type: "place", place });
  };
  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const { place, read } = session.state.looks;
    const last = read?.candidates.tokens.length ?? 0;
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + 10, ArrowUp: place - 10, Home: 1, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  };

  /** @type {HTMLElement[]} */
  let shown = [];
  /** @type {Candidates | undefined} */
  let drawn;
  /** @param {Candidates} candidates */
  const build = (candidates) => {
    const token = (/** @type {string} */ content, /** @type {number} */ place) =>
      h("span", { class: "token", role: "option", lang: language(content), id: `${id}-${place}`, "aria-selected": "false", "aria-label": spoken(content, t), pointerenter: (event) => event.pointerType === "mouse" && go(place), click: () => go(place) }, visible(content));
    shown = [...candidates.tokens.map(({ text }, place) => token(text, place)), token(" …", candidates.tokens.length)];
    list.replaceChildren(...shown);
  };

  const unwatch = watchTokens(session);
  return {
    root: h("div", { class: "reading" }, problem.root, sides, empty, list, hint, where, table),
    sheet,
    render(state) {
      const { looks } = state;
      problem.render(state);
      const side = looks.side === "after" && state.after.text ? "after" : "before";
      for (const choice of choices) {
        choice.input.checked = choice.side === side;
        choice.input.disabled = !state[choice.side].text;
        attribute(choice.root, "data-checked", choice.side === side);
      }
      const candidates = looks.read?.candidates;
      show(empty, !candidates);
      for (const part of [list, hint, where, table]) show(part, Boolean(candidates));
      // While another text is being written, the old one is shown and marked as such.
      attribute(list, "data-old", !readable(state) || readable(state)?.key !== looks.read?.key);
      if (!candidates) return;
      if (candidates !== drawn) {
        drawn = candidates;
        build(candidates);
      }
      const { place } = looks;
      shown.forEach((token, index) => attribute(token, "aria-selected", index === place ? "true" : "false"));
      attribute(list, "aria-activedescendant", `${id}-${place}`);
      const position = candidates.positions[place - 1];
      const now = candidates.tokens[place];
      const before = spoken(candidates.tokens[place - 1]?.text ?? "", t);
      text(where, now ? t("tokens.instead", { token: spoken(now.text, t), before }) : t("tokens.next", { before }));
      base.render(position?.base ?? [], now?.id, words, t);
      adapter.render(position?.adapter ?? [], now?.id, words, t);
      show(adapter.root, Boolean(position?.adapter));
      text(about, looks.read?.speaker ? whose(looks.read.speaker, t) : "");
    },
    end: unwatch,
  };
}

/** The likeliest tokens of one voice, as bars. @param {string} name @param {string} className */
function chances(name, className) {
  const list = h("ol");
  return {
    root: h("div", { class: `voice ${className}` }, h("h4", {}, name), list),
    /** @param {Candidate[]} candidates @param {number | undefined} chosen @param {import("../../i18n/i18n.js").Words} words @param {(key: string) => string} t */
    render(candidates, chosen, words, t) {
      while (list.children.length > candidates.length) list.lastElementChild?.remove();
      candidates.forEach(({ id, text: content, p }, index) => {
        let item = list.children[index];
        if (!item) {
          item = h("li", {}, h("span", { class: "fill" }), h("span", { class: "word" }), h("span", { class: "p" }));
          list.append(item);
        }
        const [fill, word, share] = /** @type {HTMLElement[]} */ ([...item.children]);
        variable(fill, "--share", p.toFixed(4));
        text(word, content === "" ? t("tokens.end") : visible(content));
        attribute(word, "lang", content === "" ? undefined : "");
        text(share, words.percent(p));
        attribute(item, "data-chosen", id === chosen);
      });
    },
  };
}

/** Makes line ends visible. @param {string} content */
const visible = (content) => content.replace(/\n/g, "↵\n");

/** Tokens are in the model's language (unknown); the words for a blank one are in the page's. @param {string} content */
const language = (content) => (content.trim() === "" ? undefined : "");

/** What a screen reader says of a token. @param {string} content @param {(key: string) => string} t */
function spoken(content, t) {
  if (content === "") return t("tokens.end");
  return content.trim() === "" ? (content.includes("\n") ? t("tokens.line") : t("tokens.space")) : content.trim();
}
