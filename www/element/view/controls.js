/** The few kinds of controls that the page is made of. Each has a label; each is drawn from the state. */

import { FIELDS } from "../../lab/settings.js";
import { attribute, h, text, uniqueId, variable } from "./dom.js";

/** @typedef {import("../../lab/types.js").Settings} Settings */
/** @typedef {import("../../i18n/i18n.js").Words} Words */
/** Settings that are numbers. @typedef {{ [K in keyof Settings]: Settings[K] extends number ? K : never }[keyof Settings]} Numeric */

/**
 * A text field with a button; Enter works too. Not a form: a sandboxed frame blocks submitting one without an event.
 * @param {string} className
 * @param {HTMLInputElement} input
 * @param {string} label for screen readers
 * @param {string} name on the button
 * @param {() => void} action
 */
export function ask(className, input, label, name, action) {
  input.id ||= uniqueId();
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && !run.disabled) action();
  });
  const run = h("button", { type: "button", click: action }, name);
  return { root: h("div", { class: className }, h("label", { for: input.id, class: "sr" }, label), input, run), run };
}

/**
 * A slider with its value beside the label.
 * @param {Numeric} name
 * @param {string} label
 * @param {string} about
 * @param {Words} words
 * @param {(value: number) => void} onInput
 */
export function slider(name, label, about, words, onInput) {
  const id = uniqueId();
  const { min = 0, max = 1, step = 1 } = FIELDS[name];
  const output = h("output", { for: id, class: "value" });
  const input = h("input", { id, type: "range", min, max, step, name, input: () => onInput(Number(input.value)) });
  const root = h("div", { class: "slider" },
    h("label", { for: id }, h("span", { class: "name" }, label), h("span", { class: "about" }, about)), output, input);
  return {
    root,
    /** @param {number} value @param {boolean} enabled */
    render(value, enabled) {
      if (Number(input.value) !== value) input.value = String(value);
      input.disabled = !enabled;
      variable(input, "--fill", (value - min) / (max - min));
      text(output, words.number(value, 2));
    },
  };
}

/**
 * A number to type. What makes no sense is put back to what was there.
 * @param {Numeric} name
 * @param {string} label
 * @param {string} about
 * @param {(value: number) => void} onChange
 */
export function numberField(name, label, about, onChange) {
  const id = uniqueId();
  const field = FIELDS[name];
  const describedBy = about ? `${id}-about` : undefined;
  let current = field.initial;
  const change = () => {
    const value = field.parse(input.value);
    if (value === undefined) input.value = String(current);
    else {
      input.value = String(value);
      onChange(value);
    }
  };
  const input = h("input", {
    id, name, type: "number", min: field.min, max: field.max, step: "any", inputmode: "decimal", "aria-describedby": describedBy, change,
  });
  const root = h("div", { class: "field" },
    h("label", { for: id }, label), input, about ? h("span", { class: "about", id: describedBy }, about) : undefined);
  return {
    root,
    /** @param {number} value @param {boolean} enabled */
    render(value, enabled) {
      // Empty while a number is being typed: do not interrupt.
      const isTyping = input.matches(":focus");
      if (value !== current || (input.value === "" && !isTyping)) {
        current = value;
        input.value = String(value);
      }
      input.disabled = !enabled;
    },
  };
}

/**
 * @param {string} label
 * @param {() => void} click
 * @param {{ class?: string, title?: string }} [options]
 */
export function button(label, click, { class: className = "", title } = {}) {
  const root = h("button", { type: "button", class: className, title, click }, label);
  return {
    root,
    /** @param {boolean} enabled @param {string} [now] another label */
    render(enabled, now = label) {
      root.disabled = !enabled;
      text(root, now);
    },
  };
}

/**
 * A button that opens the browser's file dialogue.
 * @param {string} label
 * @param {{ accept: string, multiple?: boolean, class?: string, title?: string }} options
 * @param {(files: File[]) => void} onFiles
 */
export function fileButton(label, { accept, multiple = false, class: className, title }, onFiles) {
  const input = h("input", {
    type: "file", accept, multiple, hidden: true, "aria-label": label,
    change: () => {
      const files = [...(input.files ?? [])];
      // So that the same file, once corrected, can be chosen again.
      input.value = "";
      if (files.length) onFiles(files);
    },
  });
  const { root: control, render } = button(label, () => input.click(), { class: className, title });
  return { root: h("span", { class: "file" }, control, input), render };
}

/**
 * Shows an error at its place: what failed in the reader's language, the detail in the engine's English.
 * @param {import("../../lab/types.js").Place} place
 * @param {Words} words
 * @param {() => void} dismiss
 */
export function problemBox(place, words, dismiss) {
  const title = h("strong");
  const detail = h("span", { class: "detail", lang: "en" });
  /** Few see one, so most of these words are fetched on first use; without them it gets a general name. @param {string} code */
  const name = (code) => {
    const key = `problem.${code}`;
    if (!words.has(key)) words.more().then(() => code === shown && words.has(key) && text(title, words.t(key)), () => {});
    return words.t(words.has(key) ? key : "problem.any");
  };
  let shown = "";
  const root = h("div", { class: "problem", role: "alert" },
    h("div", {}, title, detail), place === "page" ? undefined : h("button", { type: "button", class: "quiet", click: dismiss }, words.t("problem.dismiss")));
  return {
    root,
    /** @param {import("../../lab/types.js").State} state */
    render({ problem }) {
      const here = problem?.place === place ? problem : undefined;
      attribute(root, "hidden", !here);
      if (shown !== (here?.code ?? "")) {
        shown = here?.code ?? "";
        text(title, shown && name(shown));
      }
      text(detail, here?.message ?? "");
    },
  };
}
