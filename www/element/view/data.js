/** Step 1: the text to learn from. */

import { can } from "../../lab/actions.js";
import { choose, useFile, useText } from "../../lab/corpus.js";
import { rests } from "../../lab/state.js";
import sheet from "../styles/data.js";
import { attribute, droppable, h, show, text, uniqueId } from "./dom.js";
import { called } from "./called.js";
import { fileButton, problemBox } from "./controls.js";

/** @typedef {import("./part.js").Part} Part */

const EXCERPT = 900;

/** @param {import("./part.js").Context} context @param {string[]} samples ids @returns {Part} */
export function dataView({ words, session, address }, samples) {
  const { t } = words;
  const group = uniqueId();
  const radios = [...samples, "own"].map((id) => {
    const input = h("input", { type: "radio", name: group, value: id, change: () => session.press(choose, id) });
    const about = words.has(`sample.${id}.about`) ? t(`sample.${id}.about`) : "";
    const label = h("label", { class: "choice" }, input, h("span", { class: "name" }, called(id, words)), h("span", { class: "about" }, about));
    return { id, input, label };
  });
  const choices = h("fieldset", { class: "choices" }, h("legend", { class: "sr" }, t("data.samples")), ...radios.map(({ label }) => label));

  const ownId = uniqueId();
  const area = h("textarea", { id: ownId, rows: 7, lang: "", placeholder: t("data.own.placeholder"), spellcheck: "false", input: () => session.press(useText, area.value) });
  const take = (/** @type {File[]} */ [file]) => session.press(useFile, async () => ({ text: await (await import("../../lab/files.js")).readText(file), name: file.name }));
  const open = fileButton(t("data.file"), { accept: ".txt,.md,text/*", class: "quiet" }, take);
  const own = h("div", { class: "own" }, h("label", { for: ownId, class: "small" }, t("data.own")), area, open.root,
    address && h("p", { class: "small muted" }, t("data.own.link")));

  const excerpt = h("blockquote", { class: "excerpt", lang: "" });
  const size = h("p", { class: "small muted" });
  const preview = h("figure", { class: "preview" }, h("figcaption", { class: "small muted" }, t("data.excerpt")), excerpt);
  const problem = problemBox("data", words, () => session.dispatch({ type: "dismissed" }));
  const drop = h("p", { class: "drop", "aria-hidden": "true" }, t("data.drop"));
  const root = h("section", { class: "card data", part: "data" }, choices, own, preview, size, problem.root, drop);
  droppable(root, (files) => {
    if (can(useFile, session.state)) take(files);
  });

  return {
    root,
    sheet,
    render(state) {
      const idle = rests(state.phase);
      const isOwn = state.settings.sample === "own";
      for (const { id, input, label } of radios) {
        input.checked = state.settings.sample === id;
        attribute(label, "data-checked", input.checked);
      }
      choices.disabled = !idle;
      area.disabled = !idle;
      open.render(can(useFile, state));
      show(own, isOwn);
      show(preview, !isOwn);
      const corpus = state.corpus?.text ?? "";
      if (isOwn && area.value !== corpus) area.value = corpus;
      if (!isOwn) text(excerpt, corpus.slice(0, EXCERPT));
      text(size, corpus ? t("data.size", { count: corpus.length }) : t("data.empty"));
      problem.render(state);
    },
  };
}
