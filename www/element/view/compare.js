/** Step 3: one prompt, one seed, with and without the adapter. */

import { compare, setStrength } from "../../lab/texts.js";
import sheet from "../styles/compare.js";
import { ask, button, numberField, problemBox, slider } from "./controls.js";
import { attribute, h, show, text } from "./dom.js";
import { whose } from "./whose.js";

/** Milliseconds that a slider has to rest before the text is rewritten. */
const PATIENCE = 250;

/** @param {import("./part.js").Context} context @returns {import("./part.js").Part} */
export function compareView({ words, session }) {
  const { t } = words;
  const prompt = h("input", { type: "text", class: "prompt", lang: "", autocomplete: "off", spellcheck: "false", input: () => session.set({ prompt: prompt.value }) });
  const { root: form, run } = ask("ask", prompt, t("compare.prompt"), t("compare.run"), () => session.press(compare));

  const before = pane(t("compare.before"), "base");
  const after = pane(t("compare.after"), "adapted");
  const panes = h("div", { class: "panes" }, before.root, after.root);

  const again = (/** @type {Partial<import("../../lab/types.js").Settings>} */ settings) => {
    session.set(settings);
    session.press(compare);
  };
  const seed = numberField("textSeed", t("compare.seed"), "", (textSeed) => again({ textSeed }));
  const length = numberField("maxTokens", t("compare.maxTokens"), "", (maxTokens) => again({ maxTokens }));
  const another = button(t("compare.another"), () => again({ textSeed: (session.state.settings.textSeed + 1) % 2 ** 32 }), { title: t("compare.another.title") });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const later = (/** @type {() => void} */ action) => {
    clearTimeout(timer);
    timer = setTimeout(action, PATIENCE);
  };
  const temperature = slider("temperature", t("compare.temperature"), t("compare.temperature.about"), words, (value) => {
    session.set({ temperature: value });
    later(() => session.press(compare));
  });
  const strength = slider("strength", t("compare.strength"), t("compare.strength.about"), words, (value) => {
    session.set({ strength: value });
    later(() => session.press(setStrength, value));
  });
  const controls = h("div", { class: "sampling" }, strength.root, temperature.root, h("div", { class: "row" }, seed.root, length.root, another.root));
  const problem = problemBox("compare", words, () => session.dispatch({ type: "dismissed" }));
  const root = h("section", { class: "card compare", part: "compare" }, form, problem.root, panes, controls);

  return {
    root,
    sheet,
    render(state) {
      const { settings, info } = state;
      const ready = Boolean(info);
      if (prompt.value !== settings.prompt) prompt.value = settings.prompt;
      prompt.disabled = !ready;
      run.disabled = !ready;
      seed.render(settings.textSeed, ready);
      length.render(settings.maxTokens, ready);
      another.render(ready);
      temperature.render(settings.temperature, ready);
      strength.render(settings.strength, ready);
      before.render(state.before, t("compare.before.about"), t("compare.waiting"));
      const busy = state.phase === "starting" || state.phase === "training";
      after.render(state.after, whose(state.after.speaker, t), t(busy ? "compare.soon" : "compare.empty"));
      problem.render(state);
    },
    end: () => clearTimeout(timer),
  };
}

/** One of the two texts: the prompt in grey, then the model's words. @param {string} name @param {string} className */
function pane(name, className) {
  const about = h("span", { class: "about" });
  const heading = h("h3", {}, h("span", { class: "name" }, name), about);
  const given = h("span", { class: "given" });
  const written = h("span", { class: "written" });
  // Empty: the model's language is unknown.
  const story = h("p", { class: "story", lang: "" }, given, written);
  const empty = h("p", { class: "empty" });
  return {
    root: h("article", { class: `pane ${className}` }, heading, story, empty),
    /** @param {import("../../lab/types.js").Writing} writing @param {string} whose @param {string} placeholder */
    render(writing, whose, placeholder) {
      const blank = !writing.text && !writing.writing;
      text(about, whose);
      text(given, writing.prompt);
      text(written, writing.text);
      text(empty, placeholder);
      attribute(story, "data-writing", writing.writing);
      show(story, !blank);
      show(empty, blank);
    },
  };
}
