/** Step 3: one prompt, one seed, two voices. */

import { voice } from "../../lab/state.js";
import sheet from "../styles/compare.js";
import { ask, button, numberField, problemBox, slider } from "./controls.js";
import { attribute, h, show, text } from "./dom.js";

/** How long a slider has to rest before the text is written again. */
const PATIENCE = 250;

/** @param {import("./part.js").Context} context @returns {import("./part.js").Part} */
export function compareView({ words, session }) {
  const { t } = words;
  const prompt = h("input", { type: "text", class: "prompt", lang: "", autocomplete: "off", spellcheck: "false", input: () => session.set({ prompt: prompt.value }) });
  const { root: form, run } = ask("ask", prompt, t("compare.prompt"), t("compare.run"), () => session.compare());

  const before = pane(t("compare.before"), "base");
  const after = pane(t("compare.after"), "adapted");
  const panes = h("div", { class: "panes" }, before.root, after.root);

  const again = (/** @type {Partial<import("../../lab/settings.js").Settings>} */ settings) => {
    session.set(settings);
    session.compare();
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
    later(() => session.compare());
  });
  const strength = slider("strength", t("compare.strength"), t("compare.strength.about"), words, (value) => {
    session.set({ strength: value });
    later(() => session.setStrength(value));
  });
  const controls = h("div", { class: "sampling" }, strength.root, temperature.root, h("div", { class: "row" }, seed.root, length.root, another.root));
  const problem = problemBox("compare", words, () => session.dispatch({ type: "dismissed" }));
  const root = h("section", { class: "card compare", part: "compare" }, form, problem.root, panes, controls);

  return {
    root,
    sheet,
    render(state) {
      const { settings, info, adapter, shelf } = state;
      const ready = Boolean(info);
      if (prompt.value !== settings.prompt) prompt.value = settings.prompt;
      prompt.disabled = !ready;
      run.disabled = !ready;
      seed.render(settings.textSeed, ready);
      length.render(settings.maxTokens, ready);
      another.render(ready);
      temperature.render(settings.temperature, ready);
      strength.render(settings.strength, ready);
      before.render(state.before, t("compare.before.about"), settings.prompt, t("compare.waiting"));
      const kept = shelf.items.find(({ id }) => id === shelf.using);
      const about = !voice(state) || !state.after.key ? t("compare.after.none")
        : kept ? t("compare.after.kept", { name: kept.name })
        : adapter?.source === "trained" ? t("compare.after.about", { count: state.after.step })
        : t(`compare.after.${adapter?.source}`);
      const busy = state.phase === "starting" || state.phase === "training";
      after.render(state.after, about, settings.prompt, t(busy ? "compare.soon" : "compare.empty"));
      problem.render(state);
    },
    end: () => clearTimeout(timer),
  };
}

/** One of the two texts: the prompt quiet, what the model made of it in its own voice. @param {string} name @param {string} className */
function pane(name, className) {
  const about = h("span", { class: "about" });
  const heading = h("h3", {}, h("span", { class: "name" }, name), about);
  const given = h("span", { class: "given" });
  const written = h("span", { class: "written" });
  // In whatever language the model writes.
  const story = h("p", { class: "story", lang: "" }, given, written);
  const empty = h("p", { class: "empty" });
  /** The prompt that belongs to the text, also after the reader has begun to type another. */
  let asked = "";
  let key = "";
  return {
    root: h("article", { class: `pane ${className}` }, heading, story, empty),
    /** @param {import("../../lab/state.js").Writing} writing @param {string} whose @param {string} prompt @param {string} placeholder */
    render(writing, whose, prompt, placeholder) {
      const blank = !writing.text && !writing.writing;
      if (writing.key !== key) {
        key = writing.key;
        if (key) asked = prompt;
      }
      text(about, whose);
      text(given, asked);
      text(written, writing.text);
      text(empty, placeholder);
      attribute(story, "data-writing", writing.writing);
      show(story, !blank);
      show(empty, blank);
    },
  };
}
